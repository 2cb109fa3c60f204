//! SMTP and POP3 as a client speaks them, octet by octet.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
};

use super::PATIENCE;

/// One SMTP reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: u16,
    /// Without the code.
    pub lines: Vec<String>,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.lines.join(" / "))
    }
}

#[derive(Debug)]
pub struct Smtp {
    reader: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and reads nothing.
    pub fn dial(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Connects, is greeted, and greets.
    pub fn connect(port: u16) -> io::Result<Self> {
        let mut smtp = Self::dial(port)?;
        expect(&smtp.reply()?, 220)?;
        expect(&smtp.command("EHLO client.test")?, 250)?;
        Ok(smtp)
    }

    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(octets)
    }

    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let mut line = Vec::new();
            self.reader.read_until(b'\n', &mut line)?;
            if line.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let line = String::from_utf8_lossy(&line).into_owned();
            let unusable = || io::Error::other(format!("not a reply: {line:?}"));
            let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or_else(unusable)?;
            let text = line.strip_suffix("\r\n").and_then(|line| line.get(3..)).ok_or_else(unusable)?;
            lines.push(text.get(1..).unwrap_or("").to_owned());
            if !text.starts_with('-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    pub fn command(&mut self, line: &str) -> io::Result<Reply> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.reply()
    }

    /// MAIL and RCPT, each of which has to succeed.
    pub fn envelope(&mut self, from: &str, to: &[&str]) -> io::Result<()> {
        expect(&self.command(&format!("MAIL FROM:<{from}>"))?, 250)?;
        to.iter().try_for_each(|to| expect(&self.command(&format!("RCPT TO:<{to}>"))?, 250))
    }

    /// One transaction with DATA. The reply to the content, whatever it is.
    pub fn deliver(&mut self, from: &str, to: &[&str], message: &[u8]) -> io::Result<Reply> {
        self.envelope(from, to)?;
        expect(&self.command("DATA")?, 354)?;
        self.write(&dot_stuffed(message))?;
        self.reply()
    }

    /// Nothing more will come from us.
    pub fn half_close(&mut self) -> io::Result<()> {
        self.reader.get_ref().shutdown(Shutdown::Write)
    }

    /// Everything until the server closes.
    pub fn rest(&mut self) -> io::Result<String> {
        let mut rest = Vec::new();
        self.reader.read_to_end(&mut rest)?;
        Ok(String::from_utf8_lossy(&rest).into_owned())
    }
}

pub fn expect(reply: &Reply, code: u16) -> io::Result<()> {
    if reply.code == code { Ok(()) } else { Err(io::Error::other(format!("wanted {code}, got {reply}"))) }
}

/// A message in CRLF lines as DATA carries it, with the line that ends it.
pub fn dot_stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 1024);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !message.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

#[derive(Debug)]
pub struct Pop3 {
    reader: BufReader<TcpStream>,
}

impl Pop3 {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut pop3 = Self { reader: BufReader::with_capacity(1 << 16, stream) };
        pop3.status()?;
        Ok(pop3)
    }

    pub fn login(port: u16, user: &str, password: &str) -> io::Result<Self> {
        let mut pop3 = Self::connect(port)?;
        if !user.is_ascii() {
            pop3.command("UTF8")?; // RFC 6856 §2
        }
        pop3.command(&format!("USER {user}"))?;
        pop3.command(&format!("PASS {password}"))?;
        Ok(pop3)
    }

    /// The text after +OK; everything else is an error.
    pub fn command(&mut self, line: &str) -> io::Result<String> {
        self.write(format!("{line}\r\n").as_bytes())?;
        self.status().map_err(|error| io::Error::other(format!("{line}: {error}")))
    }

    pub fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(octets)
    }

    pub fn status(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let text = line.strip_prefix("+OK").map(|text| text.trim().to_owned());
        text.ok_or_else(|| io::Error::other(format!("POP3 says {line:?}")))
    }

    /// A command whose answer has many lines: the answer without dot-stuffing.
    pub fn fetch(&mut self, line: &str) -> io::Result<Vec<u8>> {
        self.command(line)?;
        self.lines()
    }

    /// CRLF alone ends a line.
    pub fn lines(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        loop {
            let start = out.len();
            while out.len() == start || !out.ends_with(b"\r\n") {
                if self.reader.read_until(b'\n', &mut out)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            if out[start..] == *b".\r\n" {
                out.truncate(start);
                return Ok(out);
            }
            if out[start] == b'.' {
                out.remove(start);
            }
        }
    }

    /// How many messages STAT tells of.
    pub fn count(&mut self) -> io::Result<usize> {
        let status = self.command("STAT")?;
        let count = status.split_whitespace().next().and_then(|count| count.parse().ok());
        count.ok_or_else(|| io::Error::other(status))
    }

    pub fn messages(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let count = self.count()?;
        (1..=count).map(|number| self.fetch(&format!("RETR {number}"))).collect()
    }
}
