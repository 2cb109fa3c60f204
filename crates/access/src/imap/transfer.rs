//! EXPUNGE, COPY and MOVE (RFC 9051 §6.4.3, §6.4.7, §6.4.8; RFC 4315).

use std::num::NonZeroU32;

use mail::Right;
use proto::imap::{
    command::MailboxName,
    response::{Code, Condition, Status},
    sequence::{NumberSet, SequenceSet},
};
use store::{
    mailbox::{Arrival, COPY_MAX, Copied, Flags, MailboxId, Uid},
    sharing::Reached,
};

use super::{
    reach::changeable,
    refusal::Refusal,
    select::Open,
    session::{Next, Session},
};
use crate::planted::Planted;

/// Messages that move between two looks at the clock.
const MOVE_PAGE_MESSAGES: usize = 5_000;

impl Session {
    pub(super) async fn expunge(&mut self, uids: Option<&SequenceSet>) -> Result<Next, Refusal> {
        self.selected()?.open_to_change(Right::Expunge)?;
        let uids = uids.map(|uids| self.resolve(uids, true)).transpose()?;
        let modseq = self.expunge_deleted(uids.as_deref()).await?;
        let status = Status::ok("expunged");
        // RFC 7162 §3.2.7
        let tells = self.machine.enabled().qresync && modseq > 0;
        Ok(Next::Done(if tells { status.with(Code::HighestModSeq(modseq)) } else { status }))
    }

    /// Removes what is flagged \Deleted; `among`: of these only, ascending. The MODSEQ it took, 0 if there was nothing.
    pub(super) async fn expunge_deleted(&mut self, among: Option<&[u32]>) -> Result<u64, Refusal> {
        let mailbox = self.selected()?.mailbox;
        let now = self.service.clock.wall();
        let mailboxes = self.mailboxes();
        if mailboxes.status(mailbox).await?.deleted == 0 {
            return Ok(0);
        }
        let listing = mailboxes.listing(mailbox).await?;
        let is_meant = |uid: &Uid| among.is_none_or(|among| among.binary_search(&uid.0).is_ok());
        let deleted = listing.messages.iter().filter(|message| message.flags.has(Flags::DELETED));
        let uids: Vec<Uid> = deleted.map(|message| message.uid).filter(is_meant).collect();
        if mailbox.is_outbox() {
            return self.call_off(&uids).await;
        }
        Ok(mailboxes.expunge(mailbox, &uids, now).await?.modseq)
    }

    pub(super) async fn copy(
        &mut self,
        by_uid: bool,
        messages: &SequenceSet,
        to: &MailboxName,
    ) -> Result<Next, Refusal> {
        let (uids, target) = self.messages_and_target(by_uid, messages, to).await?;
        let copied = if self.selected()?.mailbox.is_outbox() {
            self.copy_outgoing(&uids, &target).await?
        } else {
            self.copy_all(&uids, &target).await?
        };
        let status = Status::ok("copied");
        Ok(Next::Done(match copy_uid(&target, &copied) {
            Some(code) => status.with(code),
            None => status,
        }))
    }

    /// Page by page; if one fails, those before it are taken back (RFC 9051 §6.4.7).
    async fn copy_all(&mut self, uids: &[Uid], to: &Reached) -> Result<Copied, Refusal> {
        let mut copied = Copied::default();
        for page in uids.chunks(COPY_MAX) {
            match self.copy_page(page, to, copied.uids.len(), uids.len()).await {
                Ok(one) => copied.uids.extend(one.uids),
                Err(refusal) => {
                    let made: Vec<Uid> = copied.uids.iter().map(|(_, to)| *to).collect();
                    self.mailboxes().withdraw(to.mailbox.id, &made).await?;
                    return Err(refusal);
                }
            }
        }
        Ok(copied)
    }

    async fn copy_page(
        &mut self,
        page: &[Uid],
        to: &Reached,
        done: usize,
        of: usize,
    ) -> Result<Copied, Refusal> {
        let from = self.selected()?.mailbox;
        let arrival = self.arrival(to).await?;
        self.show_progress(done, Some(of)).await?;
        Ok(self.mailboxes().copy_as(from, page, to.mailbox.id, arrival).await?)
    }

    pub(super) async fn move_messages(
        &mut self,
        by_uid: bool,
        messages: &SequenceSet,
        to: &MailboxName,
    ) -> Result<Next, Refusal> {
        let open = self.selected()?.open_to_remove()?;
        let (uids, target) = self.messages_and_target(by_uid, messages, to).await?;
        let mut moved = Copied::default();
        let outcome = match open {
            Open::Stored(from) => self.move_all(from, &uids, &target, &mut moved).await,
            Open::Outbox(_) => self.take_back(&uids, &target, &mut moved).await,
        };
        // RFC 6851 §4.3: told before the messages are seen to go, also if the rest stays.
        if let Some(code) = copy_uid(&target, &moved) {
            self.machine.status(&Status::new(Condition::Ok, Some(code), "moved"));
        }
        outcome?;
        let status = Status::ok("moved");
        let tells = self.machine.enabled().qresync && moved.modseq > 0;
        Ok(Next::Done(if tells { status.with(Code::HighestModSeq(moved.modseq)) } else { status }))
    }

    async fn move_all(
        &mut self,
        from: MailboxId,
        uids: &[Uid],
        to: &Reached,
        moved: &mut Copied,
    ) -> Result<(), Refusal> {
        for (page, done) in uids.chunks(MOVE_PAGE_MESSAGES).zip((0..).step_by(MOVE_PAGE_MESSAGES)) {
            self.show_progress(done, Some(uids.len())).await?;
            let arrival = self.arrival(to).await?;
            let one = if self.service.has(Planted::MovesInTwoBatches) {
                let copied = self.mailboxes().copy_as(from, page, to.mailbox.id, arrival).await?;
                self.mailboxes().expunge(from, page, self.service.clock.wall()).await?;
                copied
            } else {
                self.mailboxes().move_as(from, page, to.mailbox.id, arrival).await?
            };
            moved.uids.extend(one.uids);
            moved.modseq = moved.modseq.max(one.modseq);
        }
        Ok(())
    }

    async fn messages_and_target(
        &mut self,
        by_uid: bool,
        messages: &SequenceSet,
        to: &MailboxName,
    ) -> Result<(Vec<Uid>, Reached), Refusal> {
        let uids = self.resolve(messages, by_uid)?.into_iter().map(Uid).collect();
        Ok((uids, self.find_target(to).await?))
    }

    pub(super) async fn arrival(&mut self, target: &Reached) -> Result<Arrival, Refusal> {
        let now = self.service.clock.wall();
        let quota = self.quota(&target.owner).await?;
        Ok(Arrival { quota, keeps: changeable(target.rights), now })
    }
}

fn copy_uid(target: &Reached, copied: &Copied) -> Option<Code> {
    let uid_validity = NonZeroU32::new(target.mailbox.uid_validity)?;
    let from: NumberSet = copied.uids.iter().map(|(from, _)| from.0).collect();
    let to: NumberSet = copied.uids.iter().map(|(_, to)| to.0).collect();
    // RFC 4315 §3: who may not read the mailbox learns nothing of it.
    (!from.is_empty() && target.rights.has(Right::Read)).then_some(Code::CopyUid { uid_validity, from, to })
}
