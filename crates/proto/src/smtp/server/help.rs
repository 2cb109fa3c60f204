//! Commands that inform: VRFY, EXPN and HELP (RFC 5321 §3.5, §4.1.1.8).

use mail::Reply;
use smallvec::SmallVec;

use super::{
    Flavour, Inquiry, Server, StartTls,
    state::{Question, State},
    texts,
};

/// Topics of HELP.
const TOPICS: &[(&str, &str)] = &[
    ("EHLO", "EHLO name: says who you are and asks which extensions there are"),
    ("HELO", "HELO name: says who you are; without extensions"),
    ("LHLO", "LHLO name: says who you are and asks which extensions there are"),
    (
        "MAIL",
        "MAIL FROM:<address> [parameters]: begins a message to mailboxes; the address hears of failures",
    ),
    ("SEND", "SEND FROM:<address> [parameters]: begins a message to terminals; who is at none is refused"),
    (
        "SOML",
        "SOML FROM:<address> [parameters]: begins a message to terminals, or to the mailbox of who is at none",
    ),
    ("SAML", "SAML FROM:<address> [parameters]: begins a message to terminals and mailboxes"),
    ("RCPT", "RCPT TO:<address> [parameters]: adds a recipient; may be repeated"),
    ("DATA", "DATA: the message follows, up to a line with a single dot"),
    ("BDAT", "BDAT octets [LAST]: so many octets of the message follow at once"),
    ("BURL", "BURL url [LAST]: what the URL names on our IMAP server is the message, or a part of it"),
    ("RSET", "RSET: gives the message up"),
    ("NOOP", "NOOP: does nothing"),
    ("VRFY", "VRFY name [SMTPUTF8]: asks who a user is, by address, user name, or full name or a part of it"),
    ("EXPN", "EXPN address [SMTPUTF8]: asks who stands behind an alias or a list"),
    ("ETRN", "ETRN node, @domain or #queue: asks for the mail that waits for it to be sent now"),
    ("ATRN", "ATRN [domain,...]: turns the connection round to hand over the mail that waits for you"),
    ("TURN", "TURN: turns the connection round to hand over the mail that waits for you"),
    ("HELP", "HELP [command]: explains"),
    ("QUIT", "QUIT: ends the session"),
    ("STARTTLS", "STARTTLS: encrypts the session; say EHLO again behind it"),
    ("AUTH", "AUTH mechanism [response]: logs in; EHLO tells the mechanisms"),
    ("XCLIENT", "XCLIENT attribute=value...: for proxies, says who their client is"),
    ("XFORWARD", "XFORWARD attribute=value...: for proxies, says whose message follows"),
];

impl Server {
    pub(super) fn handle_help(&mut self, topic: &str) {
        let served = TOPICS.iter().filter(|(verb, _)| self.serves(verb));
        if topic.is_empty() {
            let verbs = served.map(|(verb, _)| *verb).collect::<Vec<_>>().join(" ");
            let mut reply = Reply::new(214, (2, 0, 0), "commands are");
            reply.lines.extend([verbs.into(), "HELP and the name of one tells more".into()]);
            return self.reply(&reply);
        }
        match served.into_iter().find(|(verb, _)| verb.eq_ignore_ascii_case(topic)) {
            Some((_, text)) => self.reply(&Reply::new(214, (2, 0, 0), *text)),
            None => self.reply_error(&Reply::new(504, (5, 5, 4), "no help on that")),
        }
    }

    /// Whether this session has a use for the command.
    fn serves(&self, verb: &str) -> bool {
        match verb {
            "MAIL" | "SEND" | "SOML" | "SAML" | "RCPT" | "DATA" | "BDAT" | "VRFY" | "EXPN" | "ETRN"
            | "TURN"
                if self.config.flavour == Flavour::Odmr =>
            {
                false
            }
            "ATRN" => self.config.flavour == Flavour::Odmr,
            "ETRN" => self.extensions.etrn,
            "TURN" => self.extensions.turn && self.may_turn(),
            "LHLO" => self.config.flavour == Flavour::Lmtp,
            "EHLO" | "HELO" => self.config.flavour != Flavour::Lmtp,
            "SEND" | "SOML" | "SAML" => self.extensions.send,
            "BDAT" => self.extensions.chunking,
            "BURL" => self.extensions.burl,
            "XCLIENT" => self.extensions.xclient,
            "XFORWARD" => self.extensions.xforward,
            "EXPN" => self.extensions.expn,
            "STARTTLS" => self.config.starttls != StartTls::Off,
            "AUTH" => self.config.auth,
            _ => true,
        }
    }

    pub(super) fn handle_vrfy(&mut self, argument: &str) {
        self.state = State::Deciding(Question::Verify(Box::new(self.inquiry(argument))));
    }

    pub(super) fn handle_expn(&mut self, argument: &str) {
        if !self.extensions.expn {
            return self.reply_error(&texts::not_served());
        }
        self.state = State::Deciding(Question::Expand(Box::new(self.inquiry(argument))));
    }

    /// RFC 6531 §3.7.4.2: the parameter says that the client can read UTF-8 in the answer.
    fn inquiry(&self, argument: &str) -> Inquiry {
        match argument.rsplit_once(' ') {
            Some((argument, word)) if self.extensions.smtputf8 && word.eq_ignore_ascii_case("SMTPUTF8") => {
                Inquiry { argument: argument.trim_end().to_owned(), smtputf8: true }
            }
            _ => Inquiry { argument: argument.to_owned(), smtputf8: false },
        }
    }

    /// Answers `Event::Verify`.
    pub fn answer_verify(&mut self, reply: &Reply) {
        if let State::Deciding(Question::Verify(inquiry)) = &self.state {
            let reply = readable(reply, inquiry);
            self.state = State::Command;
            self.reply(&reply);
        }
    }

    /// Answers `Event::Expand`.
    pub fn answer_expand(&mut self, reply: &Reply) {
        if let State::Deciding(Question::Expand(inquiry)) = &self.state {
            let reply = readable(reply, inquiry);
            self.state = State::Command;
            self.reply(&reply);
        }
    }
}

/// RFC 6531 §3.7.4.2: without the parameter an answer stays within ASCII.
fn readable(reply: &Reply, inquiry: &Inquiry) -> Reply {
    if inquiry.smtputf8 {
        return reply.clone();
    }
    let lines: SmallVec<_> =
        reply
            .lines
            .iter()
            .map(|line| {
                if line.is_ascii() { line.clone() } else { line.replace(|c: char| !c.is_ascii(), "?").into() }
            })
            .collect();
    Reply { code: reply.code, enhanced: reply.enhanced, lines }
}
