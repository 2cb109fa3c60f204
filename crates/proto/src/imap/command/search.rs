//! SEARCH, SORT and THREAD (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 5032, RFC 5256, RFC 7162, RFC 8474, RFC 8514,
//! RFC 9394).

use std::num::NonZeroU32;

use super::{
    super::{
        SEARCH_KEYS_MAX,
        cursor::Cursor,
        date::Date,
        error::{CommandError, Parsed, expected},
        sequence::SequenceSet,
    },
    Flag,
    select::modseq_or_zero,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Search {
    /// `None`: without RETURN; a client of RFC 3501 wants SEARCH for an answer, one of RFC 9051 ESEARCH.
    pub returned: Option<SearchReturn>,
    /// All of them have to match; one or more.
    pub keys: Vec<SearchKey>,
}

/// RFC 4731 §3.1. `RETURN ()` is `all`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SearchReturn {
    pub min: bool,
    pub max: bool,
    pub all: bool,
    pub count: bool,
    /// Keep the result for `$` (RFC 5182).
    pub save: bool,
    pub partial: Option<PartialRange>,
}

/// Some of many results, counted from one (RFC 9394).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartialRange {
    /// Not greater than `last`.
    pub first: NonZeroU32,
    pub last: NonZeroU32,
    /// Counted from the last backwards: `-1:-100`.
    pub from_end: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchKey {
    All,
    Messages(SequenceSet),
    Uids(SequenceSet),
    Flag(Flag),
    /// UNSEEN and its like, UNKEYWORD.
    NotFlag(Flag),
    New,
    Old,
    Recent,
    Envelope(EnvelopeField, String),
    /// `value` empty: there is such a field.
    Header {
        name: String,
        value: String,
    },
    Body(String),
    Text(String),
    Larger(u64),
    Smaller(u64),
    Before(WhichDate, Date),
    On(WhichDate, Date),
    Since(WhichDate, Date),
    /// SAVEDATESUPPORTED.
    SaveDateSupported,
    /// Received longer ago than so many seconds (RFC 5032).
    Older(NonZeroU32),
    Younger(NonZeroU32),
    /// At least. The entry that a client may name has no meaning here: flags have one mod-sequence together.
    ModSeq(u64),
    EmailId(String),
    ThreadId(String),
    Not(Box<SearchKey>),
    Or(Box<(SearchKey, SearchKey)>),
    And(Vec<SearchKey>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnvelopeField {
    Bcc,
    Cc,
    From,
    Subject,
    To,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhichDate {
    /// INTERNALDATE.
    Received,
    /// The Date field.
    Sent,
    /// RFC 8514
    Saved,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    pub returned: Option<SearchReturn>,
    /// The first counts most; one or more.
    pub by: Vec<SortKey>,
    pub keys: Vec<SearchKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    pub field: SortField,
    pub direction: Direction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Ascending,
    Descending,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortField {
    Arrival,
    Cc,
    Date,
    From,
    Size,
    Subject,
    To,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    pub algorithm: ThreadAlgorithm,
    pub keys: Vec<SearchKey>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadAlgorithm {
    OrderedSubject,
    References,
}

impl Search {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let returned = SearchReturn::parse(cursor)?;
        if cursor.word_and_space("CHARSET")? {
            charset(cursor)?;
            cursor.space()?;
        }
        Ok(Self { returned, keys: keys(cursor)? })
    }
}

impl SearchReturn {
    /// With the space behind it.
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Option<Self>> {
        if !cursor.word_and_space("RETURN")? {
            return Ok(None);
        }
        let mut returned = Self::default();
        let options = cursor.list_or_none("options", |cursor| returned.option(cursor))?;
        cursor.space()?;
        returned.all |= options.is_empty();
        // RFC 9394 §3.1
        if returned.all && returned.partial.is_some() {
            return expected("either ALL or PARTIAL");
        }
        Ok(Some(returned))
    }

    fn option(&mut self, cursor: &mut Cursor<'_>) -> Parsed<()> {
        let name = cursor.atom("a return option")?;
        match name.to_ascii_uppercase().as_str() {
            "MIN" => self.min = true,
            "MAX" => self.max = true,
            "ALL" => self.all = true,
            "COUNT" => self.count = true,
            "SAVE" => self.save = true,
            "PARTIAL" => {
                cursor.space()?;
                self.partial = Some(PartialRange::parse(cursor)?);
            }
            _ => return expected("a return option that is known"),
        }
        Ok(())
    }
}

impl PartialRange {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let from_end = cursor.eat(b'-');
        let one = cursor.nz_number()?;
        cursor.expect(b':', "a colon")?;
        if cursor.eat(b'-') != from_end {
            return expected("both ends counted from the same side");
        }
        let other = cursor.nz_number()?;
        Ok(Self { first: one.min(other), last: one.max(other), from_end })
    }
}

impl Sort {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let returned = SearchReturn::parse(cursor)?;
        let by = cursor.list("sort keys", SortKey::parse)?;
        if by.len() > SORT_KEYS_MAX {
            return Err(CommandError::TooMany { what: "sort keys", limit: SORT_KEYS_MAX }.into());
        }
        Ok(Self { returned, by, keys: charset_and_keys(cursor)? })
    }
}

/// Each way of sorting once, in both directions.
const SORT_KEYS_MAX: usize = 14;

impl SortKey {
    fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let direction =
            if cursor.word_and_space("REVERSE")? { Direction::Descending } else { Direction::Ascending };
        let field = match cursor.atom("a sort key")?.to_ascii_uppercase().as_str() {
            "ARRIVAL" => SortField::Arrival,
            "CC" => SortField::Cc,
            "DATE" => SortField::Date,
            "FROM" => SortField::From,
            "SIZE" => SortField::Size,
            "SUBJECT" => SortField::Subject,
            "TO" => SortField::To,
            _ => return expected("a sort key that is known"),
        };
        Ok(Self { field, direction })
    }
}

impl Thread {
    pub(super) fn parse(cursor: &mut Cursor<'_>) -> Parsed<Self> {
        let algorithm = match cursor.atom("a threading algorithm")?.to_ascii_uppercase().as_str() {
            "ORDEREDSUBJECT" => ThreadAlgorithm::OrderedSubject,
            "REFERENCES" => ThreadAlgorithm::References,
            _ => return expected("a threading algorithm that is known"),
        };
        Ok(Self { algorithm, keys: charset_and_keys(cursor)? })
    }
}

fn charset_and_keys(cursor: &mut Cursor<'_>) -> Parsed<Vec<SearchKey>> {
    cursor.space()?;
    charset(cursor)?;
    cursor.space()?;
    keys(cursor)
}

/// Text is UTF-8 in each of those that are taken.
fn charset(cursor: &mut Cursor<'_>) -> Parsed<()> {
    let name = cursor.text("a charset")?;
    let known = ["UTF-8", "US-ASCII"].iter().any(|known| known.eq_ignore_ascii_case(&name));
    if known { Ok(()) } else { Err(CommandError::Charset.into()) }
}

fn keys(cursor: &mut Cursor<'_>) -> Parsed<Vec<SearchKey>> {
    let mut budget = SEARCH_KEYS_MAX;
    let mut keys = vec![key(cursor, &mut budget)?];
    loop {
        let mut ahead = cursor.clone();
        // A space at the end of the line is left to the caller.
        if !ahead.eat(b' ') || ahead.is_at_end() {
            return Ok(keys);
        }
        *cursor = ahead;
        keys.push(key(cursor, &mut budget)?);
    }
}

fn key(cursor: &mut Cursor<'_>, budget: &mut usize) -> Parsed<SearchKey> {
    *budget = budget.checked_sub(1).ok_or(CommandError::SearchKeys)?;
    if cursor.peek() == Some(b'(') {
        return Ok(SearchKey::And(cursor.list("search keys", |cursor| key(cursor, budget))?));
    }
    if cursor.at_sequence_set() {
        return cursor.sequence_set().map(SearchKey::Messages);
    }
    let name = cursor.atom("a search key")?.to_ascii_uppercase();
    if let Some(key) = bare_key(&name) {
        return Ok(key);
    }
    match name.as_str() {
        "NOT" => {
            cursor.space()?;
            cursor.nested(|cursor| Ok(SearchKey::Not(Box::new(key(cursor, budget)?))))
        }
        "OR" => cursor.nested(|cursor| {
            cursor.space()?;
            let one = key(cursor, budget)?;
            cursor.space()?;
            Ok(SearchKey::Or(Box::new((one, key(cursor, budget)?))))
        }),
        name => argued_key(name, cursor),
    }
}

fn bare_key(name: &str) -> Option<SearchKey> {
    Some(match name {
        "ALL" => SearchKey::All,
        "ANSWERED" => SearchKey::Flag(Flag::Answered),
        "DELETED" => SearchKey::Flag(Flag::Deleted),
        "DRAFT" => SearchKey::Flag(Flag::Draft),
        "FLAGGED" => SearchKey::Flag(Flag::Flagged),
        "SEEN" => SearchKey::Flag(Flag::Seen),
        "UNANSWERED" => SearchKey::NotFlag(Flag::Answered),
        "UNDELETED" => SearchKey::NotFlag(Flag::Deleted),
        "UNDRAFT" => SearchKey::NotFlag(Flag::Draft),
        "UNFLAGGED" => SearchKey::NotFlag(Flag::Flagged),
        "UNSEEN" => SearchKey::NotFlag(Flag::Seen),
        "NEW" => SearchKey::New,
        "OLD" => SearchKey::Old,
        "RECENT" => SearchKey::Recent,
        "SAVEDATESUPPORTED" => SearchKey::SaveDateSupported,
        _ => return None,
    })
}

fn argued_key(name: &str, cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    type Parser = fn(&mut Cursor<'_>) -> Parsed<SearchKey>;
    let parser: Parser = match name {
        "KEYWORD" => |cursor| Flag::keyword(cursor).map(SearchKey::Flag),
        "UNKEYWORD" => |cursor| Flag::keyword(cursor).map(SearchKey::NotFlag),
        "UID" => |cursor| cursor.sequence_set().map(SearchKey::Uids),
        "BODY" => |cursor| cursor.text("a string").map(SearchKey::Body),
        "TEXT" => |cursor| cursor.text("a string").map(SearchKey::Text),
        "HEADER" => |cursor| {
            let name = cursor.text("the name of a header field")?;
            cursor.space()?;
            Ok(SearchKey::Header { name, value: cursor.text("a string")? })
        },
        "LARGER" => |cursor| cursor.number64().map(SearchKey::Larger),
        "SMALLER" => |cursor| cursor.number64().map(SearchKey::Smaller),
        "OLDER" => |cursor| cursor.nz_number().map(SearchKey::Older),
        "YOUNGER" => |cursor| cursor.nz_number().map(SearchKey::Younger),
        "EMAILID" => |cursor| cursor.atom("an identifier").map(|id| SearchKey::EmailId(id.to_owned())),
        "THREADID" => |cursor| cursor.atom("an identifier").map(|id| SearchKey::ThreadId(id.to_owned())),
        "MODSEQ" => modseq_key,
        name => return envelope_or_date_key(name, cursor),
    };
    cursor.space()?;
    parser(cursor)
}

fn envelope_or_date_key(name: &str, cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    let field = match name {
        "BCC" => EnvelopeField::Bcc,
        "CC" => EnvelopeField::Cc,
        "FROM" => EnvelopeField::From,
        "SUBJECT" => EnvelopeField::Subject,
        "TO" => EnvelopeField::To,
        name => return date_key(name, cursor),
    };
    cursor.space()?;
    cursor.text("a string").map(|text| SearchKey::Envelope(field, text))
}

fn date_key(name: &str, cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    let (which, name) = match (name.strip_prefix("SENT"), name.strip_prefix("SAVED")) {
        (Some(rest), _) => (WhichDate::Sent, rest),
        (None, Some(rest)) => (WhichDate::Saved, rest),
        (None, None) => (WhichDate::Received, name),
    };
    let build = match name {
        "BEFORE" => SearchKey::Before,
        "ON" => SearchKey::On,
        "SINCE" => SearchKey::Since,
        _ => return expected("a search key that is known"),
    };
    cursor.space()?;
    let date = Date::parse(&cursor.text("a date")?);
    date.map_or_else(|| expected("a date such as 1-Feb-2026"), |date| Ok(build(which, date)))
}

/// `MODSEQ ["/flags/\\Seen" all] 123` (RFC 7162 §3.1.5)
fn modseq_key(cursor: &mut Cursor<'_>) -> Parsed<SearchKey> {
    if cursor.peek() == Some(b'"') {
        let entry = cursor.string("the name of an entry")?;
        if !entry.starts_with(b"/flags/") {
            return expected("an entry below /flags/");
        }
        cursor.space()?;
        if !["priv", "shared", "all"].iter().any(|kind| cursor.word(kind)) {
            return expected("priv, shared or all");
        }
        cursor.space()?;
    }
    modseq_or_zero(cursor).map(SearchKey::ModSeq)
}
