//! The digest of a body whose last message of the user is told by its folded text.

use super::ApiRequest;
use super::endpoint::Endpoint;
use super::facts::Facts;
use super::turns::last_user_texts;
use crate::text::Folding;

/// Larger bodies are told apart exactly: reading one a second time would keep other requests waiting.
const LARGEST: usize = 256 * 1024;

impl ApiRequest<'_> {
    /// The digest of the body with the text of the user's last message folded, and all else as it
    /// is; `None` where there is no such text or nothing to fold it by.
    pub fn folded_digest(&self, folding: Folding) -> Option<[u8; 32]> {
        if folding.is_empty() || self.body.len() > LARGEST {
            return None;
        }
        let read = || digest(self.endpoint, &self.body, folding);
        let (remembered, digest) = *self.facts.folded.get_or_init(|| (folding, read()));
        if remembered == folding { digest } else { read() }
    }
}

fn digest(endpoint: Endpoint, body: &[u8], folding: Folding) -> Option<[u8; 32]> {
    let texts = last_user_texts(endpoint, body);
    let mut folded = Vec::with_capacity(body.len());
    let mut at = 0;
    for text in &texts {
        let said: String = serde_json::from_slice(body.get(text.clone())?).ok()?;
        folded.extend_from_slice(body.get(at..text.start)?);
        serde_json::to_writer(&mut folded, &folding.fold(&said)).ok()?;
        at = text.end;
    }
    folded.extend_from_slice(body.get(at..)?);
    (!texts.is_empty()).then(|| Facts::digest_of(endpoint, &folded)).flatten()
}
