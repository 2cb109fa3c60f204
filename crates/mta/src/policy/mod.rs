//! What a client may do. The phases ([`Judge::connect`], [`helo`](Judge::helo), [`mail`](Judge::mail),
//! [`rcpt`](Judge::rcpt), [`data`](Judge::data)) ask the checks in order; a check is one file and answers with a
//! [`Verdict`]: the rule, what it looked at, and the outcome.

pub mod connections;
mod domain;
mod early_talk;
mod forwarding;
pub mod limits;
mod list;
mod loops;
pub mod mailbox;
pub mod occurrences;
pub mod ownership;
pub mod priority;
mod rate;
pub mod rates;
mod recipient;
pub mod rehearsal;
mod relay;
pub mod release;
pub mod repeats;
mod sender;
mod success_report;
mod suppression;
pub mod terminal;
pub mod users;
pub mod verdict;
pub mod verify;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use mail::{
    Address, Delivery, ForwardPath, RcptParameters, Reply, ReversePath, address_list::OriginatorError,
};
use proto::smtp::server::{Flavour, MailRequest};
use store::Stores;
use world::World;

use crate::{
    Config, Mta,
    accept::AcceptedRecipient,
    forward,
    route::{Destination, Way},
};
use connections::{Admission, Connections};
pub use domain::patience as names_patience;
use occurrences::Occurrences;
use rates::{Countable, Rates};
use repeats::Repeats;
pub use verdict::{Kept, Verdict};

/// Answers to one address in an hour: they go to who mail only says it is from.
const ANSWERS_MAX: u32 = 10;
/// Dead letters in an hour.
const DEAD_LETTERS_MAX: u32 = 20;

/// What policy remembers of clients.
#[derive(Debug)]
pub struct Memory {
    pub connections: Connections,
    pub rates: Rates,
    /// Answers of lists, by the address that is answered.
    pub answers: Occurrences,
    /// Reports to the postmaster on mail from the null sender.
    pub dead_letters: Occurrences,
    /// Messages, by Message-ID and recipient.
    pub repeats: Repeats,
}

impl Memory {
    pub fn new(now: Instant) -> Self {
        Self {
            connections: Connections::default(),
            rates: Rates::new(now),
            answers: Occurrences::new(ANSWERS_MAX),
            dead_letters: Occurrences::new(DEAD_LETTERS_MAX),
            repeats: Repeats::new(now),
        }
    }
}

/// What the checks know of a client.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    pub ip: IpAddr,
    pub flavour: Flavour,
    /// The authenticated account's address.
    pub identity: Option<&'a mail::Address>,
}

impl Client<'_> {
    /// RFC 5321 §7.9: relaying is for those we know.
    pub fn may_relay(&self, config: &Config) -> bool {
        self.identity.is_some() || self.is_trusted(config)
    }

    fn is_trusted(&self, config: &Config) -> bool {
        config.trusted_networks.iter().any(|network| network.contains(self.ip))
    }

    /// True if no limit of a network holds for it.
    pub fn is_exempt(&self, config: &Config) -> bool {
        self.is_trusted(config) || config.clients.is_exempt(self.ip)
    }
}

/// What a message's header section tells.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// The addresses of From and Sender, as submission wants to know them.
    pub originators: Option<&'a Result<Vec<Address>, OriginatorError>>,
    /// Received lines.
    pub hops: usize,
    /// The addresses of Delivered-To, in the form they are looked up by.
    pub delivered_to: &'a [String],
    /// RFC 3834 §5: nobody wrote it.
    pub automatic: bool,
    pub message_id: Option<&'a str>,
}

/// Judges one client in one phase; what the checks said is in `verdicts`.
#[derive(Debug)]
pub struct Judge<'a> {
    pub stores: &'a Stores,
    pub config: &'a Config,
    pub memory: &'a Memory,
    pub world: &'a World,
    pub client: Client<'a>,
    pub now: Instant,
    /// For name servers.
    pub patience: Duration,
    /// It is only asked what would be said: nothing is counted or logged.
    pub rehearsal: bool,
    pub verdicts: Vec<Verdict>,
}

