//! What plays about discoveries are staged with: two providers, and sidecars that tell each other of them.

use std::sync::Arc;

use futures_util::future::join_all;
use http::Method;
use serde_json::Value;

use crate::harness::{Fault, Hold, Pareto, Provider, Redis, provider, until};

/// Failures in a row that open a breaker.
pub(super) const OPENING: u32 = 5;

/// Two providers behind one route, `other` the fallback of `sim`, for any number of sidecars.
pub(super) struct Stage {
    /// The servers that messages are published at; a test's own go in and out.
    pub(super) servers: Vec<Redis>,
    pub(super) sim: Arc<Provider>,
    pub(super) other: Arc<Provider>,
    pub(super) storage: String,
    pub(super) keys: &'static str,
}

impl Stage {
    /// On a single server.
    pub(super) async fn new() -> Self {
        let redis = Redis::start().await;
        let storage = redis.storage();
        Self::on(vec![redis], storage).await
    }

    /// On these servers, which this setting makes sidecars use.
    pub(super) async fn on(servers: Vec<Redis>, storage: String) -> Self {
        let (sim, other) = (Arc::new(provider().await), Arc::new(provider().await));
        Self { servers, sim, other, storage, keys: "keys: [sk-sim]" }
    }

    pub(super) fn file(&self) -> String {
        format!(
            "providers: {{sim: {{url: \"{}\", {}}}, other: {{url: \"{}\", keys: [sk-other]}}}}\n\
             routes: [{{models: [\"gpt-*\"], targets: [{{provider: sim}}], fallbacks: [{{provider: other}}]}}]\n{}",
            self.sim.url(),
            self.keys,
            self.other.url(),
            self.storage
        )
    }

    /// A sidecar that has heard what others have found out.
    pub(super) async fn sidecar(&self) -> Pareto {
        let listeners = self.listeners();
        let pareto = Pareto::before(self.sim.clone(), &self.file());
        super::in_use(&pareto, true).await;
        until("the channel", async || self.listeners() > listeners).await;
        pareto
    }

    pub(super) async fn sidecars<const N: usize>(&self) -> [Pareto; N] {
        let mut all = Vec::new();
        for _ in 0..N {
            all.push(self.sidecar().await);
        }
        all.try_into().ok().unwrap()
    }

    /// Sidecars that hear what is published.
    pub(super) fn listeners(&self) -> u32 {
        let at = |redis: &Redis| {
            let count = redis.cli(&["PUBSUB", "NUMSUB", "pareto:targets"]);
            count.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or(0)
        };
        self.servers.iter().map(at).sum()
    }

    /// The keys in Redis that have to do with providers.
    pub(super) fn kept(&self) -> Vec<String> {
        let at = |redis: &Redis| redis.cli(&["KEYS", "{pareto:targets}*"]);
        let all: Vec<_> = self.servers.iter().map(at).collect();
        all.iter().flat_map(|keys| keys.lines()).map(str::to_owned).collect()
    }
}

/// Asks something new, which some provider must answer, and says which.
pub(super) async fn asked(pareto: &Pareto, text: &str) -> String {
    let answer = pareto.chat(text).await;
    assert!(answer.status == 200 && answer.whole, "{}", answer.text());
    answer.header("x-pareto-provider").to_owned()
}

/// Lets `pareto` find out that `sim` fails.
pub(super) async fn opens(pareto: &Pareto) {
    for number in 0..OPENING {
        assert_eq!(asked(pareto, &format!("fails {number}")).await, "other");
    }
    state_becomes(pareto, "open").await;
}

/// What is shown of `sim` and its keys.
pub(super) async fn all_shown(pareto: &Pareto) -> Vec<Value> {
    let providers = pareto.admin(Method::GET, "/providers").await.json();
    providers["routes"][0]["targets"][0]["keys"].as_array().unwrap().clone()
}

/// What is shown of `sim` and its first key.
pub(super) async fn shown(pareto: &Pareto) -> Value {
    all_shown(pareto).await.swap_remove(0)
}

pub(super) async fn state_becomes(pareto: &Pareto, state: &str) {
    until(&format!("the breaker to be {state}"), async || shown(pareto).await["breaker"] == state).await;
}

pub(super) async fn rests(pareto: &Pareto, because: &str) {
    until(&format!("a rest because {because}"), async || shown(pareto).await["because"] == because).await;
}

/// Three sidecars, all of which wait to ask `sim` again.
pub(super) async fn half_open(stage: &Stage) -> [Pareto; 3] {
    let all = stage.sidecars().await;
    stage.sim.always(Some(Fault::Status(500)));
    opens(&all[0]).await;
    for pareto in &all {
        state_becomes(pareto, "half_open").await;
    }
    all
}

/// Asks each sidecar five times at once while `sim` holds its answer back: one probes.
pub(super) async fn one_probes(stage: &Stage, all: &[Pareto; 3]) -> Vec<String> {
    stage.sim.hold(Hold::BeforeHead);
    let waiting: Vec<_> =
        (0..15).map(|number| all[number % 3].chat(&format!("probe {number}")).spawn()).collect();
    let opening = u64::from(OPENING);
    until("the others' answers", async || stage.other.total() >= opening + 14).await;
    // The probe is last to be sent, after a round trip to Redis.
    until("the probe", async || stage.sim.total() > opening).await;
    assert_eq!(stage.sim.total(), opening + 1, "one of fifteen");
    stage.sim.release();
    let answers = join_all(waiting).await.into_iter().map(Result::unwrap);
    answers.map(|answer| answer.header("x-pareto-provider").to_owned()).collect()
}

/// `sim` is well again: one of all finds that out, and it is asked by all from then on.
pub(super) async fn one_closes_for_all(stage: &Stage, all: &[Pareto; 3]) {
    stage.sim.always(None);
    let by = one_probes(stage, all).await;
    assert_eq!(by.iter().filter(|provider| *provider == "sim").count(), 1);
    for (at, pareto) in all.iter().enumerate() {
        state_becomes(pareto, "closed").await;
        assert_eq!(asked(pareto, &format!("again {at}")).await, "sim");
    }
}
