//! Which command is carried out where.

use mail::{Rights, RightsChange};
use proto::imap::{
    command::{Command, Tagged},
    response::{Code, Data, Namespaces, Status},
};
use store::sharing::{OTHER_USERS, SHARED};

use super::{
    refusal::Refusal,
    session::{Next, Session},
    urlauth::UrlWork,
};

/// Between the levels of mailbox names.
pub(super) const DELIMITER: char = '/';

impl Session {
    pub(super) async fn carry_out(&mut self, tagged: Tagged) -> Result<Next, Refusal> {
        let Tagged { tag, command } = tagged;
        match command {
            Command::Noop | Command::Check => Ok(Next::Done(Status::ok("nothing else is new"))),
            Command::Idle => Ok(Next::Idle),
            Command::Namespace => {
                self.tell_namespaces();
                Ok(Next::Done(Status::ok("that is all")))
            }
            Command::Select(select) => self.select(&select).await,
            Command::Close => self.close().await,
            Command::Unselect => {
                self.selected = None;
                Ok(Next::Done(Status::ok("no mailbox is selected any more")))
            }
            Command::Fetch { uid, fetch } => self.fetch(uid, *fetch).await,
            Command::Store { uid, store } => self.store(uid, *store).await,
            Command::Search { uid, search } => self.search(tag, uid, *search).await,
            Command::Sort { uid, sort } => self.sort(tag, uid, *sort).await,
            Command::Thread { uid, thread } => self.thread(uid, *thread).await,
            Command::Copy { uid, messages, to } => self.copy(uid, &messages, &to).await,
            Command::Move { uid, messages, to } => self.move_messages(uid, &messages, &to).await,
            Command::Expunge(uids) => self.expunge(uids.as_ref()).await,
            Command::UrlFetch(urls) => Ok(Next::FetchUrls(Box::new(UrlWork::new(urls)))),
            command => self.manage(command).await.map(Next::Done),
        }
    }

    /// Commands about mailboxes as a whole.
    async fn manage(&mut self, command: Command) -> Result<Status, Refusal> {
        match command {
            Command::List(list) => self.list(&list).await,
            Command::Lsub { reference, pattern } => self.lsub(&reference, &pattern).await,
            Command::Status { mailbox, items } => self.status(&mailbox, &items).await,
            Command::Create { mailbox, uses } => self.create(&mailbox, &uses).await,
            Command::Delete(mailbox) => self.delete(&mailbox).await,
            Command::Rename { from, to } => self.rename(&from, &to).await,
            Command::Subscribe(mailbox) => self.subscribe(&mailbox, true).await,
            Command::Unsubscribe(mailbox) => self.subscribe(&mailbox, false).await,
            Command::GetAcl(mailbox) => self.get_acl(&mailbox).await,
            Command::SetAcl { mailbox, identifier, change } => {
                self.set_acl(&mailbox, &identifier, change).await
            }
            Command::DeleteAcl { mailbox, identifier } => {
                self.set_acl(&mailbox, &identifier, RightsChange::Replace(Rights::default())).await
            }
            Command::ListRights { mailbox, identifier } => self.list_rights(&mailbox, &identifier).await,
            Command::MyRights(mailbox) => self.my_rights(&mailbox).await,
            Command::GenUrlAuth(wanted) => self.gen_url_auth(&wanted).await,
            Command::ResetKey { mailbox, mechanisms } => self.reset_key(mailbox.as_ref(), &mechanisms).await,
            Command::GetQuota(root) => self.get_quota(&root).await,
            Command::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox).await,
            Command::GetMetadata(get) => self.get_metadata(*get).await,
            Command::SetMetadata { mailbox, annotations } => {
                self.set_metadata(mailbox.as_ref(), annotations).await
            }
            Command::Notify(notify) => self.notify(notify).await,
            Command::SetQuota { .. } => Err(Refusal::no(Code::NoPerm, "quotas are set by the operator")),
            // The machine lets nothing pass that is not offered.
            _ => Err(Refusal::bad("there is no such command here")),
        }
    }

    /// RFC 2342
    fn tell_namespaces(&mut self) {
        let has_shared = self.service.stores.sharing.options().shared_account.is_some();
        let below = |prefix: &str| vec![(prefix.to_owned(), DELIMITER)];
        self.machine.data(&Data::Namespace(Namespaces {
            personal: below(""),
            other_users: below(OTHER_USERS),
            shared: if has_shared { below(SHARED) } else { Vec::new() },
        }));
    }
}
