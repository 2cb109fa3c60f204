//! The grammar of a mailbox. Each function takes the text, and gives what it read and what follows.

use super::{Address, AddressError, Host, LocalPart, domain, literal};

/// `Mailbox = Local-part "@" ( Domain / address-literal )`
pub(super) fn mailbox(text: &str) -> Result<(Address, &str), AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (local_part, rest) = match text.strip_prefix('"') {
        Some(rest) => quoted_string(rest)?,
        None => dot_string(text)?,
    };
    let Some(rest) = rest.strip_prefix('@') else {
        return Err(if rest.contains('@') { AddressError::LocalPart } else { AddressError::NoAt });
    };
    let (host, rest) = match rest.strip_prefix('[') {
        Some(rest) => literal::literal(rest)?,
        None => domain::prefix(rest).map(|(domain, rest)| (Host::Domain(domain), rest))?,
    };
    Ok((Address::from_parts(LocalPart::new(local_part)?, host)?, rest))
}

/// `Dot-string = Atom *("." Atom)`
pub(super) fn is_dot_string(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

fn dot_string(text: &str) -> Result<(String, &str), AddressError> {
    let end = text.find(|c| c != '.' && !is_atext(c)).unwrap_or(text.len());
    let (string, rest) = text.split_at_checked(end).ok_or(AddressError::LocalPart)?;
    if !is_dot_string(string) {
        return Err(AddressError::LocalPart);
    }
    Ok((string.to_owned(), rest))
}

/// `Quoted-string = DQUOTE *QcontentSMTP DQUOTE`, from behind its first quote.
fn quoted_string(text: &str) -> Result<(String, &str), AddressError> {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Ok((value, chars.as_str())),
            // quoted-pairSMTP = %d92 %d32-126
            '\\' => {
                let pair = chars.next().filter(|c| matches!(c, ' '..='~'));
                value.push(pair.ok_or(AddressError::LocalPart)?);
            }
            c if c.is_control() => return Err(AddressError::LocalPart),
            c => value.push(c),
        }
    }
    Err(AddressError::LocalPart)
}

/// RFC 5322 §3.2.3; RFC 6531 §3.3 adds UTF-8. Unicode's C1 controls are refused like those of ASCII.
fn is_atext(c: char) -> bool {
    const SPECIALS: &str = "!#$%&'*+-/=?^_`{|}~";
    c.is_ascii_alphanumeric() || if c.is_ascii() { SPECIALS.contains(c) } else { !c.is_control() }
}
