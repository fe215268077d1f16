//! Several providers behind one route, over real sockets.

mod capabilities;
mod choosing;
mod embeddings;
mod failing;
mod faults;
mod hedging;
mod resuming;
mod state;
mod unresumed;

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

    /// The same with more sections in its file.
    pub async fn with(route: &str, sections: &str) -> Self {
        Self::before(provider().await, provider().await, route, sections)
    }

    /// The same before these providers.
    pub fn before(sim: Provider, other: Provider, route: &str, sections: &str) -> Self {
        let file = file(&sim, &other, route, sections);
        Self { pareto: Pareto::before(sim, &file), other }
    }

    /// The file with another route.
    pub fn file(&self, route: &str, sections: &str) -> String {
        file(&self.pareto.provider, &self.other, route, sections)
    }

    /// Who has been asked how often.
    pub fn asked(&self) -> (u64, u64) {
        (self.pareto.provider.total(), self.other.total())
    }
}

/// Both providers, and one route with these settings; none where there are none.
fn file(sim: &Provider, other: &Provider, route: &str, sections: &str) -> String {
    let routes = match route {
        "" => String::new(),
        route => format!("routes: [{{models: [\"gpt-*\"], {route}}}]\n"),
    };
    format!(
        "providers: {{sim: {{url: \"{}\", keys: [sk-sim]}}, other: {{url: \"{}\", keys: [sk-other]}}}}\n\
         {routes}{sections}",
        sim.url(),
        other.url()
    )
}
