//! Search keys as they are asked of each message. What has to be read from the message itself may be unknown, and often
//! need not be known.

use mail::Timestamp;
use proto::imap::{
    command::{EnvelopeField, Flag, SearchKey, WhichDate},
    date::Date,
    sequence::{NumberSet, SequenceSet},
};
use store::mailbox::{ListedMessage, StoredMessage};

use super::{
    super::{flags, refusal::Refusal, view::View},
    text::{Known, Needle, Place, Sent},
};

#[derive(Debug)]
pub(super) enum Test {
    Always(bool),
    Uids(NumberSet),
    Flag(Flag),
    Larger(u64),
    Smaller(u64),
    /// From and before, as moments.
    Between(Whose, Timestamp, Timestamp),
    /// From and before, as days of the Date field.
    Sent(Option<Date>, Option<Date>),
    On(Date),
    ModSeq(u64),
    EmailId(String),
    /// Of the needles, one by its place.
    Needle(usize),
    Not(Box<Test>),
    Or(Box<Test>, Box<Test>),
    And(Vec<Test>),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    Received,
    Saved,
}

/// What the keys are asked with.
struct Compiler<'a> {
    view: &'a View,
    saved: &'a NumberSet,
    now: Timestamp,
    needles: &'a mut Vec<Needle>,
}

const DAY_MILLIS: i64 = 86_400_000;

impl Test {
    pub(super) fn all(
        keys: &[SearchKey],
        view: &View,
        saved: &NumberSet,
        now: Timestamp,
        needles: &mut Vec<Needle>,
    ) -> Result<Self, Refusal> {
        Compiler { view, saved, now, needles }.all(keys)
    }

    /// The messages that can match, by UID, ascending.
    pub(super) fn candidates(&self, view: &View) -> Vec<u32> {
        match self {
            Self::Uids(uids) => view.among(uids),
            Self::And(tests) => {
                let sets = tests.iter().filter(|test| matches!(test, Self::Uids(_)));
                let least = sets.map(|test| test.candidates(view)).min_by_key(Vec::len);
                least.unwrap_or_else(|| view.uids())
            }
            _ => view.uids(),
        }
    }

    /// `None`: it depends on what is not known.
    pub(super) fn outcome(&self, message: &StoredMessage, known: &Known) -> Option<bool> {
        self.decide(&|test| test.of_message(message, known))
    }

    /// By what the list of the mailbox tells.
    pub(super) fn outcome_by_list(&self, message: &ListedMessage) -> Option<bool> {
        self.decide(&|test| match test {
            Self::Uids(uids) => Some(uids.contains(message.uid.0)),
            Self::Flag(flag) => Some(flags::has(message.flags, &message.keywords, flag)),
            Self::ModSeq(modseq) => Some(message.modseq >= *modseq),
            _ => None,
        })
    }

    /// By what is known of its text alone.
    pub(super) fn outcome_by_text(&self, known: &Known) -> Option<bool> {
        self.decide(&|test| match test {
            Self::Needle(place) => known.is_found(*place),
            _ => None,
        })
    }

    /// The same for every message.
    pub(super) fn outcome_of_all(&self) -> Option<bool> {
        self.decide(&|_| None)
    }

    /// Whether the list of the mailbox tells something of it.
    pub(super) fn asks_list(&self) -> bool {
        match self {
            Self::Flag(_) | Self::ModSeq(_) => true,
            Self::Not(test) => test.asks_list(),
            Self::Or(one, other) => one.asks_list() || other.asks_list(),
            Self::And(tests) => tests.iter().any(Self::asks_list),
            _ => false,
        }
    }

    /// Whether it depends on the Date field.
    pub(super) fn asks_date(&self) -> bool {
        match self {
            Self::Sent(..) | Self::On(_) => true,
            Self::Not(test) => test.asks_date(),
            Self::Or(one, other) => one.asks_date() || other.asks_date(),
            Self::And(tests) => tests.iter().any(Self::asks_date),
            _ => false,
        }
    }

    /// Of the tests that this one is made of, `one` is asked.
    fn decide(&self, one: &dyn Fn(&Self) -> Option<bool>) -> Option<bool> {
        match self {
            Self::Always(outcome) => Some(*outcome),
            Self::Not(test) => test.decide(one).map(|outcome| !outcome),
            Self::Or(either, other) => match (either.decide(one), other.decide(one)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::And(tests) => {
                let mut outcome = Some(true);
                for test in tests {
                    match test.decide(one) {
                        Some(false) => return Some(false),
                        Some(true) => {}
                        None => outcome = None,
                    }
                }
                outcome
            }
            test => one(test),
        }
    }

    fn of_message(&self, message: &StoredMessage, known: &Known) -> Option<bool> {
        let record = &message.record;
        Some(match self {
            Self::Uids(uids) => uids.contains(message.uid.0),
            Self::Flag(flag) => flags::has(record.flags, &record.keywords, flag),
            Self::Larger(octets) => record.octets() > *octets,
            Self::Smaller(octets) => record.octets() < *octets,
            Self::Between(whose, from, before) => {
                let moment = match whose {
                    Whose::Received => record.internal_date,
                    Whose::Saved => record.saved_at,
                };
                *from <= moment && moment < *before
            }
            Self::Sent(from, before) => match known.sent() {
                Sent::Unknown => return None,
                Sent::Never => false,
                Sent::On(day) => {
                    from.is_none_or(|from| from <= day) && before.is_none_or(|before| day < before)
                }
            },
            Self::On(date) => match known.sent() {
                Sent::Unknown => return None,
                sent => sent == Sent::On(*date),
            },
            Self::ModSeq(modseq) => message.modseq >= *modseq,
            Self::EmailId(id) => record.email_id() == *id,
            Self::Needle(place) => return known.is_found(*place),
            // Made of others, which are asked instead.
            Self::Always(_) | Self::Not(_) | Self::Or(..) | Self::And(_) => return None,
        })
    }
}

impl Compiler<'_> {
    fn all(&mut self, keys: &[SearchKey]) -> Result<Test, Refusal> {
        let tests = keys.iter().map(|key| self.one(key)).collect::<Result<Vec<_>, _>>()?;
        Ok(Test::And(tests))
    }

