//! Counts in this process: one book under one lock, so that a request's limits are one step.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use super::alert::Alarm;
use super::journal::{Journal, Line};
use super::ledger::{
    Amounts, Claim, Freed, Held, Ledger, LimitId, Lost, Overview, Part, Refused, Sharing, Short, Standing,
    Subject,
};
use super::meter::Now;
use super::page::{Account, Page, Pages, longer};
use crate::config::limit::Limit;
use crate::io::clock::Clock;
use crate::io::detached::{START, in_time};

/// Counts in this process.
pub struct Book {
    pages: Mutex<Pages>,
    clock: Clock,
    began: Instant,
    alarms: Sender<Alarm>,
    journal: OnceLock<Journal>,
    /// Where counts are kept, and who asks that of itself.
    kept: Option<(PathBuf, Weak<Self>)>,
    /// Seeds the digests by which counts are found.
    seed: u64,
}

impl Book {
    /// An empty book; alarms of budgets go to `alarms`. `seed` is that of the subjects' digests.
    pub fn new(clock: Clock, alarms: Sender<Alarm>, seed: u64) -> Self {
        Self {
            pages: Mutex::default(),
            clock,
            began: clock.now(),
            alarms,
            journal: OnceLock::new(),
            kept: None,
            seed,
        }
    }

    /// As [`Book::new`], with counts that are kept at `path` from the first limit on.
    pub fn kept(clock: Clock, alarms: Sender<Alarm>, seed: u64, path: PathBuf) -> Arc<Self> {
        Arc::new_cyclic(|book| Self { kept: Some((path, book.clone())), ..Self::new(clock, alarms, seed) })
    }

    /// Opens the journal where there is to be one. Without it, as where another process still has it,
    /// counts live in memory; the next configuration tries again.
    fn open_journal(&self) {
        let Some((path, book)) = self.kept.as_ref().filter(|_| self.journal.get().is_none()) else { return };
        let store = path.clone();
        let open = move || Journal::open(&store);
        // One that opens too late is closed again.
        let opened = in_time("limits-open", START, open, drop).flatten().and_then(|(journal, writer)| {
            book.upgrade().map_or(Ok(()), |book| writer.start(&book))?;
            Ok(journal)
        });
        match opened {
            Ok(journal) => drop(self.journal.set(journal)),
            Err(error) => {
                let path = path.display();
                tracing::error!(%error, %path, "the counts of limits will not outlive this process");
            }
        }
    }

    /// What has changed since it was last asked for, to be written.
    pub(super) fn changed(&self) -> Vec<Line> {
        let (now, at) = (self.now(), self.milliseconds());
        let mut pages = self.pages.lock();
        let changed = std::mem::take(&mut pages.changed);
        let line = |(limit, subject)| pages.by_id.get_mut(&limit)?.line(subject, false, at, now);
        changed.into_iter().filter_map(line).collect()
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.clock.unix().as_millis()).unwrap_or(u64::MAX)
    }

    /// Goes on with what the last process left of a limit.
    fn recall(&self, page: &mut Page, now: Now) {
        let Some(journal) = self.journal.get() else { return };
        let (mut leases, shelf) = (0, page.shelf());
        for (name, record) in journal.left(&shelf) {
            let ago = Duration::from_millis(self.milliseconds().saturating_sub(record.at));
            let mut meters = page.new_meters();
            for (gauge, meter) in page.gauges.iter_mut().zip(&mut meters) {
                let signature = gauge.signature();
                let Some(count) = record.counts.iter().find(|count| count.gauge == signature) else {
                    continue;
                };
                *meter = gauge.restored(count, ago, now);
                leases += usize::from(count.leased > count.used && !gauge.is_idle(meter, now));
            }
            let idle =
                page.gauges.iter_mut().zip(&mut meters).all(|(gauge, meter)| gauge.is_idle(meter, now));
            if idle {
                journal.note(vec![(format!("{shelf}{name}"), None)]);
                continue;
            }
            let key = Subject::of(name.as_str().into(), self.seed).key;
            let account = Account { name: name.into(), meters, changed: false };
            page.accounts.insert(key, account);
        }
        if leases > 0 {
            tracing::warn!(
                limit = &*page.name,
                leases,
                "the last process ended with leases outstanding; what they allowed counts as used"
            );
        }
    }

    fn now(&self) -> Now {
        let steady = self.clock.now().saturating_duration_since(self.began);
        Now {
            steady: u64::try_from(steady.as_nanos()).unwrap_or(u64::MAX),
            unix: i64::try_from(self.clock.unix().as_secs()).unwrap_or(i64::MAX),
        }
    }

    /// Reserves all claims or none, and says what has to be written before that holds.
    fn reserve_all(&self, claims: &[Claim]) -> Result<(Vec<Held>, Vec<Line>), Short> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let mut held = Vec::with_capacity(claims.len());
        let mut worst = None;
        for (at, claim) in claims.iter().enumerate() {
            // A limit that a reload has just removed asks nothing.
            let Some(page) = pages.by_id.get_mut(&claim.limit) else { continue };
            let subject = page.open(&claim.subject, now);
            if let Some(short) = page.short(subject, &claim.amounts, now) {
                worst = Some(longer(worst, Short { claim: at, ..short }));
            }
            held.push(Held { limit: claim.limit, subject, amounts: claim.amounts, reservation: 0 });
        }
        let Some(short) = worst else {
            pages.reserve(&held);
            let leases = self.leases(&mut pages, &held, now);
            return Ok((held, leases));
        };
        let mut alarms = Vec::new();
        if let Some(page) = claims.get(short.claim).and_then(|claim| pages.by_id.get_mut(&claim.limit)) {
            page.exhausted(&short, now, &mut alarms);
        }
        drop(pages);
        self.tell(alarms);
        Err(short)
    }

    /// Leases for counts that have outgrown theirs; the others are noted as changed.
    fn leases(&self, pages: &mut Pages, held: &[Held], now: Now) -> Vec<Line> {
        if self.journal.get().is_none() {
            return Vec::new();
        }
        let at = self.milliseconds();
        let mut leases = Vec::new();
        for held in held {
            let Some(page) = pages.by_id.get_mut(&held.limit) else { continue };
            leases.extend(page.lease(held.subject, at, now));
            if let Some(account) = page.accounts.get_mut(&held.subject)
                && !std::mem::replace(&mut account.changed, true)
            {
                pages.changed.push((held.limit, held.subject));
            }
        }
        leases
    }

    /// Says what there is to say of a budget. One that does not keep up with its alarms loses them.
    fn tell(&self, alarms: Vec<Alarm>) {
        for alarm in alarms {
            let _ = self.alarms.try_send(alarm);
        }
    }
}

