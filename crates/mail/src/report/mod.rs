//! Delivery status notifications: RFC 3461 §6, RFC 3464, RFC 6522, RFC 6533.

mod boundary;
mod explanation;
mod lines;
pub mod read;
mod returned;
mod status;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::{
    Address, EnhancedStatus, Hold, OriginalRecipient, QueueId, ReversePath, Timestamp, convert, header,
    received::host_name,
};

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
}

impl Action {
    /// RFC 3464 §2.3.3
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// One recipient that a report is about.
#[derive(Clone, Debug)]
pub struct ReportedRecipient {
    pub final_recipient: Address,
    pub original_recipient: Option<OriginalRecipient>,
    pub action: Action,
    pub status: EnhancedStatus,
    /// The host that said so.
    pub remote_mta: Option<String>,
    /// Its reply, `550 5.1.1 no such user`, lines apart by LF; cleaned of controls and folded when written.
    pub diagnostic: Option<String>,
    /// What happened, for a person, to follow the word "because": `there is no such mailbox`. Without the address.
    /// For [`Action::Delivered`] where it is, unless in a mailbox.
    pub explanation: String,
    pub last_attempt_at: Option<Timestamp>,
    /// Written for [`Action::Delayed`] only.
    pub will_retry_until: Option<Timestamp>,
}

/// A report to be sent to the reverse-path of a message, from the null reverse-path.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    pub reporting_mta: &'a str,
    pub id: QueueId,
    pub original_id: QueueId,
    pub envid: Option<&'a str>,
    pub to: &'a Address,
    pub arrived_at: Timestamp,
    /// The deadline of RFC 2852.
    pub deliver_by: Option<Timestamp>,
    /// What was asked for with FUTURERELEASE.
    pub hold: Option<Hold>,
    pub at: Timestamp,
    pub recipients: &'a [ReportedRecipient],
    /// The message reported on, or its header section only.
    pub original: &'a [u8],
    pub headers_only: bool,
    pub audience: Audience,
}

/// Who reads a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    Sender,
    /// The message had the null reverse-path, so that there is nobody else to tell.
    Postmaster,
}

/// A body part; `content` ends where the line of the next boundary begins.
struct Part<'a> {
    content_type: &'static str,
    description: &'static str,
    content: Cow<'a, [u8]>,
    /// It is encoded as quoted-printable.
    quoted: bool,
}

impl Report<'_> {
    /// The whole message: header section, a text for people, `message/delivery-status`, and the original
    /// (`message/rfc822` or `text/rfc822-headers`, their `global` kinds where UTF-8 asks for it).
    ///
    /// Lines end with CRLF and have at most 998 octets. An original that cannot travel as text (RFC 3030 binary) comes
    /// back as its header section only, or not at all. UTF-8 stands in header fields, here and in what is returned, only if
    /// `to` has UTF-8: other reports travel without SMTPUTF8, as the way back to an ASCII address may have none.
    pub fn write(&self, out: &mut Vec<u8>) {
        let returned = returned::part(self.original, self.headers_only).map(|part| self.for_reader(part));
        let mut parts = vec![explanation::part(self, returned.as_ref()), status::part(self)];
        parts.extend(returned);
        let boundary = boundary::choose(self.id, parts.iter().map(|part| &*part.content));
        self.write_header(&boundary, parts.iter().all(|part| part.content.is_ascii()), out);
        for part in &parts {
            part.write(&boundary, out);
        }
        push(out, &format!("\r\n--{boundary}--\r\n"));
    }

    /// RFC 6533 §6.1: the global kinds may be encoded, and are where UTF-8 may not stand in a nested header section.
    fn for_reader<'b>(&self, part: Part<'b>) -> Part<'b> {
        if part.content_type.starts_with("message/global") && self.to.is_ascii() {
            let content = Cow::Owned(convert::quoted_printable(&part.content));
            Part { content, quoted: true, ..part }
        } else {
            part
        }
    }

    fn write_header(&self, boundary: &str, is_ascii: bool, out: &mut Vec<u8>) {
        let host = self.host();
        push(out, &format!("From: Mail Delivery System <postmaster@{host}>\r\nTo: <{}>\r\n", self.to));
        push(out, &format!("Subject: {}\r\nDate: {}\r\n", self.subject(), self.at.rfc5322()));
        push(out, &format!("Message-ID: <{}@{host}>\r\n", self.id));
        if let Some(original) = self.original_message_id() {
            push(out, &format!("In-Reply-To: <{original}>\r\nReferences: <{original}>\r\n"));
        }
        // RFC 3834 §5: nobody's auto-responder answers it.
        push(out, "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
        // RFC 6522 §3
        push(out, "Content-Type: multipart/report; report-type=delivery-status;\r\n");
        push(out, &format!("\tboundary=\"{boundary}\"\r\n"));
        if !is_ascii {
            push(out, "Content-Transfer-Encoding: 8bit\r\n");
        }
        push(out, "\r\nThis is a delivery report in MIME format.\r\n");
    }

    fn host(&self) -> String {
        host_name(self.reporting_mta, false)
    }

    fn subject(&self) -> &'static str {
        if self.audience == Audience::Postmaster {
            return "Mail without a sender could not be delivered";
        }
        let any = |action| self.recipients.iter().any(|recipient| recipient.action == action);
        if any(Action::Failed) {
            "Your mail could not be delivered"
        } else if any(Action::Delayed) {
            "Your mail is delayed"
        } else if any(Action::Delivered) {
            "Your mail was delivered"
        } else {
            "Your mail was passed on"
        }
    }

    /// Only one that is whole and fits into a line as it is.
    fn original_message_id(&self) -> Option<String> {
        let is_plain =
            |id: &String| id.bytes().all(|octet| matches!(octet, b'!'..=b'~') && !b"<>".contains(&octet));
        header::message_id(self.original).filter(is_plain)
    }
}

impl Part<'_> {
    fn write(&self, boundary: &str, out: &mut Vec<u8>) {
        push(out, &format!("\r\n--{boundary}\r\nContent-Type: {}\r\n", self.content_type));
        push(out, &format!("Content-Description: {}\r\n", self.description));
        if self.quoted {
            push(out, "Content-Transfer-Encoding: quoted-printable\r\n");
        } else if !self.content.is_ascii() {
            push(out, "Content-Transfer-Encoding: 8bit\r\n");
        }
        push(out, "\r\n");
        out.extend_from_slice(&self.content);
    }
}

/// Reports go to a mailbox only, never to the null path.
pub fn may_report(reverse_path: &ReversePath) -> bool {
    // RFC 5321 §6.1
    !reverse_path.is_null()
}

fn push(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
