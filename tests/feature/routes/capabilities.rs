//! A request goes only where it can be served as asked, whatever API it comes in.

use serde_json::{Value, json};

use crate::harness::{Ask, Pareto, Provider, provider};

/// Each API's provider twice: the first of a pair does not take what it is asked, the second does.
async fn start(lacking: &str) -> (Pareto, Provider) {
    let (sim, other) = (provider().await, provider().await);
    let mut file = String::from("providers:\n");
    for (name, at) in [("sim", &sim), ("other", &other)] {
        file += &format!(
            "  {name}-openai: {{url: \"{}\", keys: [k]}}\n  {name}-claude: {{url: \"{origin}\", dialect: anthropic, keys: [k]}}\n  \
             {name}-gemini: {{url: \"{origin}\", dialect: gemini, keys: [k]}}\n",
            at.url(),
            origin = at.origin()
        );
    }
    file += "routes:\n";
    for (api, models) in [("claude", "claude-*"), ("gemini", "gemini-*"), ("openai", "*")] {
        file += &format!(
            "  - {{models: [\"{models}\"], targets: [{{provider: sim-{api}, takes: {{{lacking}: false}}}}], fallbacks: [{{provider: other-{api}}}]}}\n"
        );
    }
    (Pareto::before(sim, &file), other)
}

const PIXEL: &str = "iVBORw0KGgo=";
const GENERATE: &str = "/v1beta/models/gemini-2.5-flash:generateContent";

fn function() -> Value {
    json!({"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "string"}}}})
}

fn schema() -> Value {
    json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false})
}

