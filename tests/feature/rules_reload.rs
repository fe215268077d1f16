//! Rules replaced under load: no request sees half of two files.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use http::Method;
use serde_json::json;

use crate::harness::{CHAT, Pareto};

/// Rules that belong together: the third sends the second's text to the first's model. A request
/// that met rules of two files would get an answer that neither file has.
fn generation(number: u64) -> String {
    let fillers: String = (0..200)
        .map(|at| format!("  - {{name: f{at}, when: {{endpoint: chat, last_message: {{one_of: [f{at}-{number}]}}}}, then: {{answer: f}}}}\n"))
        .collect();
    format!(
        "rules:
{fillers}  - {{name: g{number}, when: {{endpoint: chat, last_message: {{one_of: [hi]}}}}, then: {{answer: 'generation {number}'}}}}
  - {{name: m{number}, when: {{endpoint: chat}}, then: {{model: model-{number}, set: {{/user: user-{number}}}}}}}
features: {{cache: off, coalesce: off}}"
    )
}

#[tokio::test]
async fn no_request_sees_half_of_two_files() {
    let pareto = Arc::new(Pareto::start(&generation(0)).await);
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (pareto, done, asked) = (pareto.clone(), done.clone(), asked.clone());
            tokio::spawn(async move {
                while !done.load(Relaxed) {
                    let text = if client % 2 == 0 { "hi" } else { "where is it?" };
                    let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": text}]});
                    let answer = pareto.ask(CHAT, body).await;
                    let rule = answer.header("x-pareto-rule");
                    let number = rule[1..].parse::<u64>().unwrap();
                    if rule.starts_with('g') {
                        assert_eq!(answer.said(), format!("generation {number}"));
                    } else {
                        assert_eq!(answer.header("x-pareto-model"), format!("model-{number}"));
                    }
                    asked.fetch_add(1, Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=15 {
        let before = asked.load(Relaxed);
        pareto.write(&generation(number));
        assert_eq!(pareto.admin(Method::POST, "/reload").await.status, 200);
        let met = pareto.chat("hi").await;
        assert_eq!(met.said(), format!("generation {number}"));
        // Some of the load meets each file.
        while asked.load(Relaxed) < before + 8 {
            tokio::task::yield_now().await;
        }
    }
    done.store(true, Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    for call in pareto.provider.calls() {
        let sent = call.json();
        let number = sent["user"].as_str().unwrap().trim_start_matches("user-");
        assert_eq!(sent["model"], format!("model-{number}"));
    }
}
