//! What a mailing list writes: the header fields of RFC 2369 and RFC 2919, return addresses, confirmations, answers.

mod answer;
mod token;
mod unsubscribe;
mod verp;

pub use answer::{Answer, Command, command};
pub use token::{TokenError, Wish, read_token, token};
pub use unsubscribe::{read_unsubscribe_token, unsubscribe_token};
pub use verp::{Verp, return_address};

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Address, header};

/// Fields that tell of the list a message came from (RFC 2369 §4: a list takes out those of another), and what is for
/// the first hop alone.
const REPLACED: &[&str] = &[
    "List-Id",
    "List-Help",
    "List-Subscribe",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Precedence",
    "Return-Path",
];
/// RFC 2047 §2: octets within one encoded word, so that its line has no more than 76 characters.
const ENCODED_WORD_BYTES: usize = 39;

/// The list as its header fields tell of it.
#[derive(Clone, Debug)]
pub struct ListHeader<'a> {
    /// Its local part is a dot-atom of ASCII.
    pub address: &'a Address,
    pub title: Option<&'a str>,
    /// Subscribers may write to it.
    pub takes_posts: bool,
    /// One may join by mail.
    pub takes_subscriptions: bool,
    /// Each copy gets [`unsubscribe_fields`] of its own.
    pub one_click: bool,
}

impl ListHeader<'_> {
    /// The header section `section` (with what follows it) as the list sends it on: its own fields in front, those of
    /// other lists gone, every other octet as it was, so that signatures that do not cover those hold.
    pub fn rewrite(&self, section: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(section.len() + 512);
        self.write(&mut out);
        out.extend_from_slice(&header::without_fields(section, REPLACED));
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (name, host) = parts(self.address);
        let mut field = |name: &str, value: &str| {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        };
        // RFC 9228: by this the list knows its own when it comes back.
        field("Delivered-To", &format!("{name}@{host}"));
        // RFC 2919 §3
        let phrase = self.title.map(phrase).unwrap_or_default();
        // RFC 5322 §2.1.1
        let gap = match phrase.len() + name.len() + host.len() {
            _ if phrase.is_empty() => "",
            ..60 => " ",
            _ => "\r\n ",
        };
        field("List-Id", &format!("{phrase}{gap}<{name}.{host}>"));
        // RFC 2369 §3
        field("List-Help", &format!("<mailto:{name}-request@{host}?subject=help>"));
        if self.takes_subscriptions {
            field("List-Subscribe", &format!("<mailto:{name}-subscribe@{host}>"));
        }
        if self.takes_posts {
            field("List-Post", &format!("<mailto:{name}@{host}>"));
        } else {
            field("List-Post", "NO");
        }
        field("List-Owner", &format!("<mailto:{name}-owner@{host}>"));
        // RFC 3834 §2: what automatic responders know not to answer.
        field("Precedence", "list");
        if !self.one_click {
            out.extend_from_slice(unsubscribe_fields(self.address, None).as_bytes());
        }
    }

    /// Whether a message with this header section has been through the list.
    pub fn has_seen(&self, section: &[u8]) -> bool {
        let (name, host) = parts(self.address);
        let own = format!("{name}@{host}");
        header::values(section, "Delivered-To").any(|value| value.eq_ignore_ascii_case(own.as_bytes()))
    }
}

/// How to leave a list: with one click at `url` (RFC 8058) where there is one, and by mail.
pub fn unsubscribe_fields(list: &Address, url: Option<&str>) -> String {
    let (name, host) = parts(list);
    let by_mail = format!("<mailto:{name}-unsubscribe@{host}>");
    match url {
        // RFC 8058 §3.1: one HTTPS address, and the word that says what a POST there does.
        Some(url) => format!(
            "List-Unsubscribe: <{url}>,\r\n {by_mail}\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"
        ),
        None => format!("List-Unsubscribe: {by_mail}\r\n"),
    }
}

fn parts(list: &Address) -> (&str, String) {
    let host = list.domain().map(crate::Domain::to_lookup).unwrap_or_default();
    (list.local_part(), host)
}

/// RFC 3834 §5: something without a person behind it.
pub fn is_automatic(section: &[u8]) -> bool {
    header::value(section, "Auto-Submitted").is_some_and(|value| {
        let keyword = value.split(|octet| matches!(octet, b';' | b'(' | b' ')).next().unwrap_or_default();
        !keyword.eq_ignore_ascii_case(b"no")
    })
}

/// RFC 5322 §3.2.5, beyond ASCII as encoded words (RFC 2047 §5).
fn phrase(text: &str) -> String {
    if text.bytes().all(|octet| matches!(octet, b' '..=b'~')) {
        let escaped: String = text
            .chars()
            .flat_map(|c| matches!(c, '"' | '\\').then_some('\\').into_iter().chain([c]))
            .collect();
        return format!("\"{escaped}\"");
    }
    let mut words = vec![String::new()];
    for c in text.chars() {
        match words.last_mut() {
            Some(word) if word.len() + c.len_utf8() <= ENCODED_WORD_BYTES => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    let encoded = words.iter().map(|word| format!("=?utf-8?B?{}?=", STANDARD.encode(word)));
    encoded.collect::<Vec<_>>().join("\r\n ")
}

#[cfg(test)]
mod tests;
