//! Several providers behind one route, over real sockets.

mod embeddings;
mod failing;
mod state;

use crate::harness::{Pareto, Provider, provider};

/// A sidecar before two providers: `sim` and `other`.
pub struct Two {
    pub pareto: Pareto,
    pub other: Provider,
}

impl Two {
    /// With one route of these settings.
    pub async fn start(route: &str) -> Self {
        Self::with(route, "").await
    }

    /// With one route of these settings, and more sections.
    pub async fn with(route: &str, sections: &str) -> Self {
        let (sim, other) = (provider().await, provider().await);
        let file = format!(
            "providers: {{sim: {{url: \"{}\", keys: [sk-sim]}}, other: {{url: \"{}\", keys: [sk-other]}}}}\n\
             routes: [{{models: [\"gpt-*\"], {route}}}]\n{sections}",
            sim.url(),
            other.url()
        );
        Self { pareto: Pareto::before(sim, &file), other }
    }

    /// Who has been asked how often.
    pub fn asked(&self) -> (u64, u64) {
        (self.pareto.provider.total(), self.other.total())
    }
}
