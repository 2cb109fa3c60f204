//! GETQUOTA, GETQUOTAROOT (RFC 9208): all mailboxes of an account are under one root. Who may hold how much is the
//! operator's to say.

use mail::Right;
use proto::imap::{
    command::{MailboxName, QuotaResource},
    response::{Code, Data, Status},
};
use store::mailbox::Quota;

use super::{refusal::Refusal, session::Session};

/// The name of the only root.
const ROOT: &str = "";
/// RFC 9208 §5.1
const STORAGE_UNIT: u64 = 1024;

impl Session {
    pub(super) async fn get_quota_root(&mut self, mailbox: &MailboxName) -> Result<Status, Refusal> {
        let owner = self.find(mailbox, Right::Read).await?.owner.id;
        let is_own = owner == self.account()?.id;
        // What others may hold, and do, is nobody else's business.
        let roots = if is_own { vec![ROOT.to_owned()] } else { Vec::new() };
        self.machine.data(&Data::QuotaRoot { mailbox: mailbox.clone(), roots });
        if is_own { self.get_quota(ROOT).await } else { Ok(Status::ok("that is all")) }
    }

    pub(super) async fn get_quota(&mut self, root: &str) -> Result<Status, Refusal> {
        if root != ROOT {
            return Err(Refusal::no(Code::NonExistent, "there is no such quota root"));
        }
        let account = self.account()?.clone();
        let Quota { octets, messages } = self.quota(&account).await?;
        let (messages_used, octets_used) = self.mailboxes().usage(account.id).await?;
        // RFC 9208 §4.2: what has no limit is not listed.
        let storage = octets.map(|limit| {
            let used = octets_used.div_ceil(STORAGE_UNIT);
            (QuotaResource::Storage, used, limit / STORAGE_UNIT)
        });
        let messages = messages.map(|limit| (QuotaResource::Message, messages_used, limit));
        let resources = storage.into_iter().chain(messages).collect();
        self.machine.data(&Data::Quota { root: ROOT.to_owned(), resources });
        Ok(Status::ok("that is all"))
    }
}
