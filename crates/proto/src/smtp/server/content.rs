//! DATA, BDAT and the content behind them (RFC 5321 §4.1.1.4, RFC 3030 §2).

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mail::{Body, Reply};

use super::{
    Abort, Decision, Event, Flavour, Server,
    session::Content,
    state::{Chunk, Opening, Progress, Question, State},
    texts,
};
use crate::smtp::{
    command::CommandError,
    data::{DataDecoder, Violation},
};

impl Server {
    pub(super) fn handle_data(&mut self) {
        if let Some(reply) = self.content_refusal() {
            return self.reply_error(&reply);
        }
        let transaction = self.transaction.as_ref();
        // RFC 3030 §2, §3
        if transaction.is_some_and(|transaction| transaction.content.is_some()) {
            return self.reply_error(&texts::bad_sequence("DATA cannot follow BDAT"));
        }
        if transaction.is_some_and(|transaction| transaction.envelope.mail.body == Body::BinaryMime) {
            return self.reply_error(&texts::bad_sequence("BODY=BINARYMIME goes with BDAT"));
        }
        if !self.talks_early() {
            self.state = State::Deciding(Question::Data(Opening::Data));
        }
    }

    pub(super) fn content_refusal(&self) -> Option<Reply> {
        match &self.transaction {
            None => Some(texts::bad_sequence("MAIL and RCPT come first")),
            // RFC 2033 §4.2 wants 503 here, RFC 5321 §3.3 lets us choose.
            Some(transaction) if transaction.envelope.recipients.is_empty() => {
                Some(texts::bad_sequence("there is no valid recipient"))
            }
            Some(_) => None,
        }
    }

    pub(super) fn handle_bdat(&mut self, octets: u64, last: bool) {
        let off = !self.extensions.chunking || !self.session.esmtp;
        let refusal = if off { Some(texts::not_served()) } else { self.content_refusal() };
        if let Some(reply) = refusal {
            return self.refuse_chunk(octets, reply);
        }
        let chunk = Chunk { octets, last };
        let chunks_max = self.config.limits.chunks_max;
        let content = self.transaction.as_mut().and_then(|transaction| transaction.content.as_mut());
        let Some(content) = content else {
            self.state = State::Deciding(Question::Data(Opening::Bdat(chunk)));
            return;
        };
        if content.is_one_too_many(chunks_max) {
            self.drop_transaction(Abort::TooManyChunks);
            return self.refuse_chunk(octets, texts::too_many_chunks());
        }
        self.state = State::Chunk(chunk);
    }

    /// RFC 3030 §2: the octets follow whatever we think of them, and are never read as commands.
    fn refuse_chunk(&mut self, octets: u64, reply: Reply) {
        self.state = State::RefusedChunk { octets, reply: Box::new(reply) };
    }

    pub(super) fn handle_bad_bdat(&mut self, octets: Option<u64>) {
        let reply = texts::not_a_command(&CommandError::Bdat { octets });
        if let Some(octets) = octets {
            return self.refuse_chunk(octets, reply);
        }
        // Nobody knows where the next command begins.
        self.reply(&reply);
        self.close();
    }

    /// Answers `Event::Data`.
    pub fn answer_data(&mut self, decision: Decision) {
        let State::Deciding(Question::Data(opening)) = &self.state else { return };
        let opening = opening.clone();
        self.state = State::Command;
        let accepted = match (decision, &opening) {
            (Decision::Accept(reply), _) => reply,
            (Decision::Reject(reply), Opening::Data) => return self.reply(&reply),
            (Decision::Reject(reply), Opening::Bdat(chunk)) => {
                self.transaction = None;
                return self.refuse_chunk(chunk.octets, reply);
            }
            (Decision::Reject(reply), Opening::Burl(_)) => {
                self.transaction = None;
                return self.reply(&reply);
            }
        };
        if let Some(transaction) = self.transaction.as_mut() {
            transaction.content = Some(Content::new());
        }
        self.state = match opening {
            Opening::Data => {
                self.reply(&accepted.unwrap_or_else(texts::start_content));
                State::Data(DataDecoder::default())
            }
            Opening::Bdat(chunk) => State::Chunk(chunk),
            Opening::Burl(wanted) => State::Deciding(Question::Url(wanted)),
        };
    }

    pub(super) fn read_data(&mut self, now: Instant) -> Progress {
        let (State::Data(decoder), Some(transaction)) = (&mut self.state, self.transaction.as_mut()) else {
            return self.lost();
        };
        let Some(content) = transaction.content.as_mut() else { return self.lost() };
        let decoded = decoder.decode(&mut self.input);
        if decoded.consumed == 0 {
            let deadline = content.deadline(&self.config.limits, now);
            return self.await_input(deadline, now);
        }
        self.deadline = None;
        let mut octets = self.input.split_to(decoded.consumed);
        octets.truncate(decoded.produced);
        if decoded.ended {
            self.state = State::Deciding(Question::Content);
        }
        let progress = self.take_content(octets.freeze(), decoded.violation);
        if decoded.ended {
            self.finish_if_faulty();
        }
        progress
    }

