//! Bugs planted on purpose, to see whether the simulated internet would find them. Without the feature `planted` there are
//! none, and nothing of them is compiled.

use crate::Mta;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A start forgets what is not due yet.
    LosesRetryOnStart,
    /// A failure is told in a batch of its own, before the entry is settled.
    BouncesTwice,
    /// The timer ends when the clock went back.
    TimerEndsWhenClockJumps,
    /// A load gives entries out again that a worker has in hand.
    GivesToTwoWorkers,
    /// Reports have their reader as reverse-path.
    ReportsWithReversePath,
    /// 250 where the disk is full.
    AcceptsOnFullDisk,
    /// Once one recipient has it, the others are forgotten.
    DropsTheDeferred,
    /// The mailbox is written before the queue, each in a batch.
    DeliversInTwoBatches,
    /// No reply to the content is a good one.
    TakesSilenceForYes,
    /// Nothing is ever given up.
    NeverExpires,
    /// What is settled keeps its body.
    KeepsBodies,
    /// Who was connected is counted as connected for ever.
    ForgetsToLetGo,
    /// A good reply is noted some seconds after it came.
    NotesLate,
}

impl Planted {
    pub const ALL: [Self; 13] = [
        Self::LosesRetryOnStart,
        Self::BouncesTwice,
        Self::TimerEndsWhenClockJumps,
        Self::GivesToTwoWorkers,
        Self::ReportsWithReversePath,
        Self::AcceptsOnFullDisk,
        Self::DropsTheDeferred,
        Self::DeliversInTwoBatches,
        Self::TakesSilenceForYes,
        Self::NeverExpires,
        Self::KeepsBodies,
        Self::ForgetsToLetGo,
        Self::NotesLate,
    ];
}

impl Mta {
    #[cfg(feature = "planted")]
    pub(crate) fn has(&self, bug: Planted) -> bool {
        self.config().planted == Some(bug)
    }

    #[cfg(not(feature = "planted"))]
    #[expect(clippy::unused_self, reason = "with the feature it is asked")]
    pub(crate) const fn has(&self, _: Planted) -> bool {
        false
    }
}
