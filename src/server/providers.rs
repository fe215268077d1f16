//! `GET /providers`: every route, its targets and what is known of them and their keys.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::gateway::Gateway;
use crate::route::{Route, Target};

/// What operators see.
pub(super) fn shown(gateway: &Gateway, now: Instant) -> Value {
    let providers: Vec<_> = gateway
        .config
        .providers
        .iter()
        .map(|provider| json!({"name": provider.name, "url": provider.url.to_string(), "keys": provider.keys.len()}))
        .collect();
    let routes: Vec<_> = gateway.router().routes().iter().map(|shown| route(shown, now)).collect();
    let direct: Vec<_> = gateway.router().direct().iter().map(|shown| route(shown, now)).collect();
    json!({"providers": providers, "routes": routes, "without_route": direct})
}

fn route(route: &Route, now: Instant) -> Value {
    let targets: Vec<_> = route
        .targets
        .iter()
        .enumerate()
        .map(|(at, shown)| target(shown, route.is_fallback(at), now))
        .collect();
    json!({"name": &*route.name, "targets": targets})
}

fn target(target: &Target, fallback: bool, now: Instant) -> Value {
    let keys: Vec<_> = target
        .slots()
        .iter()
        .enumerate()
        .map(|(at, slot)| {
            let shown = slot.shown(now);
            let (calls, failures) = shown.counted;
            json!({
                "key": if target.account.provider.keys.is_empty() { Value::Null } else { Value::from(at + 1) },
                "breaker": shown.state.name(),
                "recent_calls": calls,
                "recent_failures": failures,
                "room": slot.room(now),
                "rests_seconds": shown.rest.map(|(left, _)| left.as_secs_f64()),
                "because": shown.rest.map(|(_, reason)| reason),
                "learned": shown.learned,
            })
        })
        .collect();
    json!({
        "name": &*target.name,
        "provider": &*target.account.name,
        "model": target.model,
        "weight": target.weight,
        "fallback": fallback,
        "busy": target.health().map(|health| health.busy()),
        "first_byte_seconds": target.health().map(|health| health.expected(now)),
        "keys": keys,
    })
}
