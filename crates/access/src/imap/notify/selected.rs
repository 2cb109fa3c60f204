//! The selected mailbox: what is told of it between commands, and what of new messages is told besides.

use std::io;

use proto::imap::command::MailboxFilter;

use super::super::{fetch::FetchWork, news::Told, session::Session};

impl Session {
    /// What a client that has asked with NOTIFY hears of the selected mailbox between commands.
    pub(in super::super) fn told_at_once(&self) -> Option<Told> {
        let group = self.notifier.as_ref()?.selected()?;
        let events = &group.events;
        Some(Told {
            messages: events.message_new.is_some(),
            expunges: events.message_expunge && group.mailboxes == MailboxFilter::Selected,
            flags: events.flag_change,
        })
    }

    /// Tells it, each message as a whole before another command is read.
    pub(in super::super) async fn tell_at_once(&mut self) -> io::Result<()> {
        let Some(told) = self.told_at_once() else { return Ok(()) };
        while !self.tell(told) {
            self.write_out().await?;
        }
        self.tell_arrivals().await?;
        self.write_out().await
    }

    pub(in super::super) async fn tell_arrivals(&mut self) -> io::Result<()> {
        let Some(mut work) = self.take_arrivals() else { return Ok(()) };
        loop {
            let outcome = self.fetch_on(&mut work).await;
            if self.machine.content_left() > 0 && !matches!(outcome, Ok(None)) {
                return Err(io::Error::other("a message cannot be read to its end"));
            }
            self.write_out().await?;
            match outcome {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(()),
                Err(refusal) => {
                    tracing::error!(?refusal, "a new message could not be told of");
                    return Ok(());
                }
            }
        }
    }

    /// Remembers which messages are new to the client, if it wants to hear more of them.
    pub(in super::super) fn note_arrivals(&mut self) {
        let (Some(notifier), Some(selected)) = (&mut self.notifier, &self.selected) else { return };
        let items = notifier.selected().and_then(|group| group.events.message_new.as_ref());
        if items.is_some_and(|items| !items.is_empty()) {
            notifier.arrivals.extend(selected.view.untold());
        }
    }

    /// What is to be told of them.
    pub(in super::super) fn take_arrivals(&mut self) -> Option<Box<FetchWork>> {
        let notifier = self.notifier.as_mut()?;
        let arrivals = std::mem::take(&mut notifier.arrivals);
        let items = notifier.selected()?.events.message_new.clone()?;
        (!arrivals.is_empty()).then(|| Box::new(FetchWork::new(arrivals, items, true)))
    }
}
