//! A connection as the protocols here have it: secured once, written to with patience, closed politely.

use std::{io, sync::Arc, time::Duration};

use proto::{
    machine::{Machine, Tls},
    sasl::{Channel, ChannelBinding},
};
use tokio::io::AsyncWriteExt;
use world::{
    BoxStream, Clock, Peer, Shutdown, read_some,
    tls::{ServerTls, TlsMode, TlsSummary},
};

use crate::deflate::Deflated;

/// A client that takes no octet of a piece of output for so long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
/// For the last words of TLS.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) struct Connection {
    stream: BoxStream,
    /// Until it is begun.
    starttls: Option<ServerTls>,
    binding: ChannelBinding,
    /// What the client's certificate proves.
    client_addresses: Vec<String>,
    peer: Peer,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
    shutdown_seen: bool,
}

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// By octets, the end of input, the deadline or shutdown.
    Input,
    /// By what else the caller waits for.
    Other,
}

impl Connection {
    /// Does TLS at once where the listener wants it so. None: the handshake failed.
    pub(crate) async fn begin(
        stream: BoxStream,
        peer: Peer,
        tls: &TlsMode,
        clock: Arc<dyn Clock>,
        shutdown: Shutdown,
    ) -> Option<(Self, Tls)> {
        let mut connection = Self {
            stream,
            starttls: None,
            binding: ChannelBinding::default(),
            client_addresses: Vec::new(),
            peer,
            clock,
            shutdown,
            shutdown_seen: false,
        };
        let tls = match tls {
            TlsMode::None => Tls::Unavailable,
            TlsMode::Starttls(tls) => {
                connection.starttls = Some(tls.clone());
                Tls::Available
            }
            TlsMode::Implicit(tls) => {
                connection.starttls = Some(tls.clone());
                if !Box::pin(connection.secure()).await {
                    return None;
                }
                Tls::Active
            }
        };
        Some((connection, tls))
    }

    /// False if the handshake failed, after which nothing can be said any more.
    pub(crate) async fn secure(&mut self) -> bool {
        let Some(tls) = self.starttls.take() else { return false };
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        match tls.accept(plain).await {
            Ok((secured, TlsSummary { exporter, client_addresses, .. })) => {
                self.stream = secured;
                self.binding = ChannelBinding { tls_exporter: exporter };
                self.client_addresses = client_addresses;
                true
            }
            Err(error) => {
                tracing::info!(client = %self.peer.ip(), %error, "the TLS handshake failed");
                false
            }
        }
    }

    /// From here on both sides compress.
    pub(crate) fn compress(&mut self) {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        self.stream = Box::new(Deflated::new(plain));
    }

    /// What the connection gives to SASL.
    pub(crate) fn channel(&self, tokens: bool) -> Channel {
        Channel { binding: self.binding.clone(), external: !self.client_addresses.is_empty(), tokens }
    }

    pub(crate) fn client_addresses(&self) -> &[String] {
        &self.client_addresses
    }

    pub(crate) fn peer(&self) -> Peer {
        self.peer
    }

    /// Whether the server stops, and the session has been woken for it.
    pub(crate) fn shutdown_seen(&self) -> bool {
        self.shutdown_seen
    }

    /// Waits for octets, the deadline, shutdown or `other`; what came is in the machine.
    pub(crate) async fn wait(
        &mut self,
        machine: &mut impl Machine,
        other: impl Future<Output = ()>,
    ) -> io::Result<Woken> {
        let deadline = machine.deadline().unwrap_or_else(|| self.clock.now());
        let came = tokio::select! {
            biased;
            () = self.shutdown.given(), if !self.shutdown_seen => {
                self.shutdown_seen = true;
                None
            }
            came = read_some(&mut self.stream, |octets| machine.push(octets)) => Some(came?),
            () = other => return Ok(Woken::Other),
            () = self.clock.sleep_until(deadline) => None,
        };
        if came == Some(0) {
            machine.push_end();
        }
        Ok(Woken::Input)
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut rest = octets;
        while !rest.is_empty() {
            let written = within(&*self.clock, WRITE_TIMEOUT, self.stream.write(rest)).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(written..).unwrap_or_default();
        }
        within(&*self.clock, WRITE_TIMEOUT, self.stream.flush()).await
    }

    /// Slows guessing down; nobody has to wait for it when the server stops.
    pub(crate) async fn wait_to_refuse(&mut self, after: Duration) {
        let now = self.clock.now();
        let until = now.checked_add(after).unwrap_or(now);
        tokio::select! {
            biased;
            () = self.clock.sleep_until(until) => {}
            () = self.shutdown.given() => {}
        }
    }

    pub(crate) async fn close(mut self) {
        if let Err(error) = within(&*self.clock, CLOSE_TIMEOUT, self.stream.shutdown()).await {
            tracing::debug!(client = %self.peer.ip(), %error, "a connection did not close well");
        }
    }
}

/// The outcome of `io`, or an error once `limit` is over.
async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    io: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let now = clock.now();
    tokio::select! {
        biased;
        outcome = io => outcome,
        () = clock.sleep_until(now.checked_add(limit).unwrap_or(now)) => Err(io::ErrorKind::TimedOut.into()),
    }
}
