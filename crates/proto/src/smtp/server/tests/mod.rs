//! Dialogs that read like the wire. `C: ` goes in, `S: ` must come out, both with CRLF added; `\r`, `\n`, `\0` and
//! `\x80` stand for those octets; a line `C+ ` ends without CRLF. Lines `C: ` that follow each other arrive together.

mod burl;
mod conformance;
mod content;
mod dialogs;
mod external;
mod limits;
mod promises;
mod proxied;
mod scram;
mod time;
mod tokens;
mod turn;

use std::time::{Duration, Instant};

use bytes::Bytes;
use mail::scram::ScramVerifier;

use super::*;
use crate::{
    sasl::{Credentials, NONCE_BYTES, Nonce, ScramUser, TokenHint},
    smtp::{attributes::Told, turn::EtrnTarget},
};

/// What the driver of a dialog saw: whole messages, and content that came to nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) messages: Vec<(Envelope, Vec<u8>)>,
    pub(crate) aborted: Vec<Abort>,
    /// Content of the message that is coming in.
    pending: Vec<u8>,
    in_content: bool,
    /// The connection is ours.
    pub(crate) turned: bool,
}

/// One session with a driver that knows `bob` and `carol` at `ours.example`, and the password `secret`.
pub(crate) struct Session {
    pub(crate) server: Server,
    pub(crate) now: Instant,
    pub(crate) seen: Seen,
    pub(crate) closed: bool,
}

impl Session {
    pub(crate) fn new(config: Config) -> Self {
        Self::with(Server::new(Arc::new(config), false))
    }

    fn with(server: Server) -> Self {
        Self { server, now: Instant::now(), seen: Seen::default(), closed: false }
    }

    /// Runs until the machine wants input, TLS, or is closed; returns what it wrote, a write an entry.
    pub(crate) fn run(&mut self) -> Vec<Vec<u8>> {
        let mut writes = Vec::new();
        for _ in 0..1_000_000 {
            match self.server.poll(self.now) {
                Step::Event(event) => self.handle(event),
                Step::Write(octets) => writes.push(octets),
                Step::NeedInput => return writes,
                Step::StartTls => self.server.handle_tls_established(),
                Step::Close => {
                    self.closed = true;
                    return writes;
                }
            }
        }
        panic!("the machine does not come to rest");
    }

    /// Pushes and runs; what was written comes back as one text.
    pub(crate) fn say(&mut self, octets: &[u8]) -> String {
        self.say_raw(octets).iter().map(|octet| char::from(*octet)).collect()
    }

