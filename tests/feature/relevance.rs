//! Questions that the knowledge base has no answer to are not asked of it.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Ask, Fault, Pareto, within};

const EXAMPLES: &str = "examples: [where is my order, how do I return an order, what does shipping cost, \
                        when is my parcel delivered, can I pay by card]";
const OFF_TOPIC: &str = "quantum chromodynamics lattice";
const ON_TOPIC: &str = "where is my parcel";

/// A rule against questions that are far from the examples.
fn rule(endpoint: &str, more: &str, then: &str) -> String {
    format!(
        "rules:\n - name: off-topic\n   when: {{endpoint: {endpoint}, relevance: {{below: 0.3, min_examples: 5, \
         {EXAMPLES}{more}}}}}\n   then: {{{then}}}\n"
    )
}

fn searches(more: &str) -> String {
    rule("vector_store_search", more, "answer: no_results")
}

fn search(pareto: &Pareto, query: impl Into<Value>) -> Ask {
    pareto.ask("/v1/vector_stores/vs_1/search", json!({"query": query.into()}))
}

fn calls(pareto: &Pareto, path: &str) -> usize {
    pareto.provider.calls().iter().filter(|call| call.path() == path).count()
}

fn embedding_calls(pareto: &Pareto) -> usize {
    calls(pareto, "/v1/embeddings")
}

#[tokio::test]
async fn a_question_far_from_every_example_is_not_searched_for() {
    for measure in ["nearest", "centroid"] {
        let pareto = Pareto::start(&searches(&format!(", by: {measure}"))).await;
        let off = search(&pareto, OFF_TOPIC).await;
        assert_eq!((off.json()["data"].clone(), off.header("x-pareto-rule")), (json!([]), "off-topic"));
        let on = search(&pareto, ON_TOPIC).await;
        assert_eq!((on.json()["data"].as_array().unwrap().len(), on.header("x-pareto-rule")), (3, ""));
        let one_of_two = search(&pareto, json!([OFF_TOPIC, ON_TOPIC])).await;
        assert_eq!(one_of_two.header("x-pareto-rule"), "", "the most relevant of several questions counts");
        assert_eq!(calls(&pareto, "/v1/vector_stores/vs_1/search"), 2);
        // The examples went in the first call and never again; the third question was known.
        let sent: Vec<usize> = pareto
            .provider
            .calls()
            .iter()
            .filter(|call| call.path() == "/v1/embeddings")
            .map(|call| call.json()["input"].as_array().unwrap().len())
            .collect();
        assert_eq!(sent, [6, 1]);
        pareto.counts("rule_score_count", &[("rule", "off-topic")], 3.0).await;
        pareto.counts("rule_score_bucket", &[("rule", "off-topic"), ("le", "0.3")], 1.0).await;
    }
}

#[tokio::test]
async fn a_conversation_is_measured_by_what_the_user_said_last() {
    let pareto =
        Pareto::start(&rule("[chat, responses, messages]", "", "answer: I only know about orders.")).await;
    let turn = |text: &str| json!([{"role": "user", "content": ON_TOPIC}, {"role": "assistant", "content": "There."}, {"role": "user", "content": text}]);
    for (path, input) in
        [("/v1/chat/completions", "messages"), ("/v1/responses", "input"), ("/v1/messages", "messages")]
    {
        let ask =
            |text: &str| pareto.ask(path, json!({"model": "gpt-4o", "max_tokens": 9, input: turn(text)}));
        assert_eq!(ask(OFF_TOPIC).await.header("x-pareto-rule"), "off-topic", "{path}");
        assert_eq!(ask("how do I pay for shipping").await.header("x-pareto-rule"), "", "{path}");
    }
    let image = json!([{"type": "text", "text": OFF_TOPIC}, {"type": "image_url", "image_url": {"url": "https://a.example/a.png"}}]);
    let shown = pareto.chat("").set("messages", json!([{"role": "user", "content": image}])).await;
    assert_eq!(shown.header("x-pareto-rule"), "", "what came with an image is not told by its text");
}