/// For each API what a request adds that needs this of a model.
fn rows(capability: &str) -> Vec<(&'static str, Value)> {
    let tool = json!([{"type": "function", "function": function()}]);
    let flat = json!([{"type": "function", "name": "f", "parameters": schema()}]);
    let claudes = json!([{"name": "f", "input_schema": schema()}]);
    let declared = json!([{"functionDeclarations": [function()]}]);
    let says = |role: &str, content: Value| json!([{"role": role, "content": content}]);
    let part = |part: Value| json!([{"role": "user", "parts": [part]}]);
    let url = format!("data:image/png;base64,{PIXEL}");
    let (chat, responses, messages, generate) = match capability {
        "tools" => (
            json!({"tools": tool}),
            json!({"tools": flat}),
            json!({"tools": claudes}),
            json!({"tools": declared}),
        ),
        "forced_tools" => (
            json!({"tools": tool, "tool_choice": "required"}),
            json!({"tools": flat, "tool_choice": {"type": "function", "name": "f"}}),
            json!({"tools": claudes, "tool_choice": {"type": "any"}}),
            json!({"tools": declared, "toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        ),
        "images" => (
            json!({"messages": says("user", json!([{"type": "image_url", "image_url": {"url": url}}]))}),
            json!({"input": says("user", json!([{"type": "input_image", "image_url": url}]))}),
            json!({"messages": says("user", json!([{"type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}]))}),
            json!({"contents": part(json!({"inlineData": {"mimeType": "image/png", "data": PIXEL}}))}),
        ),
        "json_schema" => {
            let named = json!({"name": "n", "schema": schema()});
            let form = json!({"type": "json_schema", "name": "n", "schema": schema()});
            (
                json!({"response_format": {"type": "json_schema", "json_schema": named}}),
                json!({"text": {"format": form}}),
                json!({"output_config": {"format": {"type": "json_schema", "schema": schema()}}}),
                json!({"generationConfig": {"responseMimeType": "application/json", "responseJsonSchema": schema()}}),
            )
        }
        "sampling" => (
            json!({"temperature": 0.5}),
            json!({"top_p": 0.5}),
            json!({"top_k": 3}),
            json!({"generationConfig": {"temperature": 0.5}}),
        ),
        _ => {
            let turns = json!([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]);
            (
                json!({"messages": turns}),
                json!({"input": turns}),
                json!({"messages": turns}),
                json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}, {"role": "model", "parts": [{"text": "b"}]}]}),
            )
        }
    };
    vec![
        ("/v1/chat/completions", chat),
        ("/v1/responses", responses),
        ("/v1/messages", messages),
        (GENERATE, generate),
    ]
}

/// A plain request of an API.
fn plain(path: &str) -> Value {
    let turns = json!([{"role": "user", "content": "a"}]);
    match path {
        "/v1/chat/completions" => json!({"model": "gpt-4o", "messages": turns}),
        "/v1/responses" => json!({"model": "gpt-4o", "input": "a", "store": false}),
        "/v1/messages" => json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": turns}),
        "/v1/completions" => json!({"model": "gpt-3.5-turbo-instruct", "prompt": "a"}),
        "/v1/embeddings" => json!({"model": "text-embedding-3-small", "input": "a"}),
        _ if path.ends_with(":embedContent") => json!({"content": {"parts": [{"text": "a"}]}}),
        _ => json!({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}),
    }
}

fn ask(pareto: &Pareto, path: &str, more: &Value) -> Ask {
    let mut body = plain(path);
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    pareto.ask(path, body)
}

/// What needs the capability goes to the one that has it, what does not to the first.
async fn assert_goes_where_it_is_taken(capability: &str, path: &str, more: &Value) {
    let (pareto, other) = start(capability).await;
    let answer = ask(&pareto, path, more).await;
    assert_eq!((pareto.provider.total(), other.total()), (0, 1), "{capability} {path}: {}", answer.text());
    let answer = ask(&pareto, path, &json!({})).await;
    assert_eq!(
        (pareto.provider.total(), other.total(), answer.status),
        (1, 1, 200),
        "{capability} {path}: {}",
        answer.text()
    );
}

#[tokio::test]
async fn what_a_conversation_needs_is_read_in_the_words_of_each_api() {
    for capability in ["tools", "forced_tools", "images", "json_schema", "sampling", "prefill"] {
        for (path, more) in rows(capability) {
            assert_goes_where_it_is_taken(capability, path, &more).await;
        }
    }
    assert_goes_where_it_is_taken("sampling", "/v1/completions", &json!({"temperature": 0})).await;
}

#[tokio::test]
async fn vectors_of_a_length_go_where_lengths_are_taken() {
    assert_goes_where_it_is_taken("dimensions", "/v1/embeddings", &json!({"dimensions": 64})).await;
    let path = "/v1beta/models/gemini-embedding-001:embedContent";
    assert_goes_where_it_is_taken("dimensions", path, &json!({"outputDimensionality": 64})).await;
}

#[tokio::test]
async fn a_model_of_vectors_of_one_length_leaves_none_to_another_model() {
    let sim = provider().await;
    let file = format!(
        "providers: {{sim: {{url: \"{}\", keys: [k]}}}}\n\
         routes: [{{models: [\"*\"], targets: [{{provider: sim, model: text-embedding-ada-002}}, {{provider: sim, model: text-embedding-3-small}}]}}]\n",
        sim.url()
    );
    let pareto = Pareto::before(sim, &file);
    let refused = pareto.ask("/v1/embeddings", json!({"model": "e", "input": "a", "dimensions": 64})).await;
    assert_eq!((refused.status, refused.code()), (400, "pareto_no_target".into()));
    let said = refused.text();
    assert!(said.contains("ada-002`: dimensions") && said.contains("small`: model"), "{said}");
    assert_eq!(pareto.provider.total(), 0);
    // Without a wish for a length it answers all.
    assert_eq!(pareto.ask("/v1/embeddings", json!({"model": "e", "input": "a"})).await.status, 200);
    assert_eq!(pareto.provider.calls()[0].json()["model"], "text-embedding-ada-002");
}

#[tokio::test]
async fn groq_is_not_asked_for_a_schema_with_tools_or_in_a_stream() {
    let file = "providers: {groq: {url: \"https://api.groq.com/openai/v1\", keys: [k]}, other: {url: \"https://other.example/v1\", keys: [k]}}
routes:
  - {models: [\"gpt-*\"], targets: [{provider: groq, model: MODEL}], fallbacks: [{provider: other}]}
";
    let form = json!({"type": "json_schema", "json_schema": {"name": "n", "schema": schema()}});
    let tools = json!([{"type": "function", "function": function()}]);
    let told = "does not take json_schema with tools";
    let streamed = "does not take json_schema in a stream";
    for (model, more, why) in [
        ("openai/gpt-oss-120b", json!({"response_format": form}), Value::Null),
        ("openai/gpt-oss-120b", json!({"response_format": form, "tools": tools}), json!(told)),
        ("openai/gpt-oss-120b", json!({"response_format": form, "stream": true}), json!(streamed)),
        ("openai/gpt-oss-120b", json!({"tools": tools, "stream": true}), Value::Null),
        ("llama-3.3-70b-versatile", json!({"response_format": form}), json!("does not take json_schema")),
        (
            "llama-3.3-70b-versatile, takes: {json_schema: true}",
            json!({"response_format": form, "stream": true}),
            Value::Null,
        ),
    ] {
        let pareto = Pareto::before(provider().await, &file.replace("MODEL", model));
        let mut body = plain("/v1/chat/completions");
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let said = pareto.explain(json!({"endpoint": "chat", "body": body})).await.json();
        let targets = said["targets"].as_object().unwrap();
        let (_, first) = targets.iter().find(|(name, _)| name.starts_with("groq")).unwrap();
        match why {
            Value::Null => assert_eq!(first["value"], "first", "{model} {more}: {said:#}"),
            why => assert_eq!(*first, json!({"value": "skipped", "why": why}), "{model} {more}"),
        }
    }
}
