//! Usage divided among inputs adds up, cuts lose nothing, and a vector is its input's own.

use pareto::embedding::answer::{Broken, read, write};
use pareto::embedding::batch::cut;
use pareto::embedding::input::Api;
use pareto::embedding::share::divide;
use pareto::embedding::vector::Floats;
use proptest::collection::vec;
use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
use serde_json::Value;

proptest! {
    #[test]
    fn shares_add_up_exactly_and_are_fair(total: u64, weights in vec(any::<u32>(), 1..300)) {
        let weights: Vec<u64> = weights.into_iter().map(u64::from).collect();
        let shares = divide(total, &weights);
        prop_assert_eq!(shares.len(), weights.len());
        prop_assert_eq!(shares.iter().map(|share| u128::from(*share)).sum::<u128>(), u128::from(total));
        let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
        for (share, weight) in shares.iter().zip(&weights) {
            // In units of 1/sum: less than one whole token from the exact share.
            let exact = u128::from(total) * u128::from(*weight);
            prop_assert!(sum == 0 || (u128::from(*share) * sum).abs_diff(exact) < sum);
        }
    }

    #[test]
    fn cuts_keep_every_item_in_order_and_their_bounds(
        weights in vec(0..50_u64, 0..300), inputs in 1..40_usize, tokens in 1..200_u64,
    ) {
        let runs = cut(weights.clone(), inputs, tokens, |weight| *weight);
        for run in &runs {
            prop_assert!(!run.is_empty() && run.len() <= inputs);
            prop_assert!(run.len() == 1 || run.iter().sum::<u64>() <= tokens);
        }
        prop_assert_eq!(runs.concat(), weights);
    }

    #[test]
    fn vectors_come_back_bit_for_bit_in_either_form(
        numbers in vec(vec(any::<u32>(), 3), 1..20), base64: bool,
    ) {
        // Any finite float, whatever its bits.
        let finite = |bits: u32| Some(f32::from_bits(bits)).filter(|number| number.is_finite()).unwrap_or(0.5);
        let vectors: Vec<Floats> = numbers
            .iter()
            .map(|bits| Floats::of(&bits.iter().copied().map(finite).collect::<Vec<_>>()).unwrap())
            .collect();
        let body = write(Api::OpenAi, base64, vectors.iter(), "m", Some(1));
        prop_assert_eq!(&read(Api::OpenAi, &body, vectors.len()).unwrap(), &vectors);
    }

    #[test]
    fn any_other_order_or_number_of_vectors_is_refused(order in vec(0..6_usize, 0..8), asked in 1..7_usize) {
        let vectors: Vec<Floats> = order.iter().map(|at| Floats::of(&[*at as f32 + 0.5]).unwrap()).collect();
        let body = write(Api::OpenAi, false, vectors.iter(), "m", None);
        let mut answer: Value = serde_json::from_slice(&body).unwrap();
        for (item, index) in answer["data"].as_array_mut().unwrap().iter_mut().zip(&order) {
            item["index"] = (*index).into();
        }
        let right = order.len() == asked && order.iter().enumerate().all(|(at, index)| at == *index);
        let found = read(Api::OpenAi, answer.to_string().as_bytes(), asked);
        prop_assert_eq!(found.is_ok(), right);
        prop_assert!(right || matches!(found, Err(Broken::Order | Broken::Count)));
    }
}