impl Judge<'_> {
    /// Before the first octet.
    pub fn connect(&mut self) -> Result<Admission, Reply> {
        self.note_some(rate::check(self, Countable::Connections))?;
        let admitted = self.memory.connections.admit(self.client.ip, &self.config.clients);
        admitted.map_err(|full| {
            let reply = connections::refusal();
            let _ = self.note(connections::verdict(full, reply.clone()));
            reply
        })
    }

    /// The client was silent until the greeting.
    pub fn waited(mut self, delay: Duration) -> Vec<Verdict> {
        let _ = self.note(early_talk::silence(delay));
        self.verdicts
    }

    /// It was not.
    pub fn talked_early(mut self, octets: usize) {
        let _ = self.note(early_talk::words(octets));
    }

    /// RFC 5321 §4.1.4: whatever the client calls itself is taken, but not from one that made too many errors.
    pub fn helo(&mut self) -> Result<(), Reply> {
        self.note_some(rate::check_errors(self))
    }

    /// Before [`mail`](Self::mail): may the client begin a transaction of this kind?
    pub fn delivery(&mut self, request: &MailRequest) -> Result<(), Reply> {
        self.note_some(terminal::check(self, request))
    }

    pub async fn mail(&mut self, reverse_path: &ReversePath) -> Result<(), Reply> {
        self.note_some(rate::check_errors(self))?;
        self.note_some(sender::check(self, reverse_path).await)?;
        self.note_some(rate::check(self, Countable::Messages))
    }

    /// The ways to a recipient, and the reply if it is not the usual one.
    pub async fn rcpt(
        &mut self,
        reverse_path: &ReversePath,
        path: &ForwardPath,
        rcpt: &RcptParameters,
    ) -> Result<(Vec<Way>, Option<Reply>), Reply> {
        let (directory, now) = (&self.stores.directory, self.world.clock.wall());
        let destination = match forward::destination(directory, self.config, path, now).await {
            Ok(destination) => destination,
            Err(error) => return Err(unreadable(&error)),
        };
        self.note(relay::check(self, path, &destination))?;
        self.note(recipient::check(path, &destination))?;
        self.note_some(suppression::check(self, reverse_path, path, &destination).await?)?;
        self.note_some(ownership::check(self, path, rcpt).await)?;
        if let Destination::Ways { ways, .. } = &destination {
            self.note_some(list::check(self, ways, reverse_path).await?)?;
        }
        self.note_some(success_report::check(self, rcpt))?;
        self.note_some(rate::check(self, Countable::Recipients))?;
        self.note_some(forwarding::check(self.config, path, &destination))?;
        let reply = forwarding::reply(self.config, path, &destination);
        match destination {
            Destination::Ways { ways, foreign } => {
                let (ways, verdict) = domain::check(self, ways, foreign).await;
                self.note_some(verdict).map(|()| (ways, reply))
            }
            _ => Err(Reply::new(550, (5, 1, 1), "there is no way to this address")),
        }
    }

    /// After [`rcpt`](Self::rcpt): the ways of a recipient as this kind of transaction goes them.
    pub fn terminals(&mut self, mta: &Mta, delivery: Delivery, ways: Vec<Way>) -> Result<Vec<Way>, Reply> {
        self.note_some(terminal::check_recipient(mta, delivery, &ways))?;
        Ok(terminal::lead(delivery, ways))
    }

    /// The content is here; nothing of it is accepted yet.
    pub async fn data(&mut self, header: &Header<'_>, recipients: &[AcceptedRecipient]) -> Result<(), Reply> {
        self.note_some(loops::check(header, recipients))?;
        self.note_some(loops::check_repeats(self, header, recipients))?;
        self.note_some(list::check_header(header, recipients))?;
        match header.originators {
            Some(originators) => self.note_some(sender::check_header(self, originators).await),
            None => Ok(()),
        }
    }

    /// Counts what the session did since it was last asked. An error says that it was too much.
    pub fn charge(&mut self, what: Countable, count: u32) -> Result<(), Reply> {
        self.note_some(rate::charge(self, what, count))
    }

    fn note_some(&mut self, verdict: Option<Verdict>) -> Result<(), Reply> {
        verdict.map_or(Ok(()), |verdict| self.note(verdict))
    }

    fn note(&mut self, verdict: Verdict) -> Result<(), Reply> {
        let refusal = verdict.refusal().cloned();
        if let Some(reply) = &refusal {
            self.log(&verdict, reply);
        }
        self.verdicts.push(verdict);
        refusal.map_or(Ok(()), Err)
    }

    fn log(&self, verdict: &Verdict, reply: &Reply) {
        if !self.rehearsal && rate::may_log(self) {
            let (rule, inputs) = (verdict.rule, verdict.inputs_text());
            tracing::info!(client = %self.client.ip, rule, inputs, %reply, "refused");
        }
    }
}

pub(crate) fn unreadable(error: &store::StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be read");
    Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later")
}
