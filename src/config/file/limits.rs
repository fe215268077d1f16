//! `limits:` as written.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::rules::When;
use super::{Period, seconds};
use crate::config::named::Named;
use crate::config::one_or_many::OneOrMany;
use crate::config::quota::{Amount, Dimension, Money, Percentage, Zone};
use crate::config::scalar::{Count, Toggle};
use crate::config::secret::Secret;

/// One limit. All limits that match a request apply to it; it is let through by all or by none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limit {
    /// Its name in headers, metrics and messages; made from what it counts unless given.
    pub name: Option<String>,
    /// What is counted apart: tenant, credential, model, provider, endpoint, user (the body's field),
    /// header:NAME, or a list of these; all requests together unless given.
    pub per: OneOrMany<Dimension>,
    /// Which requests it is for, by the conditions that rules have; all unless given.
    pub when: When,
    /// Requests that cause a call, in a window: 60/min, 60/min burst 10, 1000/day.
    pub requests: Option<Amount>,
    /// Input and output tokens, in a window.
    pub tokens: Option<Amount>,
    /// Input tokens, in a window.
    pub input_tokens: Option<Amount>,
    /// Output tokens, in a window.
    pub output_tokens: Option<Amount>,
    /// Money at list price, in a window of the calendar: 5/day.
    pub usd: Option<Money>,
    /// Requests under way at the same time.
    pub concurrent: Option<Count>,
    /// Where days, weeks and months begin, by the name of a time zone.
    pub zone: Zone,
    /// How long a request may wait to be let through; 0s: it is refused at once.
    pub wait: Period,
    /// How many requests may wait; beyond, the tenant with the most gives way.
    pub max_waiting: Count,
    /// How many turns a tenant's waiting requests get for one of another's; 1 unless listed.
    pub weights: Named<Count>,
    /// Whether answers that cost nothing (from the cache, or shared) count in requests and tokens.
    pub hits: Hits,
    /// Output tokens that are reserved for a request without max_tokens; the model's maximum unless given.
    pub max_output: Option<Count>,
    /// What becomes of a request that a budget (usd, or anything per day or longer) has no room for:
    /// refuse, cache_only, or {model: NAME} to send it to a cheaper model.
    pub on_exhausted: OnExhausted,
    /// Tells ahead that a budget runs out.
    pub alert: Option<Alert>,
    /// Subjects (tenants, models, …) that are counted apart; those beyond share one count.
    pub max_subjects: Count,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            name: None,
            per: OneOrMany(Vec::new()),
            when: When::default(),
            requests: None,
            tokens: None,
            input_tokens: None,
            output_tokens: None,
            usd: None,
            concurrent: None,
            zone: Zone(jiff::tz::TimeZone::UTC),
            wait: seconds(0),
            max_waiting: Count(1000),
            weights: Named::default(),
            hits: Hits::Free,
            max_output: None,
            on_exhausted: OnExhausted::Refuse,
            alert: None,
            max_subjects: Count(100_000),
        }
    }
}

/// Whether answers that cost nothing count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Hits {
    /// They do not.
    Free,
    /// They count as one request and their tokens, never as money.
    Count,
}

/// Who is told how far a budget is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Alert {
    /// The shares of the budget at which to tell, each once in a window.
    pub at: Vec<Percentage>,
    /// Whether to tell, once in a window, that at this pace the budget will not last.
    pub forecast: Toggle,
    /// Where to post it as JSON. The log and the metrics have it in any case.
    pub webhook: Option<String>,
    /// Signs what is posted: header x-pareto-signature, t=SECONDS,v1=HMAC-SHA256 of "SECONDS.BODY" in hex.
    pub secret: Option<Secret>,
}

impl Default for Alert {
    fn default() -> Self {
        Self {
            at: [50, 80, 100].map(Percentage).to_vec(),
            forecast: Toggle(true),
            webhook: None,
            secret: None,
        }
    }
}

/// What becomes of a request that a budget has no room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OnExhausted {
    /// `refuse`
    Refuse,
    /// `cache_only`
    CacheOnly,
    /// `{model: NAME}`
    Model(String),
}

impl Serialize for OnExhausted {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Refuse => serializer.serialize_str("refuse"),
            Self::CacheOnly => serializer.serialize_str("cache_only"),
            Self::Model(model) => serializer.collect_map([("model", model)]),
        }
    }
}

impl<'de> Deserialize<'de> for OnExhausted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnExhaustedVisitor)
    }
}

struct OnExhaustedVisitor;

impl<'de> Visitor<'de> for OnExhaustedVisitor {
    type Value = OnExhausted;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("refuse, cache_only or {model: NAME}")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<OnExhausted, E> {
        match text {
            "refuse" => Ok(OnExhausted::Refuse),
            "cache_only" => Ok(OnExhausted::CacheOnly),
            _ => Err(E::custom("is not one of the choices; write refuse, cache_only or {model: NAME}")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OnExhausted, A::Error> {
        match map.next_entry::<String, String>()? {
            Some((key, model)) if key == "model" && !model.is_empty() => {
                map.next_key::<String>()?.map_or(Ok(OnExhausted::Model(model)), |other| {
                    Err(A::Error::unknown_field(&other, &["model"]))
                })
            }
            Some((key, _)) if key != "model" => Err(A::Error::unknown_field(&key, &["model"])),
            _ => Err(A::Error::custom("names no model; write {model: NAME}")),
        }
    }
}

impl JsonSchema for OnExhausted {
    fn schema_name() -> Cow<'static, str> {
        "OnExhausted".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "refuse, cache_only or {model: NAME}",
            "anyOf": [
                {"type": "string", "enum": ["refuse", "cache_only"]},
                {
                    "type": "object",
                    "properties": {"model": {"type": "string", "description": "The model called instead."}},
                    "required": ["model"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}
