//! Every fault at every position of an answer, for every kind of route: what the client sees, who was asked,
//! and how each call's money was counted.

use tokio::task::JoinSet;

use super::{Two, file};
use crate::harness::{Fault, Pareto, provider};

/// A cell: what the client sees (a status; `cut`: a stream that ends with an error event), calls to the
/// first and the second provider, and a letter for each call: (m)easured as the provider said, (e)stimated
/// since it may charge but did not say, (u)nbilled.
const TABLE: &str = "
position     fault              form    no-route      route-of-one  with-fallback with-resume
connect      refuse             json    502 0+0 u     502 0+0 uu    200 0+1 mu    200 0+1 mu
connect      refuse             stream  502 0+0 u     502 0+0 uu    200 0+1 mu    200 0+1 mu
headers      reset-before-head  json    502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
headers      reset-before-head  stream  502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
headers      never-answers      json    504 1+0 e     504 2+0 ee    200 1+1 em    200 1+1 em
headers      never-answers      stream  504 1+0 e     504 2+0 ee    200 1+1 em    200 1+1 em
headers      status-400         json    400 1+0 u     400 1+0 u     400 1+0 u     400 1+0 u
headers      status-400         stream  400 1+0 u     400 1+0 u     400 1+0 u     400 1+0 u
headers      status-429         json    429 1+0 u     429 1+0 u     200 1+1 mu    200 1+1 mu
headers      status-429         stream  429 1+0 u     429 1+0 u     200 1+1 mu    200 1+1 mu
headers      status-503         json    503 1+0 u     503 2+0 uu    200 1+1 mu    200 1+1 mu
headers      status-503         stream  503 1+0 u     503 2+0 uu    200 1+1 mu    200 1+1 mu
first-event  reset-after-head   json    502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
first-event  reset-after-head   stream  502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
first-event  hang-after-head    json    504 1+0 e     504 2+0 ee    200 1+1 em    200 1+1 em
first-event  hang-after-head    stream  504 1+0 e     504 2+0 ee    200 1+1 em    200 1+1 em
first-event  error-in-body      json    200 1+0 e     200 2+0 ee    200 1+1 em    200 1+1 em
first-event  error-in-body      stream  500 1+0 e     500 2+0 ee    200 1+1 em    200 1+1 em
first-event  empty              json    200 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
first-event  empty              stream  502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
mid-stream   reset-mid-stream   json    502 1+0 e     502 2+0 ee    200 1+1 em    200 1+1 em
mid-stream   reset-mid-stream   stream  cut 1+0 e     cut 1+0 e     cut 1+0 e     200 1+1 em
mid-stream   hang-mid-stream    json    504 1+0 e     504 2+0 ee    200 1+1 em    200 1+1 em
mid-stream   hang-mid-stream    stream  cut 1+0 e     cut 1+0 e     cut 1+0 e     200 1+1 em
mid-stream   malformed          json    200 1+0 e     200 1+0 e     200 1+0 e     200 1+0 e
mid-stream   malformed          stream  cut 1+0 e     cut 1+0 e     cut 1+0 e     200 1+1 em
mid-stream   error-mid-stream   json    200 1+0 m     200 1+0 m     200 1+0 m     200 1+0 m
mid-stream   error-mid-stream   stream  cut 1+0 e     cut 1+0 e     cut 1+0 e     200 1+1 em
end          no-finish          json    200 1+0 m     200 1+0 m     200 1+0 m     200 1+0 m
end          no-finish          stream  cut 1+0 e     cut 1+0 e     cut 1+0 e     200 1+1 em
end          no-done            json    200 1+0 m     200 1+0 m     200 1+0 m     200 1+0 m
end          no-done            stream  200 1+0 m     200 1+0 m     200 1+0 m     200 1+0 m
";

const ROUTES: [(&str, &str); 4] = [
    ("no-route", ""),
    ("route-of-one", "targets: [{provider: sim}]"),
    ("with-fallback", "targets: [{provider: sim}], fallbacks: [{provider: other}]"),
    (
        "with-resume",
        "targets: [{provider: sim}], fallbacks: [{provider: other, takes: {prefill: true}}], resume: true",
    ),
];

/// Every attempt is soon followed by the next, and what hangs is given up after a second.
const SETTINGS: &str = ", retries: {attempts: 2, backoff: {base: 1ms, max: 1ms}}";
const SECTIONS: &str = "limits: [{per: tenant, usd: 100/day}]\ncache: {stale: {if_error: 0s}}\n";

async fn cell(fault: Fault, stream: bool, route: &str) -> String {
    let route = if route.is_empty() { String::new() } else { format!("{route}{SETTINGS}") };
    let (sim, other) = (provider().await, provider().await);
    let patience = "keys: [sk-sim], timeouts: {first_byte: 1s, idle: 1s}";
    let file = file(&sim, &other, &route, SECTIONS).replace("keys: [sk-sim]", patience);
    let two = Two { pareto: Pareto::before(sim, &file), other };
    two.pareto.provider.always(Some(fault));
    let ask = two.pareto.chat("sim:say=one two three four five six seven eight");
    let answer = if stream { ask.stream().await } else { ask.await };
    let seen = match answer.whole {
        true => answer.status.to_string(),
        false => {
            answer.assert_broken_off();
            "cut".to_owned()
        }
    };
    let (sim, other) = two.asked();
    two.pareto.becomes("active_requests", &[], 0.0).await;
    let made = two.pareto.metric("attempts_total", &[]).await;
    two.pareto.counts("limit_settlements_total", &[], made).await;
    let mut money = String::new();
    for (basis, letter) in [("estimated", "e"), ("measured", "m"), ("unbilled", "u")] {
        let count = two.pareto.metric("limit_settlements_total", &[("basis", basis)]).await;
        money.push_str(&letter.repeat(count as usize));
    }
    format!("{seen} {sim}+{other} {money}")
}

#[tokio::test]
async fn each_fault_at_each_position_has_its_answer_its_attempts_and_its_price() {
    let mut found = String::new();
    let rows = [
        ("connect", "refuse"),
        ("headers", "reset-before-head"),
        ("headers", "never-answers"),
        ("headers", "status-400"),
        ("headers", "status-429"),
        ("headers", "status-503"),
        ("first-event", "reset-after-head"),
        ("first-event", "hang-after-head"),
        ("first-event", "error-in-body"),
        ("first-event", "empty"),
        ("mid-stream", "reset-mid-stream"),
        ("mid-stream", "hang-mid-stream"),
        ("mid-stream", "malformed"),
        ("mid-stream", "error-mid-stream"),
        ("end", "no-finish"),
        ("end", "no-done"),
    ];
    for (position, name) in rows {
        let fault: Fault = name.parse().unwrap();
        for (form, stream) in [("json", false), ("stream", true)] {
            let mut cells = JoinSet::new();
            for (at, (_, route)) in ROUTES.into_iter().enumerate() {
                cells.spawn(async move { (at, cell(fault, stream, route).await) });
            }
            let mut cells = cells.join_all().await;
            cells.sort();
            let cells: Vec<_> = cells.iter().map(|(_, cell)| format!("{cell:<13}")).collect();
            let row = format!("{position:<12} {name:<18} {form:<7} {}", cells.join(" "));
            found.push_str(row.trim_end());
            found.push('\n');
        }
    }
    let words = |table: &str| table.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let header = "position fault form no-route route-of-one with-fallback with-resume";
    assert_eq!(words(TABLE), words(&format!("{header}\n{found}")), "it really is\n{found}");
}
