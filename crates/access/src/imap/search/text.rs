//! What is looked for in the text of a message: in its header, and in those of its parts that are text, decoded. Case
//! does not count. Parts are read in pieces, and no further than needed.

use mail::{Timestamp, header, mime::Part};
use proto::imap::date::Date;
use store::{
    Mailboxes, StoreError,
    mailbox::{MailboxId, StoredMessage},
    search_index::Query,
};

use super::parts::{PartText, header_text, read_header, text_parts};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Header {
        name: String,
    },
    Body,
    /// Header and body.
    Text,
    /// The name of its thread (RFC 8474 §5.2).
    Thread,
}

#[derive(Debug)]
pub(super) struct Needle {
    place: Place,
    /// In lower case.
    text: String,
}

/// Needles that can be ruled out before; those after them are always looked for.
pub(super) const RULED_OUT_MAX: usize = 64;

/// What of a message is read, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Header,
    Body,
}

/// `of_header`: something other than the needles depends on the header.
pub(super) fn steps(needles: &[Needle], of_header: bool) -> &'static [Step] {
    if of_header || needles.iter().any(|needle| needle.place != Place::Body) {
        &[Step::Header, Step::Body]
    } else {
        &[Step::Body]
    }
}

/// What is known of a message's text.
#[derive(Debug)]
pub(super) struct Known {
    found: Vec<Option<bool>>,
    sent: Sent,
}

/// What the Date field says, in its own zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// It was not read.
    Unknown,
    /// There is no such field, or no date in it.
    Never,
    On(Date),
}

impl Needle {
    pub(super) fn new(place: Place, text: &str) -> Self {
        Self { place, text: text.to_lowercase() }
    }

    /// What the words of a message tell of it, if they do, and whether it may be in the header and in the body.
    pub(super) fn query(&self) -> Option<(Query, bool, bool)> {
        let (in_header, in_body) = match self.place {
            Place::Header { .. } => (true, false),
            Place::Body => (false, true),
            Place::Text => (true, true),
            Place::Thread => return None,
        };
        Some((Query::new(&self.text)?, in_header, in_body))
    }
}

impl Known {
    /// `ruled_out`: by their places, needles that are known not to be there.
    pub(super) fn new(needles: &[Needle], ruled_out: u64) -> Self {
        // Every body holds the empty string.
        let found = needles.iter().enumerate().map(|(at, needle)| match needle.place {
            Place::Body | Place::Text if needle.text.is_empty() => Some(true),
            _ if at < RULED_OUT_MAX && ruled_out >> at & 1 == 1 => Some(false),
            _ => None,
        });
        Self { found: found.collect(), sent: Sent::Unknown }
    }

    pub(super) fn is_found(&self, place: usize) -> Option<bool> {
        self.found.get(place).copied().flatten()
    }

    pub(super) fn sent(&self) -> Sent {
        self.sent
    }

    fn read_header(&mut self, octets: &[u8], needles: &[Needle]) {
        let all = needles.iter().any(|needle| needle.place == Place::Text).then(|| header_text(octets));
        let all = all.unwrap_or_default();
        let open = needles.iter().zip(&mut self.found).filter(|(_, found)| found.is_none());
        for (needle, found) in open {
            match &needle.place {
                Place::Header { name } => {
                    let mut values = header::values(octets, name);
                    *found = Some(values.any(|value| header_text(&value).contains(&needle.text)));
                }
                Place::Text if all.contains(&needle.text) => *found = Some(true),
                Place::Text | Place::Body | Place::Thread => {}
            }
        }
        let date = header::value(octets, "Date");
        let day = date.and_then(|date| day(&String::from_utf8_lossy(&date)));
        self.sent = day.map_or(Sent::Never, Sent::On);
    }

    fn find_thread(&mut self, thread: Option<&str>, needles: &[Needle]) {
        for (needle, found) in needles.iter().zip(&mut self.found) {
            if needle.place == Place::Thread {
                *found = Some(thread.is_some_and(|thread| thread.eq_ignore_ascii_case(&needle.text)));
            }
        }
    }

