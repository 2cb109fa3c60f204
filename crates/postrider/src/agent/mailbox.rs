use std::str::FromStr;

use mail::Address;

/// An address with the name a person gave it: `anna@example.org` or `Anna <anna@example.org>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: Address,
}

impl FromStr for Mailbox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = match text.trim().strip_suffix('>').and_then(|text| text.rsplit_once('<')) {
            Some((name, address)) => (name.trim().trim_matches('"'), address),
            None => ("", text.trim()),
        };
        if name.contains(char::is_control) {
            return Err("a name cannot hold control characters".to_owned());
        }
        let address = address.parse().map_err(|error| format!("{error}; write it like anna@example.org"))?;
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_and_without_a_name() {
        let plain: Mailbox = "anna@example.org".parse().unwrap();
        assert_eq!((plain.name, plain.address.to_string()), (None, "anna@example.org".to_owned()));
        let named: Mailbox = "\"Anna B.\" <anna@example.org>".parse().unwrap();
        assert_eq!(named.name.as_deref(), Some("Anna B."));
        assert!("Anna <anna>".parse::<Mailbox>().is_err());
        assert!("a\r\nb <anna@example.org>".parse::<Mailbox>().is_err());
    }
}
