//! The content of BDAT chunks (RFC 3030 §2): opaque octets, which as text still have lines that end with CRLF.

use memchr::memchr3;

use super::data::Violation;

/// Finds what text must not hold, across the borders of chunks.
#[derive(Clone, Copy, Debug, Default)]
pub struct TextScanner {
    after_cr: bool,
}

impl TextScanner {
    /// The first violation in the next octets.
    pub fn scan(&mut self, octets: &[u8]) -> Result<(), Violation> {
        let mut rest = octets;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) {
                rest = rest.strip_prefix(b"\n").ok_or(Violation::BareLineEnd)?;
                continue;
            }
            let Some((_, tail)) = memchr3(b'\r', b'\n', 0, rest).and_then(|at| rest.split_at_checked(at))
            else {
                return Ok(());
            };
            rest = match tail {
                [b'\r', tail @ ..] => {
                    self.after_cr = true;
                    tail
                }
                [0, ..] => return Err(Violation::Nul),
                _ => return Err(Violation::BareLineEnd),
            };
        }
        Ok(())
    }

    /// The content has ended.
    pub fn finish(self) -> Result<(), Violation> {
        if self.after_cr { Err(Violation::BareLineEnd) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(chunks: &[&[u8]]) -> Result<(), Violation> {
        let mut scanner = TextScanner::default();
        chunks.iter().try_for_each(|chunk| scanner.scan(chunk))?;
        scanner.finish()
    }

    #[test]
    fn crlf_may_stand_across_chunks() {
        assert_eq!(scan(&[b"a\r", b"\nb", b"", b"\r\n"]), Ok(()));
        assert_eq!(scan(&[b"a\r", b"", b"\n"]), Ok(()));
        assert_eq!(scan(&[b"no line end"]), Ok(()));
        assert_eq!(scan(&[b"\r\n.\r\nMAIL FROM:<x@y>\r\n"]), Ok(()));
    }

    #[test]
    fn bare_line_ends_and_nul_are_found() {
        for bad in [b"a\nb\r\n".as_slice(), b"\n", b"a\rb", b"\r", b"a\r\r\n", b"\r\n\n"] {
            assert_eq!(scan(&[bad]), Err(Violation::BareLineEnd), "{bad:?}");
            for at in 0..bad.len() {
                assert_eq!(scan(&[&bad[..at], &bad[at..]]), Err(Violation::BareLineEnd), "{bad:?} at {at}");
            }
        }
        assert_eq!(scan(&[b"a\0b"]), Err(Violation::Nul));
    }
}
