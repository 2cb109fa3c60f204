//! The message that a report is about, as its last part.

use std::borrow::Cow;

use memchr::{memchr, memmem};

use super::Part;
use crate::header;

/// RFC 5321 §4.5.3.1.6, without the CRLF.
const LINE_BYTES_MAX: usize = 998;

/// The whole message, or its header section if that is asked for or if the body cannot travel as text. `None` if the
/// header section cannot either, or is empty.
pub(super) fn part(original: &[u8], headers_only: bool) -> Option<Part<'_>> {
    let body_start = header::body_start(original);
    let section = original.get(..body_start)?;
    // RFC 6533 §5: the global kinds are for header sections in UTF-8; octets of other character sets are older mail's.
    let is_global = !section.is_ascii() && str::from_utf8(section).is_ok();
    if !headers_only && !original.is_empty() && is_text(original) {
        let content_type = if is_global { "message/global" } else { "message/rfc822" };
        let content = Cow::Borrowed(original);
        return Some(Part { content_type, description: "Your message", content, quoted: false });
    }
    let section = if section.ends_with(b"\r\n\r\n") { section.get(..section.len() - 2)? } else { section };
    if section.trim_ascii().is_empty() || !is_text(section) {
        return None;
    }
    let content_type = if is_global { "message/global-headers" } else { "text/rfc822-headers" };
    let content = Cow::Borrowed(section);
    Some(Part { content_type, description: "Header of your message", content, quoted: false })
}

/// What DATA can carry: no NUL, no CR or LF alone, no line too long.
fn is_text(octets: &[u8]) -> bool {
    let mut rest = octets;
    loop {
        let end = memmem::find(rest, b"\r\n");
        let (line, after) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 2..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        if line.len() > LINE_BYTES_MAX || b"\0\r\n".iter().any(|&octet| memchr(octet, line).is_some()) {
            return false;
        }
        if end.is_none() {
            return true;
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returned(original: &[u8], headers_only: bool) -> Option<(&'static str, &[u8])> {
        match part(original, headers_only)? {
            Part { content_type, content: Cow::Borrowed(content), .. } => Some((content_type, content)),
            Part { .. } => panic!("copied"),
        }
    }

    #[test]
    fn whole_or_header_only() {
        let message = b"A: b\r\n\r\nbody\r\n";
        assert_eq!(returned(message, false), Some(("message/rfc822", &message[..])));
        assert_eq!(returned(message, true), Some(("text/rfc822-headers", &b"A: b\r\n"[..])));
        assert_eq!(returned(b"A: b\r\n", true), Some(("text/rfc822-headers", &b"A: b\r\n"[..])));
        assert_eq!(returned(b"\r\nbody", true), None);
        assert_eq!(returned(b"", false), None);
    }

    #[test]
    fn utf8_header_sections_are_global() {
        let message = "A: ü\r\n\r\nbody".as_bytes();
        assert_eq!(returned(message, false).unwrap().0, "message/global");
        assert_eq!(returned(message, true).unwrap().0, "message/global-headers");
        assert_eq!(returned(b"A: \xfc\r\n\r\nbody", false).unwrap().0, "message/rfc822");
        assert_eq!(returned("A: b\r\n\r\nü".as_bytes(), false).unwrap().0, "message/rfc822");
    }

    #[test]
    fn binary_bodies_stay_behind() {
        for body in [&b"a\0b"[..], b"a\nb", b"a\rb", b"a\r", &[b'x'; 999]] {
            let message = [b"A: b\r\n\r\n", body].concat();
            assert_eq!(returned(&message, false), Some(("text/rfc822-headers", &b"A: b\r\n"[..])));
        }
        assert_eq!(returned(b"A: b\0\r\n\r\nbody", false), None);
        let longest = [&b"A: b\r\n\r\n"[..], &[b'x'; 998]].concat();
        assert_eq!(returned(&longest, false).unwrap().1, longest);
    }
}
