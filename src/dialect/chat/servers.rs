//! What servers that speak OpenAI's chat completions do differently, told by their host.
//!
//! Sources: the adapters of litellm 1.109.1 (Mistral's names, DeepSeek's thoughts), the references of Mistral's
//! and DeepSeek's APIs (roles; Mistral refuses what it does not know), Microsoft's
//! reference of Azure OpenAI (`api-key`), OpenAI's API description (what a message may have), Google's
//! guide to thought signatures (its place for them in a message).

use std::borrow::Cow;

use memchr::memmem;
use serde_json::{Map, Value, json};

use super::super::generate::{self, UNPROVED};

/// Members that change neither the answer nor its form, and that Mistral refuses as it does all it does not
/// know.
const UNHEEDED: [&str; 8] = [
    // Its streams tell their usage unasked.
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
];

/// Whose server it is, as far as it makes a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Server {
    /// OpenAI's own.
    OpenAi,
    /// OpenAI's models at Microsoft.
    Azure,
    /// Mistral's.
    Mistral,
    /// DeepSeek's.
    DeepSeek,
    /// Google's, which has Gemini behind OpenAI's API.
    Google,
    /// Groq's.
    Groq,
    /// Any other: it is taken to do as OpenAI does.
    #[default]
    Other,
}

/// Hosts and their subdomains.
const HOSTS: [(&str, Server); 9] = [
    ("api.openai.com", Server::OpenAi),
    ("openai.azure.com", Server::Azure),
    ("cognitiveservices.azure.com", Server::Azure),
    ("services.ai.azure.com", Server::Azure),
    ("api.mistral.ai", Server::Mistral),
    ("codestral.mistral.ai", Server::Mistral),
    ("api.deepseek.com", Server::DeepSeek),
    ("generativelanguage.googleapis.com", Server::Google),
    ("api.groq.com", Server::Groq),
];

/// Members of an answer's message that OpenAI refuses in a request's. Answers of others have them, and
/// apps send back what they got.
const FOREIGN: [&str; 3] = ["reasoning_content", "reasoning", "extra_content"];

impl Server {
    /// The server at a host, as `api.mistral.ai`.
    pub fn at(host: &str) -> Self {
        let host = host.to_ascii_lowercase();
        let under =
            |name: &str| host.strip_suffix(name).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        HOSTS.iter().find(|(name, _)| under(name)).map_or(Self::Other, |(_, server)| *server)
    }

    /// Whether it refuses in a request what other servers' answers have.
    pub(super) const fn is_openais(self) -> bool {
        matches!(self, Self::OpenAi | Self::Azure)
    }

    /// A chat request in this server's own words; `None` where it has no others for it. A request without
    /// what makes a difference is searched, not parsed.
    pub fn adapted(self, body: &[u8]) -> Option<Vec<u8>> {
        let marks: &[&str] = match self {
            Self::OpenAi | Self::Azure => &["\"reasoning_content\"", "\"reasoning\"", "\"extra_content\""],
            // Too much is different to look for each of it.
            Self::Mistral => &["{"],
            Self::DeepSeek => &["\"developer\""],
            Self::Google => &["\"tool_calls\""],
            Self::Groq | Self::Other => &[],
        };
        if !marks.iter().any(|mark| memmem::find(body, mark.as_bytes()).is_some()) {
            return None;
        }
        let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
        match self {
            Self::Mistral => mistral(&mut request),
            Self::Google => google(&mut request),
            Self::DeepSeek => messages(&mut request).for_each(without_developers),
            _ => openai(&mut request),
        }
        serde_json::to_vec(&request).ok()
    }
}

