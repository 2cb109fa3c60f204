//! A172: file descriptors that run out. Whoever is let in is told to come back, nothing taken is lost, and service returns.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{net::TcpStream, process::Command};

use support::{
    samples::assert_same,
    server::{ALICE, Server},
    tools, wait_for,
    wire::{Smtp, expect},
};

const SENDER: &str = "ann@client.test";
/// Bodies above a quarter of a mebibyte are files of their own.
const LARGE_BYTES: usize = 600_000;

fn message(number: usize, bytes: usize) -> Vec<u8> {
    let mut message = format!("Subject: {number}\r\n\r\n").into_bytes();
    while message.len() < bytes {
        message.extend_from_slice(b"what is written here is kept\r\n");
    }
    message
}

/// Sets the most descriptors that the running server may have open; how many it has.
fn limit(server: &Server, more: usize) -> usize {
    let id = server.id();
    let open = std::fs::read_dir(format!("/proc/{id}/fd")).unwrap().count();
    let most = open + more;
    let mut command = Command::new("prlimit");
    command.args(["--pid", &id.to_string(), &format!("--nofile={most}:{most}")]);
    tools::run(&mut command, b"").ok("prlimit");
    open
}

#[test]
fn descriptors_that_run_out_lose_nothing_and_are_survived() {
    if tools::find("prlimit", "descriptors that run out").is_none() {
        return;
    }
    let mut server = Server::start("");
    let mut taken = vec![message(0, 100)];
    let mut inside: Vec<Smtp> = (0..4).map(|_| server.smtp()).collect();
    expect(&inside[0].deliver(SENDER, &[ALICE], &taken[0]).unwrap(), 250).unwrap();
    server.mailbox_count(ALICE, 1);
    limit(&server, 8);
    // More than it may have open; whoever is not let in waits, or is sent away.
    let crowd: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(("127.0.0.1", server.port("smtp"))).unwrap()).collect();
    std::thread::sleep(std::time::Duration::from_millis(300));
    for (smtp, number) in inside.iter_mut().zip(1..) {
        for (size, number) in [(100, number), (LARGE_BYTES, number + 100)] {
            let message = message(number, size);
            let reply = smtp.deliver(SENDER, &[ALICE], &message).unwrap();
            match reply.code {
                250 => taken.push(message),
                code => assert!((400..500).contains(&code), "{reply}"),
            }
        }
    }
    assert!(server.ended().is_none(), "{}", server.logged());
    drop(crowd);
    let late = message(999, LARGE_BYTES);
    wait_for("service to come back", || {
        let reply = Smtp::connect(server.port("smtp")).ok()?.deliver(SENDER, &[ALICE], &late).ok()?;
        (reply.code == 250).then_some(())
    });
    taken.push(late);
    server.kill();
    server.launch();
    let stored = server.mailbox(ALICE, taken.len());
    for message in &taken {
        let copies: Vec<_> = stored.iter().filter(|stored| stored.ends_with(message)).collect();
        assert_eq!(copies.len(), 1);
        assert_same(copies[0], message, "taken while descriptors were short");
    }
}
