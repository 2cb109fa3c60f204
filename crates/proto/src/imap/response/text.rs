//! Strings as they may go on the wire: atom, quoted or literal (RFC 9051 §4.3), and what becomes of octets beyond
//! ASCII where the client has not asked for UTF-8.

use base64::{Engine, engine::general_purpose::STANDARD};

use super::super::cursor::is_atom;

/// Longer strings go as literals.
const QUOTED_BYTES_MAX: usize = 1000;
/// RFC 2047 §2: octets within one encoded word, so that it has no more than 75 characters.
const ENCODED_WORD_BYTES: usize = 45;

pub(super) fn decimal(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let (mut rest, mut used) = (number, 0);
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        used += 1;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

/// A flag, a keyword, an identifier: as an atom if it is one.
pub(super) fn astring(out: &mut Vec<u8>, text: &str, utf8: bool) {
    // Outside the grammar of atoms, and a client may take it for NIL.
    if !text.is_empty() && text.bytes().all(is_atom) && !text.eq_ignore_ascii_case("NIL") {
        out.extend_from_slice(text.as_bytes());
    } else {
        string(out, text, utf8);
    }
}

/// Quoted if it can be, or a literal. Without `utf8` what is not ASCII is written as `?`; NUL never is.
pub(super) fn string(out: &mut Vec<u8>, text: &str, utf8: bool) {
    // Most are so, and need one look.
    let is_plain = |octet: &u8| matches!(octet, b' '..=b'~') && !matches!(octet, b'"' | b'\\');
    if text.len() <= QUOTED_BYTES_MAX && text.as_bytes().iter().all(is_plain) {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    let replaced;
    let text = if text.contains('\0') || !(utf8 || text.is_ascii()) {
        let is_fine = |c: char| c != '\0' && (utf8 || c.is_ascii());
        replaced = text.chars().map(|c| if is_fine(c) { c } else { '?' }).collect::<String>();
        replaced.as_str()
    } else {
        text
    };
    if text.len() > QUOTED_BYTES_MAX || text.contains(['\r', '\n']) {
        return literal(out, text.as_bytes());
    }
    out.push(b'"');
    for octet in text.bytes() {
        if matches!(octet, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(octet);
    }
    out.push(b'"');
}

pub(super) fn nstring(out: &mut Vec<u8>, text: Option<&str>, utf8: bool) {
    match text {
        Some(text) => string(out, text, utf8),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// Words for people: without `utf8` they become encoded words (RFC 2047).
pub(super) fn words(out: &mut Vec<u8>, text: Option<&str>, utf8: bool) {
    match text {
        Some(text) if !(utf8 || text.is_ascii()) => string(out, &encoded_words(text), false),
        text => nstring(out, text, utf8),
    }
}

/// Octets of any kind; `~` where they hold NUL (RFC 3516 §4.3).
pub(super) fn octets(out: &mut Vec<u8>, octets: &[u8]) {
    if octets.contains(&0) {
        out.push(b'~');
    }
    literal(out, octets);
}

fn literal(out: &mut Vec<u8>, octets: &[u8]) {
    out.extend_from_slice(format!("{{{}}}\r\n", octets.len()).as_bytes());
    out.extend_from_slice(octets);
}

fn encoded_words(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= ENCODED_WORD_BYTES => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join(" ")
}

/// Text for people behind OK, NO, BAD and BYE (RFC 9051 §9: `text`); it may come from anywhere.
pub(super) fn human(out: &mut Vec<u8>, text: &str) {
    let one_line = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' });
    let before = out.len();
    out.extend(one_line.filter_map(|c| u8::try_from(c).ok()));
    if out.len() == before {
        out.push(b'.');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl Fn(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 4_294_967_295, u64::MAX] {
            assert_eq!(written(|out| decimal(out, number)), number.to_string());
        }
    }

    #[test]
    fn strings_take_the_plainest_form_they_can() {
        let astring = |text: &str| written(|out| astring(out, text, false));
        assert_eq!(astring("INBOX"), "INBOX");
        assert_eq!(astring(""), "\"\"");
        assert_eq!(astring("nil"), "\"nil\"");
        assert_eq!(astring("a b"), "\"a b\"");
        assert_eq!(astring("a\"\\b"), "\"a\\\"\\\\b\"");
        assert_eq!(astring("a\r\n* BYE"), "{8}\r\na\r\n* BYE");
        assert_eq!(astring(&"x ".repeat(501)), format!("{{1002}}\r\n{}", "x ".repeat(501)));
        assert_eq!(astring("a%"), "\"a%\"");
    }

    #[test]
    fn nothing_beyond_ascii_goes_to_who_has_not_asked() {
        assert_eq!(written(|out| string(out, "grün", false)), "\"gr?n\"");
        assert_eq!(written(|out| string(out, "grün", true)), "\"grün\"");
        assert_eq!(written(|out| words(out, Some("grün"), false)), "\"=?utf-8?B?Z3LDvG4=?=\"");
        assert_eq!(written(|out| words(out, Some("grün"), true)), "\"grün\"");
        assert_eq!(written(|out| words(out, None, true)), "NIL");
        assert_eq!(written(|out| string(out, "a\0b", true)), "\"a?b\"");
        assert_eq!(written(|out| human(out, "a\r\n* BYE ü")), "a??* BYE ?");
        assert_eq!(written(|out| human(out, "")), ".");
        let long = written(|out| words(out, Some(&"ü".repeat(60)), false));
        assert!(long.is_ascii() && long.split(' ').all(|word| word.len() <= 77), "{long}");
    }
}
