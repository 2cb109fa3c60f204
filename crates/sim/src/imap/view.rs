//! What an IMAP client knows of the mailbox it has open, by nothing but what it is told.

use std::collections::{BTreeMap, BTreeSet};

/// Written as the server writes them.
pub type FlagSet = BTreeSet<String>;

/// What a client has been told of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    pub uid: Option<u32>,
    pub flags: Option<FlagSet>,
    /// The flags are those of this MODSEQ, at least; 0 if nobody said so.
    pub modseq: u64,
}

/// The messages by number.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub messages: Vec<Told>,
    /// QRESYNC is enabled: what goes is told by UID.
    pub qresync: bool,
}

/// What a line of the server said about messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing about any.
    Nothing,
    /// These are there no more, as far as their UIDs were known.
    Gone(Vec<u32>),
    /// The place of the message that it is about.
    Told(usize),
}

/// Whether the server may tell of expunges while it carries out this command (RFC 9051 §7.5.1).
pub fn may_expunge(command: &str) -> bool {
    ["FETCH", "STORE", "SEARCH"].iter().all(|name| !command.starts_with(name))
}

impl View {
    /// Takes an untagged line, without its literals. An error says what must not be told like that.
    pub fn hear(&mut self, line: &str, may_expunge: bool) -> Result<Heard, String> {
        let mut words = line.strip_prefix("* ").unwrap_or_default().splitn(3, ' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if first == "VANISHED" {
            return self.vanish(line, may_expunge);
        }
        let Ok(number) = first.parse::<usize>() else { return Ok(Heard::Nothing) };
        match second {
            "EXISTS" => self.count(number).map(|()| Heard::Nothing),
            "EXPUNGE" if may_expunge && !self.qresync => self.expunge(number),
            "EXPUNGE" => Err(format!("{line:?} where it must not come")),
            "FETCH" => self.believe(number, line).map(Heard::Told),
            _ => Ok(Heard::Nothing),
        }
    }

    fn count(&mut self, count: usize) -> Result<(), String> {
        let before = self.messages.len();
        if count < before {
            return Err(format!("there are {count} messages, and {before} were there"));
        }
        self.messages.resize(count, Told::default());
        Ok(())
    }

    fn expunge(&mut self, number: usize) -> Result<Heard, String> {
        let place = number.checked_sub(1).filter(|place| *place < self.messages.len());
        let place = place.ok_or_else(|| format!("message {number} goes, and there is none"))?;
        Ok(Heard::Gone(self.messages.remove(place).uid.into_iter().collect()))
    }

    /// RFC 7162 §3.2.10
    fn vanish(&mut self, line: &str, may_expunge: bool) -> Result<Heard, String> {
        let earlier = line.contains("(EARLIER)");
        if !self.qresync || !(earlier || may_expunge) {
            return Err(format!("{line:?} where it must not come"));
        }
        let set = line.rsplit(' ').next().unwrap_or_default();
        let ranges = ranges(set).ok_or_else(|| format!("{line:?} has no UIDs"))?;
        let mut gone = Vec::new();
        for uid in ranges.into_iter().flat_map(|(first, last)| first..=last) {
            if let Some(place) = self.place_of(uid) {
                self.messages.remove(place);
                gone.push(uid);
            } else if !earlier {
                // One whose UID it does not know, which stands before those of higher ones.
                let next = self.messages.iter().position(|told| told.uid.is_some_and(|known| known > uid));
                let place = next.unwrap_or(self.messages.len()).checked_sub(1);
                let place = place.filter(|place| self.messages[*place].uid.is_none());
                self.messages.remove(place.ok_or_else(|| format!("{line:?}: {uid} was never there"))?);
            }
        }
        Ok(Heard::Gone(gone))
    }