#[tokio::test]
async fn a_script_or_language_that_the_model_was_not_made_for_is_let_through() {
    let pareto = Pareto::start(&searches(", scripts: latin, languages: eng")).await;
    for (question, reason) in [
        ("أين تقع أقرب محطة قطار؟", "script"),
        ("👍", "script"),
        ("Wo ist der nächste Bahnhof, und wann öffnet er morgens seine Türen?", "language"),
    ] {
        let made = search(&pareto, question).await;
        assert_eq!((made.status, made.header("x-pareto-rule")), (200, ""), "{question}");
        assert!(pareto.metric("rule_unscored_total", &[("reason", reason)]).await > 0.0, "{question}");
    }
    assert_eq!(embedding_calls(&pareto), 0);
    let pareto = Pareto::start(&searches(", scripts: [latin, arabic]")).await;
    assert_eq!(search(&pareto, "أين تقع أقرب محطة قطار؟").await.header("x-pareto-rule"), "off-topic");
}

#[tokio::test]
async fn where_nothing_can_be_embedded_the_search_is_made() {
    let pareto = Pareto::start(&searches("")).await;
    pareto.provider.next(Fault::Status(400));
    let made = search(&pareto, OFF_TOPIC).await;
    assert_eq!((made.status, made.header("x-pareto-rule")), (200, ""));
    pareto.counts("rule_unscored_total", &[("rule", "off-topic"), ("reason", "failed")], 1.0).await;
    assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "off-topic");
}

#[tokio::test]
async fn a_slow_embedding_holds_up_one_search_and_no_more() {
    let pareto = Pareto::start(&searches("")).await;
    pareto.provider.next(Fault::NeverAnswers);
    for question in [OFF_TOPIC, "neutrino flavour oscillation"] {
        let made = search(&pareto, question).await;
        assert_eq!((made.status, made.header("x-pareto-rule")), (200, ""));
    }
    assert_eq!(embedding_calls(&pareto), 1, "what is slow is left alone for a moment");
    pareto.counts("rule_unscored_total", &[("reason", "slow")], 2.0).await;
}

#[tokio::test]
async fn nothing_is_embedded_for_a_request_that_the_rule_is_not_for() {
    let pareto = Pareto::start(&searches("").replace("relevance:", "tenant: shop, relevance:")).await;
    assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "");
    assert_eq!(embedding_calls(&pareto), 0);
    let skipped = search(&pareto, OFF_TOPIC).with("x-tenant-id", "shop").await;
    assert_eq!((skipped.header("x-pareto-rule"), embedding_calls(&pareto)), ("off-topic", 1));
}

#[tokio::test]
async fn observing_tells_the_scores_and_skips_nothing() {
    let pareto = Pareto::start(&format!("{}features: {{rules: observe}}", searches(""))).await;
    for question in [OFF_TOPIC, ON_TOPIC] {
        assert_eq!(search(&pareto, question).await.header("x-pareto-rule"), "");
    }
    pareto.counts("rule_score_count", &[("rule", "off-topic")], 2.0).await;
    pareto.counts("rules_matched_total", &[("rule", "off-topic"), ("action", "observed")], 1.0).await;
}

#[tokio::test]
async fn the_cache_switched_off_does_not_make_every_question_embed_the_examples() {
    let pareto = Pareto::start(&format!("{}features: {{cache: off, batch: off}}", searches(""))).await;
    for _ in 0..3 {
        assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "off-topic");
    }
    assert_eq!(embedding_calls(&pareto), 1);
}

#[tokio::test]
async fn a_key_for_one_providers_api_is_not_shown_to_another() {
    let providers =
        "providers: {openai: {url: \"{provider}\"}, claude: {url: \"{origin}\", dialect: anthropic}}\n";
    let pareto = Pareto::start(&format!("{providers}{}", rule("messages", "", "answer: no"))).await;
    let body = json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": OFF_TOPIC}]});
    let made = pareto.ask("/v1/messages", body).await;
    assert_eq!((made.status, made.header("x-pareto-rule"), embedding_calls(&pareto)), (200, "", 0));
}

async fn explained(pareto: &Pareto, query: &str) -> Value {
    let headers = json!({"authorization": "Bearer sk-alice"});
    let described =
        json!({"endpoint": "/v1/vector_stores/vs_1/search", "headers": headers, "body": {"query": query}});
    pareto.explain(described).await.json()["rules"]["off-topic"].clone()
}

