//! Mail in files as other programs keep it: Maildirs and mboxes, read and written.

pub mod maildir;
pub mod mbox;
mod names;

use mail::Timestamp;

/// A longer message is left where it is.
pub const MESSAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A message with CRLF at its lines' ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    pub content: Vec<u8>,
    pub internal_date: Option<Timestamp>,
    /// `\Seen`, …, and keywords.
    pub flags: Vec<String>,
}

/// What there is in files, one after another.
#[derive(Debug)]
pub struct Found {
    /// The mailbox it belongs to.
    pub mailbox: String,
    /// Or why it cannot be read.
    pub message: Result<Message, String>,
    /// Octets of files behind us since the one before.
    pub octets: u64,
}

/// Appends a line, whatever it ends with; one that does not end stays so.
fn push_line(line: &[u8], content: &mut Vec<u8>) {
    let Some(text) = line.strip_suffix(b"\n") else { return content.extend_from_slice(line) };
    content.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
    content.extend_from_slice(b"\r\n");
}

/// Lines with LF, as files have them.
fn with_lf(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        match line.strip_suffix(b"\r\n") {
            Some(text) => {
                out.extend_from_slice(text);
                out.push(b'\n');
            }
            None => out.extend_from_slice(line),
        }
    }
    out
}
