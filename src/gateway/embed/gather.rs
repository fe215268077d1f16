//! From inputs to calls: cut where they are many, gathered with others' where they are few.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::order::{Leg, Order, Piece};
use crate::config::Mode;
use crate::embedding::batch::{Bounds, Gathering, cut};
use crate::embedding::input::Api;
use crate::gateway::Gateway;

/// The most inputs of one call, and of their estimated tokens: OpenAI takes 2,048 and 300,000 (its API
/// description of embeddings). The estimate may be off by a third, and is kept to two thirds of that.
const MOST_INPUTS: usize = 2048;
const MOST_TOKENS: u64 = 200_000;
/// Gemini's `batchEmbedContents` takes no more.
const MOST_CONTENTS: usize = 100;

/// What gathers, by group. A group is here only while it has calls under way.
#[derive(Default)]
pub struct Groups(Mutex<HashMap<[u8; 32], Gathering<Leg>>>);

impl Groups {
    /// How many requests wait for a call to take off.
    pub fn waiting(&self) -> usize {
        self.0.lock().values().map(Gathering::waiting).sum()
    }
}

impl Gateway {
    /// Sends for `pieces`. True where gathering that is only observed would have merged them with
    /// others'.
    pub(super) fn send(self: &Arc<Self>, order: &Arc<Order>, pieces: Vec<Piece>, whole: bool) -> bool {
        let batch = order.decision.plan.batch;
        let bounds = self.bounds(order);
        let leg = |pieces, whole| Leg { order: order.clone(), pieces, whole };
        if batch == Mode::Skip || order.api == Api::GeminiOne {
            tokio::spawn(self.clone().call_inputs(vec![leg(pieces, whole)]));
            return false;
        }
        let group = order.group(&self.kept.secret.load());
        if batch == Mode::Observe {
            let leg = leg(pieces, whole);
            let now = self.io.clock.now();
            let joins = {
                let mut groups = self.groups.0.lock();
                let gathering = groups.entry(group).or_default();
                let joins = gathering.would_join(&leg, &bounds, now);
                gathering.pass();
                joins
            };
            self.take_off(group, vec![leg], bounds);
            return joins;
        }
        let mut calls = cut(pieces, bounds.inputs, bounds.tokens, |piece| piece.weight);
        match calls.pop() {
            Some(only) if calls.is_empty() => self.gather(group, leg(only, whole), bounds),
            Some(last) => {
                calls.push(last);
                let legs = calls.into_iter().map(|pieces| leg(pieces, false)).collect();
                tokio::spawn(self.clone().side_by_side(legs));
            }
            None => {}
        }
        false
    }

    fn bounds(&self, order: &Order) -> Bounds {
        let batch = &self.config.batch;
        let most = if order.api == Api::OpenAi { MOST_INPUTS } else { MOST_CONTENTS };
        Bounds {
            window: batch.window,
            parallel: batch.parallel,
            inputs: batch.max_inputs.min(most),
            tokens: MOST_TOKENS,
        }
    }

    /// Adds a leg to what gathers in its group.
    fn gather(self: &Arc<Self>, group: [u8; 32], leg: Leg, bounds: Bounds) {
        let arrival = {
            let mut groups = self.groups.0.lock();
            groups.entry(group).or_default().arrive(leg, &bounds, self.io.clock.now())
        };
        for legs in arrival.off {
            self.take_off(group, legs, bounds);
        }
        if let Some(due) = arrival.due {
            let gateway = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep_until(due).await;
                let now = gateway.io.clock.now();
                let legs = gateway.groups.0.lock().get_mut(&group).and_then(|gathering| gathering.tick(now));
                if let Some(legs) = legs {
                    gateway.take_off(group, legs, bounds);
                }
            });
        }
    }

    fn take_off(self: &Arc<Self>, group: [u8; 32], legs: Vec<Leg>, bounds: Bounds) {
        // Where the process is ending there is nobody to make the call, nor to wait for it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let landing = Landing { gateway: self.clone(), group, bounds };
        let call = self.clone().call_inputs(legs);
        runtime.spawn(async move {
            call.await;
            drop(landing);
        });
    }
}

/// Says that a call of a group has ended, however it did.
struct Landing {
    gateway: Arc<Gateway>,
    group: [u8; 32],
    bounds: Bounds,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let legs = {
            let mut groups = self.gateway.groups.0.lock();
            let Some(gathering) = groups.get_mut(&self.group) else { return };
            let legs = gathering.landed(&self.bounds);
            if gathering.is_idle() {
                groups.remove(&self.group);
            }
            legs
        };
        if let Some(legs) = legs {
            self.gateway.take_off(self.group, legs, self.bounds);
        }
    }
}
