//! SMTP (RFC 5321) and its extensions, both sides, and LMTP's server (RFC 2033).
//!
//! Bytes from the wire pass [`line`] or [`data`] or [`bdat`], commands become [`command::Command`]s, replies of
//! a remote server [`mail::Reply`]s. What a session may do next stands in [`server`] and [`client`].

pub mod attributes;
pub mod bdat;
pub mod client;
pub mod command;
pub mod data;
pub mod line;
pub mod parameter;
pub mod reply;
pub mod server;
pub mod turn;
