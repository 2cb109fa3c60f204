//! The wire protocols as machines without I/O: bytes and time go in, bytes and events come out.

pub mod imap;
pub mod machine;
pub mod pop3;
pub mod proxy;
pub mod sasl;
pub mod smtp;
