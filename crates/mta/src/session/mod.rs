//! One SMTP connection: drives the protocol machine, puts its questions to policy, and stores what it brings.

mod asked;
mod burl;
mod content;
mod decide;
mod greeting;
mod judge;
mod login;
mod promise;
mod proxied;
mod trace;
mod turn;

use std::{io, sync::Arc, time::Duration};

use mail::Reply;
use proto::{
    machine::{Machine, Step},
    smtp::server::{self, Event, Extensions, Flavour, Server, StartTls, Tally},
};
use store::mailbox::AccountId;
use tokio::io::AsyncWriteExt;
use world::{
    BoxStream, Clock, Peer, Shutdown,
    tls::{ServerTls, TlsSummary},
};

use crate::{
    Mta,
    config::{Audience, Config, ListenerConfig, TlsMode},
    pickup::Claim,
    policy::{Client, Verdict, connections::Admission},
};

/// A client that does not take our replies for this long is gone.
const WRITE_TIMEOUT: Duration = Duration::from_mins(5);
/// And once shutdown was given, this long.
const LAST_WRITE_TIMEOUT: Duration = Duration::from_secs(3);

/// What one connection has in hand.
pub(crate) struct Session {
    mta: Arc<Mta>,
    /// The client: the host at the other end, or who it says it speaks for.
    peer: Peer,
    /// The host at the other end.
    host: Peer,
    /// The client's name, as a proxy told it.
    client_name: Option<Box<str>>,
    flavour: Flavour,
    /// As the greeting said it, whatever a reload changes.
    hostname: Arc<str>,
    /// For STARTTLS, where it is offered.
    server_tls: Option<ServerTls>,
    tls: Option<TlsSummary>,
    /// The authenticated account's address.
    identity: Option<mail::Address>,
    /// That account.
    submitter: Option<AccountId>,
    transaction: Option<Box<decide::Transaction>>,
    /// Given back when dropped.
    admission: Option<Admission>,
    /// What policy said of the connection, for each of its messages.
    verdicts: Vec<Verdict>,
    /// What of the client's doings was counted already.
    counted: Tally,
    /// The lanes that the client gets once the roles have changed.
    claim: Option<Claim>,
}

/// A connection that may have a session.
pub(crate) struct Arrival {
    pub(crate) peer: Peer,
    pub(crate) security: Security,
    /// None where nobody counts.
    pub(crate) admission: Option<Admission>,
    pub(crate) verdicts: Vec<Verdict>,
    /// The greeting, if no mail is taken.
    pub(crate) refusal: Option<Arc<Reply>>,
}

/// How a connection begins.
pub(crate) enum Security {
    None,
    /// With STARTTLS.
    OnRequest(ServerTls),
    /// TLS is there before the greeting.
    Active(TlsSummary),
}

/// Serves the connection until it ends.
pub(crate) async fn run(mta: Arc<Mta>, stream: BoxStream, arrival: Arrival, protocol: Arc<server::Config>) {
    let Arrival { peer, security, admission, verdicts, refusal } = arrival;
    let (server_tls, tls) = match security {
        Security::None => (None, None),
        Security::OnRequest(server_tls) => (Some(server_tls), None),
        Security::Active(tls) => (None, Some(tls)),
    };
    let session = Session {
        mta,
        peer,
        host: peer,
        client_name: None,
        flavour: protocol.flavour,
        hostname: protocol.hostname.clone(),
        server_tls,
        tls,
        identity: None,
        submitter: None,
        transaction: None,
        admission,
        verdicts,
        counted: Tally::default(),
        claim: None,
    };
    if let Err(error) = session.drive(stream, protocol, refusal).await {
        tracing::debug!(client = %peer.ip(), %error, "the connection broke off");
    }
}

/// What a listener's sessions speak under this configuration; `loopback` peers need no TLS to authenticate.
pub(crate) fn protocol(config: &Config, listener: &ListenerConfig, loopback: bool) -> server::Config {
    let offers_auth = matches!(listener.flavour, Flavour::Submission | Flavour::Odmr);
    let relays = matches!(listener.flavour, Flavour::Smtp | Flavour::Submission);
    server::Config {
        hostname: config.hostname.clone(),
        flavour: listener.flavour,
        extensions: Extensions {
            chunking: true,
            binary_mime: true,
            // Said anew with each EHLO.
            burl: false,
            smtputf8: true,
            dsn: true,
            expn: config.expn != Audience::Never,
            xclient: false,
            xforward: false,
            etrn: relays && config.etrn != Audience::Never,
            turn: relays && config.turn,
            // Said anew with each EHLO.
            send: false,
            deliver_by: Some(u32::try_from(config.deliver_by_min.as_secs()).unwrap_or(u32::MAX)),
            mt_priority: true,
            future_release: None,
            require_tls: true,
            rrvs: true,
            tracking: config.tracking,
        },
        starttls: match &listener.tls {
            TlsMode::Starttls(_) => StartTls::Offered,
            TlsMode::None | TlsMode::Implicit(_) => StartTls::Off,
        },
        auth: offers_auth,
        plaintext_auth: offers_auth && loopback,
        refuse_early_talk: true,
        no_soliciting: config.no_soliciting.clone(),
        limits: config.session.clone(),
    }
}

