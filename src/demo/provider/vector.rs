//! Embedding vectors as a pure function of the text, near for texts that share words.

use super::hash::of_text;
use crate::demo::chance::Chance;

/// How many places of the vector one feature touches.
const SPREAD: usize = 24;
/// A trigram counts this much of a word.
const TRIGRAM: f32 = 0.25;
/// How much of each place belongs to the text as a whole.
const WHOLE: f32 = 0.08;

/// The unit vector of a text: the sum of seeded vectors of its words and their trigrams, so that
/// paraphrases land near each other and unrelated texts far apart. Fewer `dimensions` is the start of the
/// `full` vector, made unit length again, as `text-embedding-3` does it.
pub fn of_words(seed: u64, text: &str, full: usize, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; full.max(1)];
    for word in text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let word = word.to_lowercase();
        add(&mut vector, of_text(seed, &word), 1.0);
        let letters: Vec<char> = format!("^{word}$").chars().collect();
        for trigram in letters.windows(3) {
            let trigram: String = trigram.iter().collect();
            add(&mut vector, of_text(!seed, &trigram), TRIGRAM);
        }
    }
    whole(&mut vector, of_text(seed.rotate_left(32), text));
    finish(vector, dimensions)
}

/// The unit vector of a row of token ids.
pub fn of_tokens(seed: u64, tokens: &[u64], full: usize, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; full.max(1)];
    for token in tokens {
        add(&mut vector, seed ^ Chance::new(*token).next(), 1.0);
    }
    whole(&mut vector, tokens.iter().fold(seed, |hash, token| Chance::new(hash ^ token).next()));
    finish(vector, dimensions)
}

fn add(vector: &mut [f32], feature: u64, weight: f32) {
    let mut chance = Chance::new(feature);
    for _ in 0..SPREAD {
        let place = chance.below(vector.len());
        // Not only signs: else most places would hold the same few values.
        vector[place] += (chance.unit() as f32).mul_add(2.0, -1.0) * weight;
    }
}

/// Touches every place a little: two texts of the same words stay apart, and no place is empty.
fn whole(vector: &mut [f32], feature: u64) {
    let mut chance = Chance::new(feature);
    for place in vector {
        *place += (chance.unit() as f32).mul_add(2.0, -1.0) * WHOLE;
    }
}

fn finish(mut vector: Vec<f32>, dimensions: usize) -> Vec<f32> {
    vector.truncate(dimensions.max(1));
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|value| *value /= length);
    }
    vector
}
