//! What is written is what is meant.

use std::time::Duration;

use proptest::prelude::*;

use super::config;
use crate::config::{
    Abandoned, Config, Dialect, Environment, Http2, LogFormat, LogLevel, Mode, Scheme, Share, Switch,
    TenantSource, UsdPerMillion,
};
use crate::text::{Folding, Step};

#[test]
fn every_setting_arrives() {
    let config = config(
        r#"
listen: 0.0.0.0:80
admin: {listen: "[::1]:81", token: t}
threads: 7
max_body: 10MB
client: {timeouts: {header: 1s, body: 2s, idle: 3s, write: 4s}}
storage: {memory: 1GiB}
providers:
  zeta: {url: http://10.0.0.1:8000/api/, dialect: gemini, keys: [k1, k2], http2: only,
         timeouts: {connect: 250ms, first_byte: 1m, idle: 2m, total: 3h}}
  alpha: {url: https://a.example, dialect: anthropic, http2: off}
tenants: {identify: [credential, "header:X-Team"]}
cache:
  share: everyone
  exact: {ttl: 2d, normalize: [case, digits]}
  search: {ttl: 0s}
  stale: {while_revalidate: 5s, if_error: 24h}
  max_entry: 1MiB
coalesce: {abandoned: finish, max_waiters: 5}
features: {cache: observe, coalesce: off}
prices:
  gpt-4.1: {input: 1.5, cached_input: 0.000001, cache_write: 2, output: 999999.999999}
shutdown: {grace: 0s}
log: {format: json, level: debug, exchanges: off}
metrics: {max_tenants: 10, max_models: 20}
"#,
    );
    let seconds = Duration::from_secs;
    assert_eq!(config.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.admin.listen.to_string(), "[::1]:81");
    assert_eq!(config.admin.token.map(|token| token.expose().to_owned()).as_deref(), Some("t"));
    assert_eq!((config.threads, config.max_body, config.storage.memory), (7, 10_000_000, 1 << 30));
    let client = config.client;
    assert_eq!([client.header, client.body, client.idle, client.write], [1, 2, 3, 4].map(seconds));
    let [zeta, alpha] = config.providers.as_slice() else { panic!("two providers, in the order written") };
    assert_eq!((zeta.name.as_str(), zeta.dialect, zeta.http2), ("zeta", Dialect::Gemini, Http2::Only));
    assert_eq!((zeta.url.scheme, zeta.url.host.as_str(), zeta.url.port), (Scheme::Http, "10.0.0.1", 8000));
    assert_eq!(zeta.url.base_path, "/api");
    assert_eq!(zeta.keys.iter().map(|key| key.expose()).collect::<Vec<_>>(), ["k1", "k2"]);
    let limits = zeta.timeouts;
    assert_eq!(limits.connect, Duration::from_millis(250));
    assert_eq!([limits.first_byte, limits.idle, limits.total], [60, 120, 10_800].map(seconds));
    assert_eq!((alpha.name.as_str(), alpha.dialect, alpha.http2), ("alpha", Dialect::Anthropic, Http2::Off));
    let team = TenantSource::Header(http::HeaderName::from_static("x-team"));
    assert_eq!(config.tenants.identify, [TenantSource::Credential, team]);
    let cache = config.cache;
    assert_eq!((cache.share, cache.max_entry), (Share::Everyone, 1 << 20));
    assert_eq!((cache.exact_ttl, cache.search_ttl), (seconds(172_800), Duration::ZERO));
    assert_eq!(cache.exact_normalize, Folding::from_iter([Step::Case, Step::Digits]));
    assert_eq!((cache.stale_while_revalidate, cache.stale_if_error), (seconds(5), seconds(86_400)));
    assert_eq!((config.coalesce.abandoned, config.coalesce.max_waiters), (Abandoned::Finish, 5));
    assert_eq!((config.features.cache, config.features.coalesce), (Switch::Observe, Switch::Off));
    let (model, price) = &config.prices[0];
    let pico = |price: Option<UsdPerMillion>| price.map(UsdPerMillion::pico_usd_per_token);
    assert_eq!((model.as_str(), price.input.pico_usd_per_token()), ("gpt-4.1", 1_500_000));
    assert_eq!([pico(price.cached_input), pico(price.cache_write)], [Some(1), Some(2_000_000)]);
    assert_eq!(pico(price.output), Some(999_999_999_999));
    assert_eq!(config.shutdown.grace, Duration::ZERO);
    assert_eq!(
        (config.log.format, config.log.level, config.log.exchanges),
        (LogFormat::Json, LogLevel::Debug, false)
    );
    assert_eq!((config.metrics.max_tenants, config.metrics.max_models), (10, 20));
}

#[test]
fn durations_and_sizes_have_units() {
    let ttl = |text: &str| config(&format!("cache: {{exact: {{ttl: {text}}}}}")).cache.exact_ttl;
    for (text, milliseconds) in [
        ("3ms", 3),
        ("30s", 30_000),
        ("5m", 300_000),
        ("1h", 3_600_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
    ] {
        assert_eq!(ttl(text), Duration::from_millis(milliseconds), "{text}");
    }
    let max_body = |text: &str| config(&format!("max_body: {text}")).max_body;
    for (text, bytes) in [
        ("256MiB", 256 << 20),
        ("4GiB", 4 << 30),
        ("10MB", 10_000_000),
        ("2 KiB", 2048),
        ("1TB", 1_000_000_000_000),
        ("4096", 4096),
        ("4096B", 4096),
    ] {
        assert_eq!(max_body(text), bytes, "{text}");
    }
}

#[test]
fn switches_are_what_yaml_users_write() {
    let cache = |text: &str| config(&format!("features: {{cache: {text}}}")).features.cache;
    for (text, switch) in [
        ("on", Switch::On),
        ("true", Switch::On),
        ("off", Switch::Off),
        ("false", Switch::Off),
        ("observe", Switch::Observe),
        ("0%", Switch::Percent(0)),
        ("25%", Switch::Percent(25)),
        ("100%", Switch::Percent(100)),
    ] {
        assert_eq!(cache(text), switch, "{text}");
    }
}

#[test]
fn a_percentage_acts_for_that_share_of_tenants_and_keeps_those_it_had() {
    let acting =
        |percent| (0..1000).filter(move |tenant| Switch::Percent(percent).mode(*tenant) == Mode::Act);
    assert_eq!([0, 25, 100].map(|percent| acting(percent).count()), [0, 250, 1000]);
    let more: Vec<u64> = acting(30).collect();
    assert!(acting(25).all(|tenant| more.contains(&tenant)));
    assert_eq!(
        [Switch::On, Switch::Off, Switch::Observe].map(|s| s.mode(7)),
        [Mode::Act, Mode::Skip, Mode::Observe]
    );
}

#[test]
fn a_setting_with_nothing_behind_it_is_at_its_default() {
    let text = "cache:\ncoalesce: ~\nadmin: {token: }\nlog: {level: null}\nproviders:\nprices:\n";
    assert_eq!(config(text), Config::default());
}

#[test]
fn anchors_stand_for_what_they_name() {
    let text = "providers:\n  a: {url: http://a.example, timeouts: &slow {idle: 9m}}\n  b: {url: http://b.example, timeouts: *slow}\n";
    let idle: Vec<Duration> = config(text).providers.iter().map(|provider| provider.timeouts.idle).collect();
    assert_eq!(idle, [Duration::from_secs(540); 2]);
}

#[test]
fn the_effective_configuration_is_a_file_that_means_the_same() {
    let text = "cache: {exact: {ttl: 90s}, max_entry: 1500KB}\nprices: {m: {input: 0.10}}\nthreads: 2\nlog: {exchanges: false}\nproviders: {b: {url: http://b.example}, a: {url: https://a.example/v1/}}";
    let written = config(text);
    let effective = written.effective();
    assert_eq!(config(&effective.to_string()), written);
    assert_eq!(effective["cache"]["exact"]["ttl"], "90s");
    assert_eq!(effective["cache"]["max_entry"], "1500KB");
    assert_eq!(effective["prices"]["m"]["input"], "0.1");
    assert_eq!(effective["cache"]["stale"]["if_error"], "0s");
}

proptest! {
    #[test]
    fn a_duration_is_shown_as_it_can_be_read(milliseconds in 1u64..315_360_000_000) {
        let written = config(&format!("cache: {{exact: {{ttl: {milliseconds}ms}}}}"));
        prop_assert_eq!(written.cache.exact_ttl, Duration::from_millis(milliseconds));
        prop_assert_eq!(config(&written.effective().to_string()), written);
    }

    #[test]
    fn a_size_is_shown_as_it_can_be_read(bytes in 1024u64..1 << 60) {
        let written = config(&format!("max_body: {bytes}"));
        prop_assert_eq!(written.max_body, bytes);
        prop_assert_eq!(config(&written.effective().to_string()), written);
    }

    #[test]
    fn a_price_is_exact(whole in 0u64..1_000_000, millionths in 0u64..1_000_000) {
        let text = format!("{whole}.{millionths:06}");
        let price = UsdPerMillion::parse(&text).expect("six digits and six decimals");
        prop_assert_eq!(price.pico_usd_per_token(), whole * 1_000_000 + millionths);
        prop_assert_eq!(UsdPerMillion::parse(&price.to_string()), Some(price));
    }

    /// Any text at all is kept or refused as a secret, never changed.
    #[test]
    fn a_secret_is_kept_as_it_is(secret in "[!-~]{1,40}") {
        let text = r#"admin: {token: "${T}"}"#;
        let config = Config::load(text, &Environment::fixed(&[("T", &secret)], &[])).expect("it can go into a header");
        prop_assert_eq!(config.admin.token.map(|token| token.expose().to_owned()), Some(secret));
    }
}
