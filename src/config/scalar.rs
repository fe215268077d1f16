//! The single values of a configuration file: what they have in common, and the plain ones.
//!
//! All are read from text, because `${NAME}` may stand for any of them, and a wrong one says what
//! would be right. What it says never quotes the value: that may be somebody's secret.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use serde::de::{Error, Visitor};
use serde_json::Value;

/// One kind of single value.
pub trait Scalar: Sized {
    /// Its name in the JSON Schema.
    const NAME: &'static str;
    /// What it is, with an example: `a duration such as 30s`.
    const EXPECTS: &'static str;
    /// The JSON types it may be written as.
    const TYPES: &'static [&'static str];
    /// A regular expression for its text form, without anchors.
    const PATTERN: &'static str;
    /// Whether it must never be shown.
    const SECRET: bool = false;
    /// Reads its text, or says what is wrong and what would be right, without quoting the text.
    fn read(text: &str) -> Result<Self, String>;
    /// The form that [`Scalar::read`] reads back, for humans.
    fn json(&self) -> Value;
}

/// What begins a complaint about a value that must not be shown with it.
pub(super) const HIDDEN: &str = "the secret ";

/// Reads a [`Scalar`] from text.
pub struct ScalarVisitor<T>(pub std::marker::PhantomData<T>);

impl<T: Scalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(T::EXPECTS)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        let kept = if T::SECRET { HIDDEN } else { "" };
        T::read(text).map_err(|wrong| E::custom(format_args!("{kept}{wrong}")))
    }
}

macro_rules! scalars {
    ($($scalar:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $scalar {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_str($crate::config::scalar::ScalarVisitor(std::marker::PhantomData))
            }
        }
        impl serde::Serialize for $scalar {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serde::Serialize::serialize(&$crate::config::scalar::Scalar::json(self), serializer)
            }
        }
        impl schemars::JsonSchema for $scalar {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$scalar as $crate::config::scalar::Scalar>::NAME.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": <$scalar as $crate::config::scalar::Scalar>::TYPES,
                    "description": <$scalar as $crate::config::scalar::Scalar>::EXPECTS,
                    // A reference may stand for any value; what it brings is checked when it is read.
                    "pattern": format!(r"^(?:{})$|\$\{{", <$scalar as $crate::config::scalar::Scalar>::PATTERN),
                })
            }
        }
    )*};
}
pub(super) use scalars;

scalars!(Count, Threads, Toggle, Address);

/// A whole number of things.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(pub u32);

impl Scalar for Count {
    const NAME: &'static str = "Count";
    const EXPECTS: &'static str = "a whole number such as 1000";
    const TYPES: &'static [&'static str] = &["integer", "string"];
    const PATTERN: &'static str = "[0-9]+";

    fn read(text: &str) -> Result<Self, String> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let count = text.parse().ok().filter(|_| digits);
        count
            .map(Self)
            .ok_or_else(|| "is not a whole number below 4294967296; write one such as 1000".to_owned())
    }

    fn json(&self) -> Value {
        self.0.into()
    }
}

/// How many worker threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// One for each core this process may use.
    Auto,
    /// This many.
    Exactly(Count),
}

impl Scalar for Threads {
    const NAME: &'static str = "Threads";
    const EXPECTS: &'static str = "auto or a whole number such as 4";
    const TYPES: &'static [&'static str] = &["integer", "string"];
    const PATTERN: &'static str = "auto|[0-9]+";

    fn read(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count = Count::read(text).ok().filter(|count| (1..=1024).contains(&count.0));
        count
            .map(Self::Exactly)
            .ok_or_else(|| "is not a number of threads; write auto or 1 to 1024".to_owned())
    }

    fn json(&self) -> Value {
        match self {
            Self::Auto => "auto".into(),
            Self::Exactly(count) => count.json(),
        }
    }
}

/// Yes or no.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Toggle(pub bool);

impl Scalar for Toggle {
    const NAME: &'static str = "Toggle";
    const EXPECTS: &'static str = "true or false";
    const TYPES: &'static [&'static str] = &["boolean", "string"];
    const PATTERN: &'static str = "true|false|on|off|yes|no";

    fn read(text: &str) -> Result<Self, String> {
        match text {
            "true" | "on" | "yes" => Ok(Self(true)),
            "false" | "off" | "no" => Ok(Self(false)),
            _ => Err("is neither yes nor no; write true or false".to_owned()),
        }
    }

    fn json(&self) -> Value {
        self.0.into()
    }
}

/// An address to listen on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub SocketAddr);

impl Scalar for Address {
    const NAME: &'static str = "Address";
    const EXPECTS: &'static str = "an address and port such as 127.0.0.1:8080";
    const TYPES: &'static [&'static str] = &["string"];
    const PATTERN: &'static str = r"(\[[0-9a-fA-F:.]+\]|[0-9.]+|localhost):[0-9]{1,5}";

    fn read(text: &str) -> Result<Self, String> {
        if let Some(port) = text.strip_prefix("localhost:").and_then(|port| port.parse().ok()) {
            return Ok(Self((Ipv4Addr::LOCALHOST, port).into()));
        }
        text.parse().map(Self).map_err(|_| {
            "is not an address and port; write one such as 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080"
                .to_owned()
        })
    }

    fn json(&self) -> Value {
        self.0.to_string().into()
    }
}
