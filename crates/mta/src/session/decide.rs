//! The machine's questions and our answers.

use std::time::Duration;

use bytes::Bytes;
use mail::{Address, Delivery, QueueId, Reply, ReversePath, TlsDemand};
use proto::smtp::server::{Decision, Event, Flavour, Server};
use store::{CommitError, PendingBlob, StoreError};

use super::{
    Session, asked,
    content::{Completion, Content, Facts},
    promise::Promises,
};
use crate::{
    accept::{self, Acceptance, AcceptedRecipient},
    etrn,
    planted::Planted,
    policy::{self, Kept},
    urls::UrlContent,
};

/// One mail transaction, from MAIL on.
#[derive(Default)]
pub(super) struct Transaction {
    pub(super) reverse_path: Option<ReversePath>,
    pub(super) delivery: Delivery,
    /// RFC 1870; 0 if the client does not tell.
    pub(super) declared_bytes: u64,
    pub(super) recipients: Vec<AcceptedRecipient>,
    pub(super) verdicts: Kept,
    /// What its recipients have waited for name servers.
    pub(super) names_waited: Duration,
    queue_id: Option<QueueId>,
    content: Option<Content>,
    /// What BURL named, as far as it is not content yet.
    pub(super) url: Option<Box<dyn UrlContent>>,
    pub(super) promises: Promises,
    /// Why the content cannot be kept; it is read to its end and then answered with this.
    spoiled: Option<Reply>,
}

impl Session {
    pub(super) async fn decide(&mut self, server: &mut Server, event: Event) {
        match event {
            Event::Hello { .. } => {
                self.announce(server);
                server.answer_hello(self.hello());
            }
            Event::Mail(request) => {
                let decision = self.mail(&request).await;
                server.answer_mail(decision);
            }
            Event::Rcpt(recipient) => {
                let decision = self.rcpt(recipient).await;
                server.answer_rcpt(decision);
            }
            Event::Data => {
                let decision = self.data(server).await;
                server.answer_data(decision);
            }
            Event::Url(url) => {
                let answer = Box::pin(self.open_url(&url)).await;
                server.answer_url(answer);
            }
            Event::MoreOfUrl => {
                let piece = Box::pin(self.more_of_url()).await;
                server.push_url(piece);
            }
            Event::Content(chunk) => self.content(chunk).await,
            Event::ContentEnd => {
                let replies = Box::pin(self.content_end(server)).await;
                server.answer_content_each(&replies);
            }
            Event::ContentAborted(_) => self.transaction = None,
            login @ (Event::Authenticate(_)
            | Event::ScramVerifier(_)
            | Event::Scram(_)
            | Event::Token(_)
            | Event::External(_)) => Box::pin(self.decide_login(server, login)).await,
            Event::Verify(inquiry) => {
                let config = self.mta.config();
                let reply = policy::verify::verify(&self.mta.stores, &config, &self.client(), &inquiry).await;
                server.answer_verify(&reply);
            }
            Event::Etrn(target) => {
                let reply = etrn::answer(&self.mta, &self.client(), &target).await;
                server.answer_etrn(&reply);
            }
            Event::Turn(domains) => {
                let decision = Box::pin(self.turn(&domains)).await;
                server.answer_turn(decision);
            }
            // The driver has taken the stream away.
            Event::Turned => {}
            Event::Expand(inquiry) => {
                let config = self.mta.config();
                let reply = policy::users::expand(&self.mta.stores, &config, &self.client(), &inquiry).await;
                server.answer_expand(&reply);
            }
            Event::Impersonate(told) => {
                let decision = Box::pin(self.impersonate(&told)).await;
                server.answer_impersonate(decision);
            }
        }
    }

    async fn data(&mut self, server: &Server) -> Decision {
        let writer = match self.mta.stores.engine.blob_writer().await {
            Ok(writer) => writer,
            Err(error) => return Decision::Reject(unstorable(&error)),
        };
        let at = self.mta.world.clock.wall();
        let queue_id = self.mta.queue_ids.next(at);
        let mut received = Vec::with_capacity(256);
        self.received(server, queue_id, at).write(&mut received);
        let completion = (self.flavour == Flavour::Submission).then(|| Completion {
            hostname: self.mta.config().hostname.clone(),
            queue_id,
            at,
            author: self.author(server),
        });
        let transaction = self.transaction.get_or_insert_default();
        transaction.queue_id = Some(queue_id);
        let mailboxes = asked::mailboxes(&transaction.recipients);
        transaction.content = Some(Content::new(writer, received, completion, mailboxes));
        Decision::ACCEPT
    }

    /// Whom a submission without From comes from, if its envelope lets us write that address into a header.
    fn author(&self, server: &Server) -> Option<Address> {
        let smtputf8 = server.envelope().is_some_and(|envelope| envelope.mail.smtputf8);
        self.identity.clone().filter(|address| smtputf8 || address.is_ascii())
    }

