//! Dividing what a call consumed among the inputs it carried.

/// Divides `total` in proportion to `weights`: whole numbers that add up to exactly `total`, each
/// less than 1 from its exact share. Where all weights are 0 the shares are equal. The weights must
/// add up to less than 2^64.
pub fn divide(total: u64, weights: &[u64]) -> Vec<u64> {
    let even = weights.iter().all(|weight| *weight == 0);
    let weight = |weight: &u64| if even { 1 } else { u128::from(*weight) };
    let sum: u128 = weights.iter().map(weight).sum();
    let mut before = (0_u128, 0_u64);
    let share = |one: &u64| {
        let (passed, given) = before;
        let passed = passed + weight(one);
        // What everyone up to here gets together, rounded down: the rest of one is the next one's.
        let together = u64::try_from(u128::from(total) * passed / sum.max(1)).unwrap_or(total);
        before = (passed, together);
        together - given
    };
    weights.iter().map(share).collect()
}
