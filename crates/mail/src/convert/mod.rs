//! Conversion of a message for a host that takes less: 8-bit and binary parts are encoded (RFC 6152 §3, RFC 3030 §3).
//!
//! A message is walked twice, piece by piece: a [`Survey`] says what becomes of each part (a [`Plan`]), then a
//! [`Converter`] writes the message anew. Of a message no more than one header section and one line's start are in memory;
//! nesting is a list, not recursion. Every octet that need not change stays as it is.
//!
//! What is done:
//! - A leaf part that the target cannot carry is encoded, text that is mostly ASCII as quoted-printable and everything
//!   else as base64 (RFC 2045 §6), and decodes to the same octets. Parts that are encoded already are left alone.
//! - Labels follow: a container, or a part that proves to be plain, is no longer called `8bit` or `binary`.
//! - A message without MIME becomes one, its charset `unknown-8bit` (RFC 1428 §3).
//! - Header lines that are too long are folded. In preambles and epilogues, which nobody sees, `?` stands for what
//!   cannot go.
//!
//! What is not ([`Unconvertible`]): content under a signature — multipart/signed (RFC 1847 §2.1), or DKIM-Signature,
//! since a message that fails its sender's policy helps nobody, while a report tells the sender what happened; header
//! fields beyond ASCII; and structure too broken for a reader of the result to see the same message.

mod encode;
mod part;
mod rewrite;
mod scan;
mod survey;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use encode::quoted_printable;
pub(crate) use part::segments;
pub use rewrite::Converter;
pub use scan::Scan;
pub use survey::{Plan, Survey};

/// RFC 5321 §4.5.3.1.6, without CRLF.
pub const LINE_BYTES_MAX: usize = 998;
/// The longest header section of a message or part that is converted.
pub const HEADER_BYTES_MAX: usize = 256 * 1024;
/// The most parts of a message that is converted, containers included.
pub const PARTS_MAX: usize = 10_000;
/// The most multiparts within each other.
pub const DEPTH_MAX: usize = 100;

/// What the next host takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// RFC 6152: octets beyond ASCII, in lines of [`LINE_BYTES_MAX`] octets, without NUL.
    EightBit,
    /// ASCII, in such lines.
    SevenBit,
}

/// Why a message cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unconvertible {
    #[error("its signature would break")]
    Signed,
    #[error("its header has octets beyond ASCII")]
    Header,
    #[error("its structure is broken")]
    Malformed,
    #[error("it has too many parts, or too large a header")]
    TooComplex,
}

/// RFC 2045 §6.1: what a part's octets are labelled as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    SevenBit,
    EightBit,
    Binary,
    QuotedPrintable,
    Base64,
}

/// The boundary of a message or part with this header section, if it is a multipart.
pub(crate) fn boundary_of(section: &[u8]) -> Option<Vec<u8>> {
    match part::Part::of(section, true, false).kind {
        part::Kind::Multipart { boundary, .. } => Some(boundary),
        _ => None,
    }
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::SevenBit => "7bit",
            Self::EightBit => "8bit",
            Self::Binary => "binary",
            Self::QuotedPrintable => "quoted-printable",
            Self::Base64 => "base64",
        }
    }
}
