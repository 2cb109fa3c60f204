//! A connection to an SMTP server: drives the client machine over the network, for deliveries and for user agents.

use std::{io, sync::Arc, time::Duration};

use proto::{
    machine::{Machine, Step},
    smtp::client::{Capabilities, Client, Event, TlsPolicy, Transaction},
};
use tokio::io::AsyncWriteExt;
use world::{
    BoxStream, Clock,
    tls::{ClientTls, Flaw, Judgement, TlsSummary},
};

use crate::transport_security::Policy;

/// One connection, from its greeting to QUIT.
pub struct Link {
    clock: Arc<dyn Clock>,
    stream: BoxStream,
    client: Client,
    /// The name that its certificate is judged by.
    host: String,
    tls: ClientTls,
    agreed_tls: Option<TlsSummary>,
    tls_error: Option<String>,
    tls_is_unfit: bool,
    tls_took: Option<Duration>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Link({})", self.host)
    }
}

impl Link {
    /// On an open stream; `agreed_tls` if TLS is active on it already.
    pub fn new(
        clock: Arc<dyn Clock>,
        stream: BoxStream,
        config: proto::smtp::client::Config,
        host: String,
        tls: ClientTls,
        agreed_tls: Option<TlsSummary>,
    ) -> Self {
        let client = Client::new(config, agreed_tls.is_some());
        Self {
            clock,
            stream,
            client,
            host,
            tls,
            agreed_tls,
            tls_error: None,
            tls_is_unfit: false,
            tls_took: None,
        }
    }

    pub fn agreed_tls(&self) -> Option<&TlsSummary> {
        self.agreed_tls.as_ref()
    }

    /// What the server announced last.
    pub fn capabilities(&self) -> &Capabilities {
        self.client.capabilities()
    }

    /// See [`Client::is_spent`].
    pub fn is_spent(&self) -> bool {
        self.client.is_spent()
    }

    /// What the server's certificate proves, if it has shown one.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.tls.judgement()
    }

    /// What was wrong with the handshake.
    pub(crate) fn flaw(&self, policy: &Policy) -> Flaw {
        let shown = self.judgement().and_then(|judged| judged.meets(&policy.expected).err());
        shown.unwrap_or_else(|| Flaw::Other(self.tls_error().unwrap_or("it was broken off").to_owned()))
    }

    /// Whether the connection as it is will do under this policy.
    pub(crate) fn meets(&self, policy: &Policy) -> bool {
        match policy.tls {
            TlsPolicy::None | TlsPolicy::Opportunistic => true,
            TlsPolicy::Required => {
                let judged = self.tls.judge_again(&policy.expected);
                self.agreed_tls.is_some()
                    && judged.is_some_and(|judged| judged.meets(&policy.expected).is_ok())
            }
        }
    }

    /// Why the handshake failed, if it did.
    pub fn tls_error(&self) -> Option<&str> {
        self.tls_error.as_deref()
    }

    /// The handshake came to its end and to nothing: what the host shows or speaks will not do. False if the network failed.
    pub fn tls_is_unfit(&self) -> bool {
        self.tls_is_unfit
    }

    /// How long the handshake took, if there was one.
    pub fn tls_took(&self) -> Option<Duration> {
        self.tls_took
    }

    /// See [`Client::send`]; what becomes of it comes with [`next_event`](Self::next_event).
    pub fn send(&mut self, transaction: Transaction) {
        self.client.send(transaction);
    }

    pub fn push_content(&mut self, octets: &[u8]) {
        self.client.push_content(octets);
    }

    pub fn end_content(&mut self) {
        self.client.end_content();
    }

    /// The machine's next event; none once the connection is closed. I/O errors come as a failure of the connection.
    pub async fn next_event(&mut self) -> Option<Event> {
        loop {
            match self.client.poll(self.clock.now()) {
                Step::Event(event) => return Some(event),
                Step::Write(octets) => self.write(&octets).await,
                Step::NeedInput => self.read().await,
                Step::StartTls => self.start_tls().await,
                Step::Close => return None,
            }
        }
    }

    /// Says QUIT and closes; what the server answers matters no more.
    pub async fn quit(mut self) {
        self.client.quit();
        while self.next_event().await.is_some_and(|event| !matches!(event, Event::Failed(_))) {}
    }

    async fn write(&mut self, octets: &[u8]) {
        let stream = &mut self.stream;
        let write = async {
            stream.write_all(octets).await?;
            stream.flush().await
        };
        let written = until(&*self.clock, self.client.deadline(), write).await;
        if !matches!(written, Some(Ok(()))) {
            // What the server said before it hung up says more than the error.
            self.read().await;
        }
    }

    /// Until something came, or the machine's patience ended.
    async fn read(&mut self) {
        let deadline = self.client.deadline();
        let client = &mut self.client;
        let read = world::read_some(&mut self.stream, |octets| client.push(octets));
        match until(&*self.clock, deadline, read).await {
            Some(Ok(1..)) | None => {}
            Some(Ok(0) | Err(_)) => self.client.push_end(),
        }
    }

    async fn start_tls(&mut self) {
        let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let began = self.clock.now();
        let connected = Box::pin(self.tls.connect(&self.host, plain)).await;
        self.tls_took = Some(self.clock.now().saturating_duration_since(began));
        match connected {
            Ok((stream, summary)) => {
                self.stream = stream;
                self.agreed_tls = Some(summary);
                self.client.handle_tls_established();
            }
            Err(error) => {
                self.tls_error = Some(error.to_string());
                self.tls_is_unfit =
                    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
                self.client.handle_tls_failed();
            }
        }
    }
}

/// None if the deadline passed first.
async fn until<T>(
    clock: &dyn Clock,
    deadline: Option<std::time::Instant>,
    work: impl Future<Output = io::Result<T>>,
) -> Option<io::Result<T>> {
    let Some(deadline) = deadline else { return Some(work.await) };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = clock.sleep_until(deadline) => None,
    }
}
