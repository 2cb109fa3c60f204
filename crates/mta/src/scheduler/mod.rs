//! When what is tried: the decisions are a machine without I/O ([`lanes`]), [`dispatcher`] carries them out.

mod dispatcher;
mod lanes;

pub(crate) use dispatcher::Dispatcher;
pub use lanes::{Action, Item, Lanes};

#[cfg(test)]
mod start_tests;
