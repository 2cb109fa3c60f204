//! What the session asks of policy, phase by phase, and what follows from the answers.

use std::time::Duration;

use mail::{ForwardPath, Recipient, Reply, ReversePath};
use proto::smtp::server::{Decision, MailRequest, Server};
use world::Shutdown;

use super::{Session, content::Facts, decide::Transaction};
use crate::{
    accept::AcceptedRecipient,
    policy::{self, Header, Verdict, limits::Tarpit, names_patience, rates::Countable},
};

impl Session {
    pub(super) fn hello(&mut self) -> Decision {
        let config = self.mta.config();
        self.mta.judge(&config, self.client()).helo().into()
    }

    pub(super) async fn mail(&mut self, request: &MailRequest) -> Decision {
        let config = self.mta.config();
        let mut judge = self.mta.judge(&config, self.client());
        let judged = match judge.delivery(request) {
            Ok(()) => judge.mail(&request.reverse_path).await,
            refusal => refusal,
        };
        let verdicts = judge.verdicts;
        // The last transaction may have ended without a word: RSET and EHLO forget it.
        let transaction = self.transaction.insert(Box::default());
        transaction.reverse_path = Some(request.reverse_path.clone());
        transaction.delivery = request.delivery;
        transaction.declared_bytes = request.parameters.size.unwrap_or(0);
        transaction.verdicts.extend(self.verdicts.iter().cloned().chain(verdicts));
        match judged.and_then(|()| self.promise(&request.parameters)) {
            Ok(reply) => Decision::Accept(reply),
            Err(reply) => Decision::Reject(reply),
        }
    }

    pub(super) async fn rcpt(&mut self, recipient: Recipient) -> Decision {
        let delivery = self.transaction.as_ref().map(|transaction| transaction.delivery).unwrap_or_default();
        let config = self.mta.config();
        let mut judge = self.mta.judge(&config, self.client());
        let sender = self.transaction.as_ref().and_then(|transaction| transaction.reverse_path.as_ref());
        let sender = sender.unwrap_or(&ReversePath::Null);
        let waited =
            self.transaction.as_ref().map(|transaction| transaction.names_waited).unwrap_or_default();
        judge.patience = names_patience(waited);
        let judged = judge.rcpt(sender, &recipient.forward_path, &recipient.rcpt).await;
        let waited = waited + self.mta.world.clock.now().saturating_duration_since(judge.now);
        let judged = judged
            .and_then(|(ways, reply)| judge.terminals(&self.mta, delivery, ways).map(|ways| (ways, reply)));
        let verdicts = judge.verdicts;
        let transaction = self.transaction.get_or_insert_default();
        transaction.names_waited = waited;
        let judged = match judged {
            // RFC 1870 §6.1: what will not fit is better refused before it comes.
            Ok((ways, reply)) => {
                policy::mailbox::check(&self.mta.stores, &ways, transaction.declared_bytes.max(1))
                    .await
                    .map(|()| (ways, reply))
            }
            refusal => refusal,
        };
        let (ways, reply) = match judged {
            Ok(accepted) => accepted,
            Err(reply) => return Decision::Reject(reply),
        };
        let original = match (recipient.forward_path, ways.first()) {
            (ForwardPath::Address(address), _) => address,
            (ForwardPath::Postmaster, Some(way)) => way.address.clone(),
            (ForwardPath::Postmaster, None) => {
                return Decision::Reject(Reply::new(550, (5, 1, 1), "there is no postmaster"));
            }
        };
        let transaction = self.transaction.get_or_insert_default();
        transaction.verdicts.extend(verdicts);
        transaction.recipients.push(AcceptedRecipient::new(original, recipient.rcpt, ways));
        Decision::Accept(reply)
    }

    /// The content is here, and not yet accepted.
    pub(super) async fn judge_content(
        &mut self,
        transaction: &mut Transaction,
        facts: &Facts,
    ) -> Result<(), Reply> {
        let config = self.mta.config();
        let mut judge = self.mta.judge(&config, self.client());
        let header = Header {
            originators: facts.originators.as_ref(),
            hops: facts.hops,
            delivered_to: &facts.delivered_to,
            automatic: facts.automatic,
            message_id: facts.message_id.as_deref(),
        };
        let judged = judge.data(&header, &transaction.recipients).await;
        transaction.verdicts.extend(judge.verdicts);
        judged
    }

    /// Before a reply is written: counts what the client did, slows it down for its errors, dismisses it if its network
    /// did too much.
    pub(super) async fn reckon(&mut self, server: &mut Server, shutdown: &mut Shutdown) {
        let (before, tally) = (self.counted, server.tally());
        self.counted = tally;
        let config = self.mta.config();
        if tally == before || self.client().is_exempt(&config) {
            return;
        }
        let mut judge = self.mta.judge(&config, self.client());
        let faults = tally.faults.saturating_sub(before.faults);
        let charged = judge.charge(Countable::Commands, tally.commands.saturating_sub(before.commands));
        if let Err(reply) = charged.and_then(|()| judge.charge(Countable::Errors, faults)) {
            server.dismiss(&reply);
        }
        let delay = config.clients.tarpit.delay(tally.faults);
        if faults > 0 && !delay.is_zero() {
            self.remember_tarpit(tally.faults, delay);
            let clock = &self.mta.world.clock;
            tokio::select! {
                biased;
                () = clock.sleep_until(clock.now() + delay) => {}
                () = shutdown.given() => {}
            }
        }
    }

    /// One verdict a session, the latest.
    fn remember_tarpit(&mut self, faults: u32, delay: Duration) {
        self.verdicts.retain(|verdict| verdict.rule != Tarpit::RULE);
        let seconds = delay.as_secs_f32();
        let verdict =
            Verdict::pass(Tarpit::RULE, "answered late").with("errors", faults).with("seconds", seconds);
        self.verdicts.push(verdict);
    }
}
