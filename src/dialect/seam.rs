//! Where the two parts of an answer meet that broke off and went on elsewhere: what is said again of the
//! beginning is left out, and the tokens of both are told.

use super::resume::Partial;
use super::said::{Delta, Said, Tokens};
use crate::response::usage::Usage;

/// Makes one answer of a client's two.
pub(super) struct Seam {
    before: Usage,
    /// What is yet to be said again.
    repeated: String,
    /// What may turn out to be that.
    held: String,
    /// White space that the client was told and the server was not: the rest may begin with it.
    space: String,
}

impl Seam {
    /// A seam behind `partial`, for which `before` was spent, before a rest that begins with `repeated`.
    pub(super) fn new(partial: &Partial, before: Usage, repeated: String) -> Self {
        let space = partial.text.strip_prefix(partial.prefix()).unwrap_or_default().to_owned();
        Self { before, repeated, held: String::new(), space }
    }

    /// What a client is told of this step: what was held back before it, and the step, where it was not told
    /// before.
    pub(super) fn sewn(&mut self, said: Said) -> [Option<Said>; 2] {
        match said {
            // Nobody asked for thoughts, and there is no place for them in the middle of a text.
            Said::Begin { .. } | Said::Delta(_, Delta::Thinking(_) | Delta::Signature(_)) => [None, None],
            Said::Delta(0, Delta::Text(text)) => [None, self.fresh(text)],
            Said::Usage(Tokens { usage, thinking }) => {
                [None, Some(Said::Usage(Tokens { usage: usage.and(&self.before), thinking }))]
            }
            said => [self.released(), Some(said)],
        }
    }

    /// Text, without what was told before.
    fn fresh(&mut self, text: String) -> Option<Said> {
        let text = self.after_repetition(text)?;
        let mut rest = text.as_str();
        while let Some(told) = self.space.chars().next().filter(|_| !rest.is_empty()) {
            match rest.strip_prefix(told) {
                Some(more) => {
                    rest = more;
                    self.space.remove(0);
                }
                None => self.space.clear(),
            }
        }
        (!rest.is_empty()).then(|| Said::Delta(0, Delta::Text(rest.to_owned())))
    }

    /// The text behind the repetition, however that is cut; all of it where it is none.
    fn after_repetition(&mut self, text: String) -> Option<String> {
        if self.repeated.is_empty() {
            return Some(text);
        }
        let heard = std::mem::take(&mut self.held) + &text;
        if self.repeated.starts_with(&heard) && self.repeated != heard {
            self.held = heard;
            return None;
        }
        let repeated = std::mem::take(&mut self.repeated);
        Some(heard.strip_prefix(&repeated).map_or_else(|| heard.clone(), str::to_owned))
    }

    /// What was held back and was no repetition after all.
    fn released(&mut self) -> Option<Said> {
        self.repeated.clear();
        let held = std::mem::take(&mut self.held);
        (!held.is_empty()).then(|| self.fresh(held)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::said::Finish;

    /// What a client reads that was told `told`, of a rest in these pieces.
    fn read(told: &str, repeated: &str, pieces: &[&str]) -> String {
        let partial = Partial { text: told.to_owned(), ..Partial::default() };
        let mut seam = Seam::new(&partial, Usage::default(), repeated.to_owned());
        let said = pieces.iter().map(|piece| Said::Delta(0, Delta::Text((*piece).to_owned())));
        let said = said.chain([Said::Finish(0, Finish::Stop(None))]);
        let told = said.flat_map(|said| seam.sewn(said)).flatten();
        let text = |said| match said {
            Said::Delta(0, Delta::Text(text)) => Some(text),
            _ => None,
        };
        partial.text.clone() + &told.filter_map(text).collect::<String>()
    }

    #[test]
    fn a_repetition_is_left_out_and_what_is_none_stays() {
        assert_eq!(read("one two ", "one two", &["one two", " three"]), "one two three");
        assert_eq!(read("one two", "one two", &["one", " two three"]), "one two three");
        assert_eq!(read("one two", "one two", &[" three"]), "one two three");
        assert_eq!(read("ha", "", &["ha", "ha"]), "hahaha", "who does not repeat means it");
        assert_eq!(read("ha ", "ha", &["h"]), "ha h", "it ends before it is one");
        assert_eq!(read("one:\n", "", &["\n", "\n- two"]), "one:\n\n- two", "only what was told is left out");
        assert_eq!(read("one ", "", &["\n\ntwo"]), "one \n\ntwo");
    }

    #[test]
    fn thoughts_are_no_part_of_a_rest() {
        let mut seam = Seam::new(&Partial::default(), Usage::default(), String::new());
        assert_eq!(seam.sewn(Said::Delta(0, Delta::Thinking("hm".into()))), [None, None]);
    }

    proptest! {
        #[test]
        fn however_the_rest_is_cut_the_client_reads_one_text(
            told in "[ab ]{1,12}", rest in "[ab ]{0,12}", at in 0..24_usize, repeats: bool,
        ) {
            let prefix = told.trim_end();
            let told = format!("{prefix}x ");
            let repeated = if repeats { told.trim_end() } else { "" };
            let whole = format!("{repeated} {rest}");
            let at = at.min(whole.len());
            let read = read(&told, repeated, &[&whole[..at], &whole[at..]]);
            prop_assert_eq!(read, format!("{told}{rest}"));
        }
    }
}
