//! What peers sent, made safe for logs, the ledger, replies, terminals and reports.

use std::fmt::Write as _;

/// What [`clean`] keeps at most.
pub const CLEAN_BYTES_MAX: usize = 1024;

/// The octets as one line that moves no cursor and starts no new line: controls, invisible and direction-changing
/// characters and invalid UTF-8 are written as `\r`, `\u{1b}`, `\xff`. At most [`CLEAN_BYTES_MAX`] octets; `…` at the
/// end says that there was more. Cleaning twice changes nothing.
pub fn clean(octets: &[u8]) -> String {
    clean_within(octets, CLEAN_BYTES_MAX)
}

/// As [`clean`], with a limit in octets of the result.
pub fn clean_within(octets: &[u8], bytes_max: usize) -> String {
    escape(octets, bytes_max, |c| !is_harmless(c))
}

/// As [`clean_within`], and what is not ASCII is written as `\u{fc}`.
pub fn clean_ascii(octets: &[u8], bytes_max: usize) -> String {
    escape(octets, bytes_max, |c| !matches!(c, ' '..='~'))
}

fn escape(octets: &[u8], bytes_max: usize, is_escaped: impl Fn(char) -> bool) -> String {
    let ellipsis = if is_escaped('…') { "..." } else { "…" };
    let mut out = String::with_capacity(octets.len().min(bytes_max));
    // Where the text can be cut so that the ellipsis still fits.
    let mut cut = 0;
    for chunk in octets.utf8_chunks() {
        let invalid = chunk.invalid().iter().map(|&octet| Unit::Octet(octet));
        for unit in chunk.valid().chars().map(Unit::Char).chain(invalid) {
            unit.write(&mut out, &is_escaped);
            if out.len() > bytes_max {
                out.truncate(cut);
                if ellipsis.len() <= bytes_max {
                    out.push_str(ellipsis);
                }
                return out;
            }
            if out.len() + ellipsis.len() <= bytes_max {
                cut = out.len();
            }
        }
    }
    out
}

enum Unit {
    Char(char),
    Octet(u8),
}

impl Unit {
    fn write(&self, out: &mut String, is_escaped: impl Fn(char) -> bool) {
        // Writing into a string cannot fail.
        let _ = match *self {
            Self::Octet(octet) => write!(out, "\\x{octet:02x}"),
            Self::Char('\t') => out.write_char(' '),
            Self::Char('\r') => out.write_str("\\r"),
            Self::Char('\n') => out.write_str("\\n"),
            Self::Char(c) if is_escaped(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
            Self::Char(c) => out.write_char(c),
        };
    }
}

/// Not a control, line separator, invisible or direction-changing character.
pub(crate) fn is_harmless(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    !matches!(c,
        '\u{80}'..='\u{9f}'             // C1 controls
        | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}'       // zero width, direction marks
        | '\u{2028}'..='\u{202e}'       // line separators, embeddings and overrides
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn controls_are_written_out() {
        assert_eq!(clean(b"550 no\r\nsuch\tuser\x1b[2J\0"), "550 no\\r\\nsuch user\\u{1b}[2J\\u{0}");
        assert_eq!(clean("a\u{202e}b\u{2028}c".as_bytes()), "a\\u{202e}b\\u{2028}c");
        assert_eq!(clean("Grüße".as_bytes()), "Grüße");
        assert_eq!(clean(b"caf\xe9 \xc3"), "caf\\xe9 \\xc3");
        assert_eq!(clean_ascii("Grüße".as_bytes(), 100), "Gr\\u{fc}\\u{df}e");
    }

    #[test]
    fn length_is_bounded() {
        assert_eq!(clean_within(b"abcdef", 6), "abcdef");
        assert_eq!(clean_within(b"abcdefg", 6), "abc…");
        assert_eq!(clean_ascii(b"abcdefg", 6), "abc...");
        assert_eq!(clean_within(b"\x1b\x1b", 7), "…");
        assert_eq!(clean_within(b"abc", 1), "");
        assert_eq!(clean(&[b'x'; 5000]).len(), CLEAN_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn clean_is_bounded_and_final(octets: Vec<u8>, bytes_max in 0usize..64) {
            let once = clean_within(&octets, bytes_max);
            prop_assert!(once.len() <= bytes_max);
            prop_assert!(once.chars().all(is_harmless));
            prop_assert_eq!(clean_within(once.as_bytes(), bytes_max), once);
            prop_assert!(clean_ascii(&octets, bytes_max).bytes().all(|octet| matches!(octet, b' '..=b'~')));
        }
    }
}