    fn search(&mut self, text: &str, needles: &[Needle]) {
        for (needle, found) in needles.iter().zip(&mut self.found) {
            if found.is_none() && text.contains(&needle.text) {
                *found = Some(true);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.found.iter().all(Option::is_some)
    }
}

/// The day as it was written: zones do not count (RFC 9051 §6.4.4).
fn day(date: &str) -> Option<Date> {
    let moment = Timestamp::parse_rfc5322(date.trim()).ok()?;
    let offset = date.split_whitespace().find(|word| word.starts_with(['+', '-'])).and_then(zone_minutes);
    let local = moment.millis().saturating_add(offset.unwrap_or(0).saturating_mul(60_000));
    Some(Date::of(Timestamp::from_millis(local)))
}

fn zone_minutes(zone: &str) -> Option<i64> {
    let number: i64 = zone.parse().ok()?;
    Some((number / 100).saturating_mul(60).saturating_add(number % 100))
}

pub(super) async fn read_text(
    mailboxes: &Mailboxes,
    mailbox: MailboxId,
    message: &StoredMessage,
    needles: &[Needle],
    step: Step,
    known: &mut Known,
) -> Result<(), StoreError> {
    match step {
        Step::Header => {
            known.read_header(&read_header(mailboxes, message).await?, needles);
            if needles.iter().any(|needle| needle.place == Place::Thread) {
                let thread = mailboxes.summary(mailbox, message).await?.thread_id();
                known.find_thread(thread.as_deref(), needles);
            }
        }
        Step::Body => {
            let summary = mailboxes.summary(mailbox, message).await?;
            for part in text_parts(&summary.structure) {
                if known.is_complete() {
                    break;
                }
                search_part(mailboxes, message, part, needles, known).await?;
            }
            known.found.iter_mut().for_each(|found| *found = Some(found.unwrap_or(false)));
        }
    }
    Ok(())
}

async fn search_part(
    mailboxes: &Mailboxes,
    message: &StoredMessage,
    part: &Part,
    needles: &[Needle],
    known: &mut Known,
) -> Result<(), StoreError> {
    let Some(mut text) = PartText::new(message, part) else { return Ok(()) };
    let longest = needles.iter().map(|needle| needle.text.len()).max().unwrap_or(0);
    let mut window = String::new();
    while let Some(piece) = text.next(mailboxes).await? {
        // White space that folds lines is not what people look for.
        window.push_str(&piece);
        known.search(&window, needles);
        if known.is_complete() {
            break;
        }
        keep_end(&mut window, longest);
    }
    Ok(())
}

/// The last octets, in which a needle may begin; a few more, so that characters stay whole.
fn keep_end(window: &mut String, octets: usize) {
    let mut from = window.len().saturating_sub(octets);
    while !window.is_char_boundary(from) {
        from -= 1;
    }
    window.drain(..from);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needles() -> Vec<Needle> {
        vec![
            Needle::new(Place::Header { name: "subject".to_owned() }, "GRÜN"),
            Needle::new(Place::Header { name: "Cc".to_owned() }, ""),
            Needle::new(Place::Text, "Jörg"),
            Needle::new(Place::Body, "jörg"),
            Needle::new(Place::Body, ""),
        ]
    }

    #[test]
    fn headers_are_searched_decoded_and_without_case() {
        let needles = needles();
        let mut known = Known::new(&needles, 0);
        let header = "Subject: es ist\r\n =?utf-8?Q?gr=C3=BCn?=\r\nFrom: =?utf-8?B?SsO2cmc=?= <j@x>\r\nDate: Tue, 1 Jul \
                      2003 23:52:37 -0200\r\n\r\n";
        known.read_header(header.as_bytes(), &needles);
        assert_eq!(known.found, [Some(true), Some(false), Some(true), None, Some(true)]);
        assert_eq!(known.sent(), Sent::On(Date::new(2003, 7, 1).unwrap()));
        known.search("und jörg war da", &needles);
        assert!(known.is_complete());
        let mut known = Known::new(&needles, 0b101);
        known.read_header(header.as_bytes(), &needles);
        assert_eq!(known.found, [Some(false), Some(false), Some(false), None, Some(true)]);
    }

    #[test]
    fn a_needle_may_lie_across_two_pieces() {
        let mut window = "abcä€x".to_owned();
        keep_end(&mut window, 2);
        assert_eq!(window, "€x");
        keep_end(&mut window, 100);
        assert_eq!(window, "€x");
    }
}
