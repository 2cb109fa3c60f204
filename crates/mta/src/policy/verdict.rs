//! What a check says, and what of it a message's history keeps.

use std::{borrow::Cow, fmt::Display};

use mail::{Reply, text::clean_within};
use store::ledger;

/// Verdicts kept for one message; of further ones only the number.
const KEPT_MAX: usize = 32;
/// Octets kept of an input.
const INPUT_BYTES_MAX: usize = 256;

/// The word of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// As its file in `policy` is called.
    pub rule: &'static str,
    /// What it looked at: names and values.
    pub inputs: Vec<(&'static str, String)>,
    pub outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// And why.
    Pass(Cow<'static, str>),
    Refuse(Reply),
}

impl Verdict {
    pub fn pass(rule: &'static str, why: impl Into<Cow<'static, str>>) -> Self {
        Self { rule, inputs: Vec::new(), outcome: Outcome::Pass(why.into()) }
    }

    pub fn refuse(rule: &'static str, reply: Reply) -> Self {
        Self { rule, inputs: Vec::new(), outcome: Outcome::Refuse(reply) }
    }

    /// With one more input, cleaned: it may be what the client said.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Display) -> Self {
        self.inputs.push((name, clean_within(value.to_string().as_bytes(), INPUT_BYTES_MAX)));
        self
    }

    pub fn refusal(&self) -> Option<&Reply> {
        match &self.outcome {
            Outcome::Refuse(reply) => Some(reply),
            Outcome::Pass(_) => None,
        }
    }

    /// `client=192.0.2.1 recipient=bob@example.org`
    pub fn inputs_text(&self) -> String {
        let words: Vec<String> = self.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        words.join(" ")
    }
}

impl From<Verdict> for ledger::Verdict {
    fn from(verdict: Verdict) -> Self {
        let outcome = match verdict.outcome {
            Outcome::Pass(why) => why.into_owned(),
            Outcome::Refuse(reply) => format!("refused: {reply}"),
        };
        let inputs = verdict.inputs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Self { rule: verdict.rule.to_owned(), inputs, outcome }
    }
}

/// What passed on the way of a message, bounded.
#[derive(Debug, Default)]
pub struct Kept {
    verdicts: Vec<Verdict>,
    more: usize,
}

impl Kept {
    /// Refusals are none of its history: what was refused is not in it.
    pub fn extend(&mut self, verdicts: impl IntoIterator<Item = Verdict>) {
        for verdict in verdicts.into_iter().filter(|verdict| verdict.refusal().is_none()) {
            if self.verdicts.len() < KEPT_MAX {
                self.verdicts.push(verdict);
            } else {
                self.more += 1;
            }
        }
    }

    pub fn into_history(self) -> Vec<ledger::Verdict> {
        let more = (self.more > 0).then(|| Verdict::pass("others", "passed too").with("count", self.more));
        self.verdicts.into_iter().chain(more).map(Into::into).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_keeps_a_bounded_number_of_verdicts_and_no_refusals() {
        let mut kept = Kept::default();
        let long = "x".repeat(100_000);
        kept.extend((0..1000).map(|_| Verdict::pass("relay", "hosted here").with("recipient", &long)));
        kept.extend([Verdict::refuse("relay", Reply::new(550, (5, 7, 1), "no"))]);
        let history = kept.into_history();
        assert_eq!(history.len(), KEPT_MAX + 1);
        assert!(history[0].inputs[0].1.len() <= INPUT_BYTES_MAX);
        assert_eq!(history[KEPT_MAX].inputs, [("count".to_owned(), "968".to_owned())]);
    }

    #[test]
    fn inputs_are_cleaned() {
        let verdict = Verdict::pass("helo", "taken").with("name", "a\r\nb\u{1b}[2J");
        assert!(!verdict.inputs_text().contains(char::is_control));
    }
}
