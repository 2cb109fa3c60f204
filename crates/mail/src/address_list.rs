//! The addresses in header fields (RFC 5322 §3.4), read so that nobody else reads others: what is not plainly an
//! address list is refused. Linear in the field, without recursion.

use crate::{
    Address,
    header::{self, Field},
};

/// Addresses of one field; more are refused.
pub const ADDRESSES_MAX: usize = 100;

/// Why a field is no address list; the message tells a person what is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressListError {
    #[error("a comment, quoted string or address literal does not end")]
    Unterminated,
    #[error("a character has no place there")]
    Character,
    #[error("words stand where an address should")]
    NoAddress,
    #[error("an address is not valid")]
    Address,
    #[error("a group is not valid")]
    Group,
    #[error("there are more than {ADDRESSES_MAX} addresses")]
    TooMany,
}

/// Why it cannot be told who wrote a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginatorError {
    #[error("{0} cannot be read: {1}")]
    Unreadable(&'static str, AddressListError),
    #[error("there is more than one {0}")]
    Repeated(&'static str),
    #[error("the header section is too long")]
    TooLong,
    #[error("From names no address")]
    Nobody,
    /// Some readers would take the line for a field, others would not.
    #[error("a line looks like {0} and is no header field")]
    Hidden(&'static str),
}

/// The addresses of From and Sender, in the header section at the start of `message`. Empty: it has neither.
pub fn originators(message: &[u8]) -> Result<Vec<Address>, OriginatorError> {
    let mut found = Vec::new();
    for name in ["From", "Sender"] {
        let fields = named(message, name);
        if look_alikes(message, name) != fields.len() {
            return Err(OriginatorError::Hidden(name));
        }
        let field = match fields.as_slice() {
            [] => continue,
            [field] => field,
            // RFC 5322 §3.6
            _ => return Err(OriginatorError::Repeated(name)),
        };
        let value = header::unfold(message.get(field.value.clone()).unwrap_or_default());
        let addresses = parse(&value).map_err(|error| OriginatorError::Unreadable(name, error))?;
        if addresses.is_empty() {
            return Err(OriginatorError::Nobody);
        }
        found.extend(addresses);
    }
    Ok(found)
}

fn named(message: &[u8], name: &str) -> Vec<Field> {
    let is_named = |field: &Field| {
        message.get(field.name.clone()).is_some_and(|found| found.eq_ignore_ascii_case(name.as_bytes()))
    };
    header::fields(message).filter(is_named).take(2).collect()
}

/// Lines before the body that a lenient reader may take for this field, counted to two.
fn look_alikes(message: &[u8], name: &str) -> usize {
    let section = message.get(..header::body_start(message)).unwrap_or_default();
    let is_alike = |line: &&[u8]| {
        let Some((start, rest)) = line.split_at_checked(name.len()) else { return false };
        let gap = rest.iter().take_while(|octet| !octet.is_ascii_graphic()).count();
        start.eq_ignore_ascii_case(name.as_bytes()) && rest.get(gap) == Some(&b':')
    };
    section.split(|octet| matches!(octet, b'\r' | b'\n')).filter(is_alike).take(2).count()
}

/// The addresses of an unfolded field value, those in groups too (RFC 6854).
pub fn parse(value: &[u8]) -> Result<Vec<Address>, AddressListError> {
    let mut tokens = Tokens { rest: value };
    let mut addresses = Vec::new();
    let mut in_group = false;
    while let Some(token) = tokens.next()? {
        match token {
            // RFC 5322 §4.4: empty elements are obsolete, and read.
            Token::Special(b',') => continue,
            Token::Special(b';') if in_group => in_group = false,
            _ => match element(token, &mut tokens)? {
                Element::GroupStart if in_group => return Err(AddressListError::Group),
                Element::GroupStart => {
                    in_group = true;
                    continue;
                }
                Element::Mailbox(_) if addresses.len() >= ADDRESSES_MAX => {
                    return Err(AddressListError::TooMany);
                }
                Element::Mailbox(address) => addresses.push(address),
            },
        }
        match tokens.next()? {
            None => break,
            Some(Token::Special(b',')) => {}
            Some(Token::Special(b';')) if in_group => in_group = false,
            Some(_) => return Err(AddressListError::Address),
        }
    }
    if in_group { Err(AddressListError::Group) } else { Ok(addresses) }
}

enum Element {
    Mailbox(Address),
    GroupStart,
}

/// A mailbox, or the beginning of a group.
fn element<'a>(first: Token<'a>, tokens: &mut Tokens<'a>) -> Result<Element, AddressListError> {
    let mut words = 0_usize;
    let mut last = first;
    loop {
        match last {
            Token::Word(text) | Token::Quoted(text) => {
                words += 1;
                let Some(next) = tokens.next()? else { return Err(AddressListError::NoAddress) };
                if matches!(next, Token::Special(b'@')) && words == 1 {
                    return domain_after(text, tokens).map(Element::Mailbox);
                }
                last = next;
            }
            Token::Special(b'<') => return angle(tokens).map(Element::Mailbox),
            Token::Special(b':') if words > 0 => return Ok(Element::GroupStart),
            Token::Special(b',' | b';') => return Err(AddressListError::NoAddress),
            Token::Special(_) | Token::Literal(_) => return Err(AddressListError::Address),
        }
    }
}

/// What follows `<`. Source routes (RFC 5322 §4.4) are refused: nobody writes them, and readers differ.
fn angle(tokens: &mut Tokens<'_>) -> Result<Address, AddressListError> {
    let (Some(Token::Word(local_part) | Token::Quoted(local_part)), Some(Token::Special(b'@'))) =
        (tokens.next()?, tokens.next()?)
    else {
        return Err(AddressListError::Address);
    };
    let address = domain_after(local_part, tokens)?;
    match tokens.next()? {
        Some(Token::Special(b'>')) => Ok(address),
        _ => Err(AddressListError::Address),
    }
}

fn domain_after(local_part: &[u8], tokens: &mut Tokens<'_>) -> Result<Address, AddressListError> {
    let Some(Token::Word(domain) | Token::Literal(domain)) = tokens.next()? else {
        return Err(AddressListError::Address);
    };
    let text = [local_part, b"@", domain].concat();
    let text = std::str::from_utf8(&text).map_err(|_| AddressListError::Address)?;
    text.parse().map_err(|_| AddressListError::Address)
}

#[derive(Clone, Copy)]
enum Token<'a> {
    /// An atom with its dots, any octets beyond ASCII.
    Word(&'a [u8]),
    /// With its quotes.
    Quoted(&'a [u8]),
    /// With its brackets.
    Literal(&'a [u8]),
    /// `<`, `>`, `@`, `,`, `:` or `;`
    Special(u8),
}

struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, AddressListError> {
        self.skip_space_and_comments()?;
        let Some(&first) = self.rest.first() else { return Ok(None) };
        let token = match first {
            b'"' => Token::Quoted(self.take_through(b'"')?),
            b'[' => Token::Literal(self.take_through(b']')?),
            b'<' | b'>' | b'@' | b',' | b':' | b';' => {
                self.take(1);
                Token::Special(first)
            }
            _ => match self.rest.iter().take_while(|octet| is_word(**octet)).count() {
                0 => return Err(AddressListError::Character),
                len => Token::Word(self.take(len)),
            },
        };
        Ok(Some(token))
    }

    fn skip_space_and_comments(&mut self) -> Result<(), AddressListError> {
        let mut depth = 0_usize;
        while let Some(&octet) = self.rest.first() {
            let len = match octet {
                b'(' => {
                    depth += 1;
                    1
                }
                b')' if depth > 0 => {
                    depth -= 1;
                    1
                }
                b' ' | b'\t' => 1,
                b'\\' if depth > 0 => 2,
                _ if octet.is_ascii_control() => return Err(AddressListError::Character),
                _ if depth > 0 => 1,
                _ => break,
            };
            self.take(len);
        }
        if depth > 0 { Err(AddressListError::Unterminated) } else { Ok(()) }
    }

    /// From the opening to the closing octet, which a backslash may hide.
    fn take_through(&mut self, closing: u8) -> Result<&'a [u8], AddressListError> {
        let mut escaped = false;
        for (at, &octet) in self.rest.iter().enumerate().skip(1) {
            if octet.is_ascii_control() && octet != b'\t' {
                return Err(AddressListError::Character);
            }
            if octet == closing && !escaped {
                return Ok(self.take(at + 1));
            }
            escaped = octet == b'\\' && !escaped;
        }
        Err(AddressListError::Unterminated)
    }

    /// The next octets, as many as there are of `len`.
    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at_checked(len).unwrap_or((self.rest, &[]));
        self.rest = rest;
        taken
    }
}

