//! Chance: the machine's own, or one that a seed repeats.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

/// Draws numbers by chance. Clones of a seeded one draw from the same sequence.
#[derive(Clone, Debug)]
pub struct Chance(Option<Arc<Mutex<StdRng>>>);

impl Chance {
    /// The machine's own.
    pub const fn system() -> Self {
        Self(None)
    }

    /// The same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// A number from 0 up to 1.
    pub fn share(&self) -> f64 {
        self.drawn(|rng| rng.random())
    }

    /// 96 bits in hexadecimal: nobody else draws them.
    pub fn id(&self) -> String {
        format!("{:024x}", self.drawn(|rng| rng.random::<u128>()) >> 32)
    }

    fn drawn<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        match &self.0 {
            Some(seeded) => draw(&mut *seeded.lock()),
            None => draw(&mut rand::rng()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_what_the_machine_does_not() {
        let drawn = |chance: &Chance| (chance.share().to_bits(), chance.id());
        assert_eq!(drawn(&Chance::seeded(7)), drawn(&Chance::seeded(7)));
        let one = Chance::seeded(7);
        assert_ne!(drawn(&one), drawn(&one.clone()), "clones go on in one sequence");
        assert_ne!(drawn(&Chance::system()), drawn(&Chance::system()));
        assert!((0..1000).all(|_| (0.0..1.0).contains(&one.share())));
        assert_eq!(one.id().len(), 24);
    }
}