#[tokio::test]
async fn an_explanation_tells_the_score_where_it_is_known_and_sends_nothing() {
    let pareto = Pareto::start(&searches("")).await;
    let unknown = explained(&pareto, OFF_TOPIC).await;
    assert_eq!((&unknown["value"], pareto.provider.total()), (&json!(false), 0));
    assert!(unknown["why"].as_str().unwrap().contains("not known"), "{unknown}");
    search(&pareto, OFF_TOPIC).await;
    search(&pareto, ON_TOPIC).await;
    let total = pareto.provider.total();
    let off = explained(&pareto, OFF_TOPIC).await;
    assert_eq!(off["value"], true);
    assert!(off["why"].as_str().unwrap().starts_with("answer: relevance is "), "{off}");
    let on = explained(&pareto, ON_TOPIC).await;
    assert!(on["why"].as_str().unwrap().ends_with("not below 0.3"), "{on}");
    let foreign = explained(&pareto, "где мой заказ").await;
    assert!(foreign["why"].as_str().unwrap().contains("script"), "{foreign}");
    assert_eq!(pareto.provider.total(), total);
}

/// The contract's rule, with fewer examples: what a store is about is told by its own results.
fn learning(more: &str) -> String {
    format!(
        "rules: [{{name: off-topic, when: {{endpoint: vector_store_search, relevance: {{below: 0.3, min_examples: 3{more}}}}}, then: {{answer: no_results}}}}]"
    )
}

/// Searches once, and waits until what was found is learned. Returns the text of a result.
async fn learned(pareto: &Pareto) -> String {
    let found = search(pareto, "anything").await;
    assert_eq!(found.header("x-pareto-rule"), "");
    let learning = async {
        while explained(pareto, OFF_TOPIC).await["why"].as_str().unwrap().contains("examples are known") {
            tokio::task::yield_now().await;
        }
    };
    within("the results to be learned", learning).await;
    found.json()["data"][0]["content"][0]["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn without_examples_a_store_is_about_what_searches_of_it_have_found() {
    for measure in ["nearest", "centroid"] {
        let pareto = Pareto::start(&learning(&format!(", by: {measure}"))).await;
        let text = learned(&pareto).await;
        assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "off-topic");
        let close: Vec<&str> = text.split(' ').take(8).collect();
        assert_eq!(search(&pareto, close.join(" ")).await.header("x-pareto-rule"), "", "{measure}");
        for other in
            [search(&pareto, OFF_TOPIC).by("sk-bob"), search(&pareto, OFF_TOPIC).with("x-tenant-id", "other")]
        {
            assert_eq!(other.await.header("x-pareto-rule"), "", "another has to learn for himself");
        }
        let elsewhere = pareto.ask("/v1/vector_stores/vs_2/search", json!({"query": OFF_TOPIC})).await;
        assert_eq!(elsewhere.header("x-pareto-rule"), "");
    }
}

#[tokio::test]
async fn the_very_words_of_one_example_are_close_to_it_and_not_to_the_mean_of_all() {
    // A threshold that only the same text is above.
    let listed = searches("").replace("below: 0.3", "below: 0.95");
    let found = learning("").replace("below: 0.3", "below: 0.95");
    for (measure, rule) in [("nearest", ""), ("centroid", "off-topic")] {
        let by = |file: &str| file.replace("min_examples", &format!("by: {measure}, min_examples"));
        let pareto = Pareto::start(&by(&listed)).await;
        assert_eq!(search(&pareto, "can I pay by card").await.header("x-pareto-rule"), rule, "{measure}");
        let pareto = Pareto::start(&by(&found)).await;
        let text = learned(&pareto).await;
        assert_eq!(search(&pareto, text).await.header("x-pareto-rule"), rule, "{measure}");
    }
}

#[tokio::test]
async fn a_write_to_a_store_makes_void_what_was_learned_of_it() {
    let pareto = Pareto::start(&learning("")).await;
    learned(&pareto).await;
    assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "off-topic");
    let write = pareto.request(Method::POST, "/v1/vector_stores/vs_1/files").bearer_auth("sk-alice");
    Answer::of(write.send().await.unwrap()).await;
    pareto.becomes("active_requests", &[], 0.0).await;
    assert_eq!(search(&pareto, OFF_TOPIC).await.header("x-pareto-rule"), "");
}