    pub(crate) fn say_raw(&mut self, octets: &[u8]) -> Vec<u8> {
        if !self.closed && !octets.is_empty() {
            self.server.push(octets);
        }
        self.run().concat()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Hello { name } if name == "unwanted.example" => {
                self.server.answer_hello(Decision::Reject(Reply::new(550, (5, 7, 1), "go away")));
            }
            Event::Hello { .. } => self.server.answer_hello(Decision::ACCEPT),
            Event::Mail(request) => {
                let blocked = request.reverse_path.to_string() == "blocked@b.example";
                let reply = Reply::new(550, (5, 7, 1), "not you");
                self.server.answer_mail(if blocked { Decision::Reject(reply) } else { Decision::ACCEPT });
            }
            Event::Rcpt(recipient) => self.handle_rcpt(&recipient),
            Event::Data => {
                self.seen.in_content = true;
                self.server.answer_data(Decision::ACCEPT);
            }
            Event::Url(url) => self.server.answer_url(url_answer(&url)),
            Event::MoreOfUrl => self.server.push_url(Ok(Bytes::from_static(b"0123456789\r\n"))),
            Event::Content(octets) => {
                assert!(self.seen.in_content && !octets.is_empty());
                self.seen.pending.extend_from_slice(&octets);
            }
            Event::ContentEnd => self.handle_content_end(),
            Event::ContentAborted(reason) => {
                assert!(std::mem::take(&mut self.seen.in_content));
                self.seen.pending.clear();
                self.seen.aborted.push(reason);
            }
            Event::Authenticate(credentials) => self.handle_authenticate(&credentials),
            Event::ScramVerifier(user) => self.server.answer_scram_verifier(scram_answer(&user)),
            Event::Scram(outcome) => {
                let wrong = Reply::new(535, (5, 7, 8), "authentication failed");
                let decision = if outcome.proven { Decision::ACCEPT } else { Decision::Reject(wrong) };
                self.server.answer_auth(decision);
            }
            Event::External(name) => self.server.answer_external(external_answer(&name)),
            Event::Impersonate(told) => {
                let unwanted = told.name == Told::Value("refused.example".to_owned());
                let reply = Reply::new(550, (5, 7, 1), "not that one");
                self.server.answer_impersonate(if unwanted {
                    Decision::Reject(reply)
                } else {
                    Decision::ACCEPT
                });
            }
            Event::Token(token) => self.server.answer_token(token_answer(&token.token)),
            Event::Verify(_) => self.server.answer_verify(&Reply::new(252, (2, 5, 2), "cannot verify")),
            Event::Etrn(target) => self.server.answer_etrn(&etrn_answer(&target)),
            Event::Turn(domains) => {
                let refuse = domains.iter().any(|domain| domain.as_str() != "bobs.example");
                let reply = Reply::new(450, (4, 7, 0), "not your domain");
                self.server.answer_turn(if refuse { Decision::Reject(reply) } else { Decision::ACCEPT });
            }
            Event::Turned => self.seen.turned = true,
            Event::Expand(_) => self.server.answer_expand(&Reply::new(250, (2, 1, 5), "<büb@ours.example>")),
        }
    }

    fn handle_rcpt(&mut self, recipient: &mail::Recipient) {
        let path = recipient.forward_path.to_string();
        let known = ["bob@ours.example", "carol@ours.example", "postmaster"].contains(&path.as_str())
            || path.ends_with("@παράδειγμα.example");
        let reply = Reply::new(550, (5, 1, 1), "no such user");
        self.server.answer_rcpt(if known { Decision::ACCEPT } else { Decision::Reject(reply) });
    }

    fn handle_content_end(&mut self) {
        assert!(std::mem::take(&mut self.seen.in_content));
        let content = std::mem::take(&mut self.seen.pending);
        if content.starts_with(b"spam") {
            return self.server.answer_content(Decision::Reject(Reply::new(554, (5, 7, 1), "spam")));
        }
        let envelope = self.server.envelope().unwrap().clone();
        self.seen.messages.push((envelope, content));
        let text = format!("queued as {}", self.seen.messages.len());
        self.server.answer_content(Decision::Accept(Some(Reply::new(250, (2, 0, 0), text))));
    }

    fn handle_authenticate(&mut self, credentials: &Credentials) {
        let right = credentials.password == "secret";
        let wrong = Reply::new(535, (5, 7, 8), "authentication failed");
        self.server.answer_auth(if right { Decision::ACCEPT } else { Decision::Reject(wrong) });
    }
}

/// Two messages wait for `waiting.example` and what is below it.
fn etrn_answer(target: &EtrnTarget) -> Reply {
    match target {
        EtrnTarget::Node(node) | EtrnTarget::Below(node) if node.as_str() == "waiting.example" => {
            Reply::new(253, (2, 0, 0), "OK, 2 pending messages for the node started")
        }
        EtrnTarget::Queue(_) => Reply::new(459, (4, 7, 1), "there is no such queue"),
        _ => Reply::new(251, (2, 0, 0), "OK, no messages waiting for the node"),
    }
}

/// `imap://have/N` has N octets, in lines of twelve.
fn url_answer(url: &str) -> Result<u64, Reply> {
    match url.strip_prefix("imap://have/") {
        Some(octets) => Ok(octets.parse().unwrap()),
        None => Err(Reply::new(554, (5, 6, 6), "what the URL names is not there")),
    }
}

/// The nonce is not random, so that dialogs repeat; the user `down` cannot be looked up.
fn scram_answer(user: &ScramUser) -> Result<(ScramVerifier, Nonce), Reply> {
    match user.authentication_id.as_str() {
        "down" => Err(Reply::new(454, (4, 7, 0), "try again later")),
        "bob" => Ok((ScramVerifier::derive(user.hash, "secret", b"salt", 4096), [0; NONCE_BYTES])),
        name => Ok((ScramVerifier::of_nobody(user.hash, name, b"server secret"), [0; NONCE_BYTES])),
    }
}

/// The certificate is bob's.
fn external_answer(authorization_id: &str) -> Result<String, Reply> {
    match authorization_id {
        "" | "bob" => Ok("bob".to_owned()),
        _ => Err(Reply::new(535, (5, 7, 8), "authentication failed")),
    }
}

pub(crate) fn config() -> Config {
    Config::new("mx.ours.example", Flavour::Smtp)
}

