//! Whether a feature acts, and for whom.

use serde_json::Value;

use super::scalar::{Count, Scalar, scalars};

scalars!(Switch);

/// Whether a feature acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// It acts.
    On,
    /// It is as if it did not exist.
    Off,
    /// Every decision is taken and counted, none is acted on.
    Observe,
    /// It acts for this percentage of tenants, always the same ones; 0 to 100.
    Percent(u8),
}

/// What a [`Switch`] means for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Decide and act.
    Act,
    /// Decide and count only.
    Observe,
    /// Do nothing.
    Skip,
}

impl Switch {
    /// What holds for a tenant, given a hash of its name that does not change between runs.
    pub fn mode(self, tenant: u64) -> Mode {
        match self {
            Self::On => Mode::Act,
            Self::Off => Mode::Skip,
            Self::Observe => Mode::Observe,
            // Raising the percentage only adds tenants: one who had the feature keeps it.
            Self::Percent(percent) if tenant % 100 < u64::from(percent) => Mode::Act,
            Self::Percent(_) => Mode::Skip,
        }
    }
}

impl Scalar for Switch {
    const NAME: &'static str = "Switch";
    const EXPECTS: &'static str = "on, off, observe or a percentage such as 25%";
    const TYPES: &'static [&'static str] = &["string", "boolean"];
    const PATTERN: &'static str = "on|off|true|false|observe|[0-9]{1,3}%";

    fn read(text: &str) -> Result<Self, String> {
        let percent = text.strip_suffix('%').and_then(|number| Count::read(number).ok());
        match (text, percent) {
            ("on" | "true", _) => Ok(Self::On),
            ("off" | "false", _) => Ok(Self::Off),
            ("observe", _) => Ok(Self::Observe),
            (_, Some(Count(percent @ 0..=100))) => Ok(Self::Percent(percent as u8)),
            (_, Some(_)) => Err("is more than 100%; write 0% to 100%".to_owned()),
            _ => Err("is not a switch; write on, off, observe or a whole percentage such as 25%".to_owned()),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::On => "on".into(),
            Self::Off => "off".into(),
            Self::Observe => "observe".into(),
            Self::Percent(percent) => format!("{percent}%").into(),
        }
    }
}
