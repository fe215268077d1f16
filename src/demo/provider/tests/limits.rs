//! What a provider refuses, and how it words it.

use serde_json::json;

use super::client::{get, post, post_with, provider, send};

#[tokio::test]
async fn bad_requests_are_refused_as_openai_does() {
    let provider = provider().await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    for (path, body, status, code) in [
        ("/v1/chat/completions", json!({"messages": messages}), 400, json!(null)),
        ("/v1/chat/completions", json!({"model": "m"}), 400, json!("missing_required_parameter")),
        (
            "/v1/chat/completions",
            json!({"model": "no-such", "messages": messages}),
            404,
            json!("model_not_found"),
        ),
        (
            "/v1/chat/completions",
            json!({"model": "m", "messages": messages, "temperature": 3}),
            400,
            json!("invalid_value"),
        ),
        ("/v1/embeddings", json!({"model": "m", "input": ""}), 400, json!(null)),
        ("/v1/embeddings", json!({"model": "m", "input": ["a", ""]}), 400, json!(null)),
        ("/v1/embeddings", json!({"model": "m", "input": vec!["a"; 2049]}), 400, json!(null)),
        ("/v1/nowhere", json!({}), 404, json!(null)),
    ] {
        let answer = post(&provider, path, &body).await;
        assert_eq!(answer.status, status, "{path} {body}");
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code);
        assert!(error["message"].is_string() && error["type"].is_string() && error.get("param").is_some());
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_400() {
    let provider = provider().await;
    let request =
        b"POST /v1/responses HTTP/1.1\r\nhost: s\r\nconnection: close\r\ncontent-length: 3\r\n\r\n{]}";
    assert_eq!(send(provider.address(), request).await.status, 400);
}

#[tokio::test]
async fn the_invalid_key_is_refused_in_each_family() {
    let provider = provider().await;
    for (path, header, status) in [
        ("/v1/chat/completions", "authorization: Bearer sk-invalid\r\n", 401),
        ("/v1/messages", "x-api-key: sk-invalid\r\n", 401),
        ("/v1beta/models/m:generateContent", "x-goog-api-key: sk-invalid\r\n", 400),
    ] {
        assert_eq!(post_with(&provider, path, header, &json!({})).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn every_answer_carries_limits_and_an_id() {
    let provider = provider().await;
    let answer = get(&provider, "/v1/models").await;
    for name in
        ["x-request-id", "x-ratelimit-remaining-tokens", "openai-processing-ms", "openai-version", "date"]
    {
        assert!(answer.header(name).is_some(), "{name}");
    }
    let body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    let answer = post(&provider, "/v1/messages", &body).await;
    for name in ["request-id", "anthropic-ratelimit-tokens-remaining"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
}
