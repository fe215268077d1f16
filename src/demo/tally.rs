//! The closing table: what the workload would have taken without pareto, and what it took.

use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Outcome};
use crate::request::endpoint::Endpoint;

/// Everything added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    answers: Vec<Answer>,
    /// Billionths of a dollar, by pareto's own counters; headers do not know live streams.
    spent: Option<u64>,
    saved: Option<u64>,
}

/// One line of the table.
struct Line {
    what: &'static str,
    without: String,
    with: String,
    share: f64,
}

impl Tally {
    /// Adds an answer.
    pub fn add(&mut self, answer: Answer) {
        self.answers.push(answer);
    }

    /// Takes the money from a page of pareto's metrics, which count live streams too.
    pub fn settle(&mut self, metrics: &str) {
        self.spent = sum(metrics, "pareto_cost_usd_total");
        self.saved = sum(metrics, "pareto_saved_usd_total");
    }

    /// Calls that had no proper answer.
    pub fn failed(&self) -> usize {
        self.count(|answer| answer.outcome == Outcome::Failed)
    }

    /// Answers of an outcome.
    pub fn outcomes(&self, outcome: Outcome) -> usize {
        self.count(|answer| answer.outcome == outcome)
    }

    fn count(&self, which: impl Fn(&Answer) -> bool) -> usize {
        self.answers.iter().filter(|answer| which(answer)).count()
    }

    fn lines(&self) -> [Line; 4] {
        let calls = self.answers.len() as u64;
        let sent = self.count(|answer| !answer.was_saved()) as u64;
        let tokens = |which: fn(&Answer) -> bool| -> u64 {
            self.answers.iter().filter(|answer| which(answer)).map(|answer| answer.tokens).sum()
        };
        let (all_tokens, sent_tokens) = (tokens(|_| true), tokens(|answer| !answer.was_saved()));
        let spent = self.spent.unwrap_or_else(|| self.answers.iter().map(|answer| answer.cost).sum());
        let saved = self.saved.unwrap_or_else(|| self.answers.iter().map(|answer| answer.saved).sum());
        let took: Duration = self.answers.iter().map(|answer| answer.took).sum();
        let would = self.time_without().max(took);
        [
            Line::new("provider calls", calls, sent, grouped),
            Line::new("tokens", all_tokens, sent_tokens, grouped),
            Line::new("cost", spent.saturating_add(saved), spent, dollars),
            Line::new("time waited", milliseconds(would), milliseconds(took), seconds),
        ]
    }

    /// The time it would have taken, had every saved answer taken as long as the average one of its
    /// endpoint that was fetched. Collapsed answers waited for one that was: their time is their own.
    fn time_without(&self) -> Duration {
        let average = Endpoint::ALL.map(|endpoint| {
            let fetched = self.answers.iter().filter(|answer| {
                answer.endpoint == endpoint && matches!(answer.outcome, Outcome::Miss | Outcome::Partial)
            });
            let (count, sum) =
                fetched.fold((0u32, Duration::ZERO), |(count, sum), answer| (count + 1, sum + answer.took));
            if count == 0 { Duration::ZERO } else { sum / count }
        });
        let took = |answer: &Answer| match answer.outcome {
            Outcome::Hit => average[answer.endpoint as usize].max(answer.took),
            _ => answer.took,
        };
        self.answers.iter().map(took).sum()
    }
}

impl Answer {
    /// True where no call went to the provider for it.
    fn was_saved(&self) -> bool {
        matches!(self.outcome, Outcome::Hit | Outcome::Collapsed)
    }
}

impl Line {
    fn new(what: &'static str, without: u64, with: u64, form: fn(u64) -> String) -> Self {
        let share = if without == 0 { 0.0 } else { without.saturating_sub(with) as f64 / without as f64 };
        Self { what, without: form(without), with: form(with), share }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{:<16}{:>16}{:>16}{:>10}", "", "without pareto", "with pareto", "saved")?;
        for line in self.lines() {
            let saved = format!("{:.0} %", line.share * 100.0);
            writeln!(out, "{:<16}{:>16}{:>16}{saved:>10}", line.what, line.without, line.with)?;
        }
        write!(
            out,
            "{} from the cache, {} shared a call under way, {} in part, {} from the provider, {} failed",
            self.outcomes(Outcome::Hit),
            self.outcomes(Outcome::Collapsed),
            self.outcomes(Outcome::Partial),
            self.outcomes(Outcome::Miss),
            self.failed()
        )
    }
}

/// The sum over all label sets of a metric in dollars, as billionths; `None` where there is no such metric.
fn sum(metrics: &str, name: &str) -> Option<u64> {
    let values = metrics.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let value = match rest.strip_prefix('{') {
            Some(labelled) => labelled.rsplit_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        value.split_whitespace().next()?.parse::<f64>().ok()
    });
    values.map(|dollars| (dollars * 1e9).round() as u64).reduce(u64::saturating_add)
}

fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn dollars(nanodollars: u64) -> String {
    format!("${:.4}", nanodollars as f64 / 1e9)
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn seconds(milliseconds: u64) -> String {
    format!("{:.1} s", milliseconds as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(outcome: Outcome, took: u64, tokens: u64) -> Answer {
        let saved = if outcome == Outcome::Miss { 0 } else { 3_000_000 };
        let cost = if outcome == Outcome::Miss { 3_000_000 } else { 0 };
        Answer { endpoint: Endpoint::Chat, outcome, took: Duration::from_millis(took), tokens, cost, saved }
    }

    fn tally() -> Tally {
        let mut tally = Tally::default();
        tally.add(answer(Outcome::Miss, 1000, 900));
        tally.add(answer(Outcome::Hit, 1, 900));
        tally.add(answer(Outcome::Collapsed, 500, 900));
        tally.add(answer(Outcome::Hit, 1, 900));
        tally
    }

    #[test]
    fn the_table_adds_up() {
        let table = tally().to_string();
        let lines: Vec<_> =
            table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "without pareto with pareto saved",
            "provider calls 4 1 75 %",
            "tokens 3,600 900 75 %",
            "cost $0.0120 $0.0030 75 %",
            "time waited 3.5 s 1.5 s 57 %",
            "2 from the cache, 1 shared a call under way, 0 in part, 1 from the provider, 0 failed",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn metrics_know_the_money_better() {
        let mut tally = tally();
        tally.settle(
            "# TYPE pareto_cost_usd_total counter\n\
             pareto_cost_usd_total{model=\"a}\"} 0.5\npareto_cost_usd_total{model=\"b\"} 0.25\n\
             pareto_saved_usd_total 2.25\npareto_saved_usd_total_other 9\n",
        );
        assert!(tally.to_string().contains("$3.0000         $0.7500      75 %"), "{tally}");
    }

    #[test]
    fn nothing_is_nothing_saved() {
        assert!(
            Tally::default()
                .to_string()
                .contains("provider calls                 0               0       0 %")
        );
    }
}
