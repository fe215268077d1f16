//! Label values that clients choose (tenants, models), bounded: beyond the bound all are `other`.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use prometheus::{Counter, IntCounter};

use super::metrics::Metrics;

/// What everyone beyond the bound is called.
const OTHER: &str = "other";

/// A label value, and what is counted under it.
type Known<T> = (Arc<str>, T);

/// The label values seen so far, each with what is counted under it.
pub struct Labels<T> {
    known: RwLock<HashMap<Box<str>, Known<T>>>,
    most: usize,
}

impl<T: Clone> Labels<T> {
    /// At most `most` values, `other` aside.
    pub fn new(most: usize) -> Self {
        Self { known: RwLock::default(), most }
    }

    /// The label for `name`, and what `make` made for it when it was first seen.
    pub fn get(&self, name: &str, make: impl FnOnce(&str) -> T) -> Known<T> {
        if let Some(known) = self.known.read().get(name) {
            return known.clone();
        }
        let mut known = self.known.write();
        let others = usize::from(known.contains_key(OTHER));
        let label = if known.len() - others < self.most { name } else { OTHER };
        known.entry(label.into()).or_insert_with(|| (Arc::from(label), make(label))).clone()
    }
}

/// What is counted for one tenant.
#[derive(Clone)]
pub struct TenantCounters {
    /// Saved by stored answers.
    pub cache: Arc<Saved>,
    /// Saved by shared calls.
    pub coalesce: Arc<Saved>,
    /// Saved by embedding inputs that went in others' calls.
    pub batch: Arc<Saved>,
    /// Saved by rules.
    pub rule: Arc<Saved>,
}

/// Savings by one feature for one tenant.
pub struct Saved {
    /// Calls not made.
    pub calls: IntCounter,
    /// Their list price, USD.
    pub usd: Counter,
    /// Tokens not consumed.
    pub tokens: IntCounter,
    /// Embedding inputs not sent.
    pub inputs: IntCounter,
}

impl TenantCounters {
    /// The counters of the tenant called `label`.
    pub fn new(metrics: &Metrics, label: &str) -> Self {
        let saved = |by: &str| {
            Arc::new(Saved {
                calls: metrics.saved_calls.with_label_values(&[by, label]),
                usd: metrics.saved_usd.with_label_values(&[by, label]),
                tokens: metrics.saved_tokens.with_label_values(&[by, label]),
                inputs: metrics.saved_inputs.with_label_values(&[by, label]),
            })
        };
        Self {
            cache: saved("cache"),
            coalesce: saved("coalesce"),
            batch: saved("batch"),
            rule: saved("rule"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_beyond_the_bound_are_one() {
        let labels = Labels::new(2);
        let name = |given: &str| labels.get(given, |_| ()).0.to_string();
        assert_eq!(
            [name("a"), name("b"), name("c"), name("d"), name("a")],
            ["a", "b", "other", "other", "a"]
        );
        assert_eq!(labels.known.read().len(), 3);
    }
}
