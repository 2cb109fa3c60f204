//! `mailbox`: who may see and change other people's mailboxes.

use clap::Subcommand;
use mail::{Rights, RightsChange};

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, ShareView, SharingAction},
};

#[derive(Debug, Subcommand)]
pub enum MailboxCommand {
    /// Let others see a mailbox of an account, in IMAP under "Other Users/"; what they could do before is replaced
    Share {
        address: String,
        /// Such as INBOX or Work/2026
        mailbox: String,
        /// An account, or "anyone" for all who have an account here; with - in front, what others grant is taken away
        #[arg(long, value_name = "WHO", allow_hyphen_values = true)]
        with: String,
        /// "read", "write", "all", or letters of RFC 4314
        #[arg(long, value_name = "RIGHTS", value_parser = rights, default_value = "read")]
        rights: Rights,
    },
    /// End that
    Unshare {
        address: String,
        mailbox: String,
        #[arg(long, value_name = "WHO", allow_hyphen_values = true)]
        with: String,
    },
    /// What an account shares with whom
    Shares { address: String },
}

impl MailboxCommand {
    pub fn request(self) -> AdminRequest {
        let change = |mailbox, with, rights| SharingAction::Change {
            mailbox,
            with,
            change: RightsChange::Replace(rights),
        };
        let (address, action) = match self {
            Self::Share { address, mailbox, with, rights } => (address, change(mailbox, with, rights)),
            Self::Unshare { address, mailbox, with } => (address, change(mailbox, with, Rights::default())),
            Self::Shares { address } => (address, SharingAction::List),
        };
        AdminRequest::Sharing { address, action }
    }
}

fn rights(text: &str) -> Result<Rights, String> {
    let letters = match text {
        "read" => "lrs",
        "write" => "lrswite",
        "all" => "lrswipkxtea",
        letters => letters,
    };
    let rights = Rights::parse(letters).filter(|rights| !rights.is_empty());
    rights.ok_or_else(|| format!("{text:?} are no rights; write read, write, all, or some of lrswipkxtea"))
}

pub fn show_shares(shares: &[ShareView], output: &mut Output) -> Result<(), Failure> {
    let row = |share: &ShareView| vec![share.mailbox.clone(), share.with.clone(), share.rights.clone()];
    let nothing = "nothing is shared; `postrider mailbox share anna@example.org INBOX --with bob@example.org` does that";
    output.listing(shares, &["MAILBOX", "WITH", "RIGHTS"], row, nothing)
}