    fn believe(&mut self, number: usize, line: &str) -> Result<usize, String> {
        let place = number.wrapping_sub(1);
        let count = self.messages.len();
        let told =
            self.messages.get_mut(place).ok_or_else(|| format!("{line:?}: there are {count} messages"))?;
        if let Some(uid) = number_behind(line, "UID ") {
            let uid = u32::try_from(uid).unwrap_or_default();
            if told.uid.is_some_and(|known| known != uid) {
                return Err(format!("{line:?}: it was {told:?}"));
            }
            told.uid = Some(uid);
        }
        let modseq = number_behind(line, "MODSEQ (");
        if let Some(flags) = flags_in(line) {
            let same_state = modseq.is_some_and(|modseq| modseq <= told.modseq);
            if same_state && told.flags.as_ref().is_some_and(|known| *known != flags) {
                return Err(format!("{line:?}: nothing changed, and it was {told:?}"));
            }
            told.flags = Some(flags);
        }
        told.modseq = told.modseq.max(modseq.unwrap_or_default());
        let uids: Vec<_> = self.messages.iter().filter_map(|told| told.uid).collect();
        if !uids.is_sorted_by(|one, next| one < next) {
            return Err(format!("{line:?}: UIDs do not rise: {uids:?}"));
        }
        Ok(place)
    }

    /// The client assumes that its silent STORE did what it said (RFC 9051 §6.4.6: what else changed it would hear).
    pub fn assume(&mut self, place: usize, flag: &str, is_set: bool) {
        if let Some(flags) = self.messages.get_mut(place).and_then(|told| told.flags.as_mut()) {
            if is_set {
                flags.insert(flag.to_owned())
            } else {
                flags.remove(flag)
            };
        }
    }

    pub fn place_of(&self, uid: u32) -> Option<usize> {
        self.messages.iter().position(|told| told.uid == Some(uid))
    }

    pub fn uids(&self) -> impl Iterator<Item = u32> {
        self.messages.iter().filter_map(|told| told.uid)
    }

    /// Whether it is the same mailbox that `other` has read anew; what this client was never told may be anything.
    pub fn agrees(&self, other: &Self) -> Result<(), String> {
        let (count, there) = (self.messages.len(), other.messages.len());
        if count != there {
            return Err(format!("{count} messages, and there are {there}"));
        }
        for (told, anew) in self.messages.iter().zip(&other.messages) {
            let same_uid = told.uid.is_none() || told.uid == anew.uid;
            if !same_uid || (told.flags.is_some() && told.flags != anew.flags) {
                return Err(format!("{told:?}, and it is {anew:?}"));
            }
        }
        Ok(())
    }
}

/// A mailbox that is brought up to date by QRESYNC, from what was known of it when it was closed.
#[derive(Clone, Debug)]
pub struct Resync {
    pub known: BTreeMap<u32, (FlagSet, u64)>,
    exists: usize,
}

impl Resync {
    pub fn new(known: BTreeMap<u32, (FlagSet, u64)>) -> Self {
        Self { exists: known.len(), known }
    }

    /// The UIDs that are gone.
    pub fn hear(&mut self, line: &str) -> Vec<u32> {
        let mut words = line.strip_prefix("* ").unwrap_or_default().splitn(3, ' ');
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if first == "VANISHED" {
            let ranges = ranges(line.rsplit(' ').next().unwrap_or_default()).unwrap_or_default();
            let is_named = |uid: &u32| ranges.iter().any(|(first, last)| (*first..=*last).contains(uid));
            let gone: Vec<u32> = self.known.keys().copied().filter(is_named).collect();
            self.known.retain(|uid, _| !is_named(uid));
            if !line.contains("(EARLIER)") {
                self.exists = self.exists.saturating_sub(gone.len());
            }
            return gone;
        }
        match (first.parse(), second) {
            (Ok(count), "EXISTS") => self.exists = count,
            (Ok(_), "FETCH") => {
                if let (Some(uid), Some(flags)) = (number_behind(line, "UID "), flags_in(line)) {
                    let modseq = number_behind(line, "MODSEQ (").unwrap_or_default();
                    self.known.insert(u32::try_from(uid).unwrap_or_default(), (flags, modseq));
                }
            }
            _ => {}
        }
        Vec::new()
    }

    /// The view it comes to: what was not told has not changed up to `modseq`.
    pub fn end(self, modseq: u64) -> Result<View, String> {
        if self.known.len() != self.exists {
            let uids: Vec<_> = self.known.keys().collect();
            return Err(format!("a resync knows {uids:?}, and there are {}", self.exists));
        }
        let told = |(uid, (flags, changed)): (u32, (FlagSet, u64))| Told {
            uid: Some(uid),
            flags: Some(flags),
            modseq: modseq.max(changed),
        };
        Ok(View { messages: self.known.into_iter().map(told).collect(), qresync: true })
    }
}

