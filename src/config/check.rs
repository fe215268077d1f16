//! The file as written -> the configuration as meant, or everything that is wrong with it.

mod batch;
mod limits;
mod routes;
mod rules;
mod storage;
mod tls;

use std::time::Duration;

use super::choice::Share;
use super::environment::Environment;
use super::file::File;
use super::file::providers::Provider as WrittenProvider;
use super::problem::{Path, Problem};
use super::quantity::{Period, Size};
use super::report::Report;
use super::scalar::{Count, Threads};
use super::url::ProviderUrl;
use super::{
    Admin, Cache, ClientTimeouts, Coalesce, Config, Log, Metrics, ModelPrice, Provider, ProviderTimeouts,
    Shutdown, Tenants, structure, yaml,
};

/// Reads and checks a file's text.
pub(super) fn load(text: &str, environment: &Environment) -> Result<Config, Vec<Problem>> {
    let mut report = Report::default();
    let mut root = yaml::read(text, &mut report);
    structure::expand(&mut root, &Path::default(), environment, &mut report);
    let file = structure::read(root, &mut report);
    let config = meant(file, environment, &mut report);
    let problems = report.into_problems();
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

/// The configuration without a file.
pub(super) fn built_in() -> Config {
    meant(File::default(), &Environment::fixed(&[], &[]), &mut Report::default())
}

/// What the file means. Where something is wrong it is reported, and the result must not be used.
fn meant(file: File, environment: &Environment, report: &mut Report) -> Config {
    check_sizes(&file, report);
    check_listeners(&file, report);
    let tenants = tenants(&file, report);
    let providers = providers(&file, report);
    let names: Vec<String> = file.providers.0.iter().map(|(name, _)| name.clone()).collect();
    let routes = routes::routes(&file.routes, &names, &providers, &file.rules, report);
    let rules = rules::rules(&file.rules, &routes, report);
    Config {
        listen: file.listen.0,
        admin: Admin { listen: file.admin.listen.0, token: file.admin.token.clone() },
        threads: match file.threads {
            Threads::Exactly(Count(threads)) => threads as usize,
            Threads::Auto => std::thread::available_parallelism().map_or(1, usize::from),
        },
        max_body: file.max_body.0,
        client: client(&file, report),
        storage: storage::storage(&file.storage, environment, report),
        providers,
        routes,
        tenants,
        cache: cache(&file, report),
        coalesce: Coalesce {
            abandoned: file.coalesce.abandoned,
            max_waiters: positive(file.coalesce.max_waiters, "coalesce.max_waiters", report),
            payer: file.coalesce.payer,
        },
        batch: batch::batch(&file.batch.embeddings, report),
        rules,
        limits: limits::limits(&file.limits, report),
        features: file.features,
        prices: prices(&file, report),
        shutdown: Shutdown { grace: file.shutdown.grace.0 },
        log: Log { format: file.log.format, level: file.log.level, exchanges: file.log.exchanges.0 },
        metrics: Metrics {
            max_tenants: positive(file.metrics.max_tenants, "metrics.max_tenants", report),
            max_models: positive(file.metrics.max_models, "metrics.max_models", report),
        },
        written: file,
    }
}

fn positive(count: Count, path: &str, report: &mut Report) -> usize {
    positive_at(count, &path.into(), report)
}

fn positive_at(count: Count, path: &Path, report: &mut Report) -> usize {
    if count.0 == 0 {
        report.wrong(path, "is 0; write at least 1");
    }
    count.0 as usize
}

/// A time that must be one.
fn some_time(period: Period, path: &Path, report: &mut Report) -> Duration {
    if period.0.is_zero() {
        report.wrong(path, "is no time at all; write a duration above 0s, such as 30s");
    }
    period.0
}

fn check_sizes(file: &File, report: &mut Report) {
    for (path, Size(bytes), least, suggestion) in [
        ("max_body", file.max_body, 1 << 10, "1KiB"),
        ("storage.memory", file.storage.memory, 1 << 20, "1MiB"),
        ("cache.max_entry", file.cache.max_entry, 1 << 10, "1KiB"),
    ] {
        if bytes < least {
            report.wrong(&path.into(), format!("is too small to be of use; write at least {suggestion}"));
        }
    }
    let (entry, memory) = (Path::from("cache.max_entry"), Path::from("storage.memory"));
    if file.cache.max_entry > file.storage.memory && !report.doubts(&entry) && !report.doubts(&memory) {
        let blamed = report.to_blame(&entry, &memory);
        report.wrong(blamed, "must hold the largest entry: make cache.max_entry at most storage.memory");
    }
}

fn check_listeners(file: &File, report: &mut Report) {
    let (listen, admin) = (Path::from("listen"), Path::from("admin.listen"));
    let address = file.admin.listen.0;
    if file.admin.token.is_none() && !address.ip().is_loopback() && !report.doubts(&"admin".into()) {
        report.wrong(
            &admin,
            format!("can be reached from other machines without a token; set admin.token, or listen on 127.0.0.1:{}", address.port()),
        );
    }
    let same_port = file.listen.0.port() == address.port() && address.port() != 0;
    let same_host = file.listen.0.ip() == address.ip()
        || file.listen.0.ip().is_unspecified()
        || address.ip().is_unspecified();
    if same_port && same_host && !report.doubts(&listen) && !report.doubts(&admin) {
        let blamed = report.to_blame(&admin, &listen);
        report
            .wrong(blamed, "has the same port as the other listener; give listen and admin.listen one each");
    }
}

fn client(file: &File, report: &mut Report) -> ClientTimeouts {
    let written = &file.client.timeouts;
    let mut limit = |name, period| some_time(period, &Path::from("client.timeouts").key(name), report);
    ClientTimeouts {
        header: limit("header", written.header),
        body: limit("body", written.body),
        idle: limit("idle", written.idle),
        write: limit("write", written.write),
    }
}

fn providers(file: &File, report: &mut Report) -> Vec<Provider> {
    let section = Path::from("providers");
    if file.providers.0.is_empty() && !report.doubts(&section) {
        report.wrong(&section, "has no provider; write one such as openai: {url: https://api.openai.com/v1}");
    }
    let checked =
        file.providers.0.iter().map(|(name, written)| provider(name, written, &section.key(name), report));
    checked.collect::<Vec<_>>().into_iter().flatten().collect()
}

fn provider(name: &str, written: &WrittenProvider, path: &Path, report: &mut Report) -> Option<Provider> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        // It goes into response headers and metric labels.
        report.wrong_key(path, "is no name for a provider; write up to 64 letters, digits, - _ or .");
    }
    let url = url(&written.url, &path.key("url"), report);
    let keys = path.key("keys");
    let twice = (1..written.keys.len()).find(|index| written.keys[..*index].contains(&written.keys[*index]));
    if let Some(index) = twice.filter(|_| !report.doubts(&keys)) {
        report.wrong(&keys.index(index), "is a key that is already in the list; write each once");
    }
    let limits = path.key("timeouts");
    let mut limit = |name, period| some_time(period, &limits.key(name), report);
    let timeouts = ProviderTimeouts {
        connect: limit("connect", written.timeouts.connect),
        first_byte: limit("first_byte", written.timeouts.first_byte),
        idle: limit("idle", written.timeouts.idle),
        total: limit("total", written.timeouts.total),
    };
    Some(Provider {
        name: name.to_owned(),
        url: url?,
        dialect: written.dialect,
        keys: written.keys.clone(),
        responses: written.responses.0,
        translate: written.translate.0,
        http2: written.http2,
        timeouts,
    })
}

