//! Transactions: MAIL, RCPT, DATA or BDAT, and what their replies mean for each recipient.

use mail::{Body, EnhancedStatus, Reply};

use super::{
    Cause, Client, Event, Expected, Outcome, Phase, RecipientOutcome, Stage, Transaction, commands,
    content::{Encoder, Framing},
};

/// Commands on their way at once where PIPELINING allows it; keeps the replies within any socket's buffer.
const PIPELINE_MAX: usize = 100;
/// Chunks on their way at once.
const CHUNKS_MAX: usize = 8;

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Delivery {
    transaction: Transaction,
    next: Next,
    /// Indices of recipients whose RCPT was accepted.
    accepted: Vec<usize>,
    /// MAIL, DATA or a chunk was.
    refused: Option<(Stage, Reply)>,
    /// RCPTs sent.
    asked: u32,
    /// A recipient was one too many, so the rest need not be asked.
    full: bool,
    encoder: Encoder,
    chunked: bool,
    /// The chunk to send next, once it is known whether it is the last.
    chunk: Vec<u8>,
    /// The server knows BDAT.
    chunk_taken: bool,
}

/// The command to send next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Mail,
    Rcpt(usize),
    Data,
    Nothing,
}

impl Delivery {
    fn new(transaction: Transaction, chunked: bool) -> Self {
        let framing = match transaction.mail.body {
            Body::BinaryMime => Framing::Binary,
            _ if chunked => Framing::Chunks,
            _ => Framing::Dots,
        };
        Self {
            transaction,
            next: Next::Mail,
            accepted: Vec::new(),
            refused: None,
            asked: 0,
            full: false,
            encoder: Encoder::new(framing),
            chunked,
            chunk: Vec::new(),
            chunk_taken: false,
        }
    }
}

impl Client {
    /// Begins a transaction. Only after `Ready`; at other times nothing happens.
    pub fn send(&mut self, transaction: Transaction) {
        if !matches!(self.phase, Phase::Ready { .. }) {
            return;
        }
        if self.is_spent() {
            self.events.push_back(Event::TransactionDone(Outcome::Spent));
            self.phase = Phase::Ready { told: false };
            return;
        }
        if let Some(missing) = commands::missing(&transaction, &self.capabilities, self.tls) {
            self.events.push_back(Event::TransactionDone(Outcome::Unsupported(missing)));
            self.phase = Phase::Ready { told: false };
            return;
        }
        let binary = transaction.mail.body == Body::BinaryMime;
        let chunked = binary || (self.config.chunking && self.capabilities.chunking);
        self.delivery = Some(Box::new(Delivery::new(transaction, chunked)));
        self.phase = Phase::Envelope;
        if std::mem::take(&mut self.needs_rset) {
            self.command("RSET", Expected::Rset);
        }
    }

    /// Sends more of the content that `WantContent` asked for. At other times it is dropped: the transaction is over.
    pub fn push_content(&mut self, octets: &[u8]) {
        let Some(delivery) = self.delivery.as_mut().filter(|_| self.phase == Phase::Content) else { return };
        if !delivery.chunked {
            return delivery.encoder.encode(octets, &mut self.output);
        }
        let mut chunk = Vec::with_capacity(octets.len() + octets.len() / 32);
        delivery.encoder.encode(octets, &mut chunk);
        if chunk.is_empty() {
            return;
        }
        let before = std::mem::replace(&mut delivery.chunk, chunk);
        if !before.is_empty() {
            commands::write_chunk(&before, false, &mut self.output);
            self.expected.push_back(Expected::Chunk);
        }
    }

