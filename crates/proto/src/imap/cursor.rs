//! The words that commands are made of: atoms, strings, numbers, lists (RFC 9051 §9).

use std::{borrow::Cow, num::NonZeroU32};

use memchr::memchr;

use super::{
    LIST_ITEMS_MAX, NESTING_MAX,
    error::{CommandError, Fault, Parsed, expected},
    sequence::SequenceSet,
};

const LITERAL_HEAD_BYTES_MAX: usize = 128;

/// Reads through a command: its lines with the literals between them, without the last CRLF.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// Mailbox names are UTF-8 and not modified UTF-7.
    pub(super) utf8: bool,
    depth: usize,
}

/// The size of a literal, and how it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LiteralHead {
    pub(super) octets: u64,
    /// The client waits for the continuation.
    pub(super) synchronising: bool,
    /// `~`: NUL is allowed in it (RFC 3516 §4.4).
    pub(super) binary: bool,
}

impl LiteralHead {
    /// The head at the end of a line without its CRLF, and where it starts.
    pub(super) fn at_end_of(line: &[u8]) -> Option<(Self, usize)> {
        let inside = line.strip_suffix(b"}")?;
        let open = inside.iter().rposition(|octet| *octet == b'{')?;
        let number = inside.get(open + 1..)?;
        let (number, synchronising) =
            number.strip_suffix(b"+").map_or((number, true), |number| (number, false));
        let octets = number_of(number)?;
        let binary = open.checked_sub(1).and_then(|at| inside.get(at)) == Some(&b'~');
        Some((Self { octets, synchronising, binary }, open - usize::from(binary)))
    }
}

/// Digits alone; what is too great for us is as great as can be.
fn number_of(digits: &[u8]) -> Option<u64> {
    let all = !digits.is_empty() && digits.len() <= 100 && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all)?;
    Some(text.parse().unwrap_or(u64::MAX))
}

impl<'a> Cursor<'a> {
    pub(super) fn new(octets: &'a [u8], utf8: bool) -> Self {
        Self { rest: octets, utf8, depth: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn end(&self) -> Parsed<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(CommandError::Trailing.into()) }
    }

    /// Takes the octet if it is next.
    pub(super) fn eat(&mut self, octet: u8) -> bool {
        match self.rest.split_first() {
            Some((first, rest)) if *first == octet => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    pub(super) fn expect(&mut self, octet: u8, what: &'static str) -> Parsed<()> {
        if self.eat(octet) { Ok(()) } else { expected(what) }
    }

    pub(super) fn space(&mut self) -> Parsed<()> {
        self.expect(b' ', "a space")
    }

    fn take_while(&mut self, is_part: impl Fn(u8) -> bool) -> &'a str {
        let length = self.rest.iter().take_while(|octet| is_part(**octet)).count();
        let (taken, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest;
        // All parts are ASCII.
        std::str::from_utf8(taken).unwrap_or_default()
    }

    fn some_while(&mut self, is_part: impl Fn(u8) -> bool, what: &'static str) -> Parsed<&'a str> {
        let taken = self.take_while(is_part);
        if taken.is_empty() { expected(what) } else { Ok(taken) }
    }

    pub(super) fn atom(&mut self, what: &'static str) -> Parsed<&'a str> {
        self.some_while(is_atom, what)
    }

    /// RFC 9051 §9: `tag = 1*<any ASTRING-CHAR except "+">`
    pub(super) fn tag(&mut self) -> Option<&'a str> {
        let tag = self.take_while(|octet| is_astring(octet) && octet != b'+');
        (!tag.is_empty()).then_some(tag)
    }

    /// Takes the word, any case, if it is next and no longer atom begins with it.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let mut ahead = self.clone();
        let found = ahead.take_while(is_atom).eq_ignore_ascii_case(word);
        if found {
            self.rest = ahead.rest;
        }
        found
    }

    /// What follows a keyword and a space.
    pub(super) fn word_and_space(&mut self, word: &str) -> Parsed<bool> {
        let found = self.word(word);
        if found {
            self.space()?;
        }
        Ok(found)
    }

    /// As with `word`, but whatever follows: `BODY.PEEK` before `[`.
    pub(super) fn literally(&mut self, text: &str) -> bool {
        let found =
            self.rest.get(..text.len()).is_some_and(|next| next.eq_ignore_ascii_case(text.as_bytes()));
        if found {
            self.rest = self.rest.get(text.len()..).unwrap_or_default();
        }
        found
    }

    pub(super) fn number64(&mut self) -> Parsed<u64> {
        let digits = self.some_while(|octet| octet.is_ascii_digit(), "a number")?;
        digits.parse().or_else(|_| expected("a smaller number"))
    }

    pub(super) fn number(&mut self) -> Parsed<u32> {
        u32::try_from(self.number64()?).or_else(|_| expected("a smaller number"))
    }

    pub(super) fn nz_number(&mut self) -> Parsed<NonZeroU32> {
        NonZeroU32::new(self.number()?).map_or_else(|| expected("a number that is not zero"), Ok)
    }

    pub(super) fn sequence_set(&mut self) -> Parsed<SequenceSet> {
        let text = self.take_while(|octet| matches!(octet, b'0'..=b'9' | b':' | b',' | b'*' | b'$'));
        SequenceSet::parse(text).map_or_else(|| expected("a set of numbers"), Ok)
    }

    /// Whether a sequence set may be next.
    pub(super) fn at_sequence_set(&self) -> bool {
        matches!(self.peek(), Some(b'0'..=b'9' | b'*' | b'$'))
    }

    /// `string`: quoted or a literal, not `~`.
    pub(super) fn string(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => {
                let octets = self.literal()?;
                if memchr(0, octets).is_some() {
                    Err(CommandError::Nul.into())
                } else {
                    Ok(Cow::Borrowed(octets))
                }
            }
            _ => expected(what),
        }
    }

    pub(super) fn astring(&mut self, what: &'static str) -> Parsed<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string(what);
        }
        self.some_while(is_astring, what).map(|atom| Cow::Borrowed(atom.as_bytes()))
    }

