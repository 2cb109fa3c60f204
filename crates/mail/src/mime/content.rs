//! The fields that begin with `Content-` (RFC 2045, RFC 2183, RFC 3282, RFC 2557).

use super::{
    Content, Envelope, Parameters, addresses,
    fields::{Fields, text},
};
use crate::convert::segments;

/// Parameters of one field; others are left out.
const PARAMETERS_MAX: usize = 100;
const LANGUAGES_MAX: usize = 100;

/// `in_digest`: what has no type is a message (RFC 2046 §5.1.5).
pub(super) fn content(fields: &Fields, in_digest: bool) -> Content {
    let (media_type, subtype, parameters) =
        fields.value("Content-Type").and_then(media_type).unwrap_or_else(|| unlabelled(in_digest));
    Content {
        media_type,
        subtype,
        parameters,
        id: fields.text("Content-ID"),
        description: fields.text("Content-Description"),
        encoding: fields.value("Content-Transfer-Encoding").and_then(first_token),
        md5: fields.text("Content-MD5"),
        disposition: fields.value("Content-Disposition").and_then(disposition),
        languages: fields.value("Content-Language").map(languages).unwrap_or_default(),
        location: fields.text("Content-Location"),
    }
}

fn unlabelled(in_digest: bool) -> (String, String, Parameters) {
    if in_digest {
        return ("message".to_owned(), "rfc822".to_owned(), Vec::new());
    }
    let Content { media_type, subtype, parameters, .. } = Content::default();
    (media_type, subtype, parameters)
}

fn media_type(value: &[u8]) -> Option<(String, String, Parameters)> {
    let segments = segments(value);
    let (name, parameters) = segments.split_first()?;
    let name = std::str::from_utf8(name).ok()?;
    let (media_type, subtype) = name.split_once('/')?;
    let (media_type, subtype) = (media_type.trim_end(), subtype.trim_start());
    let well_formed = is_token(media_type) && is_token(subtype);
    well_formed.then(|| (media_type.to_owned(), subtype.to_owned(), pairs(parameters)))
}

fn disposition(value: &[u8]) -> Option<(String, Parameters)> {
    let segments = segments(value);
    let (name, parameters) = segments.split_first()?;
    let name = text(name);
    is_token(&name).then(|| (name, pairs(parameters)))
}

fn pairs(segments: &[Vec<u8>]) -> Parameters {
    let pair = |segment: &Vec<u8>| {
        let at = segment.iter().position(|octet| *octet == b'=')?;
        let name = text(segment.get(..at)?.trim_ascii());
        is_token(&name).then(|| Some((name, text(segment.get(at + 1..)?.trim_ascii()))))?
    };
    segments.iter().filter_map(pair).take(PARAMETERS_MAX).collect()
}

fn first_token(value: &[u8]) -> Option<String> {
    let name = segments(value).into_iter().next().map(|name| text(&name))?;
    is_token(&name).then_some(name)
}

fn languages(value: &[u8]) -> Vec<String> {
    let value = segments(value).into_iter().next().unwrap_or_default();
    let tags = value.split(|octet| *octet == b',').map(|tag| text(tag.trim_ascii()));
    tags.filter(|tag| is_token(tag)).take(LANGUAGES_MAX).collect()
}

/// RFC 2045 §5.1, not strict: graphic ASCII that is not part of the syntax around it.
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'(' | b')' | b'/' | b';'))
}

pub(super) fn envelope(fields: &Fields) -> Envelope {
    let addresses = |name| fields.value(name).map(addresses::parse).unwrap_or_default();
    Envelope {
        date: fields.text("Date"),
        subject: fields.text("Subject"),
        from: addresses("From"),
        sender: addresses("Sender"),
        reply_to: addresses("Reply-To"),
        to: addresses("To"),
        cc: addresses("Cc"),
        bcc: addresses("Bcc"),
        in_reply_to: fields.text("In-Reply-To"),
        message_id: fields.text("Message-ID"),
        references: fields.text("References"),
    }
}
