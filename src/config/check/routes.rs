//! `routes:` as written -> as meant.

use super::Report;
use super::{positive_at, some_time};
use crate::config::file::routes::{
    Balance as WrittenBalance, Hedge as WrittenHedge, HedgeAfter, Retries as WrittenRetries,
    Route as Written, Takes as WrittenTakes, Target as WrittenTarget, Timeouts as WrittenTimeouts,
};
use crate::config::file::rules::Rule;
use crate::config::problem::Path;
use crate::config::quantity::Period;
use crate::config::route::{Balance, Hedge, Retries, Route, Takes, Target};
use crate::config::scalar::Toggle;
use crate::config::{Provider, ProviderTimeouts};

/// The most attempts for one request: more would multiply an outage.
const MOST_ATTEMPTS: usize = 20;

/// Every route of the file. `names` are those under `providers`, in order; `providers` those of them
/// that are in order; `rules` may send requests to a route by its name.
pub(super) fn routes(
    written: &[Written],
    names: &[String],
    providers: &[Provider],
    rules: &[Rule],
    report: &mut Report,
) -> Vec<Route> {
    let section = Path::from("routes");
    let mut routes: Vec<Route> = Vec::new();
    for (index, written) in written.iter().enumerate() {
        let path = section.index(index);
        let route = Checked { path: &path, names, providers, rules, report }.route(written);
        if routes.iter().any(|other| other.name == route.name) && !report.doubts(&path) {
            report.wrong_key(
                &path,
                format!("is a second route called `{}`; give each a name of its own: name: …", route.name),
            );
        }
        routes.push(route);
    }
    routes
}

/// One route being checked.
struct Checked<'c> {
    path: &'c Path,
    names: &'c [String],
    providers: &'c [Provider],
    rules: &'c [Rule],
    report: &'c mut Report,
}

impl Checked<'_> {
    fn route(&mut self, written: &Written) -> Route {
        let named = |rule: &Rule| written.name.is_some() && rule.then.route == written.name;
        let lost = written.models.is_empty() && !self.rules.iter().any(named);
        for (setting, none) in [("models", lost), ("targets", written.targets.is_empty())] {
            if none && !self.report.doubts(&self.path.key(setting)) {
                let example = if setting == "models" { r#"["gpt-4o*"]"# } else { "[{provider: openai}]" };
                self.report.wrong_key(
                    &self.path.key(setting),
                    format!("has nothing in it; write at least one, such as {setting}: {example}"),
                );
            }
        }
        Route {
            name: written
                .name
                .clone()
                .or_else(|| Some(written.models.first()?.0.to_string()))
                .unwrap_or_default(),
            models: written.models.clone(),
            targets: self.targets("targets", &written.targets, &written.timeouts),
            fallbacks: self.targets("fallbacks", &written.fallbacks, &written.timeouts),
            balance: match written.balance {
                WrittenBalance::Weighted => Balance::Weighted,
                WrittenBalance::LeastBusy => Balance::LeastBusy,
                WrittenBalance::Fastest => Balance::Fastest,
                WrittenBalance::Cheapest => Balance::Cheapest,
            },
            retries: self.retries(&written.retries),
            hedge: written.hedge.as_ref().map(|hedge| self.hedge(hedge)),
            resume: written.resume.0,
        }
    }

    fn targets(&mut self, list: &str, written: &[WrittenTarget], timeouts: &WrittenTimeouts) -> Vec<Target> {
        let path = self.path.key(list);
        let checked =
            written.iter().enumerate().map(|(at, target)| self.target(target, &path.index(at), timeouts));
        checked.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    fn target(&mut self, written: &WrittenTarget, path: &Path, timeouts: &WrittenTimeouts) -> Option<Target> {
        let place = path.key("provider");
        if written.provider.is_empty() {
            if !self.report.doubts(&place) {
                self.report.wrong_key(&place, "is missing; write the name of a provider");
            }
            return None;
        }
        if !self.names.contains(&written.provider) {
            let known = self.names.join(", ");
            let shown = self.report.shown(&place, &written.provider);
            self.report.wrong(&place, format!("{shown} is not under providers; there are {known}"));
            return None;
        }
        if written.model.as_deref() == Some("") {
            self.report.wrong(
                &path.key("model"),
                "is empty; write the provider's name of the model, or leave it out",
            );
        }
        let weight = positive_at(written.weight, &path.key("weight"), self.report) as u32;
        // Not found where the provider itself has problems: those are reported.
        let provider = self.providers.iter().position(|provider| provider.name == written.provider)?;
        let theirs = self.providers[provider].timeouts;
        let limits = self.path.key("timeouts");
        let mut limit = |name: &str, own: Option<Period>, theirs| match own {
            Some(period) if self.report.doubts(&limits.key(name)) => period.0,
            Some(period) => some_time(period, &limits.key(name), self.report),
            None => theirs,
        };
        let timeouts = ProviderTimeouts {
            connect: limit("connect", timeouts.connect, theirs.connect),
            first_byte: limit("first_byte", timeouts.first_byte, theirs.first_byte),
            idle: limit("idle", timeouts.idle, theirs.idle),
            total: limit("total", timeouts.total, theirs.total),
        };
        Some(Target {
            provider,
            model: written.model.clone(),
            weight,
            timeouts,
            takes: takes(&written.takes),
        })
    }

    fn retries(&mut self, written: &WrittenRetries) -> Retries {
        let path = self.path.key("retries");
        let attempts = positive_at(written.attempts, &path.key("attempts"), self.report);
        if attempts > MOST_ATTEMPTS {
            self.report.wrong(
                &path.key("attempts"),
                format!("would multiply an outage; write at most {MOST_ATTEMPTS}"),
            );
        }
        let backoff = path.key("backoff");
        let (base, max) = (written.backoff.base.0, written.backoff.max.0);
        if base > max && !self.report.doubts(&backoff) {
            self.report.wrong_key(&backoff, "begins above its maximum: make base at most max");
        }
        Retries { attempts: attempts.clamp(1, MOST_ATTEMPTS) as u32, base, max }
    }

    fn hedge(&mut self, written: &WrittenHedge) -> Hedge {
        match written.after {
            HedgeAfter::P95 => Hedge::P95,
            HedgeAfter::Fixed(period) => {
                Hedge::After(some_time(period, &self.path.key("hedge").key("after"), self.report))
            }
        }
    }
}

fn takes(written: &WrittenTakes) -> Takes {
    let is = |toggle: Option<Toggle>| toggle.map(|toggle| toggle.0);
    Takes {
        tools: is(written.tools),
        images: is(written.images),
        json_schema: is(written.json_schema),
        sampling: is(written.sampling),
        forced_tools: is(written.forced_tools),
        prefill: is(written.prefill),
        dimensions: is(written.dimensions),
        context: written.context.map(|count| u64::from(count.0)),
    }
}
