//! Changes to a request's body, byte by byte: what a rule does not name stays as it was written.

use crate::config::pointer::PointerStep;
use crate::config::rule::Action;
use crate::json::{elements, member_span, with_member, without_member};

/// The body as an action wants it; `None` where that is what it is already.
pub fn edited(action: &Action, body: &[u8], model_in_body: bool) -> Option<Vec<u8>> {
    let mut changed: Option<Vec<u8>> = None;
    let mut take = |edit: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let now = changed.as_deref().unwrap_or(body);
        if let Some(next) = edit(now).filter(|next| next != now) {
            changed = Some(next);
        }
    };
    for pointer in &action.drop {
        take(&|body| apply(body, &pointer.steps, &Edit::Drop));
    }
    if !action.drop.is_empty() {
        take(&without_choice_of_nothing);
    }
    for (pointer, value) in &action.set {
        // A JSON value always has a text.
        let value = serde_json::to_vec(value).unwrap_or_default();
        take(&|body| apply(body, &pointer.steps, &Edit::Set(&value)));
    }
    if let Some(model) = action.model.as_deref().filter(|_| model_in_body) {
        let model = serde_json::to_vec(model).unwrap_or_default();
        take(&|body| with_member(body, "model", &model));
    }
    changed
}

/// The body of a Gemini call for another model, which its path names already: embeddings repeat it.
pub fn model_of_gemini(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let name = serde_json::to_vec(&format!("models/{model}")).ok()?;
    let top = member_span(body, "model").and_then(|_| with_member(body, "model", &name));
    let steps = [PointerStep::Name("requests".into()), PointerStep::Every, PointerStep::Name("model".into())];
    apply(top.as_deref().unwrap_or(body), &steps, &Edit::Set(&name)).or(top)
}

/// OpenAI and Anthropic refuse a choice among tools where there are none.
fn without_choice_of_nothing(body: &[u8]) -> Option<Vec<u8>> {
    if member_span(body, "tools").is_some() {
        return None;
    }
    let without_choice = without_member(body, "tool_choice");
    let now = without_choice.as_deref().unwrap_or(body);
    without_member(now, "parallel_tool_calls").or(without_choice)
}

enum Edit<'v> {
    Set(&'v [u8]),
    Drop,
}

/// The document with one place changed; `None` where the place is not in it.
fn apply(json: &[u8], steps: &[PointerStep], edit: &Edit) -> Option<Vec<u8>> {
    let (step, rest) = steps.split_first()?;
    match step {
        PointerStep::Name(name) if json.trim_ascii_start().starts_with(b"[") => {
            let wanted: usize = name.parse().ok()?;
            in_elements(json, rest, edit, |number, _| number == wanted)
        }
        PointerStep::Name(name) => in_member(json, name, rest, edit),
        PointerStep::Every => in_elements(json, rest, edit, |_, _| true),
        PointerStep::Having(name, value) => in_elements(json, rest, edit, |_, element| {
            let member = member_span(element, name).map(|span| &element[span.value]);
            member.is_some_and(|member| is_text(member, value))
        }),
    }
}

fn in_member(json: &[u8], name: &str, rest: &[PointerStep], edit: &Edit) -> Option<Vec<u8>> {
    if rest.is_empty() {
        return match edit {
            Edit::Set(value) => with_member(json, name, value),
            Edit::Drop => without_member(json, name),
        };
    }
    let inner = match member_span(json, name) {
        Some(span) => apply(&json[span.value], rest, edit)?,
        // A value may be put where nothing is yet, but not into elements that are not there.
        None if matches!((edit, rest), (Edit::Set(_), [PointerStep::Name(_), ..])) => {
            apply(b"{}", rest, edit)?
        }
        None => return None,
    };
    // An array from which everything was taken goes as a whole: the APIs refuse empty ones.
    if matches!(edit, Edit::Drop) && inner == b"[]" {
        return without_member(json, name);
    }
    with_member(json, name, &inner)
}

