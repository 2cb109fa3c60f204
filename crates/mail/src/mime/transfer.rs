//! Content-Transfer-Encoding taken off (RFC 2045 §6), for readers: what is broken is read as far as it can be.

/// How the octets of a body are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransferEncoding {
    /// 7bit, 8bit, binary.
    Identity,
    QuotedPrintable,
    Base64,
}

impl TransferEncoding {
    /// `None`: nobody here knows it.
    pub fn of(name: &str) -> Option<Self> {
        let all = [
            ("7bit", Self::Identity),
            ("8bit", Self::Identity),
            ("binary", Self::Identity),
            ("quoted-printable", Self::QuotedPrintable),
            ("base64", Self::Base64),
        ];
        all.into_iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, encoding)| encoding)
    }
}

/// Decodes a body that comes in pieces; the result is never longer than what comes in.
#[derive(Debug)]
pub struct TransferDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    Identity,
    Base64 { bits: u32, digits: u8 },
    Quoted(Quoted),
}

/// What came last.
#[derive(Clone, Copy, Debug)]
enum Quoted {
    Text,
    Equals,
    /// And a digit.
    Digit(u8),
    /// `=` and white space, as a soft line break begins.
    Break,
}

impl TransferDecoder {
    pub fn new(encoding: TransferEncoding) -> Self {
        let state = match encoding {
            TransferEncoding::Identity => State::Identity,
            TransferEncoding::Base64 => State::Base64 { bits: 0, digits: 0 },
            TransferEncoding::QuotedPrintable => State::Quoted(Quoted::Text),
        };
        Self { state }
    }

    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity => out.extend_from_slice(octets),
            State::Base64 { bits, digits } => {
                for octet in octets {
                    base64(*octet, bits, digits, out);
                }
            }
            State::Quoted(state) => {
                for octet in octets {
                    *state = quoted(*state, *octet, out);
                }
            }
        }
    }

    pub fn finish(mut self, out: &mut Vec<u8>) {
        match &mut self.state {
            State::Identity | State::Quoted(Quoted::Text | Quoted::Break | Quoted::Equals) => {}
            State::Base64 { bits, digits } => end_base64(bits, digits, out),
            State::Quoted(Quoted::Digit(digit)) => out.extend_from_slice(&[b'=', *digit]),
        }
    }
}

/// RFC 2045 §6.8: what is no digit is passed over; `=` ends a run, and another may follow.
fn base64(octet: u8, bits: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let value = match octet {
        b'A'..=b'Z' => octet - b'A',
        b'a'..=b'z' => octet - b'a' + 26,
        b'0'..=b'9' => octet - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        b'=' => return end_base64(bits, digits, out),
        _ => return,
    };
    *bits = *bits << 6 | u32::from(value);
    *digits += 1;
    if *digits == 4 {
        let [_, octets @ ..] = bits.to_be_bytes();
        out.extend_from_slice(&octets);
        (*bits, *digits) = (0, 0);
    }
}

fn end_base64(bits: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let [_, one, two, _] = (*bits << (6 * (4 - u32::from(*digits).min(4)))).to_be_bytes();
    match *digits {
        2 => out.push(one),
        3 => out.extend_from_slice(&[one, two]),
        _ => {}
    }
    (*bits, *digits) = (0, 0);
}

/// RFC 2045 §6.7
fn quoted(state: Quoted, octet: u8, out: &mut Vec<u8>) -> Quoted {
    match (state, octet) {
        (Quoted::Text, b'=') => return Quoted::Equals,
        (Quoted::Equals, octet) if octet.is_ascii_hexdigit() => return Quoted::Digit(octet),
        (Quoted::Equals | Quoted::Break, b' ' | b'\t' | b'\r') => return Quoted::Break,
        (Quoted::Equals | Quoted::Break, b'\n') => return Quoted::Text,
        (Quoted::Digit(high), low) if low.is_ascii_hexdigit() => out.push(hex(high) << 4 | hex(low)),
        // Broken: as it was written.
        (Quoted::Digit(high), octet) => {
            out.extend_from_slice(&[b'=', high]);
            return quoted(Quoted::Text, octet, out);
        }
        (Quoted::Equals, octet) => {
            out.push(b'=');
            return quoted(Quoted::Text, octet, out);
        }
        (Quoted::Text | Quoted::Break, octet) => out.push(octet),
    }
    Quoted::Text
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => digit.to_ascii_uppercase().saturating_sub(b'A') + 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoding: TransferEncoding, text: &str) -> String {
        let at_size = |size: usize| {
            let (mut decoder, mut out) = (TransferDecoder::new(encoding), Vec::new());
            text.as_bytes().chunks(size).for_each(|chunk| decoder.push(chunk, &mut out));
            decoder.finish(&mut out);
            out
        };
        let whole = at_size(text.len().max(1));
        for size in [1, 2, 3, 7] {
            assert_eq!(at_size(size), whole, "in chunks of {size}");
        }
        assert!(whole.len() <= text.len());
        String::from_utf8_lossy(&whole).into_owned()
    }

    #[test]
    fn base64_as_it_is_out_there() {
        let decoded = |text| decoded(TransferEncoding::Base64, text);
        assert_eq!(decoded("aGVsbG8="), "hello");
        assert_eq!(decoded("aGVs\r\nbG8"), "hello");
        assert_eq!(decoded("aGVsbA==\r\nbyE="), "hello!");
        assert_eq!(decoded("a*G-V_s!"), "hel");
        assert_eq!(decoded("a"), "");
        assert_eq!(decoded("===="), "");
    }

    #[test]
    fn quoted_printable_as_it_is_out_there() {
        let decoded = |text| decoded(TransferEncoding::QuotedPrintable, text);
        assert_eq!(
            decoded("gr=C3=bcn =3D\r\nlong=\r\ner= \t\r\nthan"),
            "grün =\r\nlonger".to_owned() + "than"
        );
        assert_eq!(decoded("a=\nb"), "ab");
        assert_eq!(decoded("50=% =4x =g1 ==41"), "50=% =4x =g1 =A");
        assert_eq!(decoded("end="), "end");
        assert_eq!(decoded("end=4"), "end=4");
    }

    #[test]
    fn encodings_have_names() {
        assert_eq!(TransferEncoding::of("BASE64"), Some(TransferEncoding::Base64));
        assert_eq!(TransferEncoding::of("8bit"), Some(TransferEncoding::Identity));
        assert_eq!(TransferEncoding::of("x-uuencode"), None);
        assert_eq!(decoded(TransferEncoding::Identity, "=41"), "=41");
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(octets in prop::collection::vec(any::<u8>(), 0..100)) {
            use base64::{Engine, engine::general_purpose::STANDARD};
            let (mut decoder, mut out) = (TransferDecoder::new(TransferEncoding::Base64), Vec::new());
            decoder.push(STANDARD.encode(&octets).as_bytes(), &mut out);
            decoder.finish(&mut out);
            prop_assert_eq!(out, octets);
        }
    }
}