fn everything() -> Config {
    let mut config = config();
    config.extensions = Extensions {
        chunking: true,
        binary_mime: true,
        smtputf8: true,
        dsn: true,
        expn: true,
        require_tls: true,
        rrvs: true,
        tracking: true,
        send: true,
        deliver_by: Some(60),
        mt_priority: true,
        future_release: Some(HoldMax {
            seconds: 86_400,
            until: mail::Timestamp::from_millis(1_796_083_200_000),
        }),
        etrn: true,
        turn: false,
        ..Extensions::default()
    };
    config.no_soliciting = "net.example:ADV,org.example:ADV".parse().unwrap();
    config.auth = true;
    config.plaintext_auth = true;
    config.starttls = StartTls::Offered;
    config
}

/// Client octets that arrive together, and what must come back.
struct Turn {
    client: Vec<u8>,
    server: String,
}

fn turns(script: &str) -> Vec<Turn> {
    let mut turns = vec![Turn { client: Vec::new(), server: String::new() }];
    for line in script.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
        let (side, text) = line.split_at_checked(3).unwrap_or((line, ""));
        let last = turns.last_mut().unwrap();
        match side.trim_end() {
            "S:" => last.server.extend([text, "\r\n"]),
            "C:" | "C+" => {
                let mut octets = unescape(text);
                octets.extend_from_slice(if side.starts_with("C:") { b"\r\n" } else { b"" });
                if last.server.is_empty() && turns.len() > 1 {
                    turns.last_mut().unwrap().client.extend(octets);
                } else {
                    turns.push(Turn { client: octets, server: String::new() });
                }
            }
            _ => panic!("no line of a dialog: {line:?}"),
        }
    }
    turns
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut rest = text;
    while let Some((plain, escape)) = rest.split_once('\\') {
        octets.extend_from_slice(plain.as_bytes());
        let (octet, length) = match &escape[..1] {
            "r" => (b'\r', 1),
            "n" => (b'\n', 1),
            "0" => (0, 1),
            "x" => (u8::from_str_radix(&escape[1..3], 16).unwrap(), 3),
            _ => (b'\\', 0),
        };
        octets.push(octet);
        rest = &escape[length..];
    }
    octets.extend_from_slice(rest.as_bytes());
    octets
}

/// Runs a dialog as it stands, octet by octet, and cut once at every place of every turn.
fn dialog(config: &Config, script: &str) -> Seen {
    dialog_of(&|| Session::new(config.clone()), script)
}

fn dialog_of(session: &dyn Fn() -> Session, script: &str) -> Seen {
    let turns = turns(script);
    let seen = run(session(), &turns, &|octets| vec![octets.len()]);
    assert_eq!(run(session(), &turns, &|octets| vec![1; octets.len()]), seen);
    let longest = turns.iter().map(|turn| turn.client.len()).max().unwrap();
    for cut in 1..longest.min(400) {
        assert_eq!(run(session(), &turns, &|octets| vec![cut.min(octets.len()), octets.len()]), seen);
    }
    seen
}

fn run(mut session: Session, turns: &[Turn], cuts: &dyn Fn(&[u8]) -> Vec<usize>) -> Seen {
    for turn in turns {
        let (mut rest, mut said) = (turn.client.as_slice(), String::new());
        for length in cuts(rest) {
            let (piece, tail) = rest.split_at(length.min(rest.len()));
            said.push_str(&session.say(piece));
            rest = tail;
        }
        said.push_str(&session.say(rest));
        let client = String::from_utf8_lossy(&turn.client);
        assert_eq!(said, turn.server, "after {client:?} in pieces {:?}", cuts(&turn.client));
    }
    session.seen
}

/// A dialog after the greeting and EHLO.
fn after_ehlo(config: &Config, script: &str) -> Seen {
    dialog_of(&|| greeted(config.clone()), &format!("C+ \n{script}"))
}

pub(crate) fn greeted(config: Config) -> Session {
    let mut session = Session::new(config);
    session.say(b"");
    assert!(session.say(b"EHLO c.example\r\n").starts_with("250-"));
    session
}

fn wait(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token_answer(token: &str) -> TokenAnswer {
    match token {
        "good" => TokenAnswer::Accepted("bob@ours.example".to_owned()),
        "later" => TokenAnswer::Deferred(Reply::new(454, (4, 7, 0), "later")),
        _ => TokenAnswer::Refused(TokenHint { scope: Some("mail".to_owned()), metadata: None }),
    }
}