    /// The content is complete.
    pub fn end_content(&mut self) {
        let Some(delivery) = self.delivery.as_mut().filter(|_| self.phase == Phase::Content) else { return };
        if delivery.chunked {
            let mut chunk = std::mem::take(&mut delivery.chunk);
            delivery.encoder.finish(&mut chunk);
            commands::write_chunk(&chunk, true, &mut self.output);
        } else {
            delivery.encoder.finish(&mut self.output);
        }
        if self.config.lmtp {
            self.expected.extend(delivery.accepted.iter().copied().map(Expected::ContentEndFor));
        } else {
            self.expected.push_back(Expected::ContentEnd);
        }
        self.phase = Phase::Envelope;
    }

    pub(super) fn wants_content(&self) -> bool {
        self.expected.len() < if self.capabilities.pipelining { CHUNKS_MAX } else { 1 }
    }

    /// Sends as many commands as may be on their way (RFC 2920 §3.1).
    pub(super) fn fill_pipeline(&mut self) {
        let commands_max = if self.capabilities.pipelining { PIPELINE_MAX } else { 1 };
        while self.phase == Phase::Envelope && self.expected.len() < commands_max {
            let Some(delivery) = self.delivery.as_mut() else { return };
            match delivery.next {
                Next::Mail => {
                    commands::write_mail(&delivery.transaction, &self.capabilities, &mut self.output);
                    self.expected.push_back(Expected::Mail);
                    self.usage.begin_transaction();
                    delivery.next = Next::Rcpt(0);
                }
                Next::Rcpt(index) => self.ask_recipient(index),
                Next::Data => {
                    if !self.begin_content() {
                        return;
                    }
                }
                Next::Nothing if self.expected.is_empty() => self.conclude(),
                Next::Nothing => return,
            }
        }
    }

    fn ask_recipient(&mut self, index: usize) {
        let Some(delivery) = self.delivery.as_mut() else { return };
        let limits = &self.capabilities.limits;
        let is_full = delivery.full || limits.recipients_max.is_some_and(|most| delivery.asked >= most);
        match delivery.transaction.recipients.get(index) {
            Some(_) if is_full => {
                let outcome = RecipientOutcome::TooMany(None);
                self.events.push_back(Event::Recipient { index, outcome });
            }
            Some(recipient) if !self.usage.admits(limits, &recipient.forward_path) => {
                let outcome = RecipientOutcome::OtherSession;
                self.events.push_back(Event::Recipient { index, outcome });
            }
            Some(recipient) => {
                delivery.asked += 1;
                commands::write_rcpt(recipient, &self.capabilities, &mut self.output);
                self.expected.push_back(Expected::Rcpt(index));
            }
            None => {
                delivery.next = Next::Data;
                return;
            }
        }
        delivery.next = Next::Rcpt(index + 1);
    }

    /// Sends DATA, or lets the chunks begin; false if replies have to come first.
    fn begin_content(&mut self) -> bool {
        let Some(delivery) = self.delivery.as_mut() else { return false };
        let all_answered = self.expected.is_empty();
        if all_answered && delivery.accepted.is_empty() {
            delivery.next = Next::Nothing;
        } else if !delivery.chunked {
            delivery.next = Next::Nothing;
            self.command("DATA", Expected::Data);
        } else if all_answered {
            delivery.next = Next::Nothing;
            self.phase = Phase::Content;
        } else {
            return false;
        }
        true
    }

    pub(super) fn handle_delivery_reply(&mut self, expected: &Expected, reply: Reply) {
        let stage = expected.stage();
        if stage == Stage::Content && self.is_chunking_refused(&reply) {
            return self.fail(stage, Cause::ChunkingRefused(reply));
        }
        match expected {
            Expected::Mail if reply.is_success() => self.needs_rset = true,
            Expected::Rset | Expected::Chunk if reply.is_success() => {}
            Expected::Mail | Expected::Chunk => self.refuse(stage, reply),
            Expected::Rcpt(index) => self.handle_rcpt_reply(*index, reply),
            Expected::Data => self.handle_data_reply(reply),
            Expected::LoneDot => {}
            Expected::ContentEnd => self.handle_final_reply(reply),
            Expected::ContentEndFor(index) => self.handle_reply_for(*index, reply),
            _ => self.fail(stage, Cause::Reply(reply)),
        }
    }