    pub(super) fn read_chunk(&mut self, chunk: Chunk, now: Instant) -> Progress {
        if chunk.octets == 0 {
            self.end_chunk(chunk.last);
            return Progress::More;
        }
        let Some(transaction) = self.transaction.as_mut() else { return self.lost() };
        let binary = transaction.envelope.mail.body == Body::BinaryMime;
        let Some(content) = transaction.content.as_mut() else { return self.lost() };
        if self.input.is_empty() {
            let deadline = content.deadline(&self.config.limits, now);
            return self.await_input(deadline, now);
        }
        self.deadline = None;
        let length = usize::try_from(chunk.octets).unwrap_or(usize::MAX).min(self.input.len());
        let octets = self.input.split_to(length);
        let violation = if binary { None } else { content.scanner.scan(&octets).err() };
        self.state = State::Chunk(Chunk { octets: chunk.octets - length as u64, ..chunk });
        self.take_content(octets.freeze(), violation)
    }

    pub(super) fn end_chunk(&mut self, last: bool) {
        self.state = State::Command;
        let Some(transaction) = self.transaction.as_mut() else { return };
        let binary = transaction.envelope.mail.body == Body::BinaryMime;
        let Some(content) = transaction.content.as_mut() else { return };
        if last
            && !binary
            && let Err(violation) = content.scanner.finish()
        {
            content.violation.get_or_insert(violation);
            if content.aborted.is_none() {
                content.aborted = Some(violation.into());
                self.aborted = content.aborted;
            }
        }
        if last {
            self.state = State::Deciding(Question::Content);
        }
        let whole = !self.finish_if_faulty();
        if whole && !last {
            self.reply(&texts::chunk_received());
        }
    }

    /// Counts a piece of content and passes it on, unless it is the piece that makes the message void, or behind it.
    pub(super) fn take_content(&mut self, octets: Bytes, violation: Option<Violation>) -> Progress {
        let Some(content) = self.transaction.as_mut().and_then(|transaction| transaction.content.as_mut())
        else {
            return self.lost();
        };
        content.octets = content.octets.saturating_add(octets.len() as u64);
        content.violation = content.violation.or(violation);
        if content.aborted.is_some() {
            return Progress::More;
        }
        // RFC 1870 §6.3: what counts is what came, not what SIZE said.
        let octets_max = self.config.limits.message_bytes_max;
        let too_large = octets_max > 0 && content.octets > octets_max;
        content.aborted = content.violation.map(Abort::from).or(too_large.then_some(Abort::TooLarge));
        match content.aborted {
            Some(reason) => Progress::Event(Event::ContentAborted(reason)),
            None if octets.is_empty() => Progress::More,
            None => Progress::Event(Event::Content(octets)),
        }
    }

    /// The content, or a chunk of it, has ended; if it is void the client hears why and the transaction is over.
    fn finish_if_faulty(&mut self) -> bool {
        let content = self.transaction.as_ref().and_then(|transaction| transaction.content.as_ref());
        let Some(content) = content.filter(|content| content.aborted.is_some()) else { return false };
        let reply = match content.violation {
            None => texts::too_large(),
            Some(Violation::Nul) => texts::nul_in_content(),
            Some(Violation::BareLineEnd) => texts::bare_line_end_in_content(),
        };
        self.state = State::Command;
        self.end_transaction(&[reply]);
        true
    }

    /// Answers `Event::ContentEnd`: the message is ours, or refused. For LMTP the same for every recipient.
    pub fn answer_content(&mut self, decision: Decision) {
        let reply = match decision {
            Decision::Accept(reply) => reply.unwrap_or_else(texts::message_accepted),
            Decision::Reject(reply) => reply,
        };
        self.answer_content_each(&[reply]);
    }

    /// Answers `Event::ContentEnd` for LMTP (RFC 2033 §4.2): one reply for each accepted recipient, in order. A single
    /// one counts for all. Elsewhere the first is the answer.
    pub fn answer_content_each(&mut self, replies: &[Reply]) {
        if !matches!(self.state, State::Deciding(Question::Content)) || replies.is_empty() {
            return;
        }
        self.state = State::Command;
        if replies.iter().any(Reply::is_success) {
            self.counters =
                super::Counters { transactions: self.counters.transactions, ..Default::default() };
        }
        self.end_transaction(replies);
    }

    /// RFC 5321 §4.1.1.4: whatever came of it, the buffers are cleared.
    fn end_transaction(&mut self, replies: &[Reply]) {
        self.session.forwarded = None;
        let recipients =
            self.transaction.take().map_or(0, |transaction| transaction.envelope.recipients.len());
        let count = if self.config.flavour == Flavour::Lmtp { recipients } else { 1 };
        let Some(last) = replies.last() else { return };
        for reply in replies.iter().chain(std::iter::repeat(last)).take(count) {
            self.reply(reply);
        }
    }

    pub(super) fn discard_chunk(&mut self, now: Instant) -> Progress {
        let State::RefusedChunk { octets, reply } = &mut self.state else { return self.lost() };
        let length = usize::try_from(*octets).unwrap_or(usize::MAX).min(self.input.len());
        *octets -= length as u64;
        if *octets == 0 {
            let reply = std::mem::replace(reply, Box::new(texts::ok()));
            drop(self.input.split_to(length));
            self.deadline = None;
            self.state = State::Command;
            self.reply(&reply);
            return Progress::More;
        }
        self.input = BytesMut::new();
        // One deadline for the whole of it, however the octets trickle.
        let deadline = self.deadline.unwrap_or(now + self.config.limits.content_timeout);
        self.await_input(deadline, now)
    }

    /// The content of no transaction: cannot be, and ends the session if it is.
    pub(super) fn lost(&mut self) -> Progress {
        self.close();
        Progress::More
    }
}