fn url(text: &str, path: &Path, report: &mut Report) -> Option<ProviderUrl> {
    let wrong = match ProviderUrl::parse(text) {
        Ok(url) => return Some(url),
        Err(wrong) => wrong,
    };
    if text.is_empty() {
        if !report.doubts(path) {
            report.wrong_key(path, wrong);
        }
    } else if text.contains(['@', '?', '#']) {
        // These may be followed or preceded by a credential.
        report.wrong(path, wrong);
    } else {
        let shown = report.shown(path, text);
        report.wrong(path, format!("{shown} {wrong}"));
    }
    None
}

fn tenants(file: &File, report: &mut Report) -> Tenants {
    let list = Path::from("tenants.identify");
    let identify = file.tenants.identify.clone();
    let twice = (1..identify.len()).find(|index| identify[..*index].contains(&identify[*index]));
    if let Some(index) = twice.filter(|_| !report.doubts(&list)) {
        report.wrong(&list.index(index), "is already in the list; write it once");
    }
    if file.cache.share == Share::Tenant && identify.is_empty() && !report.doubts(&list) {
        report.wrong(
            &"cache.share".into(),
            "needs tenants, and tenants.identify is empty: name a header there, or write share: credential",
        );
    }
    Tenants { identify }
}

fn cache(file: &File, report: &mut Report) -> Cache {
    if file.cache.exact.ttl.0.is_zero() {
        report.wrong(
            &"cache.exact.ttl".into(),
            "would keep no answer; write a duration such as 1h, or features: {cache: off} to switch the cache off",
        );
    }
    let (list, normalize) = (Path::from("cache.exact.normalize"), &file.cache.exact.normalize);
    let twice = (1..normalize.len()).find(|index| normalize[..*index].contains(&normalize[*index]));
    if let Some(index) = twice.filter(|_| !report.doubts(&list)) {
        report.wrong(&list.index(index), "is already in the list; write it once");
    }
    Cache {
        share: file.cache.share,
        exact_ttl: file.cache.exact.ttl.0,
        exact_normalize: normalize.iter().copied().collect(),
        embeddings_ttl: file.cache.embeddings.ttl.0,
        search_ttl: file.cache.search.ttl.0,
        stale_while_revalidate: file.cache.stale.while_revalidate.0,
        stale_if_error: file.cache.stale.if_error.0,
        max_entry: file.cache.max_entry.0,
    }
}

fn prices(file: &File, report: &mut Report) -> Vec<(String, ModelPrice)> {
    let mut prices = Vec::new();
    for (model, written) in &file.prices.0 {
        let path = Path::from("prices").key(model);
        if model.is_empty() {
            report.wrong_key(&path, "has no name; write the model's");
        }
        let Some(input) = written.input else {
            if !report.doubts(&path.key("input")) {
                report.wrong_key(
                    &path.key("input"),
                    "is missing; write USD per million input tokens, such as 2.50",
                );
            }
            continue;
        };
        let price = ModelPrice {
            input,
            cached_input: written.cached_input,
            cache_write: written.cache_write,
            output: written.output,
        };
        prices.push((model.clone(), price));
    }
    prices
}