    /// RFC 5321 §4.2.4: 500 and 502 say that the command is not known, which a server that took a chunk cannot mean.
    fn is_chunking_refused(&mut self, reply: &Reply) -> bool {
        let Some(delivery) = self.delivery.as_mut().filter(|delivery| delivery.chunked) else { return false };
        let is_first = !std::mem::replace(&mut delivery.chunk_taken, true);
        is_first && matches!(reply.code, 500 | 502)
    }

    /// Nothing comes of this transaction. What is on its way is still answered.
    fn refuse(&mut self, stage: Stage, reply: Reply) {
        let Some(delivery) = self.delivery.as_mut() else { return };
        delivery.refused.get_or_insert((stage, reply));
        delivery.next = Next::Nothing;
        if self.phase == Phase::Content {
            self.phase = Phase::Envelope;
        }
    }

    fn handle_rcpt_reply(&mut self, index: usize, reply: Reply) {
        let Some(delivery) = self.delivery.as_mut().filter(|delivery| delivery.refused.is_none()) else {
            return;
        };
        if reply.is_success() {
            delivery.accepted.push(index);
            return;
        }
        let outcome = if is_too_many(&reply) && !delivery.accepted.is_empty() {
            delivery.full = true;
            RecipientOutcome::TooMany(Some(reply))
        } else {
            // RFC 5321 §4.5.3.1.10: 552 here was a mistake of RFC 821.
            let temporary = !reply.is_permanent() || reply.code == 552;
            RecipientOutcome::Refused { reply, temporary }
        };
        self.events.push_back(Event::Recipient { index, outcome });
    }

    fn handle_data_reply(&mut self, reply: Reply) {
        let Some(delivery) = self.delivery.as_mut() else { return };
        let wanted = !delivery.accepted.is_empty() && delivery.refused.is_none();
        match reply.code {
            354 if wanted => self.phase = Phase::Content,
            // RFC 2920 §3.1
            354 => self.command(".", Expected::LoneDot),
            _ if wanted => self.refuse(Stage::Data, reply),
            _ => {}
        }
    }

    fn handle_final_reply(&mut self, reply: Reply) {
        if !self.is_refused() {
            // RFC 5321 §4.1.1.4: the server has cleared its buffers.
            self.needs_rset = false;
            self.finish(Outcome::Replied(reply));
        }
    }

    fn handle_reply_for(&mut self, index: usize, reply: Reply) {
        if self.is_refused() {
            return;
        }
        self.events.push_back(Event::Recipient { index, outcome: RecipientOutcome::Final(reply) });
        if self.expected.is_empty() {
            self.needs_rset = false;
            self.finish(Outcome::Each);
        }
    }

    fn is_refused(&self) -> bool {
        self.delivery.as_ref().is_some_and(|delivery| delivery.refused.is_some())
    }

    /// All commands are answered and content was not sent, or not to its end.
    fn conclude(&mut self) {
        let refused = self.delivery.as_mut().and_then(|delivery| delivery.refused.take());
        let outcome = match refused {
            Some((stage, reply)) => {
                let temporary = !reply.is_permanent();
                Outcome::Refused { stage, reply, temporary }
            }
            None => Outcome::NoRecipients,
        };
        self.finish(outcome);
    }

    fn finish(&mut self, outcome: Outcome) {
        self.delivery = None;
        self.phase = Phase::Ready { told: false };
        self.events.push_back(Event::TransactionDone(outcome));
    }
}

/// RFC 5321 §4.5.3.1.10: 452, or the older 552, unless its enhanced code says that it is about something else.
fn is_too_many(reply: &Reply) -> bool {
    let about_number = |status: EnhancedStatus| (status.subject, status.detail) == (5, 3);
    matches!(reply.code, 452 | 552) && reply.enhanced.is_none_or(about_number)
}
