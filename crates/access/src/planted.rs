//! Bugs planted on purpose, to see whether the simulated internet would find them. Without the feature `planted` there are
//! none, and nothing of them is compiled.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// MOVE copies in one batch, and expunges in another.
    MovesInTwoBatches,
    /// STORE is answered before the flags are on stable storage.
    StoresBeforeSync,
    /// A resync by QRESYNC does not tell what is gone.
    ForgetsVanished,
    /// Who stores silently does not hear what others changed before.
    IsDeafWhenSilent,
    /// QUIT is answered before what was deleted by POP3 is gone.
    QuitsBeforeSync,
}

impl Planted {
    pub const ALL: [Self; 5] = [
        Self::MovesInTwoBatches,
        Self::StoresBeforeSync,
        Self::ForgetsVanished,
        Self::IsDeafWhenSilent,
        Self::QuitsBeforeSync,
    ];
}

macro_rules! planting {
    ($service:ty) => {
        impl $service {
            #[cfg(feature = "planted")]
            #[must_use]
            pub fn planting(mut self, planted: Option<Planted>) -> Self {
                self.planted = planted;
                self
            }

            #[cfg(feature = "planted")]
            pub(crate) fn has(&self, bug: Planted) -> bool {
                self.planted == Some(bug)
            }

            #[cfg(not(feature = "planted"))]
            pub(crate) const fn has(&self, _: Planted) -> bool {
                false
            }
        }
    };
}

planting!(crate::imap::ImapService);
planting!(crate::pop3::Pop3Service);
