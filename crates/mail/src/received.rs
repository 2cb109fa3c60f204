//! Trace information (RFC 5321 §4.4): Received and Return-Path.

use std::net::IpAddr;

use crate::{Domain, ForwardPath, Host, MtPriority, QueueId, ReversePath, Timestamp};

/// RFC 5322 §2.1.1: lines should have no more octets than this without their CRLF.
const LINE_BYTES: usize = 78;
/// What is kept of a name that a client gave.
const NAME_BYTES_MAX: usize = 255;

/// What a Received line tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The name the client gave with EHLO, HELO or LHLO, as it came; cleaned when written.
    pub helo: &'a str,
    pub client_ip: Option<IpAddr>,
    /// The name that the address leads to; cleaned when written.
    pub client_name: Option<&'a str>,
    /// Our own name.
    pub by: &'a str,
    /// RFC 3848, RFC 6531 §4.3: `SMTP`, `ESMTP`, `ESMTPSA`, `UTF8SMTPS`, `LMTP`, …; [`With::word`] gives it.
    pub with: &'static str,
    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384` as a comment.
    pub tls: Option<String>,
    pub id: QueueId,
    /// Only if the message has one recipient: others must not learn of each other (RFC 5321 §7.6).
    pub for_recipient: Option<&'a ForwardPath>,
    /// The priority that the client asked for (RFC 6710 §4.1).
    pub priority: Option<MtPriority>,
    pub at: Timestamp,
}

/// How a message came, for the `with` clause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct With {
    pub protocol: Protocol,
    pub tls: bool,
    pub authenticated: bool,
    /// The message was sent with the SMTPUTF8 parameter.
    pub smtputf8: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Opened with HELO: no extensions.
    Smtp,
    /// Opened with EHLO.
    #[default]
    Esmtp,
    Lmtp,
}

impl With {
    /// The word of RFC 3848, RFC 6531 §4.3.
    pub const fn word(self) -> &'static str {
        match (self.protocol, self.smtputf8, self.tls, self.authenticated) {
            (Protocol::Smtp, ..) => "SMTP",
            (Protocol::Esmtp, false, false, false) => "ESMTP",
            (Protocol::Esmtp, false, false, true) => "ESMTPA",
            (Protocol::Esmtp, false, true, false) => "ESMTPS",
            (Protocol::Esmtp, false, true, true) => "ESMTPSA",
            (Protocol::Esmtp, true, false, false) => "UTF8SMTP",
            (Protocol::Esmtp, true, false, true) => "UTF8SMTPA",
            (Protocol::Esmtp, true, true, false) => "UTF8SMTPS",
            (Protocol::Esmtp, true, true, true) => "UTF8SMTPSA",
            (Protocol::Lmtp, false, false, false) => "LMTP",
            (Protocol::Lmtp, false, false, true) => "LMTPA",
            (Protocol::Lmtp, false, true, false) => "LMTPS",
            (Protocol::Lmtp, false, true, true) => "LMTPSA",
            (Protocol::Lmtp, true, false, false) => "UTF8LMTP",
            (Protocol::Lmtp, true, false, true) => "UTF8LMTPA",
            (Protocol::Lmtp, true, true, false) => "UTF8LMTPS",
            (Protocol::Lmtp, true, true, true) => "UTF8LMTPSA",
        }
    }
}

impl Received<'_> {
    /// The folded header field with its CRLFs. Lines have at most 78 octets, except those of a longer name or address.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut clauses = vec![format!("from {}", host_name(self.helo, self.may_hold_utf8()))];
        // RFC 5321 §4.1.3: IPv6 with its tag.
        let name = self.client_name.map(|name| format!("{} ", host_name(name, false))).unwrap_or_default();
        clauses.extend(self.client_ip.map(|ip| format!("({name}{})", Host::Literal(ip.to_canonical()))));
        clauses.push(format!("by {}", host_name(self.by, self.may_hold_utf8())));
        clauses.push(format!("with {}", self.with));
        clauses.extend(self.tls.as_deref().map(|tls| format!("({})", comment(tls))));
        clauses.push(format!("id {}", self.id));
        clauses.extend(self.for_clause());
        clauses.extend(self.priority.map(|priority| format!("PRIORITY {priority}")));
        if let Some(last) = clauses.last_mut() {
            last.push(';');
        }
        clauses.push(self.at.rfc5322());
        write_folded("Received:", &clauses, out);
    }

    /// RFC 6531 §3.7.3: only messages sent with SMTPUTF8 carry UTF-8 here.
    fn may_hold_utf8(&self) -> bool {
        self.with.starts_with("UTF8")
    }

    fn for_clause(&self) -> Option<String> {
        let path = self.for_recipient?;
        let is_writable = self.may_hold_utf8() || path.address().is_none_or(crate::Address::is_ascii);
        is_writable.then(|| format!("for <{path}>"))
    }
}

/// `Return-Path: <a@b>` CRLF, for final delivery only.
pub fn write_return_path(path: &ReversePath, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("Return-Path: <{path}>\r\n").as_bytes());
}

/// The name of a host, its A-labels where UTF-8 must not stand.
///
/// What a client calls itself need not be a name: nothing of it may end the clause or the line, or start a comment.
pub(crate) fn host_name(text: &str, may_hold_utf8: bool) -> String {
    if let Ok(domain) = text.parse::<Domain>() {
        return if text.is_ascii() || may_hold_utf8 { domain.to_string() } else { domain.to_lookup() };
    }
    let harmless = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | ':' | '[' | ']');
    let name: String = text.chars().take(NAME_BYTES_MAX).map(|c| if harmless(c) { c } else { '?' }).collect();
    if name.is_empty() { "unknown".to_owned() } else { name }
}

/// The text of a comment (RFC 5322 §3.2.2: ctext and spaces), without the `;` that others split the field at.
fn comment(text: &str) -> String {
    let harmless = |c: char| matches!(c, ' '..='~') && !matches!(c, '(' | ')' | '\\' | ';');
    text.chars().take(NAME_BYTES_MAX).map(|c| if harmless(c) { c } else { '?' }).collect()
}

fn write_folded(name: &str, words: &[String], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    let mut line_len = name.len();
    for word in words {
        if line_len + 1 + word.len() > LINE_BYTES && line_len > 1 {
            out.extend_from_slice(b"\r\n\t");
            line_len = 1;
        } else {
            out.push(b' ');
            line_len += 1;
        }
        out.extend_from_slice(word.as_bytes());
        line_len += word.len();
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::header;

    fn received<'a>(helo: &'a str, recipient: Option<&'a ForwardPath>) -> Received<'a> {
        Received {
            helo,
            client_ip: Some("192.0.2.7".parse().unwrap()),
            client_name: None,
            by: "mx.example.org",
            with: "ESMTPS",
            tls: Some("TLSv1.3 TLS13_AES_256_GCM_SHA384".into()),
            id: QueueId::from_u64(1),
            for_recipient: recipient,
            priority: None,
            at: Timestamp::from_millis(1_795_473_360_123),
        }
    }

    fn written(received: &Received<'_>) -> String {
        let mut out = Vec::new();
        received.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    fn path(text: &str) -> ForwardPath {
        ForwardPath::parse_prefix(text).unwrap().0
    }

    #[test]
    fn reads_like_the_wire() {
        assert_eq!(
            written(&received("client.example", Some(&path("<bob@example.org>")))),
            "Received: from client.example ([192.0.2.7]) by mx.example.org with ESMTPS\r\n\
             \t(TLSv1.3 TLS13_AES_256_GCM_SHA384) id 0000000000001 for <bob@example.org>;\r\n\
             \tMon, 23 Nov 2026 22:36:00 +0000\r\n"
        );
        let mut named = received("a", None);
        named.client_name = Some("spike.example\r\n");
        assert!(written(&named).starts_with("Received: from a (spike.example?? [192.0.2.7]) by"));
        let mut plain = received("[IPv6:2001:db8::1]", None);
        plain.client_ip = Some("2001:db8::1".parse().unwrap());
        plain.tls = None;
        plain.with = "SMTP";
        assert_eq!(
            written(&plain),
            "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by mx.example.org\r\n\
             \twith SMTP id 0000000000001; Mon, 23 Nov 2026 22:36:00 +0000\r\n"
        );
    }

    #[test]
    fn names_are_cleaned() {
        let from = |helo: &str| written(&received(helo, None)).split(' ').nth(2).unwrap().to_owned();
        assert_eq!(from("a\r\nX: y"), "a??X:?y");
        assert_eq!(from("a(b)c;d\\\"\0"), "a?b?c?d???");
        assert_eq!(from("my_pc"), "my_pc");
        assert_eq!(from(""), "unknown");
        assert_eq!(from("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(from("Client.Example"), "Client.Example");
        let mut utf8 = received("bücher.example", None);
        utf8.with = "UTF8SMTP";
        assert!(written(&utf8).starts_with("Received: from bücher.example "));
    }

    #[test]
    fn recipients_in_utf8_need_smtputf8() {
        let path = path("<jürgen@example.org>");
        let mut received = received("a", Some(&path));
        assert!(!written(&received).contains("for"));
        received.with = With { smtputf8: true, tls: true, ..With::default() }.word();
        assert!(written(&received).contains("for <jürgen@example.org>;"));
    }

    #[test]
    fn postmaster_needs_no_domain() {
        assert!(written(&received("a", Some(&ForwardPath::Postmaster))).contains(" for <postmaster>;"));
    }

    #[test]
    fn with_words() {
        let word =
            |protocol, tls, authenticated, smtputf8| With { protocol, tls, authenticated, smtputf8 }.word();
        assert_eq!(word(Protocol::Smtp, false, false, false), "SMTP");
        assert_eq!(word(Protocol::Esmtp, true, true, false), "ESMTPSA");
        assert_eq!(word(Protocol::Esmtp, false, true, true), "UTF8SMTPA");
        assert_eq!(word(Protocol::Lmtp, true, false, false), "LMTPS");
        assert_eq!(word(Protocol::Lmtp, false, false, true), "UTF8LMTP");
    }

    #[test]
    fn return_paths() {
        let mut out = Vec::new();
        write_return_path(&ReversePath::Null, &mut out);
        write_return_path(&ReversePath::parse_prefix("<\"a b\"@c>").unwrap().0, &mut out);
        assert_eq!(out, b"Return-Path: <>\r\nReturn-Path: <\"a b\"@c>\r\n");
    }

    proptest! {
        #[test]
        fn one_field_whatever_the_client_said(helo: String, tls: String, by: String) {
            let mut received = received(&helo, None);
            received.by = &by;
            received.tls = Some(tls);
            let text = written(&received);
            prop_assert_eq!(header::fields(text.as_bytes()).count(), 1);
            prop_assert_eq!(header::fields(text.as_bytes()).next().unwrap().whole.end, text.len());
            let lines: Vec<&str> = text.strip_suffix("\r\n").unwrap().split("\r\n").collect();
            prop_assert!(lines.iter().all(|line| line.len() < 998 && !line.contains(['\r', '\n', '\0'])));
            prop_assert_eq!(text.matches('(').count(), 2);
            prop_assert_eq!(text.matches(';').count(), 1);
        }
    }
}