    async fn content(&mut self, chunk: Bytes) {
        let Some(transaction) = &mut self.transaction else { return };
        let Some(content) = &mut transaction.content else { return };
        if let Err(error) = content.push(chunk).await {
            transaction.spoiled = Some(unstorable(&error));
            transaction.content = None;
        }
    }

    /// One reply, or for LMTP one for each recipient where they differ (RFC 2033 §4.2).
    async fn content_end(&mut self, server: &Server) -> Vec<Reply> {
        match self.finish_content().await {
            Ok((transaction, body, facts)) => self.accept(server, *transaction, body, facts).await,
            Err(reply) => vec![reply],
        }
    }

    async fn finish_content(&mut self) -> Result<(Box<Transaction>, PendingBlob, Facts), Reply> {
        let Some(mut transaction) = self.transaction.take() else {
            return Err(Reply::new(451, (4, 3, 0), "the transaction was lost; send it again"));
        };
        if let Some(reply) = transaction.spoiled {
            return Err(reply);
        }
        let Some(content) = transaction.content.take() else {
            return Err(Reply::new(451, (4, 3, 0), "the content was lost; send it again"));
        };
        let (body, facts) = content.finish().await.map_err(|error| unstorable(&error))?;
        self.judge_content(&mut transaction, &facts).await?;
        policy::terminal::check_size(transaction.delivery, body.bytes)?;
        Ok((transaction, body, facts))
    }

    async fn accept(
        &mut self,
        server: &Server,
        mut transaction: Transaction,
        body: PendingBlob,
        facts: Facts,
    ) -> Vec<Reply> {
        let (Some(envelope), Some(id)) = (server.envelope(), transaction.queue_id) else {
            return vec![Reply::new(503, (5, 5, 1), "there is no transaction")];
        };
        asked::note_valid_since(&mut transaction.recipients, &facts.valid_since);
        let mut mail = envelope.mail.clone();
        // RFC 8689 §4.1: who asks for both means the stricter.
        if facts.tls_waived && mail.tls == TlsDemand::Usual {
            mail.tls = TlsDemand::Waived;
        }
        let refusals = self.refuse_full(&mut transaction.recipients, body.bytes).await;
        if transaction.recipients.is_empty() {
            return refusals.into_iter().flatten().collect();
        }
        let at = self.mta.world.clock.wall();
        let acceptance = Acceptance {
            queue_id: id,
            at,
            reverse_path: envelope.reverse_path.clone(),
            mail: self.granted(&mail, &mut transaction, &facts, at),
            recipients: transaction.recipients,
            body,
            origin: self.origin(server, facts, transaction.verdicts),
        };
        let client = acceptance.origin.client_ip.clone();
        let reply = match accept::accept(&self.mta, acceptance).await {
            Ok(()) => {
                tracing::info!(%id, client, "accepted");
                Reply::new(250, (2, 0, 0), format!("accepted as {id}"))
            }
            Err(CommitError::Full) if self.mta.has(Planted::AcceptsOnFullDisk) => {
                Reply::new(250, (2, 0, 0), format!("accepted as {id}"))
            }
            Err(CommitError::Full) => disk_full(),
            Err(error) => {
                tracing::error!(%id, %error, "a message could not be stored");
                Reply::new(451, (4, 3, 0), "the message could not be stored; try again later")
            }
        };
        refusals.into_iter().map(|refusal| refusal.unwrap_or_else(|| reply.clone())).collect()
    }

    /// Takes out the recipients whose mailbox cannot take the message now: LMTP can refuse them one by one (RFC 2033
    /// §4.2), SMTP all of them only. Returns the refusal, or none, for each that there was; for SMTP one for all.
    async fn refuse_full(
        &mut self,
        recipients: &mut Vec<AcceptedRecipient>,
        octets: u64,
    ) -> Vec<Option<Reply>> {
        if self.flavour != Flavour::Lmtp {
            let refusal = policy::mailbox::check_all(&self.mta.stores, recipients, octets).await;
            if refusal.is_some() {
                recipients.clear();
            }
            return vec![refusal];
        }
        let mut refusals = Vec::with_capacity(recipients.len());
        for recipient in std::mem::take(recipients) {
            let checked = policy::mailbox::check(&self.mta.stores, &recipient.ways, octets).await;
            refusals.push(checked.err());
            if matches!(refusals.last(), Some(None)) {
                recipients.push(recipient);
            }
        }
        refusals
    }
}

fn disk_full() -> Reply {
    Reply::new(452, (4, 3, 1), "the disk is full; try again later")
}

pub(super) fn unstorable(error: &StoreError) -> Reply {
    if matches!(error, StoreError::Full) {
        return disk_full();
    }
    tracing::error!(%error, "content cannot be stored");
    Reply::new(451, (4, 3, 0), "the message cannot be stored now; try again later")
}
