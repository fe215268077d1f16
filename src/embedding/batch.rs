//! Gathering inputs of several requests into one call: when does a call take off, and with what?
//!
//! As long as few calls of a group are under way, each request's inputs go at once. Beyond that
//! they gather, and take off with the first call that comes back, when they fill a call, or when the
//! window is over (Nagle's algorithm, RFC 896, with calls under way in place of unacknowledged data).
//! So a lone request never waits, and gathering never takes longer than the window. Pure: the time
//! is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// What bounds a call and the wait for it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The longest wait.
    pub window: Duration,
    /// Calls under way from which on inputs gather.
    pub parallel: usize,
    /// Inputs of one call.
    pub inputs: usize,
    /// Estimated tokens of one call.
    pub tokens: u64,
}

/// What one request adds to a call.
pub trait Load {
    /// Its inputs.
    fn inputs(&self) -> usize;
    /// Their estimated tokens.
    fn tokens(&self) -> u64;
}

/// What gathers in one group: requests whose inputs may go in one call.
#[derive(Debug)]
pub struct Gathering<P> {
    flying: usize,
    waiting: Vec<P>,
    inputs: usize,
    tokens: u64,
    due: Option<Instant>,
}

/// What becomes of a part that arrived.
#[derive(Debug, PartialEq, Eq)]
pub struct Arrival<P> {
    /// Calls that take off now.
    pub off: Vec<Vec<P>>,
    /// When what gathers must take off, where this part is its first.
    pub due: Option<Instant>,
}

impl<P> Default for Gathering<P> {
    fn default() -> Self {
        Self { flying: 0, waiting: Vec::new(), inputs: 0, tokens: 0, due: None }
    }
}

impl<P: Load> Gathering<P> {
    /// A part arrives.
    pub fn arrive(&mut self, part: P, bounds: &Bounds, now: Instant) -> Arrival<P> {
        let mut arrival = Arrival { off: Vec::new(), due: None };
        let fits =
            self.inputs + part.inputs() <= bounds.inputs && self.tokens + part.tokens() <= bounds.tokens;
        if !fits && !self.waiting.is_empty() {
            arrival.off.extend(self.take_off());
        }
        self.inputs += part.inputs();
        self.tokens += part.tokens();
        self.waiting.push(part);
        let full = self.inputs >= bounds.inputs || self.tokens >= bounds.tokens;
        if full || self.flying < bounds.parallel {
            arrival.off.extend(self.take_off());
        } else if self.due.is_none() {
            self.due = Some(now + bounds.window);
            arrival.due = self.due;
        }
        arrival
    }

    /// Whether a part would join others: what gathering that is only observed counts.
    pub fn would_join(&mut self, part: &P, bounds: &Bounds, now: Instant) -> bool {
        if self.flying < bounds.parallel {
            return false;
        }
        let open = self.due.is_some_and(|due| now < due);
        let fits =
            self.inputs + part.inputs() <= bounds.inputs && self.tokens + part.tokens() <= bounds.tokens;
        let joins = open && fits;
        if !joins {
            (self.inputs, self.tokens, self.due) = (0, 0, Some(now + bounds.window));
        }
        self.inputs += part.inputs();
        self.tokens += part.tokens();
        joins
    }

    /// A call of its own takes off beside what gathers.
    pub fn pass(&mut self) {
        self.flying += 1;
    }

    /// A call has ended: there may be room for one more.
    pub fn landed(&mut self, bounds: &Bounds) -> Option<Vec<P>> {
        self.flying = self.flying.saturating_sub(1);
        if self.flying < bounds.parallel { self.take_off() } else { None }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant) -> Option<Vec<P>> {
        if self.due.is_some_and(|due| due <= now) { self.take_off() } else { None }
    }

    /// How many parts wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether nothing flies and nothing waits: such a group need not be remembered.
    pub fn is_idle(&self) -> bool {
        self.flying == 0 && self.waiting.is_empty()
    }

    fn take_off(&mut self) -> Option<Vec<P>> {
        (self.inputs, self.tokens, self.due) = (0, 0, None);
        if self.waiting.is_empty() {
            return None;
        }
        self.flying += 1;
        Some(std::mem::take(&mut self.waiting))
    }
}

