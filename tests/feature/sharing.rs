//! Who may get whose answers, and which requests are the same.

use serde_json::json;

use crate::harness::{Fault, Pareto};

#[tokio::test]
async fn another_credential_never_gets_the_answer() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").by("sk-alice").await;
    assert!(!pareto.chat("a").by("sk-bob").await.is_hit());
    assert!(!pareto.chat("a").with("openai-project", "p").await.is_hit());
    assert!(!pareto.chat("a").with("x-api-key", "k").await.is_hit());
    pareto
        .chat("a")
        .by("sk-carol")
        .cache_control("only-if-cached")
        .await
        .assert_refused(504, "pareto_not_cached");
    assert!(pareto.chat("a").by("sk-bob").await.is_hit());
    assert_eq!(pareto.provider.total(), 4);
}

#[tokio::test]
async fn a_tenants_members_share_and_other_tenants_do_not() {
    let pareto = Pareto::start("cache: {share: tenant}").await;
    pareto.chat("a").by("sk-1").with("x-tenant-id", "acme").await;
    assert!(pareto.chat("a").by("sk-2").with("x-tenant-id", "acme").await.is_hit());
    assert!(!pareto.chat("a").by("sk-1").with("x-tenant-id", "umbrella").await.is_hit());
    assert!(!pareto.chat("a").by("sk-1").await.is_hit());
}

#[tokio::test]
async fn everyone_shares_where_the_operator_says_so() {
    let pareto = Pareto::start("cache: {share: everyone}").await;
    pareto.chat("a").by("sk-alice").await;
    assert!(pareto.chat("a").by("sk-bob").await.is_hit());
    assert_eq!(pareto.provider.total(), 1);
}

#[tokio::test]
async fn who_the_end_user_is_does_not_change_the_answer() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").set("user", "u1").await;
    assert!(pareto.chat("a").set("user", "u2").await.is_hit());
    assert!(pareto.chat("a").await.is_hit());
}

#[tokio::test]
async fn every_other_field_does_known_or_not() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    for (member, value) in [
        ("temperature", json!(0.5)),
        ("seed", json!(1)),
        ("top_k", json!(5)),
        ("guided_json", json!({"a": 1})),
        ("response_format", json!({"type": "json_object"})),
        ("reasoning_effort", json!("low")),
    ] {
        assert!(!pareto.chat("a").set(member, value).await.is_hit(), "{member} is ignored");
    }
    assert_eq!(pareto.provider.total(), 7);
}

#[tokio::test]
async fn a_list_is_not_the_text_that_looks_like_it() {
    let pareto = Pareto::start("").await;
    let embed = |input| pareto.ask("/v1/embeddings", json!({"model": "e", "input": input}));
    embed(json!(["a"])).await;
    for input in [json!("['a']"), json!("[\"a\"]"), json!([["a"]])] {
        assert!(!embed(input.clone()).await.is_hit(), "{input}");
    }
    assert!(embed(json!(["a"])).await.is_hit());
    assert!(embed(json!("a")).await.is_hit(), "one text by itself is the same input");
}

#[tokio::test]
async fn headers_that_select_an_api_version_tell_answers_apart() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").await;
    assert!(!pareto.chat("a").with("openai-beta", "assistants=v2").await.is_hit());
    assert!(pareto.chat("a").with("user-agent", "other/1").with("x-stainless-lang", "js").await.is_hit());
}

#[tokio::test]
async fn with_a_key_of_the_operators_own_the_callers_key_stays_here() {
    let pareto = Pareto::start("providers: {p: {url: \"{provider}\", keys: [sk-ours]}}").await;
    let answer = pareto.chat("a").by("sk-callers").with("x-api-key", "callers-too").await;
    assert_eq!(answer.status, 200);
    let call = pareto.provider.calls().remove(0);
    assert_eq!(call.header("authorization"), Some("Bearer sk-ours"));
    assert!(!format!("{call:?}").contains("callers"), "{call:?}");
}

#[tokio::test]
async fn a_refused_key_is_refused_again_although_others_have_the_answer() {
    let pareto = Pareto::start("").await;
    pareto.chat("a").by("sk-alice").await;
    for _ in 0..2 {
        assert_eq!(pareto.chat("a").by("sk-invalid").await.status, 401);
    }
    pareto.provider.next(Fault::Status(403));
    assert_eq!(pareto.chat("a").by("sk-bob").await.status, 403);
    assert_eq!(pareto.provider.total(), 4);
}