impl Session {
    async fn drive(
        mut self,
        mut stream: BoxStream,
        protocol: Arc<server::Config>,
        refusal: Option<Arc<Reply>>,
    ) -> io::Result<()> {
        let is_tls = self.tls.is_some();
        let mut server = match refusal {
            Some(greeting) => Server::refusing(protocol, is_tls, Reply::clone(&greeting)),
            None => Server::new(protocol, is_tls),
        };
        server.set_channel(self.channel());
        self.announce(&mut server);
        let mut shutdown = self.mta.shutdown.clone();
        let mut told_of_shutdown = false;
        self.await_silence(&mut server, &mut stream, &mut shutdown).await?;
        loop {
            match server.poll(self.mta.world.clock.now()) {
                Step::Write(octets) => {
                    self.reckon(&mut server, &mut shutdown).await;
                    write(&*self.mta.world.clock, &mut stream, &octets, &mut shutdown).await?;
                }
                Step::Event(Event::Turned) => {
                    Box::pin(self.hand_over(stream)).await;
                    return Ok(());
                }
                Step::Event(event) => self.decide(&mut server, event).await,
                Step::StartTls => stream = self.start_tls(&mut server, stream).await?,
                Step::Close => {
                    let closed = stream.shutdown();
                    return within_patience(&*self.mta.world.clock, &mut shutdown, closed).await;
                }
                Step::NeedInput if shutdown.is_given() && !told_of_shutdown => {
                    told_of_shutdown = true;
                    server.shutdown();
                }
                Step::NeedInput => {
                    let shutdown = (!told_of_shutdown).then_some(&mut shutdown);
                    wait(&*self.mta.world.clock, &mut server, &mut stream, shutdown).await?;
                }
            }
        }
    }

    async fn start_tls(&mut self, server: &mut Server, stream: BoxStream) -> io::Result<BoxStream> {
        let tls = self.server_tls.take().ok_or(io::ErrorKind::Unsupported)?;
        let (stream, summary) = Box::pin(tls.accept(stream)).await?;
        // RFC 3207 §4.2: what was learnt in clear is forgotten.
        self.tls = Some(summary);
        self.identity = None;
        self.submitter = None;
        self.transaction = None;
        server.handle_tls_established();
        server.set_channel(self.channel());
        Ok(stream)
    }

    fn client(&self) -> Client<'_> {
        Client { ip: self.peer.ip(), flavour: self.flavour, identity: self.identity.as_ref() }
    }

    fn service(&self) -> &'static str {
        match self.flavour {
            Flavour::Smtp => "smtp",
            Flavour::Submission => "submission",
            Flavour::Lmtp => "lmtp",
            Flavour::Odmr => "odmr",
        }
    }
}

/// Until there is input, the machine's deadline has passed, or shutdown is asked for.
async fn wait(
    clock: &dyn Clock,
    server: &mut Server,
    stream: &mut BoxStream,
    shutdown: Option<&mut Shutdown>,
) -> io::Result<()> {
    let deadline = server.deadline();
    let deadline_passed = async {
        match deadline {
            Some(deadline) => clock.sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    };
    let shutdown_given = async {
        match shutdown {
            Some(shutdown) => shutdown.given().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        read = world::read_some(stream, |octets| server.push(octets)) => {
            if read? == 0 {
                server.push_end();
            }
        }
        () = deadline_passed => {}
        () = shutdown_given => {}
    }
    Ok(())
}

async fn write(
    clock: &dyn Clock,
    stream: &mut BoxStream,
    octets: &[u8],
    shutdown: &mut Shutdown,
) -> io::Result<()> {
    let write_all = async {
        stream.write_all(octets).await?;
        stream.flush().await
    };
    within_patience(clock, shutdown, write_all).await
}

/// The outcome of `work`, unless the client lets us wait too long for it.
async fn within_patience(
    clock: &dyn Clock,
    shutdown: &mut Shutdown,
    work: impl Future<Output = io::Result<()>>,
) -> io::Result<()> {
    let deadline = clock.now() + WRITE_TIMEOUT;
    let stopped = async {
        shutdown.given().await;
        clock.sleep_until(clock.now() + LAST_WRITE_TIMEOUT).await;
    };
    tokio::select! {
        biased;
        done = work => done,
        () = clock.sleep_until(deadline) => Err(io::ErrorKind::TimedOut.into()),
        () = stopped => Err(io::ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod asked_tests;
#[cfg(test)]
mod burl_tests;
#[cfg(test)]
mod conformance_tests;
#[cfg(test)]
mod login_tests;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod promise_tests;
#[cfg(test)]
mod sender_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turn_tests;
