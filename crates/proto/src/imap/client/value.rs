//! What responses are made of: atoms, strings, lists (RFC 9051 §9), read leniently, as servers differ.

use bytes::Bytes;

/// Lists within each other.
const NESTING_MAX: usize = 16;
/// Values of one list.
const ITEMS_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// Whatever is no string and no list: numbers, flags, `NIL`, `BODY[]`.
    Atom(Bytes),
    String(Bytes),
    List(Vec<Value>),
}

impl Value {
    pub(super) fn is_atom(&self, word: &str) -> bool {
        matches!(self, Self::Atom(atom) if atom.eq_ignore_ascii_case(word.as_bytes()))
    }

    /// The octets of an atom or a string; none for NIL.
    pub(super) fn octets(&self) -> Option<&Bytes> {
        match self {
            Self::String(octets) => Some(octets),
            Self::Atom(atom) if !atom.eq_ignore_ascii_case(b"NIL") => Some(atom),
            Self::Atom(_) | Self::List(_) => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        self.octets().and_then(|octets| std::str::from_utf8(octets).ok())
    }

    pub(super) fn number<T: std::str::FromStr>(&self) -> Option<T> {
        let Self::Atom(atom) = self else { return None };
        std::str::from_utf8(atom).ok()?.parse().ok()
    }

    pub(super) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(values) => Some(values),
            Self::Atom(_) | Self::String(_) => None,
        }
    }
}

/// Reads values off a response. Strings share its octets.
#[derive(Clone, Debug)]
pub(super) struct Values(Bytes);

impl Values {
    pub(super) fn new(octets: Bytes) -> Self {
        Self(octets)
    }

    /// What is left, as text for people.
    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    /// None at the end, and where nothing can be read.
    pub(super) fn next(&mut self) -> Option<Value> {
        self.value(0)
    }

    fn skip(&mut self, count: usize) {
        let _ = self.0.split_to(count.min(self.0.len()));
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        let spaces = self.0.iter().take_while(|octet| **octet == b' ').count();
        self.skip(spaces);
        match self.0.first()? {
            b'(' => self.list_of(depth),
            b'"' => self.quoted(),
            b'{' | b'~' => self.literal().or_else(|| self.atom()),
            _ => self.atom(),
        }
    }

    fn list_of(&mut self, depth: usize) -> Option<Value> {
        if depth >= NESTING_MAX {
            return None;
        }
        self.skip(1);
        let mut values = Vec::new();
        loop {
            let spaces = self.0.iter().take_while(|octet| **octet == b' ').count();
            self.skip(spaces);
            if self.0.first()? == &b')' {
                self.skip(1);
                return Some(Value::List(values));
            }
            if values.len() >= ITEMS_MAX {
                return None;
            }
            values.push(self.value(depth + 1)?);
        }
    }

    fn quoted(&mut self) -> Option<Value> {
        let mut octets = Vec::new();
        let mut escaped = false;
        for (at, octet) in self.0.iter().enumerate().skip(1) {
            match octet {
                b'"' if !escaped => {
                    let length = at + 1;
                    self.skip(length);
                    return Some(Value::String(octets.into()));
                }
                b'\\' if !escaped => escaped = true,
                octet => {
                    escaped = false;
                    octets.push(*octet);
                }
            }
        }
        None
    }

    /// `{5}`, CRLF, five octets; `~{5}` too.
    fn literal(&mut self) -> Option<Value> {
        let start = self.0.iter().position(|octet| *octet == b'{').filter(|at| *at <= 1)?;
        let close = self.0.iter().take(64).position(|octet| *octet == b'}')?;
        let digits = self.0.get(start + 1..close)?;
        let digits = digits.strip_suffix(b"+").unwrap_or(digits);
        let length: usize = std::str::from_utf8(digits).ok()?.parse().ok()?;
        let rest = self.0.get(close + 1..)?;
        let line_end = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        let begin = close + 1 + line_end;
        let end = begin.checked_add(length)?;
        if line_end == 0 || end > self.0.len() {
            return None;
        }
        let octets = self.0.slice(begin..end);
        self.skip(end);
        Some(Value::String(octets))
    }

    /// Up to a space or a parenthesis, but those within brackets belong to it: `BODY[HEADER.FIELDS (Date)]`.
    fn atom(&mut self) -> Option<Value> {
        let mut brackets = 0_usize;
        let mut length = self.0.len();
        for (at, octet) in self.0.iter().enumerate() {
            match octet {
                b'[' => brackets += 1,
                b']' => brackets = brackets.saturating_sub(1),
                b' ' | b'(' | b')' | b'"' if brackets == 0 => {
                    length = at;
                    break;
                }
                _ => {}
            }
        }
        (length > 0).then(|| Value::Atom(self.0.split_to(length)))
    }
}
