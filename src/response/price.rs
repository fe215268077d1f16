//! What an answer costs: tokens times list price, in integers.

use std::collections::HashMap;

pub use super::cost::Cost;
use super::usage::{ServiceTier, Usage};
use crate::config::{ModelPrice, UsdPerMillion};

/// The built-in prices; its first lines say where they are from.
const BUILT_IN: &str = include_str!("prices.csv");

/// How many times the list price, as a fraction in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Factor {
    numerator: u64,
    denominator: u64,
}

impl Factor {
    const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// `price` over `list`; 1 where the list price is nothing.
    fn between(price: UsdPerMillion, list: UsdPerMillion) -> Self {
        let (numerator, denominator) = (price.pico_usd_per_token(), list.pico_usd_per_token());
        let (mut divisor, mut rest) = (numerator, denominator);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        if denominator == 0 {
            return Self::ONE;
        }
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// `amount` times two factors, rounded half up, once.
    fn both(amount: u128, one: Self, other: Self) -> u128 {
        let numerator = u128::from(one.numerator) * u128::from(other.numerator);
        let denominator = u128::from(one.denominator) * u128::from(other.denominator);
        (amount.saturating_mul(numerator).saturating_add(denominator / 2)) / denominator
    }
}

/// What changes the price of a whole answer: a factor for its input and one for its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Factors {
    input: Factor,
    output: Factor,
}

impl Factors {
    const ONE: Self = Self { input: Factor::ONE, output: Factor::ONE };
}

/// What one model costs.
#[derive(Clone, Copy, Debug)]
struct Price {
    list: ModelPrice,
    /// In the flex tier; as listed where the source has no such price.
    flex: Factors,
    /// In the priority tier; as listed where the source has no such price.
    priority: Factors,
    /// Above this many input tokens the whole request costs this many times as much.
    long: Option<(u64, Factors)>,
}

impl Price {
    /// The same in every tier and at every length.
    fn flat(list: ModelPrice) -> Self {
        Self { list, flex: Factors::ONE, priority: Factors::ONE, long: None }
    }

    /// One line of the table: its model and price.
    fn from_line(line: &str) -> Option<(&str, Self)> {
        let columns: Vec<&str> = line.split(',').collect();
        let [model, columns @ ..] = columns.as_slice() else { return None };
        let &[
            input,
            cached,
            write,
            output,
            flex_in,
            flex_out,
            long_in,
            long_out,
            above,
            priority_in,
            priority_out,
        ] = columns
        else {
            return None;
        };
        let input = UsdPerMillion::parse(input)?;
        let output = UsdPerMillion::parse(output)?;
        let factors = |new_input: &str, new_output: &str| {
            let times = |new: &str, list| {
                UsdPerMillion::parse(new).map_or(Factor::ONE, |new| Factor::between(new, list))
            };
            Factors { input: times(new_input, input), output: times(new_output, output) }
        };
        let list = ModelPrice {
            input,
            cached_input: UsdPerMillion::parse(cached),
            cache_write: UsdPerMillion::parse(write),
            output: Some(output),
        };
        let price = Self {
            list,
            flex: factors(flex_in, flex_out),
            priority: factors(priority_in, priority_out),
            long: above.parse().ok().map(|above| (above, factors(long_in, long_out))),
        };
        Some((model, price))
    }

    /// Cached and written tokens change with tier and length as plain input does: no source lists
    /// them apart.
    fn cost(&self, usage: &Usage) -> Cost {
        let tokens_at =
            |tokens: u64, price: UsdPerMillion| u128::from(tokens) * u128::from(price.pico_usd_per_token());
        let list = &self.list;
        let special =
            usage.cached_input.saturating_add(usage.cache_write).saturating_add(usage.cache_write_1h);
        let plain = usage.input.saturating_sub(special);
        let input = tokens_at(plain, list.input)
            + tokens_at(usage.cached_input, list.cached_input.unwrap_or(list.input))
            + tokens_at(usage.cache_write, list.cache_write.unwrap_or(list.input))
            // Anthropic: writing for an hour costs twice the input, for every model.
            + 2 * tokens_at(usage.cache_write_1h, list.input);
        let output = list.output.map_or(0, |price| tokens_at(usage.output, price));
        let tier = match usage.tier {
            ServiceTier::Default => Factors::ONE,
            ServiceTier::Flex => self.flex,
            ServiceTier::Priority => self.priority,
        };
        let long =
            self.long.filter(|(above, _)| usage.input > *above).map_or(Factors::ONE, |(_, factors)| factors);
        let pico =
            Factor::both(input, tier.input, long.input) + Factor::both(output, tier.output, long.output);
        Cost::from_pico_usd(u64::try_from(pico).unwrap_or(u64::MAX))
    }
}

/// What every known model costs.
#[derive(Clone, Debug)]
pub struct PriceTable {
    by_model: HashMap<String, Price>,
}

impl PriceTable {
    /// The built-in list prices, with those of the configuration in place of or beside them. A price
    /// of the configuration holds in every tier and at every length.
    pub fn new(overrides: &[(String, ModelPrice)]) -> Self {
        let rows: Vec<(&str, Price)> = table_lines().filter_map(Price::from_line).collect();
        let mut by_model: HashMap<String, Price> = HashMap::new();
        // A host's rows are named HOST/ID, but the app asks that host for ID. Where two have the same
        // ID, the first row counts, and one named ID alone before all.
        let ids_of_hosts =
            rows.iter().rev().filter_map(|(name, price)| Some((name.split_once('/')?.1, *price)));
        by_model.extend(ids_of_hosts.map(|(id, price)| (id.to_owned(), price)));
        by_model.extend(rows.iter().map(|(name, price)| ((*name).to_owned(), *price)));
        by_model.extend(overrides.iter().map(|(name, list)| (name.clone(), Price::flat(*list))));
        Self { by_model }
    }

    /// What an answer of this model cost; `None` where no price is known, which is not nothing.
    pub fn cost(&self, model: &str, usage: &Usage) -> Option<Cost> {
        Some(self.price(model)?.cost(usage))
    }

    /// Exact name first: as sent, then without what stands before a `/` (`models/`, `gemini/`).
    /// Then the longest known name that it begins with, up to a `-`: that drops dates and `-latest`.
    fn price(&self, model: &str) -> Option<&Price> {
        let names = || std::iter::successors(Some(model), |name| Some(name.split_once('/')?.1));
        let exact = names().find_map(|name| self.by_model.get(name));
        let beginnings =
            |name| std::iter::successors(Some(name), |name: &&'_ str| Some(name.rsplit_once(['-', '@'])?.0));
        exact.or_else(|| names().flat_map(beginnings).find_map(|name| self.by_model.get(name)))
    }
}

/// The table's lines without comments and heading.
fn table_lines() -> impl Iterator<Item = &'static str> {
    BUILT_IN.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).skip(1)
}

#[cfg(test)]
mod tests;
