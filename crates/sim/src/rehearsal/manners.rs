//! How a host treats its callers, and when.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mail::Reply;
use mta::policy::limits::Rate;

/// A part of a run, by the time since it began; its end is no part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub from: Duration,
    pub to: Duration,
}

impl Window {
    pub const ALWAYS: Self = Self { from: Duration::ZERO, to: Duration::MAX };

    pub fn contains(&self, at: Duration) -> bool {
        self.from <= at && at < self.to
    }
}

/// When a refusal is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    Greeting,
    Recipient,
    Content,
}

/// What everybody is told, at one point of the dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub occasion: Occasion,
    pub reply: Reply,
    pub during: Vec<Window>,
}

/// The default takes everything at once, with and without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// Nothing answers.
    pub down: Vec<Window>,
    /// A sender and recipient that were not seen yet have to come again after so long.
    pub greylist: Option<Duration>,
    /// Messages in a time; the next ones get `rate_reply`.
    pub rate: Option<Rate>,
    pub rate_reply: Option<Reply>,
    /// Then 421.
    pub messages_per_connection: Option<u32>,
    /// At once; the next one is greeted with 421.
    pub connections: Option<u32>,
    pub refusal: Option<Refusal>,
    /// Mailboxes have no room.
    pub full: Vec<Window>,
    /// Before each reply.
    pub slow: Duration,
    pub without_tls: bool,
}

/// What a site remembers of its callers; its hosts share it.
#[derive(Debug)]
pub(super) struct Mind {
    pub(super) manners: Manners,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    greylisted: BTreeMap<(String, String), Duration>,
    taken: VecDeque<Duration>,
    connections: u32,
}

impl Mind {
    pub(super) fn new(manners: Manners) -> Self {
        Self { manners, memory: Mutex::default() }
    }

    /// What greets a caller instead of 220; unless there is something, it is counted until [`leave`](Self::leave).
    pub(super) fn greet(&self, at: Duration) -> Option<Reply> {
        let refused = self.refusal(Occasion::Greeting, at);
        if refused.is_some() {
            return refused;
        }
        let mut memory = self.memory();
        if self.manners.connections.is_some_and(|most| memory.connections >= most) {
            return Some(Reply::new(421, (4, 7, 0), "too many connections from your host, try again later"));
        }
        memory.connections += 1;
        None
    }

    pub(super) fn leave(&self) {
        self.memory().connections -= 1;
    }

    pub(super) fn mail(&self, at: Duration) -> Result<(), Reply> {
        let Some(rate) = &self.manners.rate else { return Ok(()) };
        let mut memory = self.memory();
        while memory.taken.front().is_some_and(|taken| *taken + rate.per <= at) {
            memory.taken.pop_front();
        }
        if memory.taken.len() >= usize::try_from(rate.count).unwrap_or(usize::MAX) {
            let usual = || Reply::new(450, (4, 7, 1), "too many messages from your host, slow down");
            return Err(self.manners.rate_reply.clone().unwrap_or_else(usual));
        }
        memory.taken.push_back(at);
        Ok(())
    }

    pub(super) fn recipient(&self, sender: &str, recipient: &str, at: Duration) -> Result<(), Reply> {
        if let Some(refused) = self.refusal(Occasion::Recipient, at) {
            return Err(refused);
        }
        if self.manners.full.iter().any(|window| window.contains(at)) {
            return Err(Reply::new(452, (4, 2, 2), "mailbox full"));
        }
        let Some(after) = self.manners.greylist else { return Ok(()) };
        let mut memory = self.memory();
        let first = *memory.greylisted.entry((sender.to_owned(), recipient.to_owned())).or_insert(at);
        if first + after <= at {
            return Ok(());
        }
        Err(Reply::new(451, (4, 7, 1), "greylisted, come again later"))
    }

    pub(super) fn content(&self, at: Duration) -> Result<(), Reply> {
        self.refusal(Occasion::Content, at).map_or(Ok(()), Err)
    }

    fn refusal(&self, occasion: Occasion, at: Duration) -> Option<Reply> {
        let refusal = self.manners.refusal.as_ref().filter(|refusal| refusal.occasion == occasion)?;
        refusal.during.iter().any(|window| window.contains(at)).then(|| refusal.reply.clone())
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn minutes(count: u64) -> Duration {
        Duration::from_mins(count)
    }

    #[test]
    fn a_rate_is_of_any_stretch_of_its_time() {
        let rate = Some(Rate::new(2, minutes(1)));
        let mind = Mind::new(Manners { rate, ..Manners::default() });
        let seconds = [0, 30, 59, 60, 89, 90];
        let said = seconds.map(|at| mind.mail(Duration::from_secs(at)).is_ok());
        assert_eq!(said, [true, true, false, true, false, true]);
    }

    #[test]
    fn greylisting_is_by_sender_and_recipient() {
        let mind = Mind::new(Manners { greylist: Some(minutes(5)), ..Manners::default() });
        let said = |from, to, at| mind.recipient(from, to, minutes(at)).map_err(|reply| reply.code);
        assert_eq!(said("a", "b", 0), Err(451));
        assert_eq!(said("a", "b", 4), Err(451));
        assert_eq!(said("a", "c", 5), Err(451));
        assert_eq!(said("a", "b", 5), Ok(()));
        assert_eq!(said("a", "c", 10), Ok(()));
    }

    #[test]
    fn refusals_have_their_occasion_and_their_time() {
        let during = vec![Window { from: minutes(1), to: minutes(2) }];
        let reply = Reply::new(554, (5, 7, 1), "no");
        let refusal = Some(Refusal { occasion: Occasion::Content, reply, during });
        let mind = Mind::new(Manners { refusal, connections: Some(1), ..Manners::default() });
        assert!(mind.content(minutes(0)).is_ok());
        assert!(mind.content(minutes(1)).is_err());
        assert!(mind.content(minutes(2)).is_ok());
        assert!(mind.recipient("a", "b", minutes(1)).is_ok());
        assert!(mind.greet(minutes(1)).is_none());
        assert_eq!(mind.greet(minutes(1)).map(|reply| reply.code), Some(421));
        mind.leave();
        assert!(mind.greet(minutes(1)).is_none());
    }
}
