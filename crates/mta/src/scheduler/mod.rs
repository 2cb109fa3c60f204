//! When what is tried: the decisions are a machine without I/O ([`lanes`]), [`dispatcher`] carries them out.

mod dispatcher;
mod lanes;
mod sites;

pub(crate) use dispatcher::Dispatcher;
pub use lanes::{
    Action, Holds, Item, Lanes, RulePlace, SiteLimits, SiteState, SiteTrouble, SiteView, Turn, Unreachable,
};
pub(crate) use sites::Reached;

#[cfg(test)]
mod start_tests;
