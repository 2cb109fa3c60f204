//! What an attempt meant for each recipient.

use std::{sync::Arc, time::Duration};

use mail::{EnhancedStatus, cause};
use store::{
    Batch, Mailboxes, ledger,
    mailbox::{MailboxId, MessageRecord, Quota, Summary},
};

/// What an attempt meant for one recipient.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Delivered {
        /// `INBOX of bob@example.org`, `relay.example[192.0.2.1]:25`
        to: String,
        reply: Option<String>,
        /// Final delivery: what to append in the same batch.
        append: Option<Append>,
        success: Success,
    },
    Deferred(Trouble),
    Failed(Trouble),
}

/// Who tells the sender of the success, if it asked for that (RFC 3461 §5.2).
#[derive(Clone, Debug)]
pub(crate) enum Success {
    /// We: the message is in the mailbox.
    Final,
    /// We: a list has it, which is final delivery too (RFC 3461 §5.2.7.3).
    Listed,
    /// We, that nobody else will: the host does not announce DSN.
    Unconfirmed { host: String },
    /// We, because of a deadline: to everybody who did not say NEVER (RFC 2852 §4.1).
    Handed {
        host: String,
        /// It knows of the deadline, and will keep to it.
        keeps_deadline: bool,
    },
    /// The next host, which knows what the sender asked for. Or nobody: the message was thrown away.
    Confirmed,
}

#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) mailbox: MailboxId,
    pub(crate) record: MessageRecord,
    /// None if the message could not be read; clients that ask have it read again.
    pub(crate) summary: Option<Arc<Summary>>,
    pub(crate) quota: Quota,
}

impl Append {
    pub(crate) fn stage(&self, mailboxes: &Mailboxes, batch: &mut Batch) {
        mailboxes.append_summarized(batch, self.mailbox, &self.record, self.summary.as_deref(), self.quota);
    }
}

/// Why a recipient was not delivered to.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) status: EnhancedStatus,
    /// For a person: `the host relay.example refused the connection`.
    pub(crate) reason: String,
    pub(crate) remote_mta: Option<String>,
    /// The reply as the host gave it, cleaned, its lines apart by LF.
    pub(crate) diagnostic: Option<String>,
    /// Not to be tried again before.
    pub(crate) retry_after: Option<Duration>,
    /// It is no trouble of the message's: its site is left alone for so long, and it goes as soon as others do.
    pub(crate) site_wait: Option<Duration>,
}

/// The attempt that led to the fates, for the history.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// Its lane is the entry's.
    pub(crate) told: ledger::Attempt,
    /// What the sender asked for and the host does not know.
    pub(crate) dropped: Vec<&'static str>,
}

impl Fate {
    pub(crate) fn delivered(to: impl Into<String>, reply: Option<String>, success: Success) -> Self {
        Self::Delivered { to: to.into(), reply, append: None, success }
    }
}

impl Trouble {
    pub(crate) fn new(status: (u8, u16, u16), reason: impl Into<String>) -> Self {
        let (class, subject, detail) = status;
        Self {
            status: EnhancedStatus { class, subject, detail },
            reason: reason.into(),
            remote_mta: None,
            diagnostic: None,
            retry_after: None,
            site_wait: None,
        }
    }

    /// RFC 3463 §3.3: a full mailbox may be emptied, so it is tried again until the message expires.
    pub(crate) fn mailbox_full() -> Self {
        Self::new((4, 2, 2), "the mailbox is full")
    }

    /// What happened, for who knows nothing of mail systems: what the host meant, if that is known.
    pub(super) fn words(&self) -> String {
        let said = self.diagnostic.as_deref().and_then(cause::classify_noted);
        let meant = said.and_then(|said| said.cause.reason()).map(str::to_owned);
        meant.unwrap_or_else(|| self.reason.clone())
    }
}
