//! Texts with `${…}` in them, which an operator writes and an envelope fills in.

use std::{borrow::Cow, fmt::Write, str::FromStr};

use mail::{Address, QueueId, ReversePath};

/// `--to=${recipient}`. `$` stands for itself where no `{` follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(Variable),
}

/// What can stand between `${` and `}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The address that is delivered to.
    Recipient,
    /// What RCPT said, if an alias led elsewhere; else the same.
    OriginalRecipient,
    /// The recipient's local part, unquoted.
    User,
    Domain,
    /// The reverse-path; empty if it is null.
    Sender,
    QueueId,
}

/// The variables, as they are written, and in capitals as they stand in a program's environment.
pub const VARIABLES: [(&str, Variable); 6] = [
    ("recipient", Variable::Recipient),
    ("original_recipient", Variable::OriginalRecipient),
    ("user", Variable::User),
    ("domain", Variable::Domain),
    ("sender", Variable::Sender),
    ("queue_id", Variable::QueueId),
];

/// What variables stand for, of one recipient of one message.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub recipient: &'a Address,
    pub original: &'a Address,
    pub sender: &'a ReversePath,
    pub queue_id: QueueId,
}

impl Values<'_> {
    pub fn of(&self, variable: Variable) -> String {
        match variable {
            Variable::Recipient => self.recipient.to_string(),
            Variable::OriginalRecipient => self.original.to_string(),
            Variable::User => self.recipient.local_part().to_owned(),
            Variable::Domain => self.recipient.host().to_string(),
            Variable::Sender => self.sender.to_string(),
            Variable::QueueId => self.queue_id.to_string(),
        }
    }

    /// As one name in a folder: the form that mailboxes are looked up by, so that one mailbox has one name, and nothing in
    /// it that means something to a file system.
    fn name(&self, variable: Variable) -> String {
        let parts = |address: &Address| {
            let whole = address.to_lookup();
            let (user, domain) = whole.rsplit_once('@').unwrap_or((&whole, ""));
            (user.to_owned(), domain.to_owned())
        };
        encoded(&match variable {
            Variable::Recipient => self.recipient.to_lookup(),
            Variable::OriginalRecipient => self.original.to_lookup(),
            Variable::User => parts(self.recipient).0,
            Variable::Domain => parts(self.recipient).1,
            Variable::Sender => self.sender.address().map(Address::to_lookup).unwrap_or_default(),
            Variable::QueueId => self.queue_id.to_string(),
        })
    }
}

/// Letters, digits and `@ - _ + = .` stay, but for a dot in front; other octets are written `%2F`. Nothing at all is `%`.
fn encoded(value: &str) -> String {
    if value.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::with_capacity(value.len());
    for (at, octet) in value.bytes().enumerate() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'-' | b'_' | b'+' | b'=' => {
                name.push(char::from(octet));
            }
            b'.' if at > 0 => name.push('.'),
            // Writing into a string cannot fail.
            _ => drop(write!(name, "%{octet:02X}")),
        }
    }
    name
}

impl Template {
    /// Neither encoded nor quoted.
    pub fn fill(&self, values: &Values<'_>) -> String {
        self.fill_with(|variable| values.of(variable))
    }

    /// As a path: what a variable stands for is part of one name, whatever it holds.
    pub fn fill_path(&self, values: &Values<'_>) -> String {
        self.fill_with(|variable| values.name(variable))
    }

    fn fill_with(&self, value: impl Fn(Variable) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Variable(variable) => value(*variable),
        };
        self.0.iter().map(piece).collect()
    }

    /// The beginning comes from outside.
    pub fn begins_with_variable(&self) -> bool {
        matches!(self.0.first(), Some(Piece::Variable(_)))
    }

    /// The whole text, if there are no variables in it.
    pub fn constant(&self) -> Option<Cow<'_, str>> {
        match &self.0[..] {
            [] => Some(Cow::Borrowed("")),
            [Piece::Text(text)] => Some(Cow::Borrowed(text)),
            _ => None,
        }
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || VARIABLES.map(|(name, _)| format!("${{{name}}}")).join(", ");
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, next) =
                after.split_once('}').ok_or_else(|| format!("{text:?} has a \"${{\" without a \"}}\""))?;
            let variable = VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable);
            let variable =
                variable.ok_or_else(|| format!("${{{name}}} is not known; there are {}", known()))?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Variable(variable));
            rest = next;
        }
        if text.contains('\0') {
            return Err("a NUL cannot stand in a file name or an argument".to_owned());
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_path(template: &str, recipient: &str) -> String {
        let recipient = recipient.parse().unwrap();
        let values = Values {
            recipient: &recipient,
            original: &recipient,
            sender: &ReversePath::Null,
            queue_id: QueueId::from_u64(0),
        };
        template.parse::<Template>().unwrap().fill_path(&values)
    }

    #[test]
    fn arguments_are_filled_in() {
        let (recipient, original) = ("\"b b\"@d.example".parse().unwrap(), "o@d.example".parse().unwrap());
        let sender = ReversePath::Address("s@c.example".parse().unwrap());
        let queue_id = QueueId::from_u64(0);
        let values = Values { recipient: &recipient, original: &original, sender: &sender, queue_id };
        for (template, filled) in [
            ("--to=${recipient}", "--to=\"b b\"@d.example"),
            ("${user}|${domain}", "b b|d.example"),
            ("${original_recipient} ${sender}", "o@d.example s@c.example"),
            ("$5 ${queue_id} $", "$5 0000000000000 $"),
            ("$(rm -rf /)", "$(rm -rf /)"),
            ("", ""),
        ] {
            assert_eq!(template.parse::<Template>().unwrap().fill(&values), filled);
        }
    }

    /// A188, A189: whatever an address holds, it is one name.
    #[test]
    fn no_part_of_an_address_becomes_an_element_of_a_path() {
        for (recipient, name) in [
            ("bob@d.example", "bob"),
            ("Bob@d.example", "bob"),
            ("a/b@d.example", "a%2Fb"),
            ("\"..\"@d.example", "%2E."),
            ("\".\"@d.example", "%2E"),
            ("\"../../etc/passwd\"@d.example", "%2E.%2F..%2Fetc%2Fpasswd"),
            ("\"/abs\"@d.example", "%2Fabs"),
            ("\"a\\\\b\"@d.example", "a%5Cb"),
            ("\"\"@d.example", "%"),
            ("~root@d.example", "%7Eroot"),
            ("%2e%2e@d.example", "%252e%252e"),
            ("\"a \"@d.example", "a%20"),
            ("\"a:2,S\"@d.example", "a%3A2%2Cs"),
            ("a+b=c_d-e@d.example", "a+b=c_d-e"),
        ] {
            assert_eq!(fill_path("/m/${domain}/${user}", recipient), format!("/m/d.example/{name}"));
        }
        let composed = fill_path("${user}", "J\u{f6}rg@d.example");
        assert_eq!(composed, fill_path("${user}", "jo\u{308}rg@d.example"), "one mailbox, one name");
        assert!(composed.is_ascii());
        assert_eq!(fill_path("/m/.${user}", "\".\"@d.example"), "/m/.%2E");
        assert_eq!(fill_path("/m/${domain}", "a@[192.0.2.1]"), "/m/%5B192.0.2.1%5D");
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = "${recpient}".parse::<Template>().unwrap_err();
        assert!(error.contains("${recpient} is not known") && error.contains("${recipient}"), "{error}");
        assert!("${user".parse::<Template>().unwrap_err().contains("without a \"}\""));
        assert!("\0".parse::<Template>().is_err());
    }
}
