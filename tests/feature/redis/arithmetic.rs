//! The scripts' arithmetic against that of a single process, at the instants that Redis names.

use pareto::config::limit::Measure;
use pareto::config::{Config, Environment};
use pareto::limits::meter::{Gauge, Meter};
use pareto::limits::shared::wire::{Keys, Scripts, line, meter, time};
use proptest::prelude::*;
use redis::aio::MultiplexedConnection;

use crate::harness::Redis;

/// Gauges of one measure each: money beyond what a double counts exactly, rates that no microsecond
/// divides, and places.
const LIMITS: [&str; 5] = [
    "usd: 999999/day",
    "usd: 0.000007/hour",
    "tokens: 7/s burst 5",
    "tokens: 999999999/hour burst 123456789",
    "concurrent: 3",
];

fn gauge(limit: &str) -> Gauge {
    let config = Config::load(&format!("limits: [{{{limit}}}]"), &Environment::fixed(&[], &[])).unwrap();
    Gauge::new(&config.limits[0].quotas[0])
}

#[derive(Clone, Debug)]
enum Step {
    /// Something asks for this share of the most, in millionths, and so many units more.
    Reserve(u64, u64),
    /// One under way has used this share of what it reserved, in percent.
    Settle(usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => (0u64..600_000, 0u64..4).prop_map(|(share, more)| Step::Reserve(share, more)),
        1 => (any::<usize>(), 0u64..150).prop_map(|(which, percent)| Step::Settle(which, percent)),
    ];
    prop::collection::vec(step, 1..40)
}

struct Counting {
    connection: MultiplexedConnection,
    scripts: Scripts,
    keys: Keys,
    count: String,
    /// When its calendar was looked at last.
    unix: i64,
}

impl Counting {
    async fn call(&mut self, reserve: bool, gauge: &mut Gauge, id: usize, amount: u64) -> Vec<String> {
        loop {
            let written = line(gauge, amount, self.unix);
            let keys = &self.keys;
            let (held, lapsed) = (keys.of("held", "me"), keys.of("lapsed", "me"));
            let script = if reserve { &self.scripts.reserve } else { &self.scripts.settle };
            let mut call = script.prepare_invoke();
            if reserve {
                call.key(keys.one("alive")).key(held).key(lapsed);
                call.key(&self.count).key(keys.count("x", "other")).key(keys.index("x"));
                call.arg("me").arg(id).arg("").arg("name").arg(9).arg(0).arg(1).arg(written);
            } else {
                call.key(keys.one("epoch"))
                    .key(held)
                    .key(lapsed)
                    .key(keys.of("settled", "me"))
                    .key(&self.count)
                    .key(keys.index("x"));
                call.arg("freed").arg(id).arg("epoch").arg(1).arg(format!("5 {written}\tname"));
            }
            let told: Vec<String> = call.invoke_async(&mut self.connection).await.unwrap();
            self.unix = time(&told[1]).unwrap().unix;
            if told[0] != "window" {
                return told;
            }
        }
    }
}

async fn play(redis: &Redis, limit: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{}", redis.port)).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut set_up = redis::pipe();
    set_up.cmd("FLUSHALL").cmd("SET").arg("{p:limits}:epoch").arg("epoch");
    set_up.cmd("ZADD").arg("{p:limits}:alive").arg(1).arg("me");
    set_up.query_async::<()>(&mut connection).await.unwrap();
    let keys = Keys::new("p");
    let count = keys.count("x", "name");
    let mut counting = Counting { connection, scripts: Scripts::default(), keys, count, unix: 0 };
    let (mut gauge, mut model, mut under_way) = (gauge(limit), Meter::default(), Vec::new());
    for (id, step) in steps.iter().enumerate() {
        let told = match step {
            Step::Reserve(share, more) => {
                let most = u128::from(gauge.most());
                let amount = (most * u128::from(*share) / 1_000_000) as u64 + more;
                let told = counting.call(true, &mut gauge, id, amount).await;
                let fits = gauge.fits(&mut model, amount, time(&told[1]).unwrap()).is_ok();
                prop_assert_eq!(told[0] == "held", fits, "{} of {}: {:?} {:?}", amount, limit, told, model);
                if fits {
                    model.reserve(amount);
                    under_way.push((id, amount));
                }
                told
            }
            Step::Settle(which, percent) if !under_way.is_empty() => {
                let (id, amount) = under_way.swap_remove(which % under_way.len());
                let used = (u128::from(amount) * u128::from(*percent) / 100) as u64;
                let told = counting.call(false, &mut gauge, id, used).await;
                model.release(amount);
                if used > 0 {
                    gauge.spend(&mut model, used, time(&told[1]).unwrap());
                }
                // Asked again, it changes nothing.
                let again = counting.call(false, &mut gauge, id, used).await;
                prop_assert_eq!(told.last(), again.last());
                told
            }
            Step::Settle(..) => continue,
        };
        let now = time(&told[1]).unwrap();
        let mut shown = meter(&gauge, told.last().unwrap(), &Meter::default()).unwrap();
        prop_assert_eq!(shown.reserved(), model.reserved());
        prop_assert_eq!(gauge.used(&mut shown, now), gauge.used(&mut model, now), "{}", limit);
        if !matches!(gauge.measure, Measure::Concurrent) && told[0] == "settled" && gauge.is_budget() {
            prop_assert_eq!(shown, model);
        }
    }
    Ok(())
}

#[test]
fn scripts_count_as_one_process_does_to_the_last_unit() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let redis = runtime.block_on(Redis::start());
    let config = ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(limit in prop::sample::select(LIMITS.to_vec()), steps in steps())| {
        runtime.block_on(play(&redis, limit, &steps))?;
    });
}
