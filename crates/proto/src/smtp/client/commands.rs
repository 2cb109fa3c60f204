//! The lines we send.

use std::{fmt::Write as _, io::Write as _};

use mail::{Body, ByMode, DeliverBy, ForwardPath, MailParameters, Recipient, ReversePath, TlsDemand, xtext};

use super::{Capabilities, Missing, Transaction};

/// What the server lacks for this message.
pub(super) fn missing(transaction: &Transaction, capabilities: &Capabilities, tls: bool) -> Option<Missing> {
    // RFC 8689 §4.2.1: what a server says in clear is no promise.
    if transaction.mail.tls == TlsDemand::Required && !(tls && capabilities.require_tls) {
        return Some(Missing::RequireTls);
    }
    let binary = capabilities.chunking && capabilities.binary_mime;
    if let Some(bytes_max) = capabilities.size_max.filter(|max| transaction.body_bytes > *max) {
        return Some(Missing::Size { bytes_max });
    }
    if transaction.mail.deliver_by.is_some_and(|by| !returns_in(by, capabilities)) {
        return Some(Missing::DeliverBy);
    }
    match transaction.mail.body {
        _ if needs_smtputf8(transaction) && !capabilities.smtputf8 => Some(Missing::SmtpUtf8),
        Body::EightBitMime if !capabilities.eight_bit_mime => Some(Missing::EightBitMime),
        Body::BinaryMime if !binary => Some(Missing::BinaryMime),
        _ => None,
    }
}

/// RFC 2852 §4.1: what has to come back in time goes to nobody who does not promise that.
fn returns_in(by: DeliverBy, capabilities: &Capabilities) -> bool {
    let Some(seconds_min) = capabilities.deliver_by else { return by.mode == ByMode::Notify };
    by.mode == ByMode::Notify || i64::from(by.seconds) >= i64::from(seconds_min.max(1))
}

fn needs_smtputf8(transaction: &Transaction) -> bool {
    let foreign = |recipient: &Recipient| match &recipient.forward_path {
        ForwardPath::Address(address) => !address.is_ascii(),
        ForwardPath::Postmaster => false,
    };
    transaction.mail.smtputf8
        || matches!(&transaction.reverse_path, ReversePath::Address(address) if !address.is_ascii())
        || transaction.recipients.iter().any(foreign)
}

pub(super) fn write_mail(transaction: &Transaction, capabilities: &Capabilities, out: &mut Vec<u8>) {
    let mail = &transaction.mail;
    let mut line = format!("MAIL FROM:<{}>", transaction.reverse_path);
    // Writing to a String does not fail.
    if capabilities.size {
        _ = write!(line, " SIZE={}", transaction.body_bytes);
    }
    if mail.body != Body::SevenBit {
        _ = write!(line, " BODY={}", mail.body);
    }
    if needs_smtputf8(transaction) {
        line.push_str(" SMTPUTF8");
    }
    if let Some(by) = mail.deliver_by.filter(|_| capabilities.deliver_by.is_some()) {
        _ = write!(line, " BY={by}");
    }
    if let Some(priority) = mail.priority.filter(|_| capabilities.mt_priority) {
        _ = write!(line, " MT-PRIORITY={priority}");
    }
    if let Some(hold) = mail.hold.filter(|_| capabilities.future_release) {
        _ = write!(line, " {hold}");
    }
    if capabilities.dsn {
        if let Some(ret) = mail.ret {
            _ = write!(line, " RET={ret}");
        }
        if let Some(envid) = &mail.envid {
            _ = write!(line, " ENVID={}", xtext::encode(envid));
        }
    }
    write_promises(mail, capabilities, &mut line);
    write_line(&line, out);
}

fn write_promises(mail: &MailParameters, capabilities: &Capabilities, line: &mut String) {
    if mail.tls == TlsDemand::Required {
        line.push_str(" REQUIRETLS");
    }
    if let Some(solicit) = mail.solicit.as_ref().filter(|_| capabilities.no_soliciting) {
        _ = write!(line, " SOLICIT={solicit}");
    }
    // RFC 3885 §3: never without ENVID.
    let can_track = capabilities.tracking && capabilities.dsn && mail.envid.is_some();
    if let Some(tracking) = mail.tracking.as_ref().filter(|_| can_track) {
        _ = write!(line, " MTRK={tracking}");
    }
}

pub(super) fn write_rcpt(recipient: &Recipient, capabilities: &Capabilities, out: &mut Vec<u8>) {
    let mut line = format!("RCPT TO:<{}>", recipient.forward_path);
    if capabilities.dsn {
        if let Some(notify) = recipient.rcpt.notify {
            _ = write!(line, " NOTIFY={notify}");
        }
        if let Some(orcpt) = &recipient.rcpt.orcpt {
            _ = write!(line, " ORCPT={orcpt}");
        }
    }
    if let Some(valid_since) = recipient.rcpt.valid_since.filter(|_| capabilities.rrvs) {
        _ = write!(line, " RRVS={valid_since}");
    }
    write_line(&line, out);
}

pub(super) fn write_line(line: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// RFC 3030 §2
pub(super) fn write_chunk(octets: &[u8], last: bool, out: &mut Vec<u8>) {
    // Writing to a Vec does not fail.
    _ = write!(out, "BDAT {}{}\r\n", octets.len(), if last { " LAST" } else { "" });
    out.extend_from_slice(octets);
}