#[async_trait]
impl Ledger for Book {
    fn adopt(&self, limits: &[Limit]) -> Vec<LimitId> {
        if !limits.is_empty() {
            self.open_journal();
        }
        let now = self.now();
        self.pages.lock().adopt(limits, now, |page| self.recall(page, now))
    }

    async fn reserve(&self, claims: &[Claim<'_>]) -> Result<Vec<Held>, Refused> {
        let (held, leases) = self.reserve_all(claims).map_err(Refused::Short)?;
        if let (Some(journal), false) = (self.journal.get(), leases.is_empty()) {
            // Who asked may leave while that is written.
            let mut undone = Undone { book: self, held };
            journal.lease(leases).await;
            return Ok(std::mem::take(&mut undone.held));
        }
        Ok(held)
    }

    fn settle(&self, held: &[Held], part: Part, used: &Amounts) -> bool {
        let now = self.now();
        let mut alarms = Vec::new();
        let mut pages = self.pages.lock();
        pages.settle(held, part, used, now, &mut alarms);
        let leases = self.leases(&mut pages, held, now);
        drop(pages);
        if let Some(journal) = self.journal.get() {
            journal.note(leases);
        }
        self.tell(alarms);
        true
    }

    fn tell_freed(&self, _freed: Freed) {}

    fn standings(&self, held: &[Held]) -> Vec<Standing> {
        let now = self.now();
        let mut pages = self.pages.lock();
        let of = |held: &Held| Some(pages.by_id.get_mut(&held.limit)?.standings(held.subject, now));
        held.iter().filter_map(of).flatten().collect()
    }

    async fn all(&self, name: Option<&str>) -> Overview {
        let now = self.now();
        let mut pages = self.pages.lock();
        let mut ids: Vec<LimitId> = pages.by_id.keys().copied().collect();
        ids.sort_unstable();
        let mut standings = Vec::new();
        for id in ids {
            let Some(page) = pages.by_id.get_mut(&id) else { continue };
            if name.is_none_or(|name| name == &*page.name) {
                let keys: Vec<u128> = page.accounts.keys().copied().collect();
                let mut of_page: Vec<_> = keys.iter().flat_map(|key| page.standings(*key, now)).collect();
                of_page.sort_by(|one, other| one.subject.cmp(&other.subject));
                standings.append(&mut of_page);
            }
        }
        Overview { standings, away: false }
    }

    fn budgets(&self) -> Vec<(Arc<str>, f64)> {
        let now = self.now();
        let mut pages = self.pages.lock();
        pages.by_id.values_mut().filter_map(|page| Some((page.name.clone(), page.most_used(now)?))).collect()
    }

    async fn reset(&self, name: &str, tenant: Option<&str>) -> Result<Option<usize>, Lost> {
        let mut pages = self.pages.lock();
        let Some(page) = pages.by_id.values_mut().find(|page| &*page.name == name) else { return Ok(None) };
        let (forgotten, shelf) = (page.forget(tenant), page.shelf());
        let count = forgotten.len();
        if let Some(journal) = self.journal.get() {
            journal.note(forgotten.into_iter().map(|name| (format!("{shelf}{name}"), None)).collect());
        }
        Ok(Some(count))
    }

    fn sharing(&self) -> Option<Sharing> {
        None
    }

    fn close(&self) {
        if let Some(journal) = self.journal.get() {
            journal.close(self.changed());
        }
    }
}

/// A reservation that nobody has taken yet. Dropped, it is given back.
struct Undone<'b> {
    book: &'b Book,
    held: Vec<Held>,
}

impl Drop for Undone<'_> {
    fn drop(&mut self) {
        let now = self.book.now();
        let mut pages = self.book.pages.lock();
        for part in [Part::Request, Part::Place, Part::Consumption] {
            // What was not used raises no alarm.
            pages.settle(&self.held, part, &Amounts::NONE, now, &mut Vec::new());
        }
    }
}
