//! Trace information (RFC 5321 §4.4): Received and Return-Path.

use crate::{ForwardPath, QueueId, ReversePath, Timestamp};

/// What a Received line tells.
#[derive(Clone, Debug)]
pub struct Received<'a> {
    /// The name the client gave with EHLO, HELO or LHLO, as it came; cleaned when written.
    pub helo: &'a str,
    pub client_ip: Option<std::net::IpAddr>,
    /// Our own name.
    pub by: &'a str,
    /// RFC 3848, RFC 6531 §4.3: `SMTP`, `ESMTP`, `ESMTPSA`, `UTF8SMTPS`, `LMTP`, …
    pub with: &'static str,
    /// `TLSv1.3 TLS13_AES_256_GCM_SHA384` as a comment.
    pub tls: Option<String>,
    pub id: QueueId,
    /// Only if the message has one recipient: others must not learn of each other (RFC 5321 §7.6).
    pub for_recipient: Option<&'a ForwardPath>,
    pub at: Timestamp,
}

impl Received<'_> {
    /// The folded header field with its CRLFs.
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}

/// `Return-Path: <a@b>` CRLF, for final delivery only.
pub fn write_return_path(_path: &ReversePath, _out: &mut Vec<u8>) {
    todo!()
}
