//! Responses of a server, as far as this client asks for them.

use bytes::Bytes;
use mail::text;

use super::{
    event::{Fetched, Listed},
    value::{Value, Values},
};
use crate::imap::{date::parse_date_time, mutf7};

/// Octets of a server's words that are kept.
const TEXT_BYTES_MAX: usize = 512;
/// Of one message.
const FLAGS_MAX: usize = 100;
/// RFC 6154 §2; others are nothing that a mailbox here can be.
const SPECIAL_USES: [&str; 5] = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ok,
    No,
    Bad,
    Bye,
    Preauth,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Response {
    /// `+`: what follows it.
    Continue(Vec<u8>),
    Tagged {
        tag: Vec<u8>,
        word: Word,
        status: Status,
    },
    Untagged(Word, Status),
    Capabilities(Vec<String>),
    List(Listed),
    /// LSUB: the name as it is on the wire.
    Subscribed(Vec<u8>),
    Exists(u32),
    Fetch(Fetched),
    /// Nothing that was asked for.
    Other,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Status {
    pub(super) capabilities: Option<Vec<String>>,
    pub(super) uid_validity: Option<u32>,
    /// Cleaned.
    pub(super) text: String,
}

/// What cannot be read is nothing that was asked for.
pub(super) fn parse(raw: &Bytes) -> Response {
    if let Some(rest) = raw.strip_prefix(b"+") {
        return Response::Continue(rest.strip_prefix(b" ").unwrap_or(rest).to_vec());
    }
    let mut values = Values::new(raw.clone());
    let (Some(Value::Atom(tag)), Some(first)) = (values.next(), values.next()) else {
        return Response::Other;
    };
    let word = word(&first);
    match (&*tag, word) {
        (b"*", None) => untagged(&first, &mut values).unwrap_or(Response::Other),
        (b"*", Some(word)) => Response::Untagged(word, status(values)),
        (tag, Some(word)) => Response::Tagged { tag: tag.to_vec(), word, status: status(values) },
        (_, None) => Response::Other,
    }
}

fn word(value: &Value) -> Option<Word> {
    let words = [
        ("OK", Word::Ok),
        ("NO", Word::No),
        ("BAD", Word::Bad),
        ("BYE", Word::Bye),
        ("PREAUTH", Word::Preauth),
    ];
    words.into_iter().find(|(name, _)| value.is_atom(name)).map(|(_, word)| word)
}

/// `[UIDVALIDITY 5] text`
fn status(values: Values) -> Status {
    let rest = values.rest();
    let rest = rest.trim_ascii_start();
    let mut status = Status::default();
    let mut text = rest;
    if let Some(inside) = rest.strip_prefix(b"[")
        && let Some(end) = inside.iter().position(|octet| *octet == b']')
    {
        let (code, after) = inside.split_at_checked(end).unwrap_or_default();
        text = after.get(1..).unwrap_or_default();
        let mut code = Values::new(Bytes::copy_from_slice(code));
        match code.next() {
            Some(name) if name.is_atom("CAPABILITY") => status.capabilities = Some(words(&mut code)),
            Some(name) if name.is_atom("UIDVALIDITY") => {
                status.uid_validity = code.next().and_then(|value| value.number());
            }
            _ => {}
        }
    }
    status.text = text::clean_within(text.trim_ascii(), TEXT_BYTES_MAX);
    status
}

fn words(values: &mut Values) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(value) = values.next() {
        words.extend(value.text().map(str::to_ascii_uppercase));
    }
    words
}

fn untagged(first: &Value, values: &mut Values) -> Option<Response> {
    if first.is_atom("CAPABILITY") {
        return Some(Response::Capabilities(words(values)));
    }
    if first.is_atom("LIST") {
        return listed(values).map(Response::List);
    }
    if first.is_atom("LSUB") {
        return listed(values).map(|listed| Response::Subscribed(listed.wire_name));
    }
    let number: u32 = first.number()?;
    let what = values.next()?;
    if what.is_atom("EXISTS") {
        return Some(Response::Exists(number));
    }
    if what.is_atom("FETCH") {
        let items = values.next()?;
        return fetched(items.list()?).map(Response::Fetch);
    }
    None
}

/// `(\HasNoChildren \Sent) "/" Sent`
fn listed(values: &mut Values) -> Option<Listed> {
    let attributes = values.next()?;
    let attributes = attributes.list()?;
    let has = |name: &str| attributes.iter().any(|attribute| attribute.is_atom(name));
    let delimiter = values.next()?;
    let wire_name = values.next()?.octets()?.to_vec();
    let delimiter = delimiter.text().and_then(|text| text.chars().next());
    let special_use = SPECIAL_USES.into_iter().find(|name| has(name)).map(str::to_owned);
    Some(Listed {
        name: shown(&wire_name, delimiter),
        wire_name,
        special_use,
        subscribed: has("\\Subscribed"),
        selectable: !has("\\Noselect") && !has("\\NonExistent"),
    })
}

/// The name with `/` between its levels, whatever the server has there.
fn shown(wire_name: &[u8], delimiter: Option<char>) -> String {
    let name = mutf7::decode(wire_name);
    // A server of RFC 9051 writes UTF-8.
    let name = name.unwrap_or_else(|| String::from_utf8_lossy(wire_name).into_owned());
    let name = text::clean(name.as_bytes());
    let inbox = name.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("INBOX"));
    let name = match name.get(5..) {
        Some(rest)
            if inbox && (rest.is_empty() || delimiter.is_some_and(|level| rest.starts_with(level))) =>
        {
            format!("INBOX{rest}")
        }
        _ => name,
    };
    match delimiter {
        Some('/') | None => name,
        Some(level) => name.replace('/', "_").replace(level, "/"),
    }
}

fn fetched(items: &[Value]) -> Option<Fetched> {
    let mut fetched = Fetched::default();
    let mut items = items.iter();
    while let (Some(name), Some(value)) = (items.next(), items.next()) {
        if name.is_atom("UID") {
            fetched.uid = value.number()?;
        } else if name.is_atom("RFC822.SIZE") {
            fetched.octets = value.number();
        } else if name.is_atom("INTERNALDATE") {
            fetched.internal_date = value.text().and_then(parse_date_time);
        } else if name.is_atom("FLAGS") {
            let flags = value.list().unwrap_or_default().iter().filter_map(Value::text);
            // RFC 9051 §2.3.2: what a session knows of itself is nothing to keep.
            let kept = flags.filter(|flag| !flag.eq_ignore_ascii_case("\\Recent") && *flag != "\\*");
            fetched.flags = kept.take(FLAGS_MAX).map(|flag| text::clean(flag.as_bytes())).collect();
        } else if name.is_atom("BODY[]") {
            fetched.body = value.octets().cloned();
        }
    }
    (fetched.uid > 0).then_some(fetched)
}
