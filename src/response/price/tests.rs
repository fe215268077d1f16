//! Prices of answers, worked out by hand beside what is worked out here.

use proptest::prelude::*;

use super::*;

fn built_in() -> PriceTable {
    PriceTable::new(&[])
}

fn usd(model: &str, usage: Usage) -> String {
    built_in().cost(model, &usage).unwrap_or_else(|| panic!("{model} has a price")).to_string()
}

fn override_of(input: &str, output: &str) -> ModelPrice {
    ModelPrice {
        input: UsdPerMillion::parse(input).expect("a price"),
        cached_input: None,
        cache_write: None,
        output: UsdPerMillion::parse(output),
    }
}

#[test]
fn every_line_of_the_table_is_a_price() {
    let lines: Vec<&str> = table_lines().collect();
    assert!(lines.len() > 70, "{}", lines.len());
    for line in lines {
        let (model, price) = Price::from_line(line).unwrap_or_else(|| panic!("{line}"));
        assert!(!model.is_empty());
        // Every field that is there is read: none is silently nothing.
        let fields = line.split(',').skip(1).filter(|field| !field.is_empty());
        for field in fields {
            assert!(UsdPerMillion::parse(field).is_some(), "{line}: {field}");
        }
        assert_eq!(
            line.split(',').nth(9).is_some_and(|above| !above.is_empty()),
            price.long.is_some(),
            "{line}"
        );
        assert!(built_in().cost(model, &Usage::default()).is_some(), "{line}");
    }
}

#[test]
fn openai_counts_cached_tokens_inside_of_the_prompt() {
    // 600 × 2.50 + 400 × 1.25 + 200 × 10.00 = 4,000 millionths.
    let usage = Usage { input: 1000, cached_input: 400, output: 200, ..Usage::default() };
    assert_eq!(usd("gpt-4o-2024-11-20", usage), "0.004");
    // 5,000 × 2 + 2,000 × 0.1 + 3,000 × 2.5 + 500 × 10 = 22,700 millionths.
    let usage =
        Usage { input: 10_000, cached_input: 2000, cache_write: 3000, output: 500, ..Usage::default() };
    assert_eq!(usd("gpt-6.1-sol", usage), "0.0227");
    // One token of the cheapest: 0.005 millionths, below a nano-USD but not lost.
    assert_eq!(usd("gpt-5-nano", Usage { input: 1, cached_input: 1, ..Usage::default() }), "0.000000005");
}

#[test]
fn anthropic_writes_to_its_cache_for_five_minutes_or_an_hour() {
    // 1,000 × 3 + 5,000 × 0.3 + 2,000 × 3.75 + 1,000 × 6 + 300 × 15 = 22,500 millionths.
    let usage = Usage {
        input: 9000,
        cached_input: 5000,
        cache_write: 2000,
        cache_write_1h: 1000,
        output: 300,
        ..Usage::default()
    };
    assert_eq!(usd("claude-sonnet-4-5-20250929", usage), "0.0225");
}

#[test]
fn gemini_costs_more_for_the_whole_of_a_long_prompt() {
    // 150,000 × 1.25 + 50,000 × 0.125 + 1,000 × 10 = 203,750 millionths: at the limit, not above.
    let usage = Usage { input: 200_000, cached_input: 50_000, output: 1000, ..Usage::default() };
    assert_eq!(usd("models/gemini-2.5-pro", usage), "0.20375");
    // 200,000 × 2.5 + 50,000 × 0.25 + 1,000 × 15 = 527,500 millionths.
    let usage = Usage { input: 250_000, ..usage };
    assert_eq!(usd("models/gemini-2.5-pro", usage), "0.5275");
}

#[test]
fn the_tier_that_served_decides() {
    // 1,000 × 4.25 + 100 × 17 = 5,950 millionths.
    let usage = Usage { input: 1000, output: 100, tier: ServiceTier::Priority, ..Usage::default() };
    assert_eq!(usd("gpt-4o", usage), "0.00595");
    // 600 × 4.25 + 400 × 1.25 × 1.7 + 100 × 17 = 5,100 millionths.
    assert_eq!(usd("gpt-4o", Usage { cached_input: 400, ..usage }), "0.0051");
    // Half of 1,000 × 2.50 + 100 × 10 = 1,750 millionths.
    assert_eq!(usd("gpt-4o", Usage { tier: ServiceTier::Flex, ..usage }), "0.00175");
    // No price for priority is known: as listed. 1,000 × 0.05 + 100 × 0.4 = 90 millionths.
    assert_eq!(usd("gpt-5-nano", usage), "0.00009");
    // Long and flex: half of 300,000 × 5 + 10 × 22.5 = 750,112.5 millionths.
    let usage = Usage { input: 300_000, output: 10, tier: ServiceTier::Flex, ..Usage::default() };
    assert_eq!(usd("gpt-5.4", usage), "0.7501125");
}

#[test]
fn embeddings_and_moderation_have_no_output() {
    assert_eq!(usd("text-embedding-3-small", Usage { input: 8, ..Usage::default() }), "0.00000016");
    assert_eq!(usd("omni-moderation-latest", Usage { input: 1000, ..Usage::default() }), "0");
}

