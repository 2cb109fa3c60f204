//! The part for machines: RFC 3464 §2, in UTF-8 RFC 6533 §4.

use std::borrow::Cow;

use super::{Action, Part, Report, ReportedRecipient, lines::write_wrapped};
use crate::{Address, Hold, OriginalRecipient, Timestamp, text, xtext};

/// What is kept of a value, and of a line of a reply.
const VALUE_BYTES_MAX: usize = 4096;
/// Of so long a part further replies are left out; the status tells them.
const DETAILED_BYTES_MAX: usize = 256 * 1024;
/// Lines kept of a reply.
const REPLY_LINES_MAX: usize = 20;

pub(super) fn part(report: &Report<'_>) -> Part<'static> {
    let fields = Fields { is_global: !report.to.is_ascii(), out: String::new() }.write(report);
    let content_type =
        if fields.is_ascii() { "message/delivery-status" } else { "message/global-delivery-status" };
    Part {
        content_type,
        description: "Delivery report",
        content: Cow::Owned(fields.into_bytes()),
        quoted: false,
    }
}

struct Fields {
    /// Who reads the report reads UTF-8 (RFC 6533 §4).
    is_global: bool,
    out: String,
}

impl Fields {
    fn write(mut self, report: &Report<'_>) -> String {
        // RFC 3464 §2.2
        self.field("Reporting-MTA", &format!("dns; {}", report.host()));
        self.optional("Original-Envelope-Id", report.envid);
        self.field("Arrival-Date", &report.arrived_at.rfc5322());
        // RFC 2852 §5
        self.optional("Deliver-By-Date", report.deliver_by.map(Timestamp::rfc5322).as_deref());
        self.optional("Future-Release-Request", report.hold.map(requested).as_deref());
        self.field("X-Postrider-Queue-ID", &report.original_id.to_string());
        for recipient in report.recipients {
            self.out.push_str("\r\n");
            self.recipient(recipient);
        }
        self.out
    }

    /// RFC 3464 §2.3
    fn recipient(&mut self, recipient: &ReportedRecipient) {
        let original =
            recipient.original_recipient.as_ref().map(|original| self.original_recipient(original));
        self.optional("Original-Recipient", original.as_deref());
        self.field("Final-Recipient", &self.final_recipient(&recipient.final_recipient));
        self.field("Action", recipient.action.word());
        self.field("Status", &recipient.status.to_string());
        let remote_mta = recipient.remote_mta.as_ref().map(|name| format!("dns; {name}"));
        self.optional("Remote-MTA", remote_mta.as_deref());
        if let Some(reply) = recipient.diagnostic.as_ref().filter(|_| self.out.len() < DETAILED_BYTES_MAX) {
            self.reply("Diagnostic-Code", reply);
        }
        let last_attempt = recipient.last_attempt_at.map(Timestamp::rfc5322);
        self.optional("Last-Attempt-Date", last_attempt.as_deref());
        let until = recipient.will_retry_until.filter(|_| recipient.action == Action::Delayed);
        self.optional("Will-Retry-Until", until.map(Timestamp::rfc5322).as_deref());
    }

    fn final_recipient(&self, address: &Address) -> String {
        let written = address.to_string();
        if address.is_ascii() { format!("rfc822; {written}") } else { self.utf8_address("utf-8", &written) }
    }

    fn original_recipient(&self, original: &OriginalRecipient) -> String {
        let OriginalRecipient { address_type, address } = original;
        if original.is_utf8() {
            self.utf8_address(address_type, address)
        } else {
            format!("{address_type}; {address}")
        }
    }

    /// RFC 6533 §3: `utf-8-addr-xtext` where only ASCII may stand.
    fn utf8_address(&self, address_type: &str, address: &str) -> String {
        if self.is_global {
            format!("{address_type}; {address}")
        } else {
            format!("{address_type}; {}", xtext::encode_utf8_address(address))
        }
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    /// RFC 3464 §2.3.6: the whole reply, each of its lines on a line.
    fn reply(&mut self, name: &str, reply: &str) {
        let mut start = format!("{name}: smtp; ");
        for line in reply.lines().filter(|line| !line.trim().is_empty()).take(REPLY_LINES_MAX) {
            let line = self.cleaned(line);
            write_wrapped(&start, " ", &line, &mut self.out);
            " ".clone_into(&mut start);
        }
    }

    fn field(&mut self, name: &str, value: &str) {
        let value = self.cleaned(value);
        write_wrapped(&format!("{name}: "), " ", &value, &mut self.out);
    }

    /// A value can hold what a peer said.
    fn cleaned(&self, value: &str) -> String {
        if self.is_global {
            text::clean_within(value.as_bytes(), VALUE_BYTES_MAX)
        } else {
            text::clean_ascii(value.as_bytes(), VALUE_BYTES_MAX)
        }
    }
}

/// RFC 4865 §8
fn requested(hold: Hold) -> String {
    match hold {
        Hold::For(seconds) => format!("for;{seconds}"),
        Hold::Until(at) => format!("until;{at}"),
    }
}
