//! Reading the members of a JSON object one by one, so that none is passed over in silence.

use std::borrow::Cow;

use serde_json::{Map, Number, Value};

use super::Untranslatable;
use super::prompt::Part;

/// Why a member is refused whose value is of the wrong kind.
const WRONG: &str = "is not what its API describes";
/// Why a member is refused that no reader knows.
const UNKNOWN: &str = "has no counterpart in the provider's API";

/// What an API calls the parts of what somebody said.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parts {
    /// OpenAI's content parts.
    Parts,
    /// Anthropic's content blocks.
    Blocks,
}

impl Parts {
    const fn neither(self) -> &'static str {
        match self {
            Self::Parts => "is neither a text nor a list of parts",
            Self::Blocks => "is neither a text nor a list of blocks",
        }
    }
}

/// The members of one object that were not read yet. A null member counts as absent.
pub(super) struct Members {
    at: String,
    left: Map<String, Value>,
}

impl Members {
    /// A whole body.
    pub(super) fn parse(body: &[u8]) -> Result<Self, Untranslatable> {
        let value = serde_json::from_slice(body)
            .map_err(|_| Untranslatable { field: "body".into(), reason: "is no JSON" })?;
        Self::of(value, String::new())
    }

    /// The object `value`, which stands at `at`.
    pub(super) fn of(value: Value, at: impl Into<String>) -> Result<Self, Untranslatable> {
        match value {
            Value::Object(left) => Ok(Self { at: at.into(), left }),
            _ => Err(Untranslatable { field: at.into().into(), reason: WRONG }),
        }
    }

