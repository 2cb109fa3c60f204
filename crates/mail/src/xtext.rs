//! xtext (RFC 3461 §4): how parameters of MAIL and RCPT carry text with spaces, `+` and `=`.

use std::fmt::Write as _;

/// Not xtext, or it stands for octets that no parameter may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not valid xtext")]
pub struct XtextError;

/// Writes `text` as xtext: what is not printable ASCII, and `+` and `=`, as `+` and two hexadecimal digits.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        if matches!(octet, b'!'..=b'~') && !matches!(octet, b'+' | b'=') {
            out.push(char::from(octet));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "+{octet:02X}");
        }
    }
    out
}

/// What the xtext stands for. Refuses lower-case digits, invalid UTF-8, and control characters: they could end a line
/// wherever the text is written later.
pub fn decode(xtext: &str) -> Result<String, XtextError> {
    let octets = decode_octets(xtext)?;
    String::from_utf8(octets).ok().filter(|text| !text.chars().any(char::is_control)).ok_or(XtextError)
}

/// What the xtext stands for, whatever it is. Refuses lower-case digits.
pub fn decode_octets(xtext: &str) -> Result<Vec<u8>, XtextError> {
    let mut octets = Vec::with_capacity(xtext.len());
    let mut rest = xtext.bytes();
    while let Some(octet) = rest.next() {
        match octet {
            b'+' => {
                let high = rest.next().and_then(hex_digit).ok_or(XtextError)?;
                let low = rest.next().and_then(hex_digit).ok_or(XtextError)?;
                octets.push(high << 4 | low);
            }
            b'=' => return Err(XtextError),
            b'!'..=b'~' => octets.push(octet),
            _ => return Err(XtextError),
        }
    }
    Ok(octets)
}

/// Writes an address as `utf-8-addr-xtext` (RFC 6533 §3): ASCII, with `\x{FC}` for what is not.
pub fn encode_utf8_address(address: &str) -> String {
    let mut out = String::with_capacity(address.len());
    for c in address.chars() {
        if matches!(c, '!'..='~') && !matches!(c, '+' | '=' | '\\') {
            out.push(c);
        } else {
            // Writing into a string cannot fail.
            let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    out
}

/// Reads `utf-8-addr-xtext` and `utf-8-addr-unitext` (RFC 6533 §3). Refuses control characters.
pub fn decode_utf8_address(encoded: &str) -> Result<String, XtextError> {
    let mut out = String::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((plain, after)) = rest.split_once('\\') {
        out.push_str(plain);
        let (digits, after) =
            after.strip_prefix("x{").and_then(|text| text.split_once('}')).ok_or(XtextError)?;
        let is_hex = matches!(digits.len(), 2..=6) && digits.bytes().all(|octet| hex_digit(octet).is_some());
        let scalar = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex).and_then(char::from_u32);
        out.push(scalar.ok_or(XtextError)?);
        rest = after;
    }
    out.push_str(rest);
    if encoded.contains(['+', '=', ' ']) || out.chars().any(char::is_control) {
        Err(XtextError)
    } else {
        Ok(out)
    }
}

/// `hexchar = ASCII "+" immediately followed by two upper case hexadecimal digits`
fn hex_digit(octet: u8) -> Option<u8> {
    match octet {
        b'0'..=b'9' => Some(octet - b'0'),
        b'A'..=b'F' => Some(octet - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_standard_shows() {
        assert_eq!(decode("QQ314159").as_deref(), Ok("QQ314159"));
        assert_eq!(decode("a+2Bb@c").as_deref(), Ok("a+b@c"));
        assert_eq!(decode("e+3Dmc2@example.com").as_deref(), Ok("e=mc2@example.com"));
        assert_eq!(encode("a+b c=d"), "a+2Bb+20c+3Dd");
    }

    #[test]
    fn bad_xtext_is_refused() {
        for bad in ["+", "+2", "+2b", "+zz", "a=b", "a b", "+00", "+0A", "+0D", "+7F", "+FF", "ä", "+C2+85"]
        {
            assert_eq!(decode(bad), Err(XtextError), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(text in "\\PC{0,40}") {
            let encoded = encode(&text);
            prop_assert!(encoded.bytes().all(|octet| matches!(octet, b'!'..=b'~')));
            prop_assert_eq!(decode(&encoded), Ok(text));
        }

        #[test]
        fn round_trip_of_utf8_addresses(text in "\\PC{0,40}") {
            let encoded = encode_utf8_address(&text);
            prop_assert!(encoded.bytes().all(|octet| matches!(octet, b'!'..=b'~')));
            prop_assert_eq!(decode_utf8_address(&encoded), Ok(text));
        }

        #[test]
        fn decoding_never_panics(text: String) {
            let _ = decode(&text);
            let _ = decode_utf8_address(&text);
        }
    }
}