fn messages(request: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let messages = request.get_mut("messages").and_then(Value::as_array_mut);
    messages.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn calls(message: &mut Map<String, Value>) -> impl Iterator<Item = &mut Map<String, Value>> {
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    calls.into_iter().flatten().filter_map(Value::as_object_mut)
}

fn openai(request: &mut Map<String, Value>) {
    for message in messages(request) {
        message.retain(|name, _| !FOREIGN.contains(&name.as_str()));
        for call in calls(message) {
            call.shift_remove("extra_content");
        }
    }
}

/// The first call of each step has to prove that it is the model's own, where the model checks.
fn google(request: &mut Map<String, Value>) {
    let model = request.get("model").and_then(Value::as_str).unwrap_or_default();
    if !generate::asks_for_proof(model) {
        return;
    }
    for message in messages(request) {
        if let Some(call) = calls(message).next() {
            call.entry("extra_content").or_insert_with(|| json!({"google": {"thought_signature": UNPROVED}}));
        }
    }
}

/// A request to Google's own OpenAI-compatible endpoint with [`UNPROVED`] in place of every proof; `None`
/// where that changes nothing.
pub(in super::super) fn unproved(body: &[u8]) -> Option<Vec<u8>> {
    memmem::find(body, b"\"thought_signature\"")?;
    let mut request: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let mut changed = false;
    let mut replace = |of: &mut Map<String, Value>| {
        let kept = of.get_mut("extra_content").and_then(|kept| kept.pointer_mut("/google/thought_signature"));
        if let Some(proof) = kept.filter(|proof| *proof != UNPROVED) {
            *proof = UNPROVED.into();
            changed = true;
        }
    };
    for message in messages(&mut request) {
        replace(message);
        calls(message).for_each(&mut replace);
    }
    changed.then(|| serde_json::to_vec(&request).ok()).flatten()
}

fn mistral(request: &mut Map<String, Value>) {
    for (openais, theirs) in [("max_completion_tokens", "max_tokens"), ("seed", "random_seed")] {
        if let Some(value) = request.shift_remove(openais) {
            request.insert(theirs.into(), value);
        }
    }
    for name in UNHEEDED {
        request.shift_remove(name);
    }
    if request.get("store") == Some(&Value::Bool(false)) {
        request.shift_remove("store");
    }
    let chosen = request.get("tool_choice").and_then(|choice| choice.pointer("/function/name")).cloned();
    if let Some(name) = chosen {
        if let Some(Value::Array(tools)) = request.get_mut("tools") {
            tools.retain(|tool| tool.pointer("/function/name") == Some(&name));
        }
        request.insert("tool_choice".into(), "any".into());
    } else if request.get("tool_choice").is_some_and(|choice| choice == "required") {
        request.insert("tool_choice".into(), "any".into());
    }
    for message in messages(request) {
        without_developers(message);
        // What answers have and apps send back.
        let answers = |name: &str, value: &Value| {
            FOREIGN.contains(&name)
                || name == "annotations"
                || (value.is_null() && matches!(name, "refusal" | "audio" | "function_call" | "tool_calls"))
        };
        message.retain(|name, value| !answers(name, value));
        shorten(message.get_mut("tool_call_id"));
        for call in calls(message) {
            call.shift_remove("extra_content");
            shorten(call.get_mut("id"));
        }
    }
}

/// Only OpenAI tells its developers from its system.
fn without_developers(message: &mut Map<String, Value>) {
    if message.get("role").is_some_and(|role| role == "developer") {
        message.insert("role".into(), "system".into());
    }
}

/// Nine letters and digits are what all of Mistral's models take as the id of a call.
fn shorten(id: Option<&mut Value>) {
    const LENGTH: usize = 9;
    if let Some(Value::String(id)) = id
        && (id.len() != LENGTH || !id.chars().all(|c| c.is_ascii_alphanumeric()))
    {
        let digest = blake3::hash(id.as_bytes()).to_hex();
        *id = digest.get(..LENGTH).map(Cow::Borrowed).unwrap_or_default().into_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapted(server: Server, body: &Value) -> Option<Value> {
        server.adapted(body.to_string().as_bytes()).map(|body| serde_json::from_slice(&body).unwrap())
    }

    #[test]
    fn a_host_tells_the_server() {
        assert_eq!(Server::at("api.openai.com"), Server::OpenAi);
        assert_eq!(Server::at("Mine.OpenAI.azure.com"), Server::Azure);
        assert_eq!(Server::at("api.mistral.ai"), Server::Mistral);
        assert_eq!(Server::at("notapi.openai.com"), Server::Other);
        assert_eq!(Server::at("localhost"), Server::Other);
    }

    #[test]
    fn mistral_is_asked_with_its_own_names() {
        let asked = json!({"model": "mistral-large-latest", "max_completion_tokens": 5, "seed": 7,
            "stream_options": {"include_usage": true},
            "messages": [{"role": "assistant", "tool_calls": [{"id": "call_abc", "function": {"name": "f"}}]},
                {"role": "tool", "tool_call_id": "call_abc", "content": "x"}],
            "tools": [{"function": {"name": "f"}}, {"function": {"name": "g"}}],
            "tool_choice": {"type": "function", "function": {"name": "f"}}});
        let adapted = adapted(Server::Mistral, &asked).unwrap();
        assert_eq!((&adapted["max_tokens"], &adapted["random_seed"]), (&json!(5), &json!(7)));
        assert_eq!(adapted["tool_choice"], "any");
        assert_eq!(adapted["tools"].as_array().unwrap().len(), 1);
        let id = adapted["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
        assert_eq!((id.len(), adapted["messages"][1]["tool_call_id"] == id), (9, true));
        for gone in ["max_completion_tokens", "seed", "stream_options"] {
            assert!(adapted.get(gone).is_none(), "{gone}");
        }
    }

    #[test]
    fn mistral_is_spared_what_changes_nothing_and_it_refuses() {
        let asked = json!({"model": "m", "user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "store": false,
            "service_tier": "auto", "prompt_cache_key": "k", "temperature": 0.5, "logprobs": true, "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "assistant", "content": null, "refusal": null, "annotations": [], "audio": null,
                    "function_call": null, "reasoning_content": "hm", "tool_calls": [{"id": "abcdefgh1", "extra_content": {}}]}]});
        // What would change the answer stays: Mistral says what it makes of it.
        let expected = json!({"model": "m", "temperature": 0.5, "logprobs": true, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefgh1"}]}]});
        assert_eq!(adapted(Server::Mistral, &asked), Some(expected));
        let kept = adapted(Server::Mistral, &json!({"store": true})).unwrap();
        assert_eq!(kept, json!({"store": true}), "that something is kept is no small thing");
    }

    #[test]
    fn deepseek_knows_no_developers() {
        let asked = |role: &str| json!({"messages": [{"role": role, "content": "a"}]});
        assert_eq!(adapted(Server::DeepSeek, &asked("developer")), Some(asked("system")));
        assert_eq!(adapted(Server::DeepSeek, &asked("system")), None);
    }

    #[test]
    fn a_call_that_gemini_did_not_make_is_marked_so() {
        let asked = |model: &str, first: Value| json!({"model": model, "messages": [{"role": "assistant", "tool_calls": [first, {"id": "d"}]}]});
        let marked = json!({"id": "c", "extra_content": {"google": {"thought_signature": UNPROVED}}});
        let own = json!({"id": "c", "extra_content": {"google": {"thought_signature": "CiQB"}}});
        for (model, first, expected) in [
            ("gemini-3.8-flash", json!({"id": "c"}), marked),
            ("gemini-3.8-flash", own.clone(), own),
            ("gemini-2.5-flash", json!({"id": "c"}), json!({"id": "c"})),
        ] {
            assert_eq!(adapted(Server::Google, &asked(model, first)), Some(asked(model, expected)));
        }
    }

    #[test]
    fn proofs_of_others_are_taken_back_once() {
        let asked = |proof: &str| {
            let kept = json!({"google": {"thought_signature": proof}});
            json!({"messages": [{"role": "assistant", "extra_content": kept, "tool_calls":
                [{"id": "c", "extra_content": kept}, {"id": "d"}]}]})
        };
        let made = unproved(asked("eA==").to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&made).unwrap(), asked(UNPROVED));
        assert_eq!(unproved(&made), None);
        assert_eq!(unproved(br#"{"messages":[]}"#), None);
    }

    #[test]
    fn what_other_providers_answers_carry_is_not_sent_to_openai() {
        let asked = json!({"messages": [{"role": "assistant", "content": null, "reasoning_content": "hm",
            "extra_content": {}, "tool_calls": [{"id": "c", "extra_content": {"google": {}}}]}], "reasoning": 1});
        let expected = json!({"messages": [{"role": "assistant", "content": null, "tool_calls": [{"id": "c"}]}],
            "reasoning": 1});
        assert_eq!(adapted(Server::OpenAi, &asked), Some(expected));
        assert_eq!(adapted(Server::DeepSeek, &asked), None);
        assert_eq!(adapted(Server::OpenAi, &json!({"messages": []})), None);
        assert_eq!(Server::OpenAi.adapted(b"\"reasoning\""), None);
    }
}
