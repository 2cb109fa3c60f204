//! FETCH responses (RFC 9051 §7.5.2, and the extensions). Bodies stream: their length is told, then they are written.

use mail::{
    Timestamp,
    mime::{Envelope, Structure},
};

use super::{
    super::{
        command::{Flag, Section, SectionText},
        date::format_date_time,
    },
    structure,
    text::{astring, decimal, octets, string},
};

/// One thing about a message.
#[derive(Clone, Debug)]
pub enum FetchData<'a> {
    Uid(u32),
    /// `recent`: for RFC 3501.
    Flags {
        flags: &'a [Flag],
        recent: bool,
    },
    InternalDate(Timestamp),
    Rfc822Size(u64),
    Envelope(&'a Envelope),
    Body(&'a Structure),
    BodyStructure(&'a Structure),
    ModSeq(u64),
    /// RFC 8474
    EmailId(&'a str),
    ThreadId(Option<&'a str>),
    /// RFC 8514
    SaveDate(Option<Timestamp>),
    /// RFC 8970: `None` if there is none at hand.
    Preview(Option<&'a str>),
    BinarySize {
        part: &'a [u32],
        octets: u64,
    },
    /// There is no such section.
    NoContent(ContentName<'a>),
    /// At hand, and short.
    Content(ContentName<'a>, &'a [u8]),
}

/// What content is called in the answer.
#[derive(Clone, Copy, Debug)]
pub enum ContentName<'a> {
    /// `origin`: of a partial fetch.
    Body {
        section: &'a Section,
        origin: Option<u64>,
    },
    Binary {
        part: &'a [u32],
        origin: Option<u64>,
    },
    Rfc822,
    Rfc822Header,
    Rfc822Text,
}

pub(super) fn item(out: &mut Vec<u8>, data: &FetchData<'_>, utf8: bool) {
    let put = |out: &mut Vec<u8>, text: &str| out.extend_from_slice(text.as_bytes());
    match data {
        FetchData::Uid(uid) => {
            put(out, "UID ");
            decimal(out, u64::from(*uid));
        }
        FetchData::Flags { flags, recent } => {
            put(out, "FLAGS (");
            for (index, name) in flags.iter().map(Flag::name).chain(recent.then_some("\\Recent")).enumerate()
            {
                put(out, if index == 0 { "" } else { " " });
                put(out, name);
            }
            put(out, ")");
        }
        FetchData::InternalDate(moment) => put(out, &format!("INTERNALDATE {}", format_date_time(*moment))),
        FetchData::Rfc822Size(octets) => {
            put(out, "RFC822.SIZE ");
            decimal(out, *octets);
        }
        FetchData::Envelope(envelope) => {
            put(out, "ENVELOPE ");
            structure::envelope(out, envelope, utf8);
        }
        FetchData::Body(body) => {
            put(out, "BODY ");
            structure::body(out, body, false, utf8);
        }
        FetchData::BodyStructure(body) => {
            put(out, "BODYSTRUCTURE ");
            structure::body(out, body, true, utf8);
        }
        FetchData::ModSeq(modseq) => put(out, &format!("MODSEQ ({modseq})")),
        FetchData::EmailId(id) => put(out, &format!("EMAILID ({id})")),
        FetchData::ThreadId(Some(id)) => put(out, &format!("THREADID ({id})")),
        FetchData::ThreadId(None) => put(out, "THREADID NIL"),
        FetchData::SaveDate(Some(moment)) => put(out, &format!("SAVEDATE {}", format_date_time(*moment))),
        FetchData::SaveDate(None) => put(out, "SAVEDATE NIL"),
        FetchData::Preview(None) => put(out, "PREVIEW NIL"),
        // RFC 8970 §3.1: a preview is UTF-8 to everybody, and goes as a literal then.
        FetchData::Preview(Some(text)) if utf8 || text.is_ascii() => {
            put(out, "PREVIEW ");
            string(out, text, utf8);
        }
        FetchData::Preview(Some(text)) => {
            put(out, "PREVIEW ");
            octets(out, text.replace('\0', " ").as_bytes());
        }
        FetchData::BinarySize { part, octets } => {
            put(out, &format!("BINARY.SIZE[{}] {octets}", numbers(part)));
        }
        FetchData::NoContent(named) => {
            name(out, named, utf8);
            put(out, " NIL");
        }
        FetchData::Content(named, content) => {
            let binary = matches!(named, ContentName::Binary { .. }) && content.contains(&0);
            literal_head(out, named, len(content), binary, utf8);
            out.extend_from_slice(content);
        }
    }
}

/// The name and the head of the literal; the octets follow.
pub(super) fn literal_head(
    out: &mut Vec<u8>,
    named: &ContentName<'_>,
    octets: u64,
    binary: bool,
    utf8: bool,
) {
    name(out, named, utf8);
    let tilde = if binary { "~" } else { "" };
    out.extend_from_slice(format!(" {tilde}{{{octets}}}\r\n").as_bytes());
}

fn name(out: &mut Vec<u8>, name: &ContentName<'_>, utf8: bool) {
    let origin = match name {
        ContentName::Body { section, origin } => {
            out.extend_from_slice(b"BODY[");
            write_section(out, section, utf8);
            origin
        }
        ContentName::Binary { part, origin } => {
            out.extend_from_slice(format!("BINARY[{}]", numbers(part)).as_bytes());
            origin
        }
        ContentName::Rfc822 => return out.extend_from_slice(b"RFC822"),
        ContentName::Rfc822Header => return out.extend_from_slice(b"RFC822.HEADER"),
        ContentName::Rfc822Text => return out.extend_from_slice(b"RFC822.TEXT"),
    };
    if let Some(origin) = origin {
        out.extend_from_slice(format!("<{origin}>").as_bytes());
    }
}

fn write_section(out: &mut Vec<u8>, section: &Section, utf8: bool) {
    let dot = if section.part.is_empty() || section.text == SectionText::All { "" } else { "." };
    let (text, names) = match &section.text {
        SectionText::All => ("", None),
        SectionText::Header => ("HEADER", None),
        SectionText::HeaderFields(names) => ("HEADER.FIELDS ", Some(names)),
        SectionText::HeaderFieldsNot(names) => ("HEADER.FIELDS.NOT ", Some(names)),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
    };
    out.extend_from_slice(format!("{}{dot}{text}", numbers(&section.part)).as_bytes());
    for (index, name) in names.into_iter().flatten().enumerate() {
        out.push(if index == 0 { b'(' } else { b' ' });
        astring(out, name, utf8);
    }
    out.extend_from_slice(if names.is_some() { b")]" } else { b"]" });
}

fn numbers(part: &[u32]) -> String {
    part.iter().map(u32::to_string).collect::<Vec<_>>().join(".")
}

fn len(octets: &[u8]) -> u64 {
    u64::try_from(octets.len()).unwrap_or(u64::MAX)
}
