//! What has happened to the selected mailbox, and when its client hears of it (RFC 9051 §5.2, §7.5.1).

use mail::Right;
use proto::imap::{
    command::Flag,
    response::{Code, Condition, Data, FetchData, Status},
    sequence::NumberSet,
};

use super::{
    flags,
    session::{OUTPUT_BYTES_MAX, Session},
    view::Marks,
};

/// Expunged messages told of in one go.
const GONE_MAX: usize = 1000;
/// Keywords of a mailbox that are told of as its flags.
const KEYWORDS_TOLD_MAX: usize = 500;

/// Of which changes to tell.
#[derive(Clone, Copy)]
pub(super) struct Told {
    pub(super) messages: bool,
    pub(super) expunges: bool,
    pub(super) flags: bool,
}

impl Session {
    /// Looks what has changed.
    pub(super) async fn refresh(&mut self) {
        if self.selected.as_ref().is_some_and(|selected| selected.watch.take_queue_moved())
            && let Err(refusal) = self.follow_queue().await
        {
            // The next look finds it.
            tracing::error!(?refusal, "an Outbox could not be brought up to date");
        }
        if let Err(error) = self.renew_rights().await {
            tracing::error!(%error, "the rights on a mailbox could not be read");
            return;
        }
        let Some(selected) = self.selected.as_deref_mut().filter(|selected| selected.rights.has(Right::Read))
        else {
            return;
        };
        let mailboxes = &self.service.stores.mailboxes;
        match mailboxes.changes_since(selected.mailbox, selected.modseq).await {
            Ok(changes) if changes.is_gone => selected.is_gone = true,
            Ok(changes) => {
                selected.modseq = changes.highest_modseq;
                selected.view.apply(changes);
            }
            // Nothing is lost: the next look finds it.
            Err(error) => tracing::error!(%error, "changes of a mailbox could not be read"),
        }
    }

    /// If the selected mailbox was deleted, or may not be seen any more: clients of IMAP4rev2 go on without it (RFC 9051 §3). Others know of no such
    /// thing, and would take what is refused from then on for a fault; they can only connect anew.
    pub(super) fn leave_if_gone(&mut self) {
        if !self.selected.as_ref().is_some_and(|selected| selected.is_gone) {
            return;
        }
        self.selected = None;
        let text = "the mailbox was deleted";
        if self.machine.enabled().rev2 {
            self.machine.handle_mailbox_closed(text);
        } else {
            self.machine.status(&Status::new(Condition::Bye, None, text));
        }
    }

    /// Tells what may be told now and there is room for; true if that is all.
    pub(super) fn tell_news(&mut self) -> bool {
        self.tell(Told { messages: true, expunges: true, flags: true })
    }

    pub(super) fn tell(&mut self, told: Told) -> bool {
        if told.expunges && self.machine.may_expunge() && !self.tell_gone() {
            return false;
        }
        if told.messages {
            self.note_arrivals();
            let count = self.selected.as_deref_mut().and_then(|selected| selected.view.take_new_count());
            if let Some(count) = count {
                self.machine.data(&Data::Exists(count));
            }
        }
        while told.flags && self.machine.output_len() < OUTPUT_BYTES_MAX {
            let Some(marks) = self.selected.as_deref_mut().and_then(|selected| selected.view.take_changed())
            else {
                return true;
            };
            self.tell_marks(&marks);
        }
        !told.flags
    }

    fn tell_gone(&mut self) -> bool {
        let qresync = self.machine.enabled().qresync;
        loop {
            let Some(selected) = self.selected.as_deref_mut() else { return true };
            let gone = selected.view.take_gone(GONE_MAX);
            if gone.is_empty() {
                return true;
            }
            if qresync {
                // RFC 7162 §3.2.10
                let uids: NumberSet = gone.iter().map(|(_, uid)| *uid).collect();
                self.machine.data(&Data::Vanished { earlier: false, uids });
            } else {
                for (number, _) in gone {
                    self.machine.data(&Data::Expunge(number));
                }
            }
            if self.machine.output_len() >= OUTPUT_BYTES_MAX {
                return false;
            }
        }
    }

    fn tell_marks(&mut self, marks: &Marks) {
        let Marks { message, silent } = marks;
        let Some(selected) = self.selected.as_deref() else { return };
        let (Some(number), speaks_uid) = (selected.view.number(message.uid.0), selected.speaks_uid) else {
            return;
        };
        self.tell_keywords(&message.keywords);
        let enabled = self.machine.enabled();
        self.machine.start_fetch(number);
        // RFC 7162 §3.2.4
        if speaks_uid || enabled.qresync {
            self.machine.fetch_item(&FetchData::Uid(message.uid.0));
        }
        if !silent {
            let flags = flags::written(message.flags, &message.keywords);
            self.machine.fetch_item(&FetchData::Flags { flags: &flags, recent: false });
        }
        // RFC 7162 §3.1
        if enabled.condstore {
            self.machine.fetch_item(&FetchData::ModSeq(message.modseq));
        }
        self.machine.end_fetch();
    }

    /// RFC 9051 §7.3.5: a client has heard of a flag before a message has it.
    pub(super) fn tell_keywords(&mut self, keywords: &[String]) {
        if self.note_keywords(keywords) {
            self.tell_flags();
        }
    }

    /// Whether there are some among them that the client has not heard of.
    pub(super) fn note_keywords(&mut self, keywords: &[String]) -> bool {
        let Some(selected) = self.selected.as_deref_mut() else { return false };
        let before = selected.flags.len();
        for keyword in keywords {
            let flag = Flag::Keyword(keyword.clone());
            if selected.flags.len() < KEYWORDS_TOLD_MAX && !selected.flags.contains(&flag) {
                selected.flags.push(flag);
            }
        }
        selected.flags.len() > before
    }

    pub(super) fn tell_flags(&mut self) {
        let Some(selected) = self.selected.as_deref() else { return };
        let (flags, mask) = (selected.flags.clone(), selected.changeable());
        let permanent = flags.iter().filter(|flag| flags::is_within(mask, flag)).cloned().collect();
        let code = Code::PermanentFlags { flags: permanent, any: mask.keywords };
        self.machine.data(&Data::Flags(flags));
        self.machine.status(&Status::ok("flags that stay").with(code));
    }
}