fn in_elements(
    json: &[u8],
    rest: &[PointerStep],
    edit: &Edit,
    meant: impl Fn(usize, &[u8]) -> bool,
) -> Option<Vec<u8>> {
    let mut kept: Vec<std::borrow::Cow<[u8]>> = Vec::new();
    let mut changed = false;
    for (number, at) in elements(json)?.into_iter().enumerate() {
        let element = &json[at];
        if !meant(number, element) {
            kept.push(element.into());
            continue;
        }
        match (rest.is_empty(), edit) {
            (true, Edit::Set(value)) => kept.push((*value).into()),
            (true, Edit::Drop) => {}
            (false, _) => match apply(element, rest, edit) {
                Some(next) => kept.push(next.into()),
                None => {
                    kept.push(element.into());
                    continue;
                }
            },
        }
        changed = true;
    }
    changed.then(|| [b"[", kept.join(&b","[..]).as_slice(), b"]"].concat())
}

/// Whether a JSON value is this text, or is written like it.
fn is_text(json: &[u8], text: &str) -> bool {
    if json.first() != Some(&b'"') {
        return json == text.as_bytes();
    }
    serde_json::from_slice::<std::borrow::Cow<str>>(json).is_ok_and(|said| said == text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn after(then: &str, body: &str) -> Option<String> {
        let file = format!("rules: [{{name: r, when: {{endpoint: chat}}, then: {{{then}}}}}]");
        let config = Config::load(&file, &Environment::fixed(&[], &[])).unwrap();
        let action = &config.rules[0].then;
        edited(action, body.as_bytes(), true).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_the_named_places_change() {
        let body = r#"{ "model":"a", "n" : 1.0,"user":"u", "tools":[{"type":"function","x":1e0}, {"type":"file_search"}] }"#;
        assert_eq!(after("model: b", body).unwrap(), body.replace("\"a\"", "\"b\""));
        assert_eq!(after("drop: /user", body).unwrap(), body.replace("\"user\":\"u\", ", ""));
        assert_eq!(
            after("drop: '/tools/[type=file_search]'", body).unwrap(),
            body.replace(", {\"type\":\"file_search\"}", "")
        );
        assert_eq!(after("set: {/n: 2}", body).unwrap(), body.replace("1.0", "2"));
        assert_eq!(after("set: {/user: u}, drop: /nothing", body), None);
    }

    #[test]
    fn values_are_put_where_nothing_was() {
        let set = |then: &str, body: &str| after(&format!("set: {{{then}}}"), body).unwrap();
        assert_eq!(
            set("/ranking_options/score_threshold: 0.3", r#"{"query":"q"}"#),
            r#"{"query":"q","ranking_options":{"score_threshold":0.3}}"#
        );
        assert_eq!(set("/metadata: {team: [a, 1]}", "{}"), r#"{"metadata":{"team":["a",1]}}"#);
        assert_eq!(
            set("/tools/*/strict: true", r#"{"tools":[{"a":1},{"strict":false}]}"#),
            r#"{"tools":[{"a":1,"strict":true},{"strict":true}]}"#
        );
        assert_eq!(set("/input/1: z", r#"{"input":["x","y"]}"#), r#"{"input":["x","z"]}"#);
        assert_eq!(after("set: {/tools/*/strict: true}", "{}"), None);
        assert_eq!(after("set: {/input/7: z}", r#"{"input":["x"]}"#), None);
    }

    #[test]
    fn the_last_tool_takes_the_choice_among_tools_with_it() {
        let body = r#"{"model":"m","tools":[{"type":"file_search"}],"tool_choice":"auto","parallel_tool_calls":true}"#;
        assert_eq!(after("drop: '/tools/[type=file_search]'", body).unwrap(), r#"{"model":"m"}"#);
        let other = r#"{"tools":[{"type":"function"}],"tool_choice":"auto"}"#;
        assert_eq!(after("drop: '/tools/[type=file_search]'", other), None);
    }
}
