//! ENVELOPE and BODYSTRUCTURE (RFC 9051 §7.5.2).

use std::fmt::Write as _;

use mail::mime::{Content, Envelope, EnvelopeAddress, Kind, Parameters, Structure};

use super::text::{nstring, string, words};

pub(super) fn envelope(out: &mut Vec<u8>, envelope: &Envelope, utf8: bool) {
    out.push(b'(');
    nstring(out, envelope.date.as_deref(), utf8);
    out.push(b' ');
    words(out, envelope.subject.as_deref(), utf8);
    let sender = if envelope.sender.is_empty() { &envelope.from } else { &envelope.sender };
    let reply_to = if envelope.reply_to.is_empty() { &envelope.from } else { &envelope.reply_to };
    for list in [&envelope.from, sender, reply_to, &envelope.to, &envelope.cc, &envelope.bcc] {
        out.push(b' ');
        addresses(out, list, utf8);
    }
    out.push(b' ');
    nstring(out, envelope.in_reply_to.as_deref(), utf8);
    out.push(b' ');
    nstring(out, envelope.message_id.as_deref(), utf8);
    out.push(b')');
}

fn addresses(out: &mut Vec<u8>, addresses: &[EnvelopeAddress], utf8: bool) {
    if addresses.is_empty() {
        return out.extend_from_slice(b"NIL");
    }
    out.push(b'(');
    for address in addresses {
        let (name, route, local_part, host) = match address {
            EnvelopeAddress::Mailbox { name, route, local_part, host } => {
                (name.as_deref(), route.as_deref(), Some(local_part.as_str()), Some(host.as_str()))
            }
            EnvelopeAddress::GroupStart(name) => (None, None, Some(name.as_str()), None),
            EnvelopeAddress::GroupEnd => (None, None, None, None),
        };
        out.push(b'(');
        words(out, name, utf8);
        out.push(b' ');
        nstring(out, route, utf8);
        out.push(b' ');
        // The name of a group stands where a local part does.
        if host.is_none() {
            words(out, local_part, utf8);
        } else {
            nstring(out, local_part, utf8);
        }
        out.push(b' ');
        nstring(out, host, utf8);
        out.push(b')');
    }
    out.push(b')');
}

/// `extended`: BODYSTRUCTURE; otherwise BODY.
pub(super) fn body(out: &mut Vec<u8>, structure: &Structure, extended: bool, utf8: bool) {
    Writer { structure, extended, utf8 }.part(out, 0);
}

struct Writer<'a> {
    structure: &'a Structure,
    extended: bool,
    utf8: bool,
}

impl Writer<'_> {
    /// As deep as a structure can be, which has a limit.
    fn part(&self, out: &mut Vec<u8>, place: usize) {
        let Some(part) = self.structure.parts().get(place) else { return };
        let content = &part.content;
        out.push(b'(');
        if part.kind == Kind::Multipart {
            self.structure.children(place).for_each(|child| self.part(out, child));
            out.push(b' ');
            string(out, &content.subtype, self.utf8);
            if self.extended {
                out.push(b' ');
                self.parameters(out, &content.parameters);
                self.extension(out, content);
            }
            return out.push(b')');
        }
        string(out, &content.media_type, self.utf8);
        out.push(b' ');
        string(out, &content.subtype, self.utf8);
        out.push(b' ');
        self.parameters(out, &content.parameters);
        out.push(b' ');
        nstring(out, content.id.as_deref(), self.utf8);
        out.push(b' ');
        words(out, content.description.as_deref(), self.utf8);
        out.push(b' ');
        string(out, content.encoding.as_deref().unwrap_or("7bit"), self.utf8);
        let body = part.body();
        number(out, body.end - body.start);
        if part.kind == Kind::Message {
            self.message(out, place + 1);
        }
        if part.kind == Kind::Message || content.media_type.eq_ignore_ascii_case("text") {
            number(out, part.lines);
        }
        if self.extended {
            out.push(b' ');
            nstring(out, content.md5.as_deref(), self.utf8);
            self.extension(out, content);
        }
        out.push(b')');
    }

    fn message(&self, out: &mut Vec<u8>, place: usize) {
        let none = Envelope::default();
        let message = self.structure.parts().get(place).and_then(|part| part.envelope.as_deref());
        out.push(b' ');
        envelope(out, message.unwrap_or(&none), self.utf8);
        out.push(b' ');
        self.part(out, place);
    }

    /// Disposition, languages, location.
    fn extension(&self, out: &mut Vec<u8>, content: &Content) {
        match &content.disposition {
            None => out.extend_from_slice(b" NIL "),
            Some((name, parameters)) => {
                out.extend_from_slice(b" (");
                string(out, name, self.utf8);
                out.push(b' ');
                self.parameters(out, parameters);
                out.extend_from_slice(b") ");
            }
        }
        match content.languages.as_slice() {
            [] => out.extend_from_slice(b"NIL"),
            languages => {
                for (index, language) in languages.iter().enumerate() {
                    out.push(if index == 0 { b'(' } else { b' ' });
                    string(out, language, self.utf8);
                }
                out.push(b')');
            }
        }
        out.push(b' ');
        nstring(out, content.location.as_deref(), self.utf8);
    }

    fn parameters(&self, out: &mut Vec<u8>, parameters: &Parameters) {
        if parameters.is_empty() {
            return out.extend_from_slice(b"NIL");
        }
        for (index, (name, value)) in parameters.iter().enumerate() {
            out.push(if index == 0 { b'(' } else { b' ' });
            // RFC 2231 §4: the form that says ASCII what is not.
            if self.utf8 || value.is_ascii() || name.ends_with('*') {
                string(out, name, self.utf8);
                out.push(b' ');
                string(out, value, self.utf8);
            } else {
                string(out, &format!("{name}*"), false);
                out.push(b' ');
                string(out, &extended_value(value), false);
            }
        }
        out.push(b')');
    }
}

fn extended_value(value: &str) -> String {
    value.bytes().fold("utf-8''".to_owned(), |mut text, octet| {
        if octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_') {
            text.push(char::from(octet));
        } else {
            // A String takes whatever is written to it.
            let _ = write!(text, "%{octet:02X}");
        }
        text
    })
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(format!(" {number}").as_bytes());
}
