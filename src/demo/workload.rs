//! The demo's workload: a busy quarter of an hour of customer messages, squeezed into seconds.

use std::time::Duration;

use serde_json::{Value, json};

use super::chance::Chance;
use super::messages::{SHOPS, Shop};
use crate::request::endpoint::Endpoint;

/// Messages that come one by one.
const MESSAGES: usize = 320;
/// Average time between two of them, in milliseconds.
const GAP: usize = 25;
/// Advertisements, each followed by a burst of the same question.
const BURSTS: usize = 5;
/// People in a burst, from and up to.
const CROWD: (usize, usize) = (8, 24);
/// Time over which a burst spreads, in milliseconds.
const BURST_SPREAD: usize = 40;

/// One call of the workload.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When it is sent, counted from the start.
    pub at: Duration,
    /// The tenant it belongs to, sent as `x-tenant-id`.
    pub tenant: &'static str,
    /// The endpoint it calls.
    pub endpoint: Endpoint,
    /// Where it is posted.
    pub path: String,
    /// What is posted.
    pub body: Value,
}

/// The whole workload, in the order of sending. The same seed gives the same steps.
///
/// Tenants and messages follow Zipf's law: a few greetings and questions make up most of the traffic, as
/// in real shops. Each message is embedded, some search the shop's documents, all are answered by a chat
/// model, some as a stream. Advertisements bring bursts of one question.
pub fn workload(seed: u64) -> Vec<Step> {
    let chance = &mut Chance::new(seed);
    let mut steps = Vec::new();
    let mut clock = 0;
    for _ in 0..MESSAGES {
        clock += chance.below(2 * GAP);
        let shop = &SHOPS[chance.zipf(SHOPS.len())];
        let message = shop.messages[chance.zipf(shop.messages.len())];
        message_steps(&mut steps, shop, &numbered(message, chance), clock, chance);
    }
    for _ in 0..BURSTS {
        let start = chance.below(clock);
        let shop = &SHOPS[chance.zipf(SHOPS.len())];
        for _ in 0..CROWD.0 + chance.below(CROWD.1 - CROWD.0) {
            let at = start + chance.below(BURST_SPREAD);
            message_steps(&mut steps, shop, shop.campaign, at, chance);
        }
    }
    steps.sort_by_key(|step| step.at);
    steps
}

fn numbered(message: &str, chance: &mut Chance) -> String {
    message.replace("{n}", &(10_000 + chance.below(90_000)).to_string())
}

fn message_steps(steps: &mut Vec<Step>, shop: &Shop, text: &str, at: usize, chance: &mut Chance) {
    let mut push = |endpoint, path: String, body| {
        let at = Duration::from_millis(at as u64);
        steps.push(Step { at, tenant: shop.tenant, endpoint, path, body });
    };
    push(
        Endpoint::Embeddings,
        "/v1/embeddings".to_owned(),
        json!({"model": "text-embedding-3-small", "input": text, "encoding_format": "base64"}),
    );
    if chance.below(2) == 0 {
        push(
            Endpoint::VectorStoreSearch,
            format!("/v1/vector_stores/{}/search", shop.store),
            json!({"query": text, "max_num_results": 3}),
        );
    }
    let mut chat = json!({
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": shop.prompt}, {"role": "user", "content": text}],
        "temperature": 0,
        "max_completion_tokens": 200,
    });
    if chance.below(3) == 0 {
        chat["stream"] = json!(true);
        chat["stream_options"] = json!({"include_usage": true});
    }
    push(Endpoint::Chat, "/v1/chat/completions".to_owned(), chat);
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_day_and_another_another() {
        assert_eq!(workload(1), workload(1));
        assert_ne!(workload(1), workload(2));
    }

    #[test]
    fn it_is_sent_in_order_to_endpoints_that_exist() {
        let steps = workload(7);
        assert!(steps.is_sorted_by_key(|step| step.at));
        for step in &steps {
            assert_eq!(Endpoint::of(&http::Method::POST, &step.path), Some(step.endpoint));
        }
    }

    #[test]
    fn messages_repeat_as_much_as_believable_and_some_never_do() {
        let steps = workload(7);
        let mut seen = HashMap::<String, usize>::new();
        for step in &steps {
            *seen.entry(format!("{}{}", step.path, step.body)).or_default() += 1;
        }
        let fresh = seen.len() as f64 / steps.len() as f64;
        assert!((0.1..0.5).contains(&fresh), "{fresh}");
        assert!(seen.values().filter(|times| **times == 1).count() > 20);
    }

    #[test]
    fn there_are_streams_two_languages_all_tenants_and_bursts() {
        let steps = workload(7);
        let any = |found: &dyn Fn(&Step) -> bool| steps.iter().any(found);
        assert!(any(&|step| step.body["stream"] == true));
        assert!(any(&|step| step.body["input"] == "السلام عليكم"));
        assert!(any(&|step| step.body["input"] == "hi"));
        assert!(SHOPS.iter().all(|shop| any(&|step| step.tenant == shop.tenant)));
        let asked: Vec<_> = steps
            .iter()
            .filter(|step| SHOPS.iter().any(|shop| step.body["input"] == shop.campaign))
            .collect();
        let dense = asked.windows(5).any(|five| five[4].at - five[0].at < Duration::from_millis(40));
        assert!(dense, "no burst");
    }
}
