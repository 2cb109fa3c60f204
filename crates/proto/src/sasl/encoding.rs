//! How SASL messages stand on a line: RFC 4954 §4, RFC 5034 §4.

use base64::{Engine, engine::general_purpose::STANDARD};
use mail::limits::AUTH_LINE_BYTES_MAX;

/// Why a line is no SASL response. Always the client's fault; the same line will not do better later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the line is longer than {AUTH_LINE_BYTES_MAX} octets")]
    TooLong,
    #[error("the line is not base64")]
    NotBase64,
}

/// Decodes a client's answer to a challenge, given without its CRLF. `None`: the client cancels with `*`.
///
/// Strict base64 (RFC 4648 §4): padding as required, no other characters, no stray bits.
pub fn decode_line(line: &[u8]) -> Result<Option<Vec<u8>>, DecodeError> {
    match line {
        b"*" => Ok(None),
        _ => decode(line).map(Some),
    }
}

/// Decodes the initial response of an AUTH command; `=` stands for an empty one (RFC 4954 §4, RFC 5034 §4).
pub fn decode_initial_response(argument: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match argument {
        b"=" => Ok(Vec::new()),
        // Only a challenge may be answered with nothing.
        b"" => Err(DecodeError::NotBase64),
        _ => decode(argument),
    }
}

/// A challenge or a response as it goes on the wire.
pub fn encode(message: &[u8]) -> String {
    STANDARD.encode(message)
}

/// An initial response as the argument of an AUTH command.
pub fn encode_initial_response(message: &[u8]) -> String {
    if message.is_empty() { "=".to_owned() } else { encode(message) }
}

fn decode(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    // RFC 4954 §4: a line of 12288 octets, CRLF included.
    if text.len().saturating_add(2) > AUTH_LINE_BYTES_MAX {
        return Err(DecodeError::TooLong);
    }
    STANDARD.decode(text).map_err(|_| DecodeError::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn star_cancels_and_an_empty_line_is_an_empty_response() {
        assert_eq!(decode_line(b"*"), Ok(None));
        assert_eq!(decode_line(b""), Ok(Some(Vec::new())));
        assert_eq!(decode_line(b"AGEAYg=="), Ok(Some(b"\0a\0b".to_vec())));
    }

    #[test]
    fn equals_sign_is_an_empty_initial_response_only() {
        assert_eq!(decode_initial_response(b"="), Ok(Vec::new()));
        assert_eq!(decode_line(b"="), Err(DecodeError::NotBase64));
        assert_eq!(decode_initial_response(b"*"), Err(DecodeError::NotBase64));
        assert_eq!(encode_initial_response(b""), "=");
    }

    #[test]
    fn base64_is_strict() {
        for bad in
            ["AGEAYg", "AGEAYg=", "AGE AYg==", "AGEAYh==", "AGEAYg==\r", "====", "A", "AGEAYg==AGEAYg=="]
        {
            assert_eq!(decode_line(bad.as_bytes()), Err(DecodeError::NotBase64), "{bad:?}");
        }
        assert_eq!(decode_line(&[0xff, 0xfe, 0xfd, 0xfc]), Err(DecodeError::NotBase64));
    }

    #[test]
    fn a_line_has_a_limit() {
        let long = vec![b'A'; AUTH_LINE_BYTES_MAX];
        assert_eq!(decode_line(&long), Err(DecodeError::TooLong));
        assert!(decode_line(&long[..AUTH_LINE_BYTES_MAX - 4]).is_ok());
    }
}
