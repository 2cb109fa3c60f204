//! Clients of the benchmark's own. They look at the end of what comes and count the rest, so that the load costs little
//! beside the server.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use crate::error::{Context, Result, fail};

const PATIENCE: Duration = Duration::from_mins(2);
const BUFFER_BYTES: usize = 256 * 1024;
/// Of an answer, the end that is kept to be looked at: more than any last line has.
const TAIL_BYTES: usize = 4096;

/// How to reach a server's account.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub imap_port: u16,
    pub pop3_port: u16,
    pub user: &'static str,
    pub password: &'static str,
}

#[derive(Debug)]
struct Wire {
    stream: TcpStream,
    buffer: Vec<u8>,
    tail: Vec<u8>,
}

impl Wire {
    fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connect")?;
        stream.set_read_timeout(Some(PATIENCE)).context("timeout")?;
        stream.set_nodelay(true).context("no delay")?;
        Ok(Self { stream, buffer: Vec::new(), tail: Vec::new() })
    }

    fn send(&mut self, octets: &[u8]) -> Result<()> {
        self.stream.write_all(octets).context("send")
    }

    /// How many octets came, 0 at the end; the last of all are in `tail`.
    fn receive(&mut self) -> Result<usize> {
        self.buffer.resize(BUFFER_BYTES, 0);
        let count = self.stream.read(&mut self.buffer).context("receive")?;
        let new = self.buffer.get(count.saturating_sub(TAIL_BYTES)..count).unwrap_or_default();
        self.tail.extend_from_slice(new);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        Ok(count)
    }

    /// The last line, once it is whole.
    fn last_line(&self) -> Option<&[u8]> {
        let line = self.tail.strip_suffix(b"\r\n")?;
        let start = line.iter().rposition(|octet| *octet == b'\n').map_or(0, |end| end + 1);
        line.get(start..)
    }

    /// Reads until the last line begins with `start`; octets read.
    fn until(&mut self, start: &[u8], mut each: impl FnMut(&[u8])) -> Result<u64> {
        let mut octets = 0;
        loop {
            let count = self.receive()?;
            if count == 0 {
                fail!("the server closed the connection: {}", String::from_utf8_lossy(&self.tail));
            }
            octets += count as u64;
            each(self.buffer.get(..count).unwrap_or_default());
            if self.last_line().is_some_and(|line| line.starts_with(start)) {
                return Ok(octets);
            }
        }
    }

    fn line(&self) -> String {
        String::from_utf8_lossy(self.last_line().unwrap_or_default()).into_owned()
    }

    /// What a session that waits does not need.
    fn shrink(&mut self) {
        self.buffer = Vec::new();
        self.tail = Vec::new();
    }
}

/// A session that has logged in.
#[derive(Debug)]
pub struct Imap {
    wire: Wire,
    commands: u32,
}

impl Imap {
    pub fn log_in(account: &Account) -> Result<Self> {
        let mut wire = Wire::connect(account.imap_port)?;
        wire.until(b"* OK", |_| ())?;
        let mut session = Self { wire, commands: 0 };
        session.command(&format!("LOGIN {} {}", account.user, account.password))?;
        Ok(session)
    }

    fn next_tag(&mut self) -> String {
        self.commands += 1;
        format!("bench{}", self.commands)
    }

    /// Octets of the answer; anything but OK is an error.
    pub fn command(&mut self, words: &str) -> Result<u64> {
        self.exchange(words, |_| ())
    }

    /// The whole answer.
    pub fn collect(&mut self, words: &str) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        self.exchange(words, |octets| all.extend_from_slice(octets))?;
        Ok(all)
    }

    fn exchange(&mut self, words: &str, each: impl FnMut(&[u8])) -> Result<u64> {
        let tag = self.next_tag();
        self.wire.send(format!("{tag} {words}\r\n").as_bytes())?;
        self.answered(&tag, words, each)
    }

    fn answered(&mut self, tag: &str, words: &str, each: impl FnMut(&[u8])) -> Result<u64> {
        let octets = self.wire.until(format!("{tag} ").as_bytes(), each)?;
        let line = self.wire.line();
        if !line.starts_with(&format!("{tag} OK")) {
            fail!("{words}: {line}");
        }
        Ok(octets)
    }

    /// All in one command, with non-synchronizing literals (RFC 7888), and acknowledged once.
    pub fn append(&mut self, mailbox: &str, messages: &[Vec<u8>]) -> Result<()> {
        let tag = self.next_tag();
        let mut octets = format!("{tag} APPEND {mailbox}").into_bytes();
        for message in messages {
            octets.extend_from_slice(format!(" {{{}+}}\r\n", message.len()).as_bytes());
            octets.extend_from_slice(message);
        }
        octets.extend_from_slice(b"\r\n");
        self.wire.send(&octets)?;
        self.answered(&tag, "APPEND", |_| ()).map(drop)
    }

    /// Says IDLE and leaves the session so.
    pub fn idle(&mut self) -> Result<()> {
        let tag = self.next_tag();
        self.wire.send(format!("{tag} IDLE\r\n").as_bytes())?;
        self.wire.until(b"+ ", |_| ())?;
        self.wire.shrink();
        Ok(())
    }
}

/// RFC 1939 §5, RFC 2449 §6.6: retrieves messages 1 to `messages`, the commands pipelined. Octets of the answers.
#[derive(Debug)]
pub struct Pop3(Wire);

impl Pop3 {
    pub fn log_in(account: &Account) -> Result<Self> {
        let mut wire = Wire::connect(account.pop3_port)?;
        wire.until(b"+OK", |_| ())?;
        for command in [format!("USER {}", account.user), format!("PASS {}", account.password)] {
            wire.send(format!("{command}\r\n").as_bytes())?;
            wire.until(b"+OK", |_| ()).context(command)?;
        }
        Ok(Self(wire))
    }

    /// The server closes when all is said.
    pub fn retrieve_all(mut self, messages: u32, mut each: impl FnMut(&[u8])) -> Result<u64> {
        let mut sender = self.0.stream.try_clone().context("clone")?;
        let commands: Vec<String> = (1..=messages).map(|number| format!("RETR {number}\r\n")).collect();
        let sending = thread::spawn(move || sender.write_all((commands.concat() + "QUIT\r\n").as_bytes()));
        let mut octets = 0;
        loop {
            let count = self.0.receive()?;
            if count == 0 {
                break;
            }
            octets += count as u64;
            each(self.0.buffer.get(..count).unwrap_or_default());
        }
        if !matches!(sending.join(), Ok(Ok(()))) || !self.0.line().starts_with("+OK") {
            fail!("the server ended with: {}", self.0.line());
        }
        Ok(octets)
    }
}
