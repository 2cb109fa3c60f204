//! Lines on a connection, for clients and peers that are not Postrider.

use std::{io, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use world::BoxStream;

/// A client or peer waits no longer for the other side.
const PATIENCE: Duration = Duration::from_mins(10);

pub struct Wire {
    stream: BoxStream,
    came: Vec<u8>,
}

impl Wire {
    pub fn new(stream: BoxStream) -> Self {
        Self { stream, came: Vec::new() }
    }

    pub async fn say(&mut self, text: &str) -> io::Result<()> {
        timeout(PATIENCE, self.stream.write_all(text.as_bytes())).await?
    }

    /// One line without its CRLF; an error at the end of the stream.
    pub async fn line(&mut self) -> io::Result<String> {
        let line = self.until(b"\r\n").await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// What comes before `mark`.
    pub async fn until(&mut self, mark: &[u8]) -> io::Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            let found =
                self.came.get(looked..).unwrap_or_default().windows(mark.len()).position(|it| it == mark);
            if let Some(at) = found {
                let rest = self.came.split_off(looked + at + mark.len());
                let mut taken = std::mem::replace(&mut self.came, rest);
                taken.truncate(taken.len() - mark.len());
                return Ok(taken);
            }
            looked = self.came.len().saturating_sub(mark.len() - 1);
            self.more().await?;
        }
    }

    /// Exactly so many octets.
    pub async fn octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.came.len() < count {
            self.more().await?;
        }
        let rest = self.came.split_off(count);
        Ok(std::mem::replace(&mut self.came, rest))
    }

    /// A reply: its code and its last line.
    pub async fn reply(&mut self) -> io::Result<(u16, String)> {
        loop {
            let line = self.line().await?;
            let code = line.get(..3).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok((code, line));
            }
        }
    }

    pub async fn ask(&mut self, command: &str) -> io::Result<(u16, String)> {
        self.say(&format!("{command}\r\n")).await?;
        self.reply().await
    }

    async fn more(&mut self) -> io::Result<()> {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.came)).await?? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