/// Cuts items into runs that each keep to `inputs` and `tokens`, as few as it takes and about equally
/// long; an item that is over the bound by itself has a run of its own.
pub fn cut<T>(items: Vec<T>, inputs: usize, tokens: u64, weight: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let runs = items.len().div_ceil(inputs.max(1));
    let longest = items.len().div_ceil(runs.max(1));
    let mut cut: Vec<Vec<T>> = Vec::with_capacity(runs);
    let mut carried = 0;
    for item in items {
        let weighs = weight(&item);
        match cut.last_mut() {
            Some(run) if run.len() < longest && carried + weighs <= tokens => {
                run.push(item);
                carried += weighs;
            }
            _ => {
                cut.push(vec![item]);
                carried = weighs;
            }
        }
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Part(usize);

    impl Load for Part {
        fn inputs(&self) -> usize {
            self.0
        }

        fn tokens(&self) -> u64 {
            self.0 as u64 * 10
        }
    }

    const WINDOW: Duration = Duration::from_millis(3);
    const BOUNDS: Bounds = Bounds { window: WINDOW, parallel: 1, inputs: 4, tokens: 1000 };

    fn off(parts: &[usize]) -> Vec<Part> {
        parts.iter().map(|inputs| Part(*inputs)).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lone_part_goes_at_once_and_the_next_wait_for_it() {
        let (mut group, now) = (Gathering::default(), Instant::now());
        assert_eq!(group.arrive(Part(1), &BOUNDS, now), Arrival { off: vec![off(&[1])], due: None });
        assert_eq!(group.arrive(Part(1), &BOUNDS, now).due, Some(now + WINDOW));
        assert_eq!(group.arrive(Part(2), &BOUNDS, now), Arrival { off: vec![], due: None });
        assert_eq!(group.tick(now), None);
        assert_eq!(group.landed(&BOUNDS), Some(off(&[1, 2])));
        assert_eq!(group.landed(&BOUNDS), None);
        assert!(group.is_idle());
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_call_does_not_wait_and_the_window_ends_every_wait() {
        let (mut group, now) = (Gathering::default(), Instant::now());
        group.arrive(Part(1), &BOUNDS, now);
        group.arrive(Part(3), &BOUNDS, now);
        assert_eq!(group.arrive(Part(1), &BOUNDS, now).off, [off(&[3, 1])]);
        group.arrive(Part(3), &BOUNDS, now);
        let second = group.arrive(Part(2), &BOUNDS, now + WINDOW / 2);
        assert_eq!(second, Arrival { off: vec![off(&[3])], due: Some(now + WINDOW / 2 + WINDOW) });
        assert_eq!(group.tick(now + WINDOW), None);
        assert_eq!(group.tick(now + WINDOW * 2), Some(off(&[2])));
    }

    #[tokio::test(start_paused = true)]
    async fn observing_counts_those_who_would_have_joined_another() {
        let (mut group, now) = (Gathering::default(), Instant::now());
        assert!(!group.would_join(&Part(1), &BOUNDS, now));
        group.pass();
        assert!(!group.would_join(&Part(1), &BOUNDS, now), "it would have been the first to wait");
        assert!(group.would_join(&Part(1), &BOUNDS, now));
        assert!(!group.would_join(&Part(3), &BOUNDS, now), "there was no room");
        assert!(!group.would_join(&Part(1), &BOUNDS, now + WINDOW), "the window was over");
    }

    #[test]
    fn many_inputs_are_cut_into_few_equal_calls() {
        let lengths = |count, inputs, tokens| -> Vec<usize> {
            cut(vec![1_u64; count], inputs, tokens, |weight| *weight).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(2049, 512, 1 << 20), [410, 410, 410, 410, 409]);
        assert_eq!(lengths(512, 512, 1 << 20), [512]);
        assert_eq!(lengths(10, 512, 4), [4, 4, 2]);
        assert_eq!(cut(vec![9, 1, 1], 512, 4, |weight| *weight), [vec![9], vec![1, 1]]);
    }
}
