//! What the server says.
//!
//! Everything is written in the dialect of the session: UTF-8 as it is to clients that have asked for it, and to others
//! mailbox names in modified UTF-7, words of headers as encoded words, file names as RFC 2231 has them. No string can
//! end a line or a literal early.

mod data;
mod fetch;
mod status;
mod structure;
#[cfg(test)]
mod tests;
mod text;

pub use data::{Data, ESearch, Found, ListAttribute, ListEntry, Namespaces, StatusValue, ThreadNode};
pub use fetch::{ContentName, FetchData};
pub use status::{Code, Condition, Status};

/// Pieces of this size are parts of something long.
const MUCH_BYTES: usize = 16 * 1024;

/// Writes responses one after the other; checks that what was begun is ended.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
    utf8: bool,
    fetch: Fetching,
}

/// How far a FETCH response has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fetching {
    #[default]
    No,
    Items {
        any: bool,
    },
    /// So many octets of a literal are to come.
    Literal(u64),
    /// The same, and then the line ends.
    LastLiteral(u64),
}

impl Encoder {
    /// `utf8`: the client has enabled IMAP4rev2 or UTF8=ACCEPT.
    pub fn set_utf8(&mut self, utf8: bool) {
        self.utf8 = utf8;
    }

    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Octets that wait to be written.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Who has much to say probably goes on.
    pub fn take(&mut self) -> Vec<u8> {
        let next = if self.out.len() < MUCH_BYTES { Vec::new() } else { Vec::with_capacity(self.out.len()) };
        std::mem::replace(&mut self.out, next)
    }

    /// Nothing is to be said for a while.
    pub fn rest(&mut self) {
        if self.out.is_empty() {
            self.out = Vec::new();
        }
    }

    /// `tag`: `*` for what answers nothing.
    pub fn status(&mut self, tag: &str, status: &Status) {
        self.end_fetch();
        status.write(tag, self.utf8, &mut self.out);
    }

    pub fn data(&mut self, data: &Data) {
        self.end_fetch();
        data::Writer { out: &mut self.out, utf8: self.utf8 }.data(data);
    }

    /// `* CAPABILITY …`
    pub fn capability(&mut self, names: &str) {
        self.line(&format!("* CAPABILITY {names}"));
    }

    /// `+ …`
    pub fn continuation(&mut self, text: &str) {
        self.line(&format!("+ {text}"));
    }

    fn line(&mut self, line: &str) {
        self.end_fetch();
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(b"\r\n");
    }

    /// `* number FETCH (`; items follow, and [`end_fetch`](Self::end_fetch).
    pub fn start_fetch(&mut self, number: u32) {
        self.end_fetch();
        self.out.extend_from_slice(b"* ");
        text::decimal(&mut self.out, u64::from(number));
        self.out.extend_from_slice(b" FETCH (");
        self.fetch = Fetching::Items { any: false };
    }

    pub fn fetch_item(&mut self, data: &FetchData<'_>) {
        if self.separate() {
            fetch::item(&mut self.out, data, self.utf8);
        }
    }

    /// So many octets follow in pieces. `binary`: there may be NUL among them.
    pub fn start_content(&mut self, name: &ContentName<'_>, octets: u64, binary: bool) {
        if self.separate() {
            fetch::literal_head(&mut self.out, name, octets, binary, self.utf8);
            if octets > 0 {
                self.fetch = Fetching::Literal(octets);
            }
        }
    }

    /// `* URLFETCH url`, for which so many octets follow as content (RFC 4467 §7).
    pub fn start_url(&mut self, url: &str, octets: u64) {
        self.end_fetch();
        self.out.extend_from_slice(b"* URLFETCH ");
        text::string(&mut self.out, url, self.utf8);
        self.out.extend_from_slice(format!(" {{{octets}}}\r\n").as_bytes());
        self.fetch = Fetching::LastLiteral(octets);
        self.content(&[]);
    }

    /// A piece of the content; octets beyond what was told are dropped, so that the stream stays in step.
    pub fn content(&mut self, octets: &[u8]) {
        let (Fetching::Literal(left) | Fetching::LastLiteral(left)) = self.fetch else { return };
        let room = usize::try_from(left).unwrap_or(usize::MAX);
        let taken = octets.get(..room).unwrap_or(octets);
        self.out.extend_from_slice(taken);
        let left = left - u64::try_from(taken.len()).unwrap_or(left);
        self.fetch = match self.fetch {
            Fetching::LastLiteral(_) if left == 0 => {
                self.out.extend_from_slice(b"\r\n");
                Fetching::No
            }
            Fetching::LastLiteral(_) => Fetching::LastLiteral(left),
            _ if left == 0 => Fetching::Items { any: true },
            _ => Fetching::Literal(left),
        };
    }

    /// Octets of the content that are still to be given; the response cannot end before.
    pub fn content_left(&self) -> u64 {
        if let Fetching::Literal(left) | Fetching::LastLiteral(left) = self.fetch { left } else { 0 }
    }

    /// Does nothing if none has begun.
    pub fn end_fetch(&mut self) {
        if let Fetching::Items { .. } = self.fetch {
            self.out.extend_from_slice(b")\r\n");
            self.fetch = Fetching::No;
        }
    }

    /// Whether an item can be written here.
    fn separate(&mut self) -> bool {
        let Fetching::Items { any } = self.fetch else { return false };
        if any {
            self.out.push(b' ');
        }
        self.fetch = Fetching::Items { any: true };
        true
    }
}
