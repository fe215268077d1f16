//! How close a question is to what a knowledge base is about, and when that may not be said. Pure.

use crate::config::relevance::{Measure, Relevance};
use crate::text::{Language, is_written_in};

/// Why a question has no score, or none that may be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unscored {
    /// It asks nothing in words alone, or too much to be embedded.
    NoQuestion,
    /// It has letters of a script that the rule does not name.
    Script,
    /// It is in a language that the rule does not name.
    Language,
    /// So few examples are known.
    Examples(usize),
    /// Its embedding failed, or cannot be compared.
    Failed,
    /// Its embedding took too long, or others' did a moment ago.
    Slow,
    /// Its embedding, or one of an example, is not stored, and nothing is sent to get it.
    Unknown,
}

impl Unscored {
    /// One word, for a metric's label.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoQuestion => "question",
            Self::Script => "script",
            Self::Language => "language",
            Self::Examples(_) => "examples",
            Self::Failed => "failed",
            Self::Slow => "slow",
            Self::Unknown => "unknown",
        }
    }

    /// What is said of it where a rule is explained.
    pub fn words(self, relevance: &Relevance) -> String {
        match self {
            Self::NoQuestion => "relevance: it asks nothing in words alone".to_owned(),
            Self::Script => {
                "relevance: it has letters of a script that the rule does not say its model covers".to_owned()
            }
            Self::Language => {
                "relevance: it is in a language that the rule does not say its model covers".to_owned()
            }
            Self::Examples(known) => {
                format!("relevance: {known} examples are known, and it takes {}", relevance.min_examples)
            }
            Self::Failed => "relevance: its embedding failed".to_owned(),
            Self::Slow => "relevance: its embedding took too long".to_owned(),
            Self::Unknown => {
                "relevance is not known: an embedding is not stored, and nothing is sent to get it".to_owned()
            }
        }
    }
}

/// Whether a score of `question` may be trusted. An embedding model puts nearly every question in a
/// language that it was not made for far from everything.
///
/// # Errors
/// Why not.
pub fn trusted(relevance: &Relevance, question: &str) -> Result<(), Unscored> {
    if !is_written_in(question, &relevance.scripts) {
        return Err(Unscored::Script);
    }
    let covers = |language| relevance.languages.contains(&language);
    let foreign = !relevance.languages.is_empty() && Language::of(question).is_some_and(|told| !covers(told));
    if foreign { Err(Unscored::Language) } else { Ok(()) }
}

/// The cosine similarity of `question` to `examples`, from -1 to 1; `None` where there is nothing to
/// compare, or vectors differ in length or have none.
pub fn score(question: &[f32], examples: &[impl AsRef<[f32]>], measure: Measure) -> Option<f64> {
    if examples.iter().any(|example| example.as_ref().len() != question.len()) {
        return None;
    }
    match measure {
        Measure::Nearest => {
            let scores = examples.iter().map(|example| cosine(question, example.as_ref()));
            scores.collect::<Option<Vec<_>>>()?.into_iter().max_by(f64::total_cmp)
        }
        Measure::Centroid => {
            // The mean of directions: a longer vector does not count for more.
            let mut sum = vec![0.0; question.len()];
            for example in examples {
                let example = example.as_ref();
                let length = dot(example, example).sqrt();
                for (sum, value) in sum.iter_mut().zip(example) {
                    *sum += f64::from(*value) / length;
                }
            }
            let sum: Vec<f32> = sum.into_iter().map(|value| value as f32).collect();
            cosine(question, &sum)
        }
    }
}

fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    cosine.is_finite().then(|| cosine.clamp(-1.0, 1.0))
}

fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Script;

    #[test]
    fn a_question_is_as_close_as_its_nearest_example_or_their_middle() {
        let examples = [[1.0, 0.0], [0.0, 2.0]];
        let near = |question: [f32; 2], measure| score(&question, &examples, measure).unwrap();
        assert!((near([0.0, 3.0], Measure::Nearest) - 1.0).abs() < 1e-6);
        assert!((near([0.0, 3.0], Measure::Centroid) - 0.5_f64.sqrt()).abs() < 1e-6);
        assert!((near([1.0, 1.0], Measure::Centroid) - 1.0).abs() < 1e-6);
        assert!((near([-1.0, 0.0], Measure::Nearest) - 0.0).abs() < 1e-6);
    }

    #[test]
    fn what_cannot_be_compared_has_no_score() {
        assert_eq!(score(&[1.0], &[[1.0, 2.0]], Measure::Nearest), None);
        assert_eq!(score(&[0.0, 0.0], &[[1.0, 2.0]], Measure::Nearest), None);
        assert_eq!(score(&[f32::NAN, 0.0], &[[1.0, 2.0]], Measure::Nearest), None);
        for measure in [Measure::Nearest, Measure::Centroid] {
            assert_eq!(score(&[1.0], &[] as &[Vec<f32>], measure), None);
        }
    }

    #[test]
    fn a_score_is_not_trusted_where_the_model_was_not_made_for_the_text() {
        let relevance = |scripts: &[&str], languages: &[&str]| Relevance {
            below: 0.3,
            model: "m".into(),
            examples: Vec::new(),
            min_examples: 1,
            by: Measure::Nearest,
            scripts: scripts.iter().map(|name| Script::named(name).unwrap()).collect(),
            languages: languages.iter().map(|code| Language::coded(code).unwrap()).collect(),
        };
        let english = relevance(&["latin"], &["eng"]);
        let question = "Where is the nearest railway station, and when does it open in the morning?";
        assert_eq!(trusted(&english, question), Ok(()));
        for (other, why) in [
            ("أين تقع أقرب محطة قطار؟", Unscored::Script),
            ("where is محطة?", Unscored::Script),
            ("?!", Unscored::Script),
            ("Wo ist der nächste Bahnhof, und wann öffnet er morgens seine Türen?", Unscored::Language),
        ] {
            assert_eq!(trusted(&english, other), Err(why), "{other}");
        }
        assert_eq!(trusted(&english, "hm"), Ok(()), "its language cannot be told");
        assert_eq!(trusted(&relevance(&["latin", "arabic"], &[]), "أين station?"), Ok(()));
    }
}
