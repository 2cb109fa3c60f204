//! Text in the charsets of the world, and words of headers that name theirs (RFC 2047), for readers: what is broken is
//! read as far as it can be.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use encoding_rs::{Decoder, Encoding, UTF_8};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes text that comes in pieces. Octets that mean nothing become U+FFFD.
pub struct CharsetDecoder(Decoder);

impl std::fmt::Debug for CharsetDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CharsetDecoder({})", self.0.encoding().name())
    }
}

impl CharsetDecoder {
    /// What nobody knows is read as UTF-8, as is ASCII.
    pub fn new(charset: &str) -> Self {
        let encoding = match charset.to_ascii_lowercase().as_str() {
            "us-ascii" | "ascii" => UTF_8,
            name => Encoding::for_label(name.as_bytes()).unwrap_or(UTF_8),
        };
        Self(encoding.new_decoder_without_bom_handling())
    }

    /// `last`: no other octets follow.
    pub fn push(&mut self, octets: &[u8], last: bool, out: &mut String) {
        out.reserve(self.0.max_utf8_buffer_length(octets.len()).unwrap_or(0));
        // There is room for all of it.
        let _ = self.0.decode_to_string(octets, out, last);
    }
}

/// The text of a header field's value, with its encoded words decoded (RFC 2047 §6.2): white space between two of them
/// is not part of it.
pub fn decode_words(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let mut rest = value;
    let mut after_word = false;
    while let Some((before, from)) = rest.find("=?").and_then(|at| rest.split_at_checked(at)) {
        if let Some((text, length)) = word(from) {
            if !(after_word && before.trim().is_empty()) {
                out.push_str(before);
            }
            out.push_str(&text);
            rest = from.get(length..).unwrap_or_default();
            after_word = true;
        } else {
            let (start, after) = from.split_at_checked(2).unwrap_or((from, ""));
            out.push_str(before);
            out.push_str(start);
            rest = after;
            after_word = false;
        }
    }
    out.push_str(rest);
    out
}

/// `=?charset?B?…?=` at the beginning, and its octets.
fn word(text: &str) -> Option<(String, usize)> {
    let mut parts = text.strip_prefix("=?")?.splitn(3, '?');
    let (charset, encoding, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let encoded = rest.get(..rest.find("?=")?)?;
    if encoded.contains([' ', '\t', '\r', '\n']) || charset.contains(' ') {
        return None;
    }
    let octets = match encoding {
        "B" | "b" => BASE64.decode(encoded).ok()?,
        "Q" | "q" => quoted(encoded),
        _ => return None,
    };
    // RFC 2231 §5: a language may follow the charset.
    let name = charset.split('*').next().unwrap_or(charset);
    let mut out = String::new();
    CharsetDecoder::new(name).push(&octets, true, &mut out);
    let length = "=?".len() + charset.len() + 1 + encoding.len() + 1 + encoded.len() + "?=".len();
    Some((out, length))
}

/// RFC 2047 §4.2
fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (*first, after) {
            (b'_', _) => out.push(b' '),
            (b'=', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let octet =
                    std::str::from_utf8(&digits).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok());
                match octet {
                    Some(octet) => {
                        out.push(octet);
                        rest = after;
                    }
                    None => out.push(b'='),
                }
            }
            (octet, _) => out.push(octet),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_in_the_charsets_of_the_world() {
        for (value, text) in [
            ("plain", "plain"),
            ("=?utf-8?B?Z3LDvG4=?=", "grün"),
            ("=?iso-8859-1?q?gr=FCn_und_wei=DF?=", "grün und weiß"),
            ("a =?utf-8?Q?b?=  =?utf-8?Q?c?= d", "a bc d"),
            ("=?utf-8*de?Q?b?=x", "bx"),
            ("=?shift_jis?B?g2WDWINn?=", "テスト"),
            ("=?koi8-r?B?0NLJ18XU?=", "привет"),
            ("=?utf-8?B?Z3LDvG4?=", "grün"),
            ("=?utf-8?Q?50=_=4?=", "50= =4"),
            ("=?utf-8?X?b?= =?", "=?utf-8?X?b?= =?"),
            ("=?utf-8?Q?a b?=", "=?utf-8?Q?a b?="),
        ] {
            assert_eq!(decode_words(value), text, "{value}");
        }
    }

    #[test]
    fn text_comes_in_pieces() {
        let (mut decoder, mut out) = (CharsetDecoder::new("UTF-8"), String::new());
        for octet in "grün €".as_bytes() {
            decoder.push(&[*octet], false, &mut out);
        }
        decoder.push(&[0xE2], true, &mut out);
        assert_eq!(out, "grün €\u{fffd}");
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(text in "(=\\?|[a?=_ é]|utf-8|B|Q){0,20}") {
            decode_words(&text);
        }
    }
}