    /// `list-mailbox`: as [`astring`](Self::astring), with wildcards.
    pub(super) fn pattern(&mut self) -> Parsed<Cow<'a, [u8]>> {
        if matches!(self.peek(), Some(b'"' | b'{')) {
            return self.string("a mailbox pattern");
        }
        let is_part = |octet| is_astring(octet) || matches!(octet, b'*' | b'%');
        self.some_while(is_part, "a mailbox pattern").map(|atom| Cow::Borrowed(atom.as_bytes()))
    }

    /// `None`: NIL.
    pub(super) fn nstring(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.word("NIL") { Ok(None) } else { self.string(what).map(Some) }
    }

    /// `value = nstring / literal8` (RFC 5464 §5)
    pub(super) fn nstring8(&mut self, what: &'static str) -> Parsed<Option<Cow<'a, [u8]>>> {
        if self.peek() == Some(b'~') {
            return self.literal().map(|octets| Some(Cow::Borrowed(octets)));
        }
        self.nstring(what)
    }

    pub(super) fn text(&mut self, what: &'static str) -> Parsed<String> {
        utf8(&self.astring(what)?)
    }

    fn quoted(&mut self) -> Parsed<Cow<'a, [u8]>> {
        self.expect(b'"', "a quotation mark")?;
        let (start, mut unescaped) = (self.rest, None::<Vec<u8>>);
        loop {
            let length = self.rest.iter().take_while(|octet| is_quoted(**octet)).count();
            let (plain, rest) = self.rest.split_at_checked(length).unwrap_or_default();
            if let Some(text) = &mut unescaped {
                text.extend_from_slice(plain);
            }
            self.rest = rest;
            match rest {
                [b'"', after @ ..] => {
                    let whole = start.get(..start.len() - rest.len()).unwrap_or_default();
                    self.rest = after;
                    let text = unescaped.map_or(Cow::Borrowed(whole), Cow::Owned);
                    return if std::str::from_utf8(&text).is_ok() {
                        Ok(text)
                    } else {
                        Err(CommandError::NotUtf8.into())
                    };
                }
                [b'\\', escaped @ (b'"' | b'\\'), after @ ..] => {
                    let before = start.get(..start.len() - rest.len()).unwrap_or_default();
                    unescaped.get_or_insert_with(|| before.to_vec()).push(*escaped);
                    self.rest = after;
                }
                _ => return expected("the end of a quoted string"),
            }
        }
    }

    /// The octets of a literal of either kind.
    pub(super) fn literal(&mut self) -> Parsed<&'a [u8]> {
        let head = self.literal_head()?;
        // That of a literal8 that streams is never collected.
        let octets = usize::try_from(head.octets).unwrap_or(usize::MAX);
        match self.rest.split_at_checked(octets) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(Fault::Literal),
        }
    }

    /// `{n}` and its CRLF; what follows are the octets.
    pub(super) fn literal_head(&mut self) -> Parsed<LiteralHead> {
        let near = self.rest.get(..LITERAL_HEAD_BYTES_MAX).unwrap_or(self.rest);
        let line_end = near.windows(2).position(|pair| pair == b"\r\n");
        let line = line_end.and_then(|at| self.rest.get(..at)).unwrap_or_default();
        match LiteralHead::at_end_of(line) {
            Some((head, 0)) => {
                self.rest = self.rest.get(line.len() + 2..).unwrap_or_default();
                Ok(head)
            }
            _ => expected("a literal"),
        }
    }

    /// `(one two three)`; at least one.
    pub(super) fn list<T>(
        &mut self,
        what: &'static str,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.nested(|cursor| {
            cursor.expect(b'(', "a list in brackets")?;
            let mut items = Vec::new();
            loop {
                if items.len() >= LIST_ITEMS_MAX {
                    return Err(CommandError::TooMany { what, limit: LIST_ITEMS_MAX }.into());
                }
                items.push(item(cursor)?);
                if cursor.eat(b')') {
                    return Ok(items);
                }
                cursor.space()?;
            }
        })
    }

    /// As [`list`](Self::list), or nothing: `()`.
    pub(super) fn list_or_none<T>(
        &mut self,
        what: &'static str,
        item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        if self.literally("()") { Ok(Vec::new()) } else { self.list(what, item) }
    }

    /// Whatever can nest goes through here: recursion has a limit.
    pub(super) fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= NESTING_MAX {
            return Err(CommandError::TooDeep.into());
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}

