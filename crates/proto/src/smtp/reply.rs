//! Replies of a remote server (RFC 5321 §4.2), which may be anything.

use bytes::BytesMut;
use mail::Reply;
use memchr::memchr;

/// RFC 5321 §4.5.3.1.5 says 512; some say more.
const LINE_BYTES_MAX: usize = 4096;
/// All lines of one reply.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// Why what came is no reply. The server's fault; it may do better another time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    #[error("the server sent something that is not a reply")]
    Malformed,
    #[error("a line of the server's reply does not end with CRLF")]
    LineEnd,
    #[error("the lines of the server's reply have different codes")]
    CodeChanged,
    #[error("the server's reply is too long")]
    TooLong,
}

/// Collects a reply of one or more lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReplyReader {
    /// Octets of complete lines at the start of the input, and their code.
    collected: usize,
    code: Option<u16>,
}

impl ReplyReader {
    /// The next reply, once it is complete. After an error the input means nothing any more.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Reply>, ReplyError> {
        loop {
            let rest = input.get(self.collected..).unwrap_or_default();
            let Some((line, _)) = memchr(b'\n', rest).and_then(|at| rest.split_at_checked(at + 1)) else {
                return if rest.len() < LINE_BYTES_MAX { Ok(None) } else { Err(ReplyError::TooLong) };
            };
            let (code, last) = parse_line(line)?;
            if *self.code.get_or_insert(code) != code {
                return Err(ReplyError::CodeChanged);
            }
            self.collected += line.len();
            if line.len() > LINE_BYTES_MAX || self.collected > REPLY_BYTES_MAX {
                return Err(ReplyError::TooLong);
            }
            if last {
                let octets = input.split_to(self.collected);
                *self = Self::default();
                return Ok(Some(Reply::from_peer(
                    code,
                    octets.split_inclusive(|octet| *octet == b'\n').map(text),
                )));
            }
        }
    }
}

/// The code of a line, and whether it is the last of its reply.
fn parse_line(line: &[u8]) -> Result<(u16, bool), ReplyError> {
    let line = line.strip_suffix(b"\r\n").ok_or(ReplyError::LineEnd)?;
    if memchr(b'\r', line).is_some() {
        return Err(ReplyError::LineEnd);
    }
    let (code, last) = match line {
        [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] => {
            let digits = [a, b, c].map(|digit| u16::from(digit - b'0'));
            let code = digits.iter().fold(0, |code, digit| code * 10 + digit);
            match rest {
                // RFC 5321 §4.2: a code without a text happens.
                [] | [b' ', ..] => (code, true),
                [b'-', ..] => (code, false),
                _ => return Err(ReplyError::Malformed),
            }
        }
        _ => return Err(ReplyError::Malformed),
    };
    Ok((code, last))
}

/// What stands behind code and separator.
fn text(line: &[u8]) -> &[u8] {
    line.trim_ascii_end().get(4..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(octets: &[u8], piece: usize) -> Result<Vec<Reply>, ReplyError> {
        let (mut reader, mut input, mut replies) = (ReplyReader::default(), BytesMut::new(), Vec::new());
        for piece in octets.chunks(piece) {
            input.extend_from_slice(piece);
            while let Some(reply) = reader.next(&mut input)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_of_one_and_more_lines_however_they_come() {
        let wire = b"250\r\n250 \r\n250-2.1.0 a\r\n250-2.1.0 b\r\n250 2.1.0 c\r\n354 go\r\n599 5.1.1 x\r\n";
        for piece in 1..=wire.len() {
            let replies = read(wire, piece).unwrap();
            let shown: Vec<_> = replies.iter().map(ToString::to_string).collect();
            assert_eq!(shown, ["250", "250", "250 2.1.0 a b c", "354 go", "599 5.1.1 x"], "{piece}");
            assert_eq!(replies[2].lines.len(), 3);
        }
    }

    #[test]
    fn what_is_no_reply() {
        for (wire, error) in [
            (b"2x0 hi\r\n".as_slice(), ReplyError::Malformed),
            (b"25\r\n", ReplyError::Malformed),
            (b"\r\n", ReplyError::Malformed),
            (b"150 hi\r\n", ReplyError::Malformed),
            (b"650 hi\r\n", ReplyError::Malformed),
            (b"2500 hi\r\n", ReplyError::Malformed),
            (b"250\thi\r\n", ReplyError::Malformed),
            (b"\x16\x03\x01\n\r\n", ReplyError::LineEnd),
            (b"250 hi\n", ReplyError::LineEnd),
            (b"250 h\ri\r\n", ReplyError::LineEnd),
            (b"250-a\r\n251 b\r\n", ReplyError::CodeChanged),
            (b"553-\n550 x\r\n", ReplyError::LineEnd),
        ] {
            for piece in 1..=wire.len() {
                assert_eq!(read(wire, piece), Err(error), "{wire:?}");
            }
        }
    }

    #[test]
    fn replies_without_an_end() {
        assert_eq!(read(&[b'2'; 4096], 100), Err(ReplyError::TooLong));
        assert_eq!(read(&b"250-more\r\n".repeat(7000), 1000), Err(ReplyError::TooLong));
        assert!(read(&b"250-KEYWORD\r\n".repeat(1000), 1000).unwrap().is_empty());
    }

    #[test]
    fn controls_do_not_survive() {
        let replies = read(b"550 5.1.1 a\0b\x1b[31m\r\n", 100).unwrap();
        assert!(!replies[0].to_string().contains(char::is_control));
    }
}