    fn one(&mut self, key: &SearchKey) -> Result<Test, Refusal> {
        Ok(match key {
            SearchKey::All | SearchKey::SaveDateSupported | SearchKey::Old => Test::Always(true),
            // No message is \Recent here (RFC 9051 appendix E).
            SearchKey::New | SearchKey::Recent => Test::Always(false),
            SearchKey::Messages(set) => self.messages(set, false)?,
            SearchKey::Uids(set) => self.messages(set, true)?,
            SearchKey::Flag(flag) => Test::Flag(flag.clone()),
            SearchKey::NotFlag(flag) => Test::Not(Box::new(Test::Flag(flag.clone()))),
            SearchKey::Envelope(field, text) => {
                self.needle(Place::Header { name: field_name(*field).to_owned() }, text)
            }
            SearchKey::Header { name, value } => self.needle(Place::Header { name: name.clone() }, value),
            SearchKey::Body(text) => self.needle(Place::Body, text),
            SearchKey::Text(text) => self.needle(Place::Text, text),
            SearchKey::Larger(octets) => Test::Larger(*octets),
            SearchKey::Smaller(octets) => Test::Smaller(*octets),
            SearchKey::Before(which, date) => between(*which, None, Some(*date)),
            SearchKey::Since(which, date) => between(*which, Some(*date), None),
            SearchKey::On(WhichDate::Sent, date) => Test::On(*date),
            SearchKey::On(which, date) => on(*which, *date),
            SearchKey::Older(seconds) => {
                // RFC 5032 §3: at least so old.
                let end = self.ago(seconds.get()).millis().saturating_add(1);
                Test::Between(Whose::Received, MIN, Timestamp::from_millis(end))
            }
            SearchKey::Younger(seconds) => Test::Between(Whose::Received, self.ago(seconds.get()), MAX),
            SearchKey::ModSeq(modseq) => Test::ModSeq(*modseq),
            SearchKey::EmailId(id) => Test::EmailId(id.clone()),
            SearchKey::ThreadId(id) => self.needle(Place::Thread, id),
            SearchKey::Not(key) => Test::Not(Box::new(self.one(key)?)),
            SearchKey::Or(either) => Test::Or(Box::new(self.one(&either.0)?), Box::new(self.one(&either.1)?)),
            SearchKey::And(keys) => self.all(keys)?,
        })
    }

    fn messages(&self, set: &SequenceSet, by_uid: bool) -> Result<Test, Refusal> {
        let uids = self.view.resolve(set, by_uid, self.saved);
        let uids = uids.map_err(|_| Refusal::bad("there is no message of that number"))?;
        Ok(Test::Uids(uids.into_iter().collect()))
    }

    fn needle(&mut self, place: Place, text: &str) -> Test {
        self.needles.push(Needle::new(place, text));
        Test::Needle(self.needles.len() - 1)
    }

    fn ago(&self, seconds: u32) -> Timestamp {
        Timestamp::from_millis(self.now.millis().saturating_sub(i64::from(seconds).saturating_mul(1000)))
    }
}

const MIN: Timestamp = Timestamp::from_millis(i64::MIN);
const MAX: Timestamp = Timestamp::from_millis(i64::MAX);

fn between(which: WhichDate, from: Option<Date>, before: Option<Date>) -> Test {
    let whose = match which {
        WhichDate::Sent => return Test::Sent(from, before),
        WhichDate::Received => Whose::Received,
        WhichDate::Saved => Whose::Saved,
    };
    let moment = |date: Option<Date>, none| date.map_or(none, Date::midnight);
    Test::Between(whose, moment(from, MIN), moment(before, MAX))
}

fn on(which: WhichDate, date: Date) -> Test {
    let whose = if which == WhichDate::Saved { Whose::Saved } else { Whose::Received };
    let start = date.midnight();
    Test::Between(whose, start, Timestamp::from_millis(start.millis().saturating_add(DAY_MILLIS)))
}

const fn field_name(field: EnvelopeField) -> &'static str {
    match field {
        EnvelopeField::Bcc => "Bcc",
        EnvelopeField::Cc => "Cc",
        EnvelopeField::From => "From",
        EnvelopeField::Subject => "Subject",
        EnvelopeField::To => "To",
    }
}