#[test]
fn a_model_is_found_under_the_names_it_goes_by() {
    let table = built_in();
    let price_of = |model: &str| table.price(model).map(|price| price.list.input.to_string());
    for (model, input) in [
        ("gpt-5", "1.25"),
        ("gpt-5-2025-08-07", "1.25"),
        ("gpt-5-mini-2025-08-07", "0.25"),
        ("gpt-4o-mini-2024-07-18", "0.15"),
        ("chatgpt/gpt-4o", "2.5"),
        ("claude-haiku-4-5-20251001", "1"),
        ("claude-haiku-4-5@20251001", "1"),
        ("anthropic/claude-opus-4-5", "5"),
        ("models/gemini-2.5-flash-lite", "0.1"),
        ("models/gemini-embedding-001", "0.15"),
        ("gemini-2.5-flash-preview-09-2025", "0.3"),
        ("mistral-large-latest", "0.5"),
        ("mistral/mistral-large-latest", "0.5"),
        ("openai/gpt-oss-120b", "0.15"),
        ("gpt-oss-120b", "0.35"),
        ("grok-4.20", "1.25"),
        ("voyage-4", "0.06"),
        ("voyage-4-lite", "0.02"),
    ] {
        assert_eq!(price_of(model).as_deref(), Some(input), "{model}");
    }
    for unknown in
        ["", "-", "/", "gpt", "gpt-3", "gpt-4", "gpt-4oo", "gpt-55", "llama3.1", "claude", "ft:gpt-4o:me"]
    {
        assert_eq!(price_of(unknown), None, "{unknown}");
    }
}

#[test]
fn the_configuration_replaces_and_extends_the_table() {
    let table = PriceTable::new(&[
        ("gpt-4o".to_owned(), override_of("1", "2")),
        ("my-model".to_owned(), override_of("0.5", "0")),
    ]);
    let cost = |model: &str, usage: Usage| table.cost(model, &usage).map(|cost| cost.to_string());
    let usage = Usage { input: 1000, cached_input: 400, cache_write: 10, output: 1000, ..Usage::default() };
    assert_eq!(cost("gpt-4o", usage).as_deref(), Some("0.003"), "no cached price: as input");
    assert_eq!(cost("gpt-4o-2024-08-06", usage).as_deref(), Some("0.003"));
    let priority = Usage { tier: ServiceTier::Priority, ..usage };
    assert_eq!(cost("gpt-4o", priority).as_deref(), Some("0.003"), "the same in every tier");
    assert_eq!(cost("my-model-v2", usage).as_deref(), Some("0.0005"));
    assert_eq!(
        cost("gpt-4o-mini", usage),
        built_in().cost("gpt-4o-mini", &usage).map(|cost| cost.to_string())
    );
}

#[test]
fn counts_that_contradict_each_other_never_wrap() {
    let usage = Usage { input: 1, cached_input: 1000, ..Usage::default() };
    assert_eq!(usd("gpt-4o", usage), "0.00125");
    let most = Usage {
        input: u64::MAX,
        cached_input: u64::MAX,
        cache_write: u64::MAX,
        cache_write_1h: u64::MAX,
        output: u64::MAX,
        tier: ServiceTier::Priority,
        estimated: true,
    };
    for line in table_lines() {
        let (model, _) = Price::from_line(line).expect(line);
        assert!(built_in().cost(model, &most).is_some());
    }
    let dearest = PriceTable::new(&[("m".to_owned(), override_of("999999.999999", "999999.999999"))]);
    assert_eq!(dearest.cost("m", &most).map(Cost::pico_usd), Some(u64::MAX));
}

/// Any counts, each below `bound`.
fn any_usage(bound: u64) -> impl Strategy<Value = Usage> {
    let tier = prop_oneof![Just(ServiceTier::Default), Just(ServiceTier::Flex), Just(ServiceTier::Priority)];
    let count = || 0..bound;
    (count(), count(), count(), count(), count(), tier).prop_map(
        |(plain, cached_input, cache_write, cache_write_1h, output, tier)| Usage {
            input: plain + cached_input + cache_write + cache_write_1h,
            cached_input,
            cache_write,
            cache_write_1h,
            output,
            tier,
            estimated: false,
        },
    )
}

fn any_model() -> impl Strategy<Value = &'static str> {
    let models: Vec<&str> = table_lines().filter_map(|line| line.split(',').next()).collect();
    prop::sample::select(models)
}

proptest! {
    /// More tokens of any kind never cost less, also where they make a prompt a long one.
    #[test]
    fn more_never_costs_less(model in any_model(), usage in any_usage(400_000), more in any_usage(400_000)) {
        let both = usage.and(&more);
        let table = built_in();
        prop_assert!(table.cost(model, &both) >= table.cost(model, &usage));
    }

    /// Two answers cost what one with the tokens of both does, as long as it is not a long one.
    #[test]
    fn list_prices_add_up(model in any_model(), one in any_usage(25_000), other in any_usage(25_000)) {
        let (one, other) = (Usage { tier: ServiceTier::Default, ..one }, Usage { tier: ServiceTier::Default, ..other });
        let both = one.and(&other);
        let table = built_in();
        let cost = |usage: &Usage| table.cost(model, usage).unwrap_or_default();
        prop_assert_eq!(cost(&one) + cost(&other), cost(&both));
    }

    #[test]
    fn input_and_output_add_up_in_every_tier(model in any_model(), usage in any_usage(50_000)) {
        let table = built_in();
        let cost = |usage: &Usage| table.cost(model, usage).unwrap_or_default();
        let input = Usage { output: 0, ..usage };
        let output = Usage { output: usage.output, tier: usage.tier, ..Usage::default() };
        prop_assert_eq!(cost(&input) + cost(&output), cost(&usage));
    }
}
