//! Delivery status notifications: RFC 3461 §6, RFC 3462, RFC 3464, RFC 6533.

use crate::{Address, EnhancedStatus, OriginalRecipient, QueueId, ReversePath, Timestamp};

/// What became of a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Failed,
    Delayed,
    Delivered,
    Relayed,
    Expanded,
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
    /// Its reply, `550 5.1.1 no such user`; cleaned of controls and folded when written.
    pub diagnostic: Option<String>,
    /// What happened, for a person: one sentence without the address.
    pub explanation: String,
    pub last_attempt_at: Option<Timestamp>,
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
    pub at: Timestamp,
    pub recipients: &'a [ReportedRecipient],
    /// The message reported on, or its header section only.
    pub original: &'a [u8],
    pub headers_only: bool,
}

impl Report<'_> {
    /// The whole message: header section, a text for people, `message/delivery-status`, and the original
    /// (`message/rfc822` or `text/rfc822-headers`, their `global` kinds where UTF-8 asks for it).
    pub fn write(&self, _out: &mut Vec<u8>) {
        todo!()
    }
}

/// Reports go to a mailbox only, never to the null path.
pub fn may_report(_reverse_path: &ReversePath) -> bool {
    todo!()
}
