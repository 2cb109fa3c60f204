//! Header sections line by line.

use memchr::memchr;

/// Of one field; what is beyond is not read.
const FIELD_BYTES_MAX: usize = 64 * 1024;

/// The fields that tell of structure, each where it came first.
const NAMES: [&str; 19] = [
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-MD5",
    "Content-Disposition",
    "Content-Language",
    "Content-Location",
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
    "References",
];

/// What is kept of a header section while it is read.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: Vec<(&'static str, Vec<u8>)>,
    /// Whether the line before belongs to the last of them.
    open: bool,
}

impl Fields {
    /// `line` without its line end.
    pub(super) fn line(&mut self, line: &[u8]) {
        if matches!(line.first(), Some(b' ' | b'\t')) {
            if let Some((_, value)) = self.values.last_mut().filter(|_| self.open) {
                append(value, line);
            }
            return;
        }
        let colon = memchr(b':', line).unwrap_or(0);
        let (name, value) = line.split_at_checked(colon).unwrap_or_default();
        let name = NAMES.into_iter().find(|own| own.as_bytes().eq_ignore_ascii_case(name.trim_ascii_end()));
        let name = name.filter(|name| self.value(name).is_none());
        self.open = name.is_some();
        if let Some(name) = name {
            let mut kept = Vec::new();
            append(&mut kept, value.get(1..).unwrap_or_default());
            self.values.push((name, kept));
        }
    }

    /// Unfolded, without white space around it.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        self.values.iter().find(|(own, _)| *own == name).map(|(_, value)| value.trim_ascii())
    }

    /// As text, if there is any.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(text).filter(|text| !text.is_empty())
    }

    pub(super) fn octets(&self) -> usize {
        self.values.iter().map(|(_, value)| value.len()).sum()
    }
}

fn append(value: &mut Vec<u8>, octets: &[u8]) {
    let room = FIELD_BYTES_MAX.saturating_sub(value.len());
    value.extend_from_slice(octets.get(..room).unwrap_or(octets));
}

/// UTF-8 without NUL; what is no UTF-8 is replaced.
pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).replace('\0', "\u{fffd}")
}

/// Picks fields out of a header section as it is read (`HEADER.FIELDS`): they keep every octet, and the empty line
/// follows them.
#[derive(Debug)]
pub struct HeaderFilter {
    names: Vec<String>,
    /// `HEADER.FIELDS.NOT`
    others: bool,
    line: Vec<u8>,
    /// Whether the field is wanted whose line this is; known once the line's beginning is.
    wanted: Option<bool>,
    field_wanted: bool,
}

/// A field's name that is longer is none that anybody asks for.
const NAME_BYTES_MAX: usize = 1024;

impl HeaderFilter {
    /// `others`: the fields that do not have these names.
    pub fn new(names: Vec<String>, others: bool) -> Self {
        Self { names, others, line: Vec::new(), wanted: None, field_wanted: false }
    }

    /// `octets`: of the section, with or without its empty line. Holds no more than a field's name in memory.
    pub fn push(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for piece in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line.extend_from_slice(piece);
            let ended = piece.ends_with(b"\n");
            if self.wanted.is_none()
                && (ended || self.line.contains(&b':') || self.line.len() > NAME_BYTES_MAX)
            {
                self.wanted = Some(self.wants_line());
            }
            match self.wanted {
                Some(true) => out.append(&mut self.line),
                Some(false) => self.line.clear(),
                None => {}
            }
            if ended {
                self.wanted = None;
            }
        }
    }

    /// Writes the empty line.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.wanted.is_none() && !self.line.is_empty() && self.wants_line() {
            out.append(&mut self.line);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn wants_line(&mut self) -> bool {
        match self.line.first() {
            Some(b' ' | b'\t') => return self.field_wanted,
            Some(b'\r' | b'\n') | None => return false,
            Some(_) => {}
        }
        let name = memchr(b':', &self.line).and_then(|at| self.line.get(..at));
        let named = name.is_some_and(|name| {
            self.names.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(name.trim_ascii_end()))
        });
        // A line that is no field is of no name.
        self.field_wanted = name.is_some() && named != self.others;
        self.field_wanted
    }
}
