//! Which of the equal targets of a route is asked first.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::target::Target;
use crate::config::route::Balance;

/// Chooses among the targets of one route.
pub struct Balancer {
    balance: Balance,
    /// Smooth weighted round-robin: what each target is owed.
    owed: Mutex<Vec<i64>>,
}

impl Balancer {
    /// A balancer of so many targets.
    pub fn new(balance: Balance, targets: usize) -> Self {
        Self { balance, owed: Mutex::new(vec![0; targets]) }
    }

    /// How it chooses.
    pub fn balance(&self) -> Balance {
        self.balance
    }

    /// Another one that stands as this one does.
    pub fn copied(&self) -> Self {
        Self { balance: self.balance, owed: Mutex::new(self.owed.lock().clone()) }
    }

    /// Sorts `able`, places in `targets`, by who should be asked first. `price` tells the list price of
    /// a model.
    pub fn sort(
        &self,
        able: &mut [usize],
        targets: &[Arc<Target>],
        now: Instant,
        price: impl Fn(&Target) -> Option<u64>,
    ) {
        match self.balance {
            Balance::Weighted => self.sort_by_weight(able, targets),
            Balance::LeastBusy => able.sort_by_cached_key(|at| {
                let busy = targets[*at].health().map_or(0, |health| health.busy());
                // Calls for each unit of weight, the one that is coming included.
                (busy as u64 + 1) * 1_000_000 / u64::from(targets[*at].weight.max(1))
            }),
            Balance::Fastest => able.sort_by_cached_key(|at| {
                let expected = targets[*at].health().map_or(0.0, |health| health.expected(now));
                (expected * 1e6) as u64
            }),
            // What has no price is dearer than all that has one.
            Balance::Cheapest => able.sort_by_cached_key(|at| price(&targets[*at]).unwrap_or(u64::MAX)),
        }
    }

    /// Each target is owed its weight with every request and pays the sum of all when chosen, so that
    /// the choices of one target are spread evenly (nginx's smooth weighted balancing, 2012). Those
    /// after the first follow by what they are owed.
    fn sort_by_weight(&self, able: &mut [usize], targets: &[Arc<Target>]) {
        let mut owed = self.owed.lock();
        let mut total = 0;
        for at in able.iter() {
            let weight = i64::from(targets[*at].weight);
            owed[*at] += weight;
            total += weight;
        }
        able.sort_by_key(|at| std::cmp::Reverse(owed[*at]));
        if let Some(first) = able.first() {
            owed[*first] -= total;
        }
    }
}
