//! The test of the test: bugs planted in what ships, each of which a few seeds must find.

use std::{fmt, ops::Range};

use mta::planted::Planted;
use store::memory::Fault;

use crate::{
    plan::{Plan, Size},
    run::run,
};

/// A bug planted in every server of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    Store(Fault),
    /// Takes the feature `planted`.
    Mta(Planted),
    /// It, too.
    Access(access::planted::Planted),
}

impl Bug {
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::Store(Fault::ReplyBeforeSync)];
        all.extend(Planted::ALL.map(Self::Mta));
        all.extend(access::planted::Planted::ALL.map(Self::Access));
        all
    }

    /// The first seed that finds it, and what that run says.
    pub fn find(self, seeds: Range<u64>) -> Option<(u64, String)> {
        seeds.into_iter().find_map(|seed| {
            let report = run(&Plan { planted: Some(self), ..Plan::new(seed, Size::STORMY) }).ok()?;
            Some((seed, report.violations.into_iter().next()?))
        })
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(fault) => write!(f, "{fault:?}"),
            Self::Mta(planted) => write!(f, "{planted:?}"),
            Self::Access(planted) => write!(f, "{planted:?}"),
        }
    }
}
