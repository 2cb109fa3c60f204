//! One SMTP connection to a server, on the transfer agent's link.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use bytes::Bytes;
use mail::{Address, ForwardPath, MailParameters, Recipient, ReversePath};
use mta::link::Link;
use proto::{
    sasl::Credentials,
    smtp::client::{Capabilities, Config, Event, Missing, Outcome, RecipientOutcome, TlsPolicy, Transaction},
};
use world::{
    BoxStream, Entropy, World,
    tls::{ClientTls, Verify},
};

use super::{
    Receipt, Refused, Submission,
    server::{ServerAddress, Tls},
};
use crate::{Failure, tls};

/// How long one address of the server may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that is past greeting, TLS and login.
pub struct Connection {
    link: Link,
    server: ServerAddress,
}

impl Connection {
    pub async fn open(world: &World, submission: &Submission) -> Result<Self, Failure> {
        let server = submission.server.clone();
        let (mut stream, ip) = connect(world, &server).await?;
        let demanded = matches!(submission.tls, Tls::Starttls | Tls::Implicit);
        let tls = client_tls(demanded && submission.verify, ip)?;
        let mut agreed = None;
        if submission.tls == Tls::Implicit {
            let secured = tls.connect(&server.host, stream).await;
            let (under_tls, summary) = secured.map_err(|error| tls_failure(&server, &error.to_string()))?;
            (stream, agreed) = (under_tls, Some(summary));
        }
        let config = config(submission, ip, &*world.entropy)?;
        let link = Link::new(world.clock.clone(), stream, config, server.host.clone(), tls, agreed);
        let mut connection = Self { link, server };
        match connection.next_event().await? {
            Event::Ready => Ok(connection),
            other => Err(Failure::new(format!("{}: not ready but {other:?}", connection.server))),
        }
    }

    /// One message; `content` gives it piece by piece when the server wants it.
    pub async fn transact(
        &mut self,
        submission: &Submission,
        bytes: u64,
        mut content: impl FnMut() -> io::Result<Option<Bytes>>,
    ) -> Result<Receipt, Failure> {
        if let Some(lacking) = lacking(&submission.parameters, self.link.capabilities()) {
            return Err(Failure::new(format!("{} {lacking}; the message was not sent", self.server)));
        }
        let recipients = &submission.recipients;
        self.link.send(transaction(submission, bytes));
        let mut refused = Vec::new();
        loop {
            match self.next_event().await? {
                Event::WantContent => match content() {
                    Ok(Some(chunk)) => self.link.push_content(&chunk),
                    Ok(None) => self.link.end_content(),
                    // Half a message must not be taken for a whole one: without its end it is void.
                    Err(error) => return Err(Failure::new(format!("the message is not complete: {error}"))),
                },
                Event::Recipient { index, outcome } => {
                    let recipient = recipients.get(index).map(Address::to_string).unwrap_or_default();
                    refused.extend(refusal(outcome).map(|reply| Refused { recipient, reply }));
                }
                Event::TransactionDone(outcome) => {
                    let (accepted, reply) = told(outcome);
                    return Ok(Receipt { accepted, reply, refused });
                }
                // Ready is left over from the transaction before; a failure has become an error already.
                Event::Ready | Event::Failed(_) => {}
            }
        }
    }

    /// The server takes no further message on this connection.
    pub fn is_spent(&self) -> bool {
        self.link.is_spent()
    }

    /// Says QUIT and closes; what the server answers matters no more.
    pub async fn quit(self) {
        self.link.quit().await;
    }

    async fn next_event(&mut self) -> Result<Event, Failure> {
        match self.link.next_event().await {
            Some(Event::Failed(failure)) => Err(match self.link.tls_error() {
                Some(error) => tls_failure(&self.server, error),
                None => Failure::new(format!("{}: {}", self.server, failure.cause)),
            }),
            Some(event) => Ok(event),
            None => Err(Failure::new(format!("{} closed the connection", self.server))),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.server)
    }
}

