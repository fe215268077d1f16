//! What would happen to one request, and why: the lines that each room contributes.

use std::fmt;

use serde_json::{Map, Value};

/// Everything that is said about one request, room by room.
#[derive(Debug, Default)]
pub struct Explanation {
    sections: Vec<Section>,
}

/// What one room says.
#[derive(Debug)]
pub struct Section {
    name: &'static str,
    facts: Vec<Fact>,
}

#[derive(Debug)]
struct Fact {
    name: String,
    value: Value,
    why: Option<String>,
}

impl Explanation {
    /// Opens the next section: `cache`, `route`, `limits`.
    pub fn section(&mut self, name: &'static str) -> &mut Section {
        self.sections.push(Section::new(name));
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// Adds a section that was said elsewhere.
    pub fn extend(&mut self, section: Option<Section>) {
        self.sections.extend(section);
    }

    /// For programs: `{"cache": {"ttl": {"value": "1h", "why": …}}}`, in the order it was said.
    pub fn json(&self) -> Value {
        let sections = self.sections.iter().map(|section| {
            let facts = section.facts.iter().map(|fact| (fact.name.clone(), fact.json()));
            (section.name.to_owned(), Value::Object(facts.collect()))
        });
        Value::Object(sections.collect())
    }
}

impl Section {
    /// A section that nothing is said in yet.
    pub fn new(name: &'static str) -> Self {
        Self { name, facts: Vec::new() }
    }

    /// Says what something is.
    pub fn fact(&mut self, name: impl Into<String>, value: impl Into<Value>) -> &mut Self {
        self.facts.push(Fact { name: name.into(), value: value.into(), why: None });
        self
    }

    /// Says what something is, and why.
    pub fn because(
        &mut self,
        name: impl Into<String>,
        value: impl Into<Value>,
        why: impl Into<String>,
    ) -> &mut Self {
        self.facts.push(Fact { name: name.into(), value: value.into(), why: Some(why.into()) });
        self
    }
}

impl Fact {
    fn json(&self) -> Value {
        let mut said = Map::new();
        said.insert("value".to_owned(), self.value.clone());
        if let Some(why) = &self.why {
            said.insert("why".to_owned(), why.clone().into());
        }
        Value::Object(said)
    }
}

/// For people: a line for each fact, under the section's name.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, section) in self.sections.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            writeln!(f, "{}", section.name)?;
            let width = section.facts.iter().map(|fact| fact.name.chars().count()).max().unwrap_or(0);
            for fact in &section.facts {
                write!(f, "  {:width$}  {}", fact.name, Shown(&fact.value))?;
                match &fact.why {
                    Some(why) => writeln!(f, ": {why}")?,
                    None => writeln!(f)?,
                }
            }
        }
        Ok(())
    }
}

/// A value as people write it.
struct Shown<'a>(&'a Value);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("none"),
            Value::Bool(true) => f.write_str("yes"),
            Value::Bool(false) => f.write_str("no"),
            // A line break in somebody's name must not look like a line of ours.
            Value::String(text) => write!(f, "{}", text.escape_debug()),
            Value::Array(values) if values.is_empty() => f.write_str("none"),
            Value::Array(values) => {
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, Shown(value))?;
                }
                Ok(())
            }
            other => write!(f, "{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_said_to_people_and_to_programs() {
        let mut said = Explanation::default();
        said.section("request").fact("endpoint", "chat").fact("stream", false);
        said.section("rules")
            .because("greeting", "no match", "the endpoint is embeddings")
            .fact("b", json!([]));
        assert_eq!(
            said.to_string(),
            "request\n  endpoint  chat\n  stream    no\n\nrules\n  greeting  no match: the endpoint is embeddings\n  b         none\n"
        );
        assert_eq!(
            said.json(),
            json!({
                "request": {"endpoint": {"value": "chat"}, "stream": {"value": false}},
                "rules": {"greeting": {"value": "no match", "why": "the endpoint is embeddings"}, "b": {"value": []}},
            })
        );
    }

    #[test]
    fn a_name_with_a_line_break_stays_on_its_line() {
        let mut said = Explanation::default();
        said.section("request").fact("tenant", "a\nroute");
        assert_eq!(said.to_string(), "request\n  tenant  a\\nroute\n");
    }
}
