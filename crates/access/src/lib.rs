//! How people fetch mail: sessions over the mailbox.

pub mod pop3;
