//! What a person is called, beside the address.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Address, text};

/// Octets of a full name.
pub const FULL_NAME_BYTES_MAX: usize = 128;

/// `Ann Example`: one line without controls or invisible characters, words parted by one space, not empty.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FullName(String);

/// Not a full name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FullNameError {
    #[error("a full name must not be empty")]
    Empty,
    #[error("a full name has at most {FULL_NAME_BYTES_MAX} octets")]
    TooLong,
    #[error("a full name holds no control characters or invisible ones")]
    Character,
}

impl FullName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The words it may be looked for by: letters and digits, in lower case.
    pub fn words(text: &str) -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    }
}

impl FromStr for FullName {
    type Err = FullNameError;

    fn from_str(text: &str) -> Result<Self, FullNameError> {
        if !text.chars().all(text::is_harmless) {
            return Err(FullNameError::Character);
        }
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        match name.len() {
            0 => Err(FullNameError::Empty),
            1..=FULL_NAME_BYTES_MAX => Ok(Self(name)),
            _ => Err(FullNameError::TooLong),
        }
    }
}

impl fmt::Display for FullName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `Ann Example <ann@example.org>`, the name quoted where its characters ask for it (RFC 5322 §3.4); without a name
/// `<ann@example.org>` (RFC 5321 §3.5.1).
pub fn name_and_address(name: Option<&FullName>, address: &Address) -> String {
    match name {
        Some(FullName(name)) => format!("{} <{address}>", phrase(name)),
        None => format!("<{address}>"),
    }
}

/// RFC 5322 §3.2.5, RFC 6532 §3.2
fn phrase(name: &str) -> String {
    let is_atom = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~ ".contains(c);
    if name.chars().all(is_atom) {
        return name.to_owned();
    }
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str) -> String {
        name_and_address(Some(&name.parse().unwrap()), &"ann@example.org".parse().unwrap())
    }

    #[test]
    fn names_are_quoted_where_needed() {
        assert_eq!(shown("Ann  Example "), "Ann Example <ann@example.org>");
        assert_eq!(shown("Änn O'Hara-Example"), "Änn O'Hara-Example <ann@example.org>");
        assert_eq!(shown("Ann E. Example"), "\"Ann E. Example\" <ann@example.org>");
        assert_eq!(shown(r#"Ann "\ " <root@x>"#), r#""Ann \"\\ \" <root@x>" <ann@example.org>"#);
        assert_eq!(name_and_address(None, &"ann@example.org".parse().unwrap()), "<ann@example.org>");
    }

    #[test]
    fn what_is_no_name() {
        assert_eq!("  ".parse::<FullName>(), Err(FullNameError::Empty));
        for bad in ["Ann\r\n250 x", "Ann\x1b[2J", "Ann\u{202e}", "Ann\tB"] {
            assert_eq!(bad.parse::<FullName>(), Err(FullNameError::Character), "{bad:?}");
        }
        assert!("x".repeat(128).parse::<FullName>().is_ok());
        assert_eq!("x".repeat(129).parse::<FullName>(), Err(FullNameError::TooLong));
    }

    #[test]
    fn words_are_letters_and_digits() {
        assert_eq!(FullName::words("Ann O'Hara-ÉXAMPLE 2nd."), ["ann", "o", "hara", "éxample", "2nd"]);
        assert!(FullName::words(" .,- ").is_empty());
    }
}
