//! STORE (RFC 9051 §6.4.6; RFC 7162 §3.1.3).

use proto::imap::{
    command::Store,
    response::{Code, Status},
    sequence::NumberSet,
};
use store::mailbox::{FlagsStored, Uid};

use super::{
    fetch::gone,
    flags, outbox,
    reach::{flagging, no_right},
    refusal::Refusal,
    select::Open,
    session::{Next, Session},
};
use crate::planted::Planted;

impl Session {
    pub(super) async fn store(&mut self, by_uid: bool, store: Store) -> Result<Next, Refusal> {
        let uids: Vec<Uid> = self.resolve(&store.messages, by_uid)?.into_iter().map(Uid).collect();
        let selected = self.selected()?;
        let change = flags::change(store.action, &store.flags);
        let (mailbox, asked) = match selected.open_to_change(flagging())? {
            Open::Stored(mailbox) => (mailbox, change),
            Open::Outbox(mailbox) => (mailbox, outbox::without_state(change)),
        };
        let asks = asked.names_flags();
        // RFC 4314 §4: what may be changed is, as long as that is anything of what was named.
        let change = asked.within(selected.changeable());
        if asks && !change.names_flags() {
            return Err(no_right());
        }
        if self.service.has(Planted::StoresBeforeSync) {
            let mailboxes = self.mailboxes();
            tokio::spawn(async move { mailboxes.store_flags(mailbox, &uids, &change, None).await });
            return Ok(Next::Done(Status::ok("stored")));
        }
        let is_deaf = self.service.has(Planted::IsDeafWhenSilent);
        let FlagsStored { messages, before, modified, missing } =
            self.mailboxes().store_flags(mailbox, &uids, &change, store.unchanged_since).await?;
        let condstore = self.machine.enabled().condstore;
        let selected = self.selected()?;
        for (message, before) in messages.into_iter().zip(before) {
            selected.view.knows(message.uid.0, message.modseq);
            // RFC 9051 §6.4.6: what others changed meanwhile is told also to who wants to hear nothing.
            let silent = store.silent && (before <= selected.modseq || is_deaf);
            // RFC 7162 §3.1.3: and so is the mod-sequence.
            if !silent || condstore {
                selected.view.tell(message, silent);
            }
        }
        let status = if missing.is_empty() || by_uid { Status::ok("stored") } else { gone() };
        let modified = modified.iter().map(|uid| uid.0);
        let modified: NumberSet = if by_uid {
            modified.collect()
        } else {
            modified.filter_map(|uid| selected.view.number(uid)).collect()
        };
        let status = if modified.is_empty() { status } else { status.with(Code::Modified(modified)) };
        Ok(Next::Done(status))
    }
}