/// The number that follows these words, which end a word.
pub fn number_behind(line: &str, words: &str) -> Option<u64> {
    let (_, rest) = line.split_once(words)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

fn flags_in(line: &str) -> Option<FlagSet> {
    let (_, rest) = line.split_once("FLAGS (")?;
    Some(rest.split(')').next()?.split_whitespace().map(str::to_owned).collect())
}

/// `1:3,5`
pub fn ranges(set: &str) -> Option<Vec<(u32, u32)>> {
    let range = |text: &str| {
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let (first, last) = (first.parse().ok()?, last.parse().ok()?);
        (first <= last).then_some((first, last))
    };
    set.split(',').map(range).collect()
}

/// The numbers of a set, in its order.
pub fn numbers(set: &str) -> Vec<u32> {
    ranges(set).unwrap_or_default().into_iter().flat_map(|(first, last)| first..=last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(qresync: bool, lines: &[&str]) -> Result<View, String> {
        let mut view = View { qresync, ..View::default() };
        lines.iter().try_for_each(|line| view.hear(line, true).map(drop))?;
        Ok(view)
    }

    #[test]
    fn a_client_follows_what_it_is_told() {
        let lines = ["* 3 EXISTS", "* 2 FETCH (UID 7 FLAGS (\\Seen))", "* 1 EXPUNGE", "* OK [X] y"];
        let view = heard(false, &lines).unwrap();
        assert_eq!(view.place_of(7), Some(0));
        assert_eq!(view.messages.len(), 2);
        let lines = ["* 3 EXISTS", "* 1 FETCH (UID 4 FLAGS () MODSEQ (9))", "* VANISHED 4,6"];
        assert_eq!(heard(true, &lines).unwrap().messages, [Told::default()]);
        let lines = ["* 4 EXISTS", "* 2 FETCH (UID 5)", "* 4 FETCH (UID 8)", "* VANISHED 2,7"];
        assert_eq!(heard(true, &lines).unwrap().uids().collect::<Vec<_>>(), [5, 8]);
    }

    #[test]
    fn what_must_not_be_told_is_noticed() {
        for (qresync, lines) in [
            (false, vec!["* 2 EXISTS", "* 1 EXISTS"]),
            (false, vec!["* 1 EXISTS", "* 2 EXPUNGE"]),
            (false, vec!["* 1 EXISTS", "* VANISHED 1"]),
            (true, vec!["* 1 EXISTS", "* 1 EXPUNGE"]),
            (true, vec!["* 1 EXISTS", "* 1 FETCH (UID 4)", "* 1 FETCH (UID 5)"]),
            (true, vec!["* 2 EXISTS", "* 1 FETCH (UID 4)", "* 2 FETCH (UID 3)"]),
            (true, vec!["* 2 EXISTS", "* 1 FETCH (UID 4)", "* VANISHED 3"]),
            (true, vec!["* 1 EXISTS", "* 1 FETCH (FLAGS () MODSEQ (5))", "* 1 FETCH (FLAGS (a) MODSEQ (5))"]),
        ] {
            assert!(heard(qresync, &lines).is_err(), "{lines:?}");
        }
        assert!(View::default().hear("* 1 EXPUNGE", may_expunge("STORE 1 FLAGS ()")).is_err());
    }

    #[test]
    fn a_resync_counts_what_it_knows() {
        let known = |uids: &[u32]| uids.iter().map(|uid| (*uid, (FlagSet::new(), 3))).collect();
        let mut resync = Resync::new(known(&[1, 2, 5]));
        for line in ["* 3 EXISTS", "* VANISHED (EARLIER) 1:2", "* 2 FETCH (UID 7 FLAGS (a) MODSEQ (8))"] {
            resync.hear(line);
        }
        assert!(resync.clone().end(9).is_err());
        resync.hear("* 1 FETCH (UID 6 FLAGS () MODSEQ (7))");
        assert_eq!(resync.end(9).unwrap().uids().collect::<Vec<_>>(), [5, 6, 7]);
    }
}