pub(super) fn utf8(octets: &[u8]) -> Parsed<String> {
    std::str::from_utf8(octets).map(str::to_owned).map_err(|_| CommandError::NotUtf8.into())
}

/// `ATOM-CHAR`
pub(super) fn is_atom(octet: u8) -> bool {
    octet.is_ascii_graphic() && !matches!(octet, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR`
pub(super) fn is_astring(octet: u8) -> bool {
    is_atom(octet) || octet == b']'
}

/// What stands in a quoted string as it is; UTF-8 is checked as a whole (RFC 9051 §9).
fn is_quoted(octet: u8) -> bool {
    !matches!(octet, b'"' | b'\\' | b'\r' | b'\n' | 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor<'_> {
        Cursor::new(text.as_bytes(), false)
    }

    #[test]
    fn a_string_has_three_spellings() {
        for text in ["a]b", "\"a]b\"", "{3}\r\na]b", "{3+}\r\na]b"] {
            let mut cursor = cursor(text);
            assert_eq!(cursor.astring("a string").unwrap().as_ref(), b"a]b", "{text}");
            assert!(cursor.is_at_end());
        }
        assert_eq!(cursor("{0}\r\n").astring("").unwrap().as_ref(), b"");
        assert_eq!(cursor("\"\"").astring("").unwrap().as_ref(), b"");
        assert_eq!(cursor(r#""a\"b\\c""#).astring("").unwrap().as_ref(), br#"a"b\c"#);
        assert_eq!(cursor("\"grün\"").text("").unwrap(), "grün");
    }

    #[test]
    fn strings_that_are_none() {
        let error = |octets: &[u8]| Cursor::new(octets, false).astring("x").unwrap_err();
        for octets in [b"\"a".as_slice(), b"\"a\\n\"", b"\"a\r\n\"", b"\"\0\"", b"\"\\\""] {
            assert_eq!(error(octets), Fault::Error(CommandError::Expected("the end of a quoted string")));
        }
        assert_eq!(error(b""), Fault::Error(CommandError::Expected("x")));
        assert_eq!(error(b"(a)"), Fault::Error(CommandError::Expected("x")));
        assert_eq!(error(b"\"\xff\""), Fault::Error(CommandError::NotUtf8));
        assert_eq!(error(b"{1}\r\n\0"), Fault::Error(CommandError::Nul));
        assert_eq!(error(b"{2}\r\na"), Fault::Literal);
        assert_eq!(error(b"{a}\r\na"), Fault::Error(CommandError::Expected("a literal")));
    }

    #[test]
    fn heads_of_literals() {
        let head = |text: &str| LiteralHead::at_end_of(text.as_bytes());
        let of = |octets, synchronising, binary| LiteralHead { octets, synchronising, binary };
        assert_eq!(head("a {3}"), Some((of(3, true, false), 2)));
        assert_eq!(head("~{12+}"), Some((of(12, false, true), 0)));
        assert_eq!(head("{99999999999999999999}"), Some((of(u64::MAX, true, false), 0)));
        for text in ["{}", "{+}", "{-1}", "{1 }", "3}", "{3", "{1++}", "{3}x"] {
            assert_eq!(head(text), None, "{text}");
        }
    }

    #[test]
    fn lists_nest_to_a_limit_and_have_one() {
        fn nest(cursor: &mut Cursor<'_>) -> Parsed<usize> {
            if cursor.peek() == Some(b'(') {
                return Ok(cursor.list("lists", nest)?.into_iter().sum::<usize>() + 1);
            }
            cursor.number().map(|_| 0)
        }
        let deep = |depth: usize| format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
        assert_eq!(nest(&mut cursor(&deep(NESTING_MAX))), Ok(NESTING_MAX));
        assert_eq!(nest(&mut cursor(&deep(NESTING_MAX + 1))), Err(CommandError::TooDeep.into()));
        let long = format!("({}1)", "1 ".repeat(LIST_ITEMS_MAX));
        assert!(matches!(nest(&mut cursor(&long)), Err(Fault::Error(CommandError::TooMany { .. }))));
        assert!(nest(&mut cursor("(1  2)")).is_err() && nest(&mut cursor("()")).is_err());
    }
}
