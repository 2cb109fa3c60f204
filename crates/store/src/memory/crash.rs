use std::fmt;

/// When a [`super::MemoryEngine`] crashes or fails. The same seed and the same order of commits give the same run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrashModel {
    pub seed: u64,
    /// At each point of a commit (before it is written, written, about to be synced, synced but not acknowledged) the
    /// engine crashes once in so many times; 0 is never.
    pub crash_one_in: u32,
    /// A sync fails and poisons the engine once in so many times; 0 is never.
    pub sync_error_one_in: u32,
    /// A commit finds the disk full once in so many times; 0 is never.
    pub full_one_in: u32,
    pub(super) fault: Option<Fault>,
}

/// A bug planted to see whether a test would find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A commit returns before it is synced; the next commit syncs it.
    ReplyBeforeSync,
}

impl CrashModel {
    /// Nothing happens by itself; [`super::MemoryEngine::crash`] loses what is not synced.
    pub fn calm(seed: u64) -> Self {
        Self { seed, crash_one_in: 0, sync_error_one_in: 0, full_one_in: 0, fault: None }
    }

    pub fn crash_one_in(self, crash_one_in: u32) -> Self {
        Self { crash_one_in, ..self }
    }

    pub fn sync_error_one_in(self, sync_error_one_in: u32) -> Self {
        Self { sync_error_one_in, ..self }
    }

    pub fn full_one_in(self, full_one_in: u32) -> Self {
        Self { full_one_in, ..self }
    }

    /// For tests of tests only.
    pub fn plant(self, fault: Fault) -> Self {
        Self { fault: Some(fault), ..self }
    }

    pub(super) fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// Why an engine takes no more commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Crashed,
    SyncFailed,
    Closed,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Crashed => "it crashed",
            Self::SyncFailed => "a sync failed",
            Self::Closed => "it is closed",
        })
    }
}

/// SplitMix64: chance that a seed repeats.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`; 0 if `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.draw().checked_rem(end).unwrap_or(0)
    }

    /// Never if `times` is 0.
    pub fn one_in(&mut self, times: u32) -> bool {
        times != 0 && self.below(u64::from(times)) == 0
    }
}
