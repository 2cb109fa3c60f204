//! One of a crowd: changes a mailbox at random, and believes what it is told. Without I/O, so that it stands before any
//! server.

use store::memory::Chance;

use super::view::{Heard, View, may_expunge};
use crate::plan::{below, pick};

/// Messages up to which the crowd copies; the mailbox stays so small that its members meet.
const COPIES_UP_TO: usize = 60;
/// Messages from which one moves them aside.
const MOVES_FROM: usize = 6;

#[derive(Debug)]
pub struct Believer {
    pub view: View,
    chance: Chance,
    command: String,
    /// What the STORE under way does, whose answer says nothing: place, flag, whether it is set; no flag: nobody knows.
    silent: Option<(usize, Option<(&'static str, bool)>)>,
}

impl Believer {
    pub fn new(seed: u64) -> Self {
        Self { view: View::default(), chance: Chance::new(seed), command: String::new(), silent: None }
    }

    /// A command without its tag, which is `t`.
    pub fn say(&mut self, command: &str) -> String {
        command.clone_into(&mut self.command);
        format!("t {command}\r\n")
    }

    /// A change by chance, of the mailbox it has selected; some messages move to a mailbox of the name Aside.
    pub fn act(&mut self) -> String {
        let count = self.view.messages.len();
        let place = below(&mut self.chance, count);
        let (number, is_any) = (place + 1, count > 0);
        let uid = self.view.messages.get(place).and_then(|told| told.uid).unwrap_or(1);
        let flag = pick(&mut self.chance, &["\\Seen", "\\Flagged", "$Junk", "own"]);
        let sign = pick(&mut self.chance, &["+", "-", ""]);
        self.silent = None;
        let command = match self.chance.below(12) {
            0..=2 => "APPEND INBOX (\\Draft) {9+}\r\nSubject:x".to_owned(),
            3 if is_any => format!("STORE {number}:* {sign}FLAGS ({flag})"),
            4 if is_any => {
                let assumed = (!sign.is_empty()).then_some((flag, sign == "+"));
                self.silent = Some((place, assumed));
                format!("STORE {number} {sign}FLAGS.SILENT ({flag})")
            }
            5 => format!("UID STORE {uid} {sign}FLAGS ({flag})"),
            6 if is_any => {
                self.silent = Some((place, Some(("\\Deleted", true))));
                format!("STORE {number} +FLAGS.SILENT (\\Deleted)")
            }
            7 => "EXPUNGE".to_owned(),
            8 if count >= MOVES_FROM => format!("UID MOVE {uid} Aside"),
            9 if is_any && count < COPIES_UP_TO => format!("COPY {number} INBOX"),
            10 if is_any => "FETCH 1:* (UID FLAGS)".to_owned(),
            _ => "NOOP".to_owned(),
        };
        self.say(&command)
    }

    /// Takes a line. The tagged answer if this is it; an error if it must not have been said.
    pub fn hear(&mut self, line: &str) -> Result<Option<String>, String> {
        if let Some(answer) = line.strip_prefix("t ") {
            if answer.starts_with("BAD") {
                return Err(format!("{}: {answer}", self.command));
            }
            self.settle(answer.starts_with("OK"));
            return Ok(Some(answer.to_owned()));
        }
        let heard = self.view.hear(line, may_expunge(&self.command));
        let heard = heard.map_err(|wrong| format!("{}: {wrong}", self.command))?;
        if let (Heard::Told(place), Some((silent, _))) = (heard, self.silent)
            && place == silent
        {
            // It heard what came of it.
            self.silent = None;
        }
        Ok(None)
    }

    fn settle(&mut self, is_done: bool) {
        match self.silent.take() {
            Some((place, Some((flag, is_set)))) if is_done => self.view.assume(place, flag, is_set),
            Some((place, _)) => {
                if let Some(told) = self.view.messages.get_mut(place) {
                    told.flags = None;
                }
            }
            None => {}
        }
    }
}
