//! How people fetch mail: sessions over the mailbox.

mod connection;
mod deflate;
mod entrance;
pub mod imap;
mod listener;
pub mod planted;
pub mod pop3;
#[cfg(test)]
mod testing;

pub use listener::Offer;
