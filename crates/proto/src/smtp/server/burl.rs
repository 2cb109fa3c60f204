//! BURL: content that our own IMAP server has already (RFC 4468). It is treated as a chunk of BDAT would be.

use bytes::Bytes;
use mail::{Body, Reply};

use super::{
    Abort, Event, Server,
    state::{Opening, Progress, Question, State, UrlContent, Wanted},
    texts,
};

impl Server {
    pub(super) fn handle_burl(&mut self, url: &str, last: bool) {
        if !self.extensions.burl || !self.session.esmtp {
            return self.reply_error(&texts::not_served());
        }
        if let Some(reply) = self.content_refusal() {
            return self.reply_error(&reply);
        }
        if self.session.identity.is_none() {
            return self.reply_error(&texts::url_needs_auth());
        }
        let wanted = Wanted { url: url.into(), last };
        let chunks_max = self.config.limits.chunks_max;
        let content = self.transaction.as_mut().and_then(|transaction| transaction.content.as_mut());
        let Some(content) = content else {
            self.state = State::Deciding(Question::Data(Opening::Burl(wanted)));
            return;
        };
        if content.is_one_too_many(chunks_max) {
            return self.refuse_url(Abort::TooManyChunks, &texts::too_many_chunks());
        }
        self.state = State::Deciding(Question::Url(wanted));
    }

    /// Answers `Event::Url`: so many octets follow with `push_url`, or a 4yz or 5yz reply that ends the transaction.
    pub fn answer_url(&mut self, answer: Result<u64, Reply>) {
        let State::Deciding(Question::Url(Wanted { last, .. })) = &self.state else { return };
        let last = *last;
        let octets_max = self.config.limits.message_bytes_max;
        match answer {
            Err(reply) => self.refuse_url(Abort::Reset, &reply),
            // RFC 1870 §6.3
            Ok(octets) if octets_max > 0 && self.content_octets().saturating_add(octets) > octets_max => {
                self.refuse_url(Abort::TooLarge, &texts::too_large());
            }
            Ok(octets) => self.state = State::Url(UrlContent { octets, last, piece: None }),
        }
    }

    /// Answers `Event::MoreOfUrl` with the next octets, at least one; otherwise the transaction ends with this reply.
    pub fn push_url(&mut self, piece: Result<Bytes, Reply>) {
        let State::Url(content) = &mut self.state else { return };
        match piece {
            Ok(piece) if !piece.is_empty() => content.piece = Some(piece),
            Ok(_) => self.refuse_url(Abort::Reset, &texts::url_broke_off()),
            Err(reply) => self.refuse_url(Abort::Reset, &reply),
        }
    }

    /// RFC 4468 §3.2: nothing of the message is kept.
    fn refuse_url(&mut self, reason: Abort, reply: &Reply) {
        self.drop_transaction(reason);
        self.state = State::Command;
        self.reply(reply);
    }

    pub(super) fn read_url(&mut self) -> Progress {
        let (State::Url(url), Some(transaction)) = (&mut self.state, self.transaction.as_mut()) else {
            return self.lost();
        };
        let Some(content) = transaction.content.as_mut() else { return self.lost() };
        self.deadline = None;
        let Some(mut piece) = url.piece.take() else {
            if url.octets > 0 && content.aborted.is_none() {
                return Progress::Event(Event::MoreOfUrl);
            }
            let last = url.last;
            self.end_chunk(last);
            return Progress::More;
        };
        piece.truncate(usize::try_from(url.octets).unwrap_or(usize::MAX));
        url.octets -= piece.len() as u64;
        let binary = transaction.envelope.mail.body == Body::BinaryMime;
        let violation = if binary { None } else { content.scanner.scan(&piece).err() };
        self.take_content(piece, violation)
    }
}
