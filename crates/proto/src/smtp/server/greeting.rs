//! The start of a session: greeting, EHLO, STARTTLS (RFC 5321 §3.1, §3.2; RFC 3207).

use std::borrow::Cow;

use mail::Reply;
use smallvec::SmallVec;

use super::{
    Abort, Decision, Extensions, Flavour, HoldMax, Server, StartTls,
    state::{Hello, Question, State},
    texts,
};
use crate::{
    sasl::Mechanism,
    smtp::{command::CommandError, line::LineReader},
};

impl Server {
    pub(super) fn greet(&mut self) {
        if self.talks_early() {
            return;
        }
        if let State::RefusingGreeting(reply) = std::mem::replace(&mut self.state, State::Command) {
            self.reply(&reply);
            self.state = State::Refusing(reply);
            return;
        }
        let protocol = if self.config.flavour == Flavour::Lmtp { "LMTP" } else { "ESMTP" };
        self.reply(&Reply::plain(220, format!("{} {protocol} Postrider", self.config.hostname)));
    }

    /// Ends the session of a client that did not wait where it must (RFC 2920 §3.1).
    pub(super) fn talks_early(&mut self) -> bool {
        let early = !self.input.is_empty() && self.config.refuse_early_talk;
        if early {
            self.tally.faults = self.tally.faults.saturating_add(1);
            self.reply(&texts::early_talk());
            self.close();
        }
        early
    }

    pub(super) fn handle_hello(&mut self, name: &str, esmtp: bool, in_flavour: bool) {
        if !in_flavour {
            // RFC 2033 §4.1
            return self.reply_error(&texts::not_a_command(&CommandError::Unknown));
        }
        if !self.talks_early() {
            self.state = State::Deciding(Question::Hello(Box::new(Hello { name: name.to_owned(), esmtp })));
        }
    }

    /// Answers `Event::Hello`. What EHLO announces is not for `decision` to say.
    pub fn answer_hello(&mut self, decision: Decision) {
        let State::Deciding(Question::Hello(hello)) = &self.state else { return };
        let (name, esmtp) = (hello.name.as_str().into(), hello.esmtp);
        self.state = State::Command;
        match decision {
            Decision::Accept(_) => {
                // RFC 5321 §4.1.4
                self.drop_transaction(Abort::Reset);
                self.session.helo = Some(name);
                self.session.esmtp = esmtp;
                let reply = if esmtp {
                    self.announcement()
                } else {
                    Reply::plain(250, self.config.hostname.to_string())
                };
                self.reply(&reply);
            }
            Decision::Reject(reply) => self.reply(&reply),
        }
    }

    fn announcement(&self) -> Reply {
        let mut lines: SmallVec<[Cow<'static, str>; 1]> = SmallVec::with_capacity(16);
        lines.push(self.config.hostname.to_string().into());
        if self.config.flavour == Flavour::Odmr {
            // RFC 2645 §5.1.1
            lines.extend(["PIPELINING", "ENHANCEDSTATUSCODES", "HELP", "ATRN"].map(Cow::Borrowed));
        } else {
            lines.extend(["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "HELP"].map(Cow::Borrowed));
            lines.push(format!("SIZE {}", self.config.limits.message_bytes_max).into());
            lines.extend(self.config.limits.announcement().map(Cow::Owned));
            lines.extend(self.switched().map(Cow::Borrowed));
            lines.extend(self.announcement_of_time());
            lines.extend(self.announcement_to_proxies());
            if !self.config.no_soliciting.is_empty() {
                lines.push(format!("NO-SOLICITING {}", self.config.no_soliciting).into());
            }
        }
        if self.config.starttls != StartTls::Off && !self.session.tls {
            lines.push("STARTTLS".into());
        }
        // RFC 4954 §4: after success there is nothing left to announce.
        if self.config.auth && self.session.identity.is_none() {
            let mechanisms = Mechanism::announcement(&self.channel, self.passwords_allowed());
            lines.push(format!("AUTH {mechanisms}").into());
        }
        Reply { code: 250, enhanced: None, lines }
    }

    /// Keywords of what is switched on.
    fn switched(&self) -> impl Iterator<Item = &'static str> {
        let extensions = self.extensions;
        let switched = [
            ("CHUNKING", extensions.chunking),
            ("BINARYMIME", extensions.chunking && extensions.binary_mime),
            // RFC 4468 §3.3
            ("BURL imap", extensions.burl),
            ("SMTPUTF8", extensions.smtputf8),
            ("DSN", extensions.dsn),
            ("EXPN", extensions.expn),
            // RFC 8689 §2: not in clear.
            ("REQUIRETLS", extensions.require_tls && self.session.tls),
            ("RRVS", extensions.rrvs),
            ("MTRK", extensions.tracking && extensions.dsn),
            ("SEND", extensions.send),
            ("SOML", extensions.send),
            ("SAML", extensions.send),
            ("ETRN", extensions.etrn),
            ("TURN", extensions.turn && self.may_turn()),
        ];
        switched.into_iter().filter(|(_, on)| *on).map(|(keyword, _)| keyword)
    }

    /// What is promised about when a message goes.
    fn announcement_of_time(&self) -> impl Iterator<Item = Cow<'static, str>> {
        let Extensions { deliver_by, mt_priority, future_release, .. } = self.extensions;
        // RFC 2852 §3: without a number there is no minimum.
        let deliver_by = deliver_by.map(|seconds_min| match seconds_min {
            0 => Cow::Borrowed("DELIVERBY"),
            _ => format!("DELIVERBY {seconds_min}").into(),
        });
        let mt_priority = mt_priority.then_some(Cow::Borrowed("MT-PRIORITY MIXER"));
        // RFC 4865 §4
        let future_release = future_release.map(|HoldMax { seconds, until }| {
            format!("FUTURERELEASE {seconds} {}", until.rfc3339_seconds()).into()
        });
        deliver_by.into_iter().chain(mt_priority).chain(future_release)
    }

    pub(super) fn handle_starttls(&mut self) {
        if self.config.starttls == StartTls::Off && !self.session.tls {
            return self.reply_error(&texts::not_served());
        }
        if self.session.tls {
            return self.reply_error(&texts::bad_sequence("TLS is active already"));
        }
        if self.transaction.is_some() {
            return self.reply_error(&texts::bad_sequence("STARTTLS has no place in a transaction"));
        }
        self.reply(&texts::start_tls());
        // RFC 3207 §6 and CVE-2011-0411: what came in clear is never read under TLS.
        self.input = bytes::BytesMut::new();
        self.lines = LineReader::default();
        self.state = State::StartingTls;
    }
}
