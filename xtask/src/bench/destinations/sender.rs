//! Mail for all sites in turn, over a few connections.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::thread;

use crate::error::{Context, Result, fail};

const CONNECTIONS: u32 = 16;
const BODY: &str = "Subject: to one of many\r\n\r\nThis is for one site of many.\r\n.\r\n";

/// Each site gets so many.
pub fn send(port: u16, sites: u32, messages_each: u32) -> Result<()> {
    thread::scope(|scope| {
        let senders: Vec<_> = (0..CONNECTIONS)
            .map(|first| scope.spawn(move || one(port, first, sites, messages_each)))
            .collect();
        senders.into_iter().try_for_each(|sender| match sender.join() {
            Ok(result) => result,
            Err(_) => fail!("a sender panicked"),
        })
    })
}

/// Every so manieth site, beginning with `first`.
fn one(port: u16, first: u32, sites: u32, messages_each: u32) -> Result<()> {
    let stream = TcpStream::connect(("127.0.0.1", port)).context("connect")?;
    stream.set_nodelay(true).context("connect")?;
    let mut reader = BufReader::new(stream);
    expect(&mut reader, "220")?;
    say(&mut reader, "EHLO load.test\r\n")?;
    expect(&mut reader, "250")?;
    for _ in 0..messages_each {
        for site in (first..sites).step_by(usize::try_from(CONNECTIONS).unwrap_or(1)) {
            let envelope =
                format!("MAIL FROM:<load@load.test>\r\nRCPT TO:<user@site{site}.test>\r\nDATA\r\n");
            say(&mut reader, &envelope)?;
            for code in ["250", "250", "354"] {
                expect(&mut reader, code)?;
            }
            say(&mut reader, BODY)?;
            expect(&mut reader, "250")?;
        }
    }
    say(&mut reader, "QUIT\r\n")
}

fn say(reader: &mut BufReader<TcpStream>, text: &str) -> Result<()> {
    reader.get_mut().write_all(text.as_bytes()).context("the server hung up")
}

/// One reply, of any number of lines.
fn expect(reader: &mut BufReader<TcpStream>, code: &str) -> Result<()> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).context("no reply")? == 0 {
            fail!("the server hung up");
        }
        if !line.starts_with(code) {
            fail!("{code} expected: {}", line.trim_end());
        }
        if line.as_bytes().get(3) == Some(&b' ') {
            return Ok(());
        }
    }
}
