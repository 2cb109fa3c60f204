//! Sends messages as fast as the server takes them, over connections that stay open.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use mail::Address;
use tokio::task::JoinSet;
use world::World;

use super::Outcome;
use crate::{
    Failure,
    agent::{
        Submission,
        connection::Connection,
        server::{ServerAddress, Tls, own_name},
    },
    cli::Output,
    config::types::Size,
};

/// Messages that may fail before a session gives up: the server does not want this load.
const FAILURES_MAX: u64 = 10;

#[derive(Clone, Debug, Args)]
pub struct Load {
    /// Server to load
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2525")]
    server: ServerAddress,
    /// Connections at a time
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    sessions: u32,
    /// Messages in all
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    messages: u64,
    /// Octets of each message
    #[arg(long, value_name = "SIZE", default_value = "4 KiB", value_parser = Size::parse)]
    size: Size,
    /// Sender of every message
    #[arg(long, value_name = "ADDRESS", default_value = "bench@localhost")]
    from: Address,
    /// Recipient of every message
    #[arg(long, value_name = "ADDRESS", default_value = "alice@localhost")]
    to: Address,
    /// Stop after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=864_000))]
    max_seconds: u64,
}

#[derive(Debug)]
struct Tally {
    remaining: AtomicU64,
    sent: AtomicU64,
    failed: AtomicU64,
}

/// Messages up to this size only; they are kept in memory.
const SIZE_MAX: u64 = 1 << 30;

impl Load {
    pub async fn run(self, output: &mut Output) -> Result<(), Failure> {
        if self.size.0 > SIZE_MAX {
            return Err(Failure::usage(format!("--size may be at most {}", Size(SIZE_MAX))));
        }
        let world = World::system();
        let message = self.message();
        let tally = Arc::new(Tally {
            remaining: AtomicU64::new(self.messages),
            sent: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let began = world.clock.now();
        let mut sessions = JoinSet::new();
        for _ in 0..self.sessions {
            sessions.spawn(session(world.clone(), self.submission(), message.clone(), tally.clone()));
        }
        let first_error = tokio::select! {
            first_error = join(&mut sessions) => first_error,
            () = world.clock.sleep_until(began + Duration::from_secs(self.max_seconds)) => None,
        };
        let elapsed = world.clock.now().duration_since(began);
        let sent = tally.sent.load(Ordering::Relaxed);
        let octets = sent.saturating_mul(message.len() as u64);
        Outcome::new(sent, octets, tally.failed.load(Ordering::Relaxed), elapsed).show(output)?;
        match first_error {
            Some(error) => Err(error),
            None if sent < self.messages => Err(Failure::new("not every message was sent in time")),
            None => Ok(()),
        }
    }

    fn submission(&self) -> Submission {
        Submission {
            server: self.server.clone(),
            tls: Tls::None,
            verify: false,
            login: None,
            parameters: mail::MailParameters::default(),
            rcpt: mail::RcptParameters::default(),
            name: own_name(),
            from: self.from.clone(),
            recipients: vec![self.to.clone()],
        }
    }

    /// Header and lines of text, of the size asked for or the little more that a header takes.
    fn message(&self) -> Bytes {
        let header = format!("From: <{}>\r\nTo: <{}>\r\nSubject: load\r\n\r\n", self.from, self.to);
        let mut octets = header.into_bytes();
        let size = usize::try_from(self.size.0).unwrap_or(usize::MAX);
        let line = b"The quick brown fox jumps over the lazy dog, again and again and again.\r\n";
        let fill = size.saturating_sub(octets.len()).saturating_sub(2);
        octets.extend(line.iter().copied().cycle().take(fill / line.len() * line.len()));
        octets.resize(octets.len() + fill % line.len(), b'x');
        octets.extend_from_slice(b"\r\n");
        octets.into()
    }
}

async fn join(sessions: &mut JoinSet<Result<(), Failure>>) -> Option<Failure> {
    let mut first = None;
    while let Some(ended) = sessions.join_next().await {
        let failure = ended.map_err(Failure::new).and_then(|outcome| outcome).err();
        first = first.or(failure);
    }
    first
}

/// Sends messages over one connection until none is left.
async fn session(
    world: World,
    submission: Submission,
    message: Bytes,
    tally: Arc<Tally>,
) -> Result<(), Failure> {
    let mut connection = Connection::open(&world, &submission).await?;
    while tally.take() {
        if connection.is_spent() {
            connection.quit().await;
            connection = Connection::open(&world, &submission).await?;
        }
        let mut content = Some(message.clone());
        let receipt = connection.transact(&submission, message.len() as u64, || Ok(content.take())).await?;
        if receipt.accepted {
            tally.sent.fetch_add(1, Ordering::Relaxed);
        } else if tally.failed.fetch_add(1, Ordering::Relaxed) >= FAILURES_MAX {
            let reason = receipt.refused.first().map_or(&receipt.reply, |refused| &refused.reply);
            return Err(Failure::new(format!("the server refuses: {reason}")));
        }
    }
    connection.quit().await;
    Ok(())
}

impl Tally {
    /// One more message is to be sent.
    fn take(&self) -> bool {
        let take = |remaining: u64| remaining.checked_sub(1);
        self.remaining.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        load: Load,
    }

    #[test]
    fn messages_have_the_size_asked_for() {
        for size in ["200 B", "4 KiB", "100000"] {
            let load = CommandLine::parse_from(["load", "--size", size]).load;
            let message = load.message();
            assert_eq!(message.len() as u64, load.size.0, "{size}");
            assert!(message.ends_with(b"\r\n"));
            assert!(message.split(|octet| *octet == b'\n').all(|line| line.len() < 998));
        }
    }
}
