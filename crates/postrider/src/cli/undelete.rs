//! `undelete`: expunged messages brought back.

use clap::Args;

use super::{Output, output::octets};
use crate::{
    Failure,
    admin::protocol::{self, AdminRequest, ExpungedView},
    config::types::Span,
};

/// Restores messages that were expunged, or deleted with their mailbox, while `[mailboxes] undelete_for` lasts.
#[derive(Debug, Args)]
pub struct Undelete {
    /// The account
    address: String,
    /// Only what was in this mailbox, such as INBOX
    #[arg(long, value_name = "NAME")]
    mailbox: Option<String>,
    /// Only what was expunged within so long, such as 2h
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    within: Option<Span>,
    /// Tell what would be restored, and do nothing
    #[arg(long)]
    dry_run: bool,
}

impl Undelete {
    pub fn request(self) -> AdminRequest {
        let Self { address, mailbox, within, dry_run } = self;
        let seconds = within.map(|within| within.0.as_secs());
        AdminRequest::Undelete(protocol::Undelete { address, mailbox, seconds, dry_run })
    }
}

pub fn show(messages: &[ExpungedView], total: usize, output: &mut Output) -> Result<(), Failure> {
    let row = |message: &ExpungedView| {
        vec![
            message.expunged_at.clone(),
            message.mailbox.clone(),
            octets(message.bytes),
            message.from.clone(),
            message.subject.clone(),
        ]
    };
    let nothing = "nothing that was expunged can be restored";
    output.listing(messages, &["EXPUNGED", "MAILBOX", "SIZE", "FROM", "SUBJECT"], row, nothing)?;
    let more = total.saturating_sub(messages.len());
    if more > 0 && !output.is_json() {
        output.line(format_args!("and {more} more"))?;
    }
    Ok(())
}