/// `atext` (RFC 6532 §3.2), and the dot.
fn is_word(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet >= 0x80 || b"!#$%&'*+-/=?^_`{|}~.".contains(&octet)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Result<Vec<String>, AddressListError> {
        parse(value.as_bytes()).map(|addresses| addresses.iter().map(Address::to_string).collect())
    }

    #[test]
    fn address_lists_are_read() {
        for (value, expected) in [
            ("anna@example.org", vec!["anna@example.org"]),
            ("Anna Ä <anna@example.org>", vec!["anna@example.org"]),
            ("=?utf-8?q?ceo=40bank.example?= <anna@example.org>", vec!["anna@example.org"]),
            ("\"ceo@bank.example, <x@y>\" <anna@example.org>", vec!["anna@example.org"]),
            ("(ceo@bank.example) anna (\\) ( , ) ) @ example.org (x)", vec!["anna@example.org"]),
            ("J. Doe <\"j d\"@example.org>, bob@[192.0.2.1]", vec!["\"j d\"@example.org", "bob@[192.0.2.1]"]),
            (", a@b.example,, c@d.example ,", vec!["a@b.example", "c@d.example"]),
            ("The Two: a@b.example, C <c@d.example>;", vec!["a@b.example", "c@d.example"]),
            ("nobody:;, a@b.example", vec!["a@b.example"]),
            ("nobody:;", vec![]),
            ("", vec![]),
            ("δ <δοκιμή@παράδειγμα.example>", vec!["δοκιμή@παράδειγμα.example"]),
        ] {
            assert_eq!(
                read(value).as_deref(),
                Ok(&expected.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>()[..]),
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_no_address_list_is_refused() {
        use AddressListError::*;
        for (value, expected) in [
            ("anna", NoAddress),
            ("Anna, b@c.example", NoAddress),
            ("a@b.example c@d.example", Address),
            ("a@b.example <c@d.example>", Address),
            ("<a@b.example> c", Address),
            ("<a@b.example", Address),
            ("<@relay.example:a@b.example>", Address),
            ("<>", Address),
            ("a@b@c.example", Address),
            ("a b@c.example", Address),
            ("@c.example", Address),
            ("a@", Address),
            ("x: y: a@b.example;;", Group),
            ("x: a@b.example", Group),
            ("a@b.example;", Address),
            ("\"anna <a@b.example>", Unterminated),
            ("(a@b.example", Unterminated),
            ("(a\\", Unterminated),
            ("a@[192.0.2.1", Unterminated),
            ("a\\b@c.example", Character),
            ("a\u{0}@c.example", Character),
            ("a@b.example\nc@d.example", Character),
            ("(\r) a@b.example", Character),
            (") a@b.example", Character),
        ] {
            assert_eq!(read(value), Err(expected), "{value:?}");
        }
        assert_eq!(parse(b"\xff <a@b.example>").map(|it| it.len()), Ok(1), "a name in an old character set");
        assert_eq!(parse(b"\xff@b.example"), Err(Address));
    }

    #[test]
    fn large_fields_cost_no_more_than_their_octets() {
        assert_eq!(parse("(".repeat(1_000_000).as_bytes()), Err(AddressListError::Unterminated));
        assert_eq!(parse("a@b.example,".repeat(1_000_000).as_bytes()), Err(AddressListError::TooMany));
        assert_eq!(parse("\"\\".repeat(500_000).as_bytes()), Err(AddressListError::Unterminated));
        assert_eq!(parse("x ".repeat(500_000).as_bytes()), Err(AddressListError::NoAddress));
        assert_eq!(parse(",".repeat(1_000_000).as_bytes()), Ok(vec![]));
        let nested = [b"(".repeat(100_000), b")".repeat(100_000), b"a@b.example".to_vec()].concat();
        assert_eq!(parse(&nested).map(|it| it.len()), Ok(1));
    }

    #[test]
    fn originators_are_from_and_sender() {
        let told = |message: &str| {
            originators(message.as_bytes())
                .map(|found| found.iter().map(Address::to_string).collect::<Vec<_>>().join(" "))
        };
        assert_eq!(
            told("From: A <a@b.example>,\r\n c@d.example\r\nSENDER : s@b.example\r\n\r\nFrom: x\r\n"),
            Ok("a@b.example c@d.example s@b.example".to_owned())
        );
        assert_eq!(told("Subject: x\r\n\r\n"), Ok(String::new()));
        assert_eq!(
            told("From: a@b.example\r\nfrom: c@d.example\r\n\r\n"),
            Err(OriginatorError::Repeated("From"))
        );
        assert_eq!(told("From: nobody:;\r\n\r\n"), Err(OriginatorError::Nobody));
        assert_eq!(told("From:\r\n\r\n"), Err(OriginatorError::Nobody));
        assert_eq!(
            told("From: a\r\n\r\n"),
            Err(OriginatorError::Unreadable("From", AddressListError::NoAddress))
        );
        for hidden in ["no field\r\nFrom: c@d.example", "X: y\nFrom: c@d.example", "From\u{a0}: c@d.example"]
        {
            assert_eq!(
                told(&format!("From: a@b.example\r\n{hidden}\r\n\r\n")),
                Err(OriginatorError::Hidden("From")),
                "{hidden:?}"
            );
            assert_eq!(
                told(&format!("Subject: x\r\n{hidden}\r\n\r\n")),
                Err(OriginatorError::Hidden("From")),
                "{hidden:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_octets_end_in_an_answer(pieces in prop::collection::vec("(a|@|b\\.c|<|>|\\(|\\)|\"|\\\\|,|:|;|\\[|\\]| |ü|\n)", 0..40)) {
            let value = pieces.concat();
            if let Ok(addresses) = parse(value.as_bytes()) {
                let written = addresses.iter().map(|it| format!("<{it}>")).collect::<Vec<_>>().join(", ");
                prop_assert_eq!(parse(written.as_bytes()).unwrap(), addresses);
            }
            let _ = originators(format!("From: {value}\r\n\r\n").as_bytes());
        }
    }
}