/// The first of the server's addresses that answers.
pub(super) async fn connect(world: &World, server: &ServerAddress) -> Result<(BoxStream, IpAddr), Failure> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for ip in world.dns.addresses(&server.host).await.map_err(Failure::new)?.records {
        let attempt = world.net.connect(SocketAddr::new(ip, server.port), None);
        match tokio::time::timeout(CONNECT_TIMEOUT, attempt).await {
            Ok(Ok(stream)) => return Ok((stream, ip)),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    let advice =
        if last.kind() == io::ErrorKind::ConnectionRefused { "; is the server running?" } else { "" };
    Err(Failure::new(format!("{server} cannot be reached: {last}{advice}")))
}

fn tls_failure(server: &ServerAddress, error: &str) -> Failure {
    Failure::new(format!(
        "{server}: TLS failed: {error}; --insecure takes any certificate, --tls none does without"
    ))
}

/// Where TLS is demanded of another machine, its certificate has to be valid too.
pub(super) fn client_tls(verify: bool, ip: IpAddr) -> Result<ClientTls, Failure> {
    let made = if verify && !ip.is_loopback() {
        ClientTls::new(Verify::RootsAndName, &tls::system_roots())
    } else {
        ClientTls::new(Verify::Nothing, "")
    };
    made.map_err(Failure::new)
}

fn config(submission: &Submission, ip: IpAddr, entropy: &dyn Entropy) -> Result<Config, Failure> {
    let credentials = match &submission.login {
        None => None,
        Some(login) => {
            let credentials = Credentials::new(&login.user, &login.password.0);
            let unusable = || Failure::usage("name and password may have up to 255 octets each, without NUL");
            Some(credentials.ok_or_else(unusable)?)
        }
    };
    Ok(Config {
        tls: match submission.tls {
            Tls::None | Tls::Implicit => TlsPolicy::None,
            Tls::Opportunistic => TlsPolicy::Opportunistic,
            Tls::Starttls => TlsPolicy::Required,
        },
        credentials,
        scram_nonce: Some(entropy.array()),
        // Who says "none" means it; else the password goes in clear within this machine only.
        plaintext_auth: submission.tls == Tls::None || ip.is_loopback(),
        ..Config::new(submission.name.as_str())
    })
}

/// What was asked for that the server does not have.
fn lacking(parameters: &MailParameters, server: &Capabilities) -> Option<&'static str> {
    [
        (parameters.hold.is_some() && !server.future_release, "does not hold messages (FUTURERELEASE)"),
        (parameters.deliver_by.is_some() && server.deliver_by.is_none(), "takes no deadlines (DELIVERBY)"),
        (parameters.priority.is_some() && !server.mt_priority, "takes no priorities (MT-PRIORITY)"),
    ]
    .into_iter()
    .find_map(|(lacks, what)| lacks.then_some(what))
}

fn transaction(submission: &Submission, bytes: u64) -> Transaction {
    let Submission { from, recipients, .. } = submission;
    let smtputf8 = !from.is_ascii() || recipients.iter().any(|recipient| !recipient.is_ascii());
    let recipient = |address: &Address| Recipient {
        forward_path: ForwardPath::Address(address.clone()),
        rcpt: submission.rcpt.clone(),
    };
    Transaction {
        reverse_path: ReversePath::Address(from.clone()),
        mail: MailParameters { smtputf8, ..submission.parameters.clone() },
        recipients: recipients.iter().map(recipient).collect(),
        body_bytes: bytes,
    }
}

/// Why a recipient will not get the message; none if it is on its way.
fn refusal(outcome: RecipientOutcome) -> Option<String> {
    match outcome {
        RecipientOutcome::Refused { reply, .. } => Some(reply.to_string()),
        RecipientOutcome::TooMany(Some(reply)) => Some(format!("{reply} (send again for the rest)")),
        RecipientOutcome::TooMany(None) => Some("not tried: too many recipients for one message".to_owned()),
        RecipientOutcome::OtherSession => {
            Some("not tried: the server takes fewer domains at once; send again for it".to_owned())
        }
        RecipientOutcome::Final(reply) => (!reply.is_success()).then(|| reply.to_string()),
    }
}

/// Whether the message was taken, and the words for it.
fn told(outcome: Outcome) -> (bool, String) {
    match outcome {
        Outcome::Replied(reply) => (reply.is_success(), reply.to_string()),
        Outcome::Refused { reply, .. } => (false, reply.to_string()),
        Outcome::NoRecipients => (false, "no recipient was accepted".to_owned()),
        Outcome::Spent => (false, "the server takes no more messages on this connection".to_owned()),
        Outcome::Each => (true, "each recipient was answered".to_owned()),
        Outcome::Unsupported(Missing::RequireTls) => {
            (false, "the server does not keep messages to TLS (REQUIRETLS); nothing was sent".to_owned())
        }
        Outcome::Unsupported(Missing::SmtpUtf8) => {
            (false, "the server does not take addresses beyond ASCII (SMTPUTF8)".to_owned())
        }
        Outcome::Unsupported(Missing::Size { bytes_max }) => {
            (false, format!("the message is larger than the {bytes_max} octets that the server takes"))
        }
        Outcome::Unsupported(Missing::DeliverBy) => {
            (false, "the server does not promise to return a message in such a time (DELIVERBY)".to_owned())
        }
        Outcome::Unsupported(Missing::EightBitMime | Missing::BinaryMime) => {
            (false, "the server does not take 8-bit content".to_owned())
        }
    }
}
