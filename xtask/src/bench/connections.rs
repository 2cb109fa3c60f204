//! Connections of the benchmark's own: what they have to say, and how many of them this process may have.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use crate::error::{Context, Result};
use crate::shell;

/// Each has said EHLO and read the answer, as a client would that then falls silent.
pub fn open_idle(port: u16, count: u32) -> Result<Vec<TcpStream>> {
    (0..count)
        .map(|index| greeted(port).context(format!("idle connection {} of {count}", index + 1)))
        .collect()
}

/// Past greeting and EHLO.
pub fn greeted(port: u16) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(20))).context("timeout")?;
    read_reply(&stream)?;
    stream.write_all(b"EHLO client.example.test\r\n").context("EHLO")?;
    read_reply(&stream)?;
    Ok(stream)
}

/// RFC 5321 §4.2.1: the last line of a reply has a blank after its code.
pub fn read_reply(stream: &TcpStream) -> Result<()> {
    let mut reader = BufReader::with_capacity(1024, stream);
    let mut reply = String::new();
    loop {
        reply.clear();
        let length = reader.read_line(&mut reply).context("reply")?;
        if length == 0 {
            return None.context("the server closed the connection");
        }
        if reply.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

/// Every idle connection has an end in this process too. The soft limit may always be raised to the hard one.
pub fn raise_own_file_limit() {
    let pid = std::process::id().to_string();
    let limit = |value: &str| format!("--nofile={value}");
    let raise = |value: &str| shell::capture(Command::new("prlimit").args(["--pid", &pid, &limit(value)]));
    let hard = shell::capture(Command::new("prlimit").args([
        "--pid",
        &pid,
        "--nofile",
        "--output=HARD",
        "--noheadings",
    ]));
    if let Err(error) = hard.and_then(|hard| raise(&format!("{}:", hard.trim()))) {
        println!("  the limit on open files stays as it is: {error}");
    }
}
