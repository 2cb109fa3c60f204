//! Clients as they should be: a connection, a message, QUIT, a pause.

use std::fmt;
use std::io::{BufWriter, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::super::connections::{greeted, read_reply};
use super::super::scenario::{KIB_4, Mode};
use crate::error::{Context, Result};

pub const CLIENTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(30);

/// From the first octet of the connection to the 250 behind the content.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latencies {
    pub messages: usize,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

/// All clients at once, for so long.
pub fn send(port: u16, length: Duration) -> Result<Latencies> {
    let until = Instant::now() + length;
    let clients: Vec<_> = (0..CLIENTS).map(|_| thread::spawn(move || one_client(port, until))).collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().ok().context("a client broke off")??);
    }
    latencies(all).context("no message was sent")
}

fn one_client(port: u16, until: Instant) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while Instant::now() < until {
        let began = Instant::now();
        let mut stream = greeted(port)?;
        send_message(&mut stream)?;
        took.push(began.elapsed());
        // What the server says to QUIT matters to nobody.
        let _ = stream.write_all(b"QUIT\r\n");
        thread::sleep(PAUSE);
    }
    Ok(took)
}

fn send_message(stream: &mut TcpStream) -> Result<()> {
    let recipient = format!("RCPT TO:<{}>\r\n", Mode::Accept.recipient());
    for command in ["MAIL FROM:<sender@example.test>\r\n", &recipient, "DATA\r\n"] {
        stream.write_all(command.as_bytes()).context(command.trim())?;
        read_reply(stream).context(command.trim())?;
    }
    let mut content = BufWriter::with_capacity(usize::try_from(KIB_4).unwrap_or(4096) + 256, &mut *stream);
    content.write_all(b"Subject: honest\r\n\r\n").context("content")?;
    for _ in 0..KIB_4 / 64 {
        content.write_all(&[b'x'; 62]).and_then(|()| content.write_all(b"\r\n")).context("content")?;
    }
    content.write_all(b".\r\n").and_then(|()| content.flush()).context("content")?;
    drop(content);
    read_reply(stream).context("the end of the content")
}

fn latencies(mut took: Vec<Duration>) -> Option<Latencies> {
    took.sort_unstable();
    let at = |share: usize| {
        let index = (took.len() * share / 100).min(took.len().checked_sub(1)?);
        took.get(index).map(|took| took.as_secs_f64() * 1000.0)
    };
    Some(Latencies { messages: took.len(), p50_ms: at(50)?, p99_ms: at(99)?, max_ms: at(100)? })
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { messages, p50_ms, p99_ms, max_ms } = self;
        write!(f, "p50 {p50_ms:.1} p99 {p99_ms:.1} max {max_ms:.1} ms of {messages} messages")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::latencies;

    #[test]
    fn percentiles_of_many_and_of_none() {
        let many = latencies((1..=200).map(Duration::from_millis).collect()).unwrap();
        assert_eq!((many.p50_ms, many.p99_ms, many.max_ms), (101.0, 199.0, 200.0));
        assert!(latencies(Vec::new()).is_none());
    }
}
