//! MAIL, RCPT and RSET (RFC 5321 §3.3, §4.1.1.2, §4.1.1.3, §4.1.1.5).

use mail::{
    ByMode, DeliverBy, Delivery, Envelope, ForwardPath, MailParameters, Recipient, Reply, ReversePath,
    Solicitation,
};

use super::{
    Abort, Decision, MailRequest, Server,
    session::Transaction,
    state::{Question, State},
    texts,
};
use crate::smtp::parameter::{self, Accepted};

/// Beyond the limit of recipients this many more get 452; a client that still goes on gets 421.
const RECIPIENTS_EXCESS_MAX: usize = 10_000;

impl Server {
    /// MAIL, and SEND, SOML and SAML, which differ in where the message goes only.
    pub(super) fn handle_mail(&mut self, delivery: Delivery, reverse_path: ReversePath, parameters: &str) {
        if delivery != Delivery::Mail && !self.extensions.send {
            return self.reply_error(&texts::not_served());
        }
        if self.counters.transactions >= self.config.limits.transactions_max {
            return self.reply(&texts::too_many_transactions());
        }
        // RFC 9422 §4.1: every MAIL counts.
        self.counters.transactions = self.counters.transactions.saturating_add(1);
        let parameters = match parameter::parse_mail(parameters, self.accepted_parameters()) {
            Ok(parameters) => parameters,
            Err(error) => return self.reply_error(&texts::bad_parameter(error)),
        };
        if let Some(reply) = self.mail_refusal(&reverse_path, &parameters) {
            return self.reply_error(&reply);
        }
        let request = MailRequest { delivery, reverse_path, parameters };
        self.state = State::Deciding(Question::Mail(Box::new(request)));
    }

    fn mail_refusal(&self, reverse_path: &ReversePath, parameters: &MailParameters) -> Option<Reply> {
        if self.session.helo.is_none() {
            return Some(texts::bad_sequence("say EHLO first"));
        }
        if self.transaction.is_some() {
            return Some(texts::bad_sequence("a transaction is open already"));
        }
        let foreign = matches!(reverse_path, ReversePath::Address(address) if !address.is_ascii());
        if foreign && !parameters.smtputf8 {
            return Some(texts::needs_smtputf8());
        }
        // RFC 1870 §6.1
        let octets_max = self.config.limits.message_bytes_max;
        let too_large = octets_max > 0 && parameters.size.is_some_and(|octets| octets > octets_max);
        if too_large {
            return Some(texts::too_large());
        }
        // RFC 3865 §2
        let unwanted = |solicit: &Solicitation| solicit.meets(&self.config.no_soliciting);
        if parameters.solicit.as_ref().is_some_and(unwanted) {
            return Some(texts::no_soliciting());
        }
        // RFC 2852 §4: so much time it takes at least to know that a message cannot be delivered.
        let seconds_min = self.extensions.deliver_by.unwrap_or(0);
        let is_hasty =
            |by: &DeliverBy| by.mode == ByMode::Return && i64::from(by.seconds) < i64::from(seconds_min);
        parameters.deliver_by.filter(is_hasty).map(|_| texts::too_little_time(seconds_min))
    }

    /// Answers `Event::Mail`.
    pub fn answer_mail(&mut self, decision: Decision) {
        if !matches!(self.state, State::Deciding(Question::Mail(_))) {
            return;
        }
        let State::Deciding(Question::Mail(request)) = std::mem::replace(&mut self.state, State::Command)
        else {
            return;
        };
        match decision {
            Decision::Accept(reply) => {
                let MailRequest { reverse_path, parameters, .. } = *request;
                let envelope = Envelope { reverse_path, mail: parameters, recipients: Vec::new() };
                self.transaction = Some(Box::new(Transaction::new(envelope)));
                self.reply(&reply.unwrap_or_else(texts::sender_ok));
            }
            Decision::Reject(reply) => self.reply(&reply),
        }
    }

    pub(super) fn handle_rcpt(&mut self, forward_path: ForwardPath, parameters: &str) {
        let rcpt = match parameter::parse_rcpt(parameters, self.accepted_parameters()) {
            Ok(rcpt) => rcpt,
            Err(error) => return self.reply_error(&texts::bad_parameter(error)),
        };
        let recipients_max = self.config.limits.recipients_max;
        let Some(transaction) = self.transaction.as_mut() else {
            return self.reply_error(&texts::bad_sequence("RCPT comes after MAIL"));
        };
        if transaction.content.is_some() {
            return self.reply_error(&texts::bad_sequence("RCPT comes before the content"));
        }
        let foreign = matches!(&forward_path, ForwardPath::Address(address) if !address.is_ascii());
        if foreign && !transaction.envelope.mail.smtputf8 {
            return self.reply_error(&texts::needs_smtputf8());
        }
        if transaction.envelope.recipients.len() >= recipients_max {
            transaction.recipients_excess += 1;
            let flood = transaction.recipients_excess > RECIPIENTS_EXCESS_MAX;
            return self.reply(&if flood { texts::too_many_errors() } else { texts::too_many_recipients() });
        }
        self.state = State::Deciding(Question::Rcpt(Box::new(Recipient { forward_path, rcpt })));
    }

    /// Answers `Event::Rcpt`.
    pub fn answer_rcpt(&mut self, decision: Decision) {
        if !matches!(self.state, State::Deciding(Question::Rcpt(_))) {
            return;
        }
        let State::Deciding(Question::Rcpt(recipient)) = std::mem::replace(&mut self.state, State::Command)
        else {
            return;
        };
        match decision {
            Decision::Accept(reply) => {
                if let Some(transaction) = self.transaction.as_mut() {
                    transaction.envelope.recipients.push(*recipient);
                }
                self.reply(&reply.unwrap_or_else(texts::recipient_ok));
            }
            Decision::Reject(reply) => {
                self.tally.faults = self.tally.faults.saturating_add(1);
                let refused = self.counters.refused_recipients.saturating_add(1);
                self.counters.refused_recipients = refused;
                let flood = refused >= self.config.limits.refused_recipients_max;
                self.reply(&if flood { texts::too_many_errors() } else { reply });
            }
        }
    }

    /// RFC 5321 §4.1.1.5: the name, TLS and authentication of the client stay.
    pub(super) fn handle_rset(&mut self) {
        self.drop_transaction(Abort::Reset);
        self.reply(&texts::ok());
    }

    /// Before any EHLO all that it would announce; after HELO nothing (RFC 5321 §3.2).
    fn accepted_parameters(&self) -> Accepted {
        if self.session.helo.is_some() && !self.session.esmtp {
            return Accepted::default();
        }
        Accepted {
            require_tls: self.extensions.require_tls && self.session.tls,
            solicit: !self.config.no_soliciting.is_empty(),
            ..Accepted::announced(self.extensions, self.config.auth)
        }
    }
}
