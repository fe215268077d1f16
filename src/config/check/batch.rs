//! `batch:` as written -> as meant.

use super::{Report, positive, some_time};
use crate::config::batch::Batch;
use crate::config::file::batch::Embeddings as Written;

/// The most inputs OpenAI takes in one call.
const MOST_INPUTS: usize = 2048;

/// The bounds of gathering embedding inputs.
pub(super) fn batch(written: &Written, report: &mut Report) -> Batch {
    let path = "batch.embeddings.max_inputs";
    let max_inputs = positive(written.max_inputs, path, report);
    if max_inputs > MOST_INPUTS {
        report.wrong(&path.into(), format!("is more than a call may carry; write at most {MOST_INPUTS}"));
    }
    let window = some_time(written.window, &"batch.embeddings.window".into(), report);
    Batch { window, max_inputs, parallel: positive(written.parallel, "batch.embeddings.parallel", report) }
}
