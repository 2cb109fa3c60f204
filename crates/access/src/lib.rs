//! How people fetch mail: sessions over the mailbox.

mod connection;
mod deflate;
pub mod imap;
mod listener;
pub mod pop3;
#[cfg(test)]
mod testing;
