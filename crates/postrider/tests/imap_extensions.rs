//! Extensions of IMAP that few mail programs speak, through a library that we did not write.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use support::{
    server::{ALICE, PASSWORD, Server},
    tools,
};

const EXTENSIONS: &str = include_str!("support/python/imap_extensions.py");

#[test]
fn python_uses_what_it_does_not_know_by_itself() {
    let Some(python) = tools::find("python3", "extensions of IMAP") else { return };
    let server = Server::start("");
    let port = server.port("imap").to_string();
    tools::python(&python, EXTENSIONS, &[&port, ALICE, PASSWORD], b"").ok("imaplib");
}
