//! Golden files: what a client asks in one API and what a provider is asked for it in another, what the
//! provider answers and what the client is told.
//!
//! A case is a directory `tests/golden/CLIENT-to-PROVIDER/NAME` with some of
//!
//! - `request.in.json`, the client's request, with `request.out.json`, the provider's, or with
//!   `request.refused`, the field and the reason of its refusal;
//! - `reply.in.sse`, the provider's answer, with `reply.out.sse`, the client's; `.json` for bodies;
//! - `target`, the provider's name of the model, and in a second line its host.
//!
//! `GOLDEN=write cargo test --test main golden` writes what the code makes of the inputs. Read it before
//! you commit it: the files are the specification.

mod document;

use std::fs;
use std::path::{Path, PathBuf};

use pareto::dialect::{self, Api, Prompt, Server, Stamp, Target, Translator};
use pareto::sse::{Decoder, Event, Item, Tail};
use serde_json::Value;

/// One case.
pub struct Case {
    pub path: PathBuf,
    pub client: Api,
    pub provider: Api,
}

impl Case {
    /// All cases.
    pub fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for pair in directories(Path::new("tests/golden")) {
            let name = pair.file_name().unwrap().to_str().unwrap().to_owned();
            let (client, provider) = name.split_once("-to-").unwrap();
            for path in directories(&pair) {
                cases.push(Self { path, client: api(client), provider: api(provider) });
            }
        }
        assert!(!cases.is_empty(), "no golden files");
        cases
    }

    pub fn read(&self, name: &str) -> Option<Vec<u8>> {
        fs::read(self.path.join(name)).ok()
    }

    fn target(&self) -> String {
        self.target_line(0).unwrap_or_else(|| {
            match self.provider {
                Api::Messages => "claude-sonnet-4-5",
                Api::Generate => "gemini-2.5-flash",
                Api::Chat | Api::Responses => "gpt-4o",
            }
            .to_owned()
        })
    }

    fn server(&self) -> Server {
        self.target_line(1).map(|host| Server::at(&host)).unwrap_or_default()
    }

    fn target_line(&self, line: usize) -> Option<String> {
        let text = String::from_utf8(self.read("target")?).unwrap();
        text.lines().nth(line).map(str::to_owned)
    }

    /// The request as asked, or one that asks for nothing special.
    pub fn prompt(&self) -> Prompt {
        let asked = self.read("request.in.json");
        asked.map_or_else(|| Prompt::new(self.client), |body| dialect::read(self.client, &body).unwrap())
    }

    pub fn translator(&self) -> Translator {
        let stamp = Stamp { id: "stamp".into(), created: 1_795_000_000, model: "asked".into() };
        Translator::new(self.provider, &self.prompt(), stamp).expect("both APIs are translated")
    }

    /// Compares with a golden file, or writes it.
    fn matches(&self, name: &str, made: &str) -> Result<(), String> {
        let path = self.path.join(name);
        if std::env::var("GOLDEN").is_ok_and(|mode| mode == "write") {
            fs::write(path, made).unwrap();
            return Ok(());
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        if golden == made {
            return Ok(());
        }
        Err(format!("{}\n--- expected\n{golden}\n+++ made\n{made}", path.display()))
    }

    fn request(&self) -> Result<(), String> {
        let Some(body) = self.read("request.in.json") else { return Ok(()) };
        let target = self.target();
        let written = dialect::read(self.client, &body).and_then(|prompt| {
            dialect::write(self.provider, &prompt, Target { model: &target, server: self.server() })
        });
        match written {
            Ok(body) => {
                if self.path.join("request.refused").exists() {
                    return Err(format!("{}: was not refused", self.path.display()));
                }
                self.matches("request.out.json", &pretty(&body))
            }
            Err(refused) => {
                let written = self.path.join("request.out.json").exists();
                if written {
                    return Err(format!("{}: {refused}", self.path.display()));
                }
                self.matches("request.refused", &format!("{refused}\n"))
            }
        }
    }

    fn reply(&self) -> Result<(), String> {
        if let Some(body) = self.read("reply.in.json") {
            let told =
                self.translator().body(&body).map_err(|error| format!("{}: {error}", self.path.display()))?;
            self.matches("reply.out.json", &pretty(&told))?;
        }
        if let Some(stream) = self.read("reply.in.sse") {
            let told = translate(self.translator(), [stream.as_slice()]);
            let told: Vec<u8> = told.iter().flat_map(|event| event.bytes().to_vec()).collect();
            self.matches("reply.out.sse", std::str::from_utf8(&told).unwrap())?;
        }
        Ok(())
    }
}

fn api(name: &str) -> Api {
    match name {
        "chat" => Api::Chat,
        "responses" => Api::Responses,
        "messages" => Api::Messages,
        "generate" => Api::Generate,
        _ => panic!("{name} is no API"),
    }
}

fn directories(under: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(under)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    found
}

fn pretty(json: &[u8]) -> String {
    format!("{:#}\n", serde_json::from_slice::<Value>(json).unwrap())
}

/// A stream in these chunks, translated.
pub fn translate<'a>(mut translator: Translator, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    let mut decoder = Decoder::new(1 << 20);
    let mut told = Vec::new();
    for chunk in chunks {
        decoder.push(bytes::Bytes::copy_from_slice(chunk));
        while let Some(item) = decoder.next_item().unwrap() {
            if let Item::Event(event) = item {
                told.extend(translator.event(&event).unwrap());
            }
        }
    }
    if let Some(Tail::Event(event)) = decoder.finish() {
        told.extend(translator.event(&event).unwrap());
    }
    told.extend(translator.end());
    told
}

fn none(failures: &[String]) {
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn golden_requests_are_asked_in_the_providers_words() {
    none(&Case::all().iter().filter_map(|case| case.request().err()).collect::<Vec<_>>());
}

#[test]
fn golden_replies_are_told_in_the_clients_words() {
    none(&Case::all().iter().filter_map(|case| case.reply().err()).collect::<Vec<_>>());
}

/// Members whose value is the client's own, so that nothing in it is unknown, and what is left out because it
/// changes nothing of the answer.
const FREE: [&str; 22] = [
    "parameters",
    "schema",
    "input_schema",
    "input",
    "args",
    "response",
    "arguments",
    "parametersJsonSchema",
    "responseJsonSchema",
    "responseSchema",
    "response_json_schema",
    "metadata",
    "labels",
    "cache_control",
    "prompt_cache_breakpoint",
    "stream_options",
    "prompt_cache_options",
    "annotations",
    "citations",
    "extra_content",
    "prediction",
    "logit_bias",
];

/// Every object in a request, by the path to it.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.push(at.to_owned());
            for (name, value) in members.iter().filter(|(name, _)| !FREE.contains(&name.as_str())) {
                objects(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                objects(item, &format!("{at}/{index}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn nothing_unknown_is_dropped_in_silence_wherever_it_stands() {
    let mut dropped = Vec::new();
    for case in Case::all() {
        let (Some(body), true) = (case.read("request.in.json"), case.path.join("request.out.json").exists())
        else {
            continue;
        };
        let asked: Value = serde_json::from_slice(&body).unwrap();
        let mut places = Vec::new();
        objects(&asked, "", &mut places);
        for place in places {
            let mut asked = asked.clone();
            asked.pointer_mut(&place).unwrap()["shiny"] = 1.into();
            match dialect::read(case.client, asked.to_string().as_bytes()) {
                Err(refused) if refused.field.ends_with("shiny") => {}
                said => dropped.push(format!("{}: {place}/shiny: {said:?}", case.path.display())),
            }
        }
    }
    none(&dropped);
}