    /// The path of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { format!("{}.{name}", self.at) }
    }

    /// The refusal of a member.
    pub(super) fn refuse(&self, name: &str, reason: &'static str) -> Untranslatable {
        Untranslatable { field: self.path(name).into(), reason }
    }

    /// Looks at a member and leaves it.
    pub(super) fn peek(&self, name: &str) -> Option<&Value> {
        self.left.get(name).filter(|value| !value.is_null())
    }

    /// Takes a member of any kind.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        // Order does not matter any more, and moving all that follow would cost.
        self.left.swap_remove(name).filter(|value| !value.is_null())
    }

    fn as_kind<T>(
        &mut self,
        name: &str,
        kind: impl FnOnce(Value) -> Option<T>,
    ) -> Result<Option<T>, Untranslatable> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => kind(value).map(Some).ok_or_else(|| self.refuse(name, WRONG)),
        }
    }

    /// Takes a text.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Untranslatable> {
        self.as_kind(name, |value| match value {
            Value::String(text) => Some(text),
            _ => None,
        })
    }

    /// Takes a text that must be there.
    pub(super) fn needed_text(&mut self, name: &str) -> Result<String, Untranslatable> {
        self.text(name)?.ok_or_else(|| self.refuse(name, "is missing"))
    }

    /// Takes a truth value.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Untranslatable> {
        self.as_kind(name, |value| value.as_bool())
    }

    /// Takes a whole number that is not negative.
    pub(super) fn count(&mut self, name: &str) -> Result<Option<u64>, Untranslatable> {
        let whole = |value: &Value| value.as_f64().filter(|n| n.fract() == 0.0 && (0.0..1e15).contains(n));
        self.as_kind(name, |value| value.as_u64().or_else(|| whole(&value).map(|number| number as u64)))
    }

    /// Takes a number.
    pub(super) fn number(&mut self, name: &str) -> Result<Option<Number>, Untranslatable> {
        self.as_kind(name, |value| match value {
            Value::Number(number) => Some(number),
            _ => None,
        })
    }

    /// Takes a number that says nothing where it is `default`.
    pub(super) fn number_but(&mut self, name: &str, default: f64) -> Result<Option<Number>, Untranslatable> {
        let differs = |number: &Number| number.as_f64().is_none_or(|number| (number - default).abs() > 0.0);
        Ok(self.number(name)?.filter(differs))
    }

    /// Takes a list; an absent one is empty.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<Value>, Untranslatable> {
        let list = self.as_kind(name, |value| match value {
            Value::Array(items) => Some(items),
            _ => None,
        })?;
        Ok(list.unwrap_or_default())
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, Untranslatable> {
        let Some(value) = self.take(name) else { return Ok(None) };
        Self::of(value, self.path(name)).map(Some)
    }

    /// Takes an object that must be there.
    pub(super) fn needed(&mut self, name: &str) -> Result<Self, Untranslatable> {
        self.object(name)?.ok_or_else(|| self.refuse(name, "is missing"))
    }

    /// Takes the objects of a list, each with its place.
    pub(super) fn objects(
        &mut self,
        name: &str,
    ) -> Result<impl Iterator<Item = Result<Self, Untranslatable>> + use<>, Untranslatable> {
        let items = self.list(name)?;
        let at = if items.is_empty() { String::new() } else { self.path(name) };
        let items = items.into_iter().enumerate();
        Ok(items.map(move |(index, item)| Self::of(item, format!("{at}[{index}]"))))
    }

    /// Takes what somebody said: a text, or parts that `part` reads. `cache_point` is the member of a part
    /// that marks it as one up to which a provider may keep the prompt; `parts` is what the API calls them.
    pub(super) fn content(
        &mut self,
        name: &str,
        cache_point: &str,
        parts: Parts,
        part: impl Fn(&mut Self) -> Result<Option<Part>, Untranslatable>,
    ) -> Result<Vec<Part>, Untranslatable> {
        let items = match self.take(name) {
            None => return Ok(Vec::new()),
            Some(Value::String(text)) if text.is_empty() => return Ok(Vec::new()),
            Some(Value::String(text)) => return Ok(vec![Part::Text(text)]),
            Some(Value::Array(items)) => items,
            Some(_) => return Err(self.refuse(name, parts.neither())),
        };
        let at = self.path(name);
        let mut read = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let mut item = Self::of(item, format!("{at}[{index}]"))?;
            let marked = item.take(cache_point).is_some();
            read.extend(part(&mut item)?);
            item.nothing_else()?;
            if marked && !read.is_empty() {
                read.push(Part::CachePoint);
            }
        }
        Ok(read)
    }

    /// Puts a member back.
    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.left.insert(name.to_owned(), value);
    }

    /// All that was not read.
    pub(super) fn into_value(self) -> Value {
        self.left.into()
    }

    /// Leaves members out that change nothing of the answer.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        for name in names {
            self.left.swap_remove(*name);
        }
    }

    /// Refuses the named members, for this reason.
    pub(super) fn refuse_all(&self, names: &[&str], reason: &'static str) -> Result<(), Untranslatable> {
        match names.iter().find(|name| self.left.get(**name).is_some_and(|value| !value.is_null())) {
            Some(name) => Err(self.refuse(name, reason)),
            None => Ok(()),
        }
    }

    /// Proves that every member was read.
    pub(super) fn nothing_else(self) -> Result<(), Untranslatable> {
        self.nothing_else_for(UNKNOWN)
    }

    /// Proves that every member was read, or refuses the first for this reason.
    pub(super) fn nothing_else_for(self, reason: &'static str) -> Result<(), Untranslatable> {
        match self.left.iter().find(|(_, value)| !value.is_null()) {
            Some((name, _)) => Err(self.refuse(name, reason)),
            None => Ok(()),
        }
    }

    /// The same members with their names in `camelCase`: Google's JSON knows each also in `snake_case`.
    pub(super) fn in_camel_case(mut self) -> Self {
        if self.left.keys().any(|name| name.contains('_')) {
            let named = |(name, value): (String, _)| (camel_case(&name).into_owned(), value);
            self.left = std::mem::take(&mut self.left).into_iter().map(named).collect();
        }
        self
    }
}

/// A name in `camelCase`.
pub(super) fn camel_case(name: &str) -> Cow<'_, str> {
    if !name.contains('_') {
        return name.into();
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel.into()
}
