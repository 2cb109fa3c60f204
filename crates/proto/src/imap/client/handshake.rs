//! From the greeting to the login.

use std::fmt;

use super::{
    event::{Config, TlsUse},
    response::{Response, Status, Word},
};
use crate::sasl::{self, Credentials, Mechanism, SaslClient};

/// What is to be done next.
#[derive(Debug)]
pub(super) enum Next {
    /// A command without its tag, and what follows a continuation.
    Send(Vec<Vec<u8>>),
    Write(Vec<u8>),
    StartTls,
    Ready,
    Wait,
    Fail(String),
}

/// What was said last.
#[derive(Debug)]
enum Stage {
    Greeting,
    Capability,
    StartTls,
    Login,
    Authenticate(Box<SaslClient>),
}

pub(super) struct Handshake {
    config: Config,
    stage: Stage,
    tls_active: bool,
    capabilities: Option<Vec<String>>,
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").field("stage", &self.stage).finish_non_exhaustive()
    }
}

impl Handshake {
    pub(super) fn new(config: Config) -> Self {
        let tls_active = config.tls == TlsUse::Active;
        Self { config, stage: Stage::Greeting, tls_active, capabilities: None }
    }

    pub(super) fn has(&self, capability: &str) -> bool {
        self.capabilities.iter().flatten().any(|one| one == capability)
    }

    /// What was announced before TLS counts no more (RFC 9051 §6.2.1).
    pub(super) fn tls_established(&mut self) -> Next {
        self.tls_active = true;
        self.ask_capabilities()
    }

    pub(super) fn take(&mut self, response: Response) -> Next {
        match response {
            Response::Capabilities(capabilities) => {
                self.capabilities = Some(capabilities);
                Next::Wait
            }
            Response::Untagged(Word::Bye, status) => Next::Fail(format!("the server says {}", status.text)),
            Response::Untagged(word, status) if matches!(self.stage, Stage::Greeting) => {
                self.greeted(word, status)
            }
            Response::Continue(challenge) => self.challenged(&challenge),
            Response::Tagged { word, status, .. } => self.answered(word, status),
            _ => Next::Wait,
        }
    }

    fn greeted(&mut self, word: Word, status: Status) -> Next {
        self.capabilities = status.capabilities;
        if word == Word::Preauth {
            // RFC 9051 §11.3: who is in before TLS cannot begin it any more.
            let waits = self.config.tls == TlsUse::Starttls;
            return if waits { Next::Fail("the server does not begin TLS".to_owned()) } else { Next::Ready };
        }
        if self.capabilities.is_some() { self.proceed() } else { self.ask_capabilities() }
    }

    fn ask_capabilities(&mut self) -> Next {
        (self.capabilities, self.stage) = (None, Stage::Capability);
        Next::Send(vec![b"CAPABILITY".to_vec()])
    }

    fn answered(&mut self, word: Word, status: Status) -> Next {
        let is_ok = word == Word::Ok;
        match &self.stage {
            Stage::Greeting => Next::Wait,
            Stage::Capability if is_ok => self.proceed(),
            Stage::Capability => Next::Fail(format!("the server refused CAPABILITY: {}", status.text)),
            Stage::StartTls if is_ok => Next::StartTls,
            Stage::StartTls => Next::Fail(format!("the server refused STARTTLS: {}", status.text)),
            Stage::Authenticate(sasl) if is_ok && !sasl.may_succeed() => {
                Next::Fail("the server did not prove that it knows the password".to_owned())
            }
            Stage::Login | Stage::Authenticate(_) if is_ok => {
                self.capabilities = status.capabilities.or(self.capabilities.take());
                Next::Ready
            }
            Stage::Login | Stage::Authenticate(_) => {
                Next::Fail(format!("the server refused the login: {}", status.text))
            }
        }
    }

    fn proceed(&mut self) -> Next {
        if self.config.tls == TlsUse::Starttls && !self.tls_active {
            if !self.has("STARTTLS") {
                return Next::Fail("the server offers no STARTTLS".to_owned());
            }
            self.stage = Stage::StartTls;
            return Next::Send(vec![b"STARTTLS".to_vec()]);
        }
        self.log_in()
    }

    fn log_in(&mut self) -> Next {
        let credentials = self.config.credentials.clone();
        if self.has("AUTH=SCRAM-SHA-256") {
            let sasl = SaslClient::scram(credentials, self.config.nonce);
            return self.authenticate("SCRAM-SHA-256", sasl);
        }
        if !self.tls_active && !self.config.plaintext_login {
            return Next::Fail(
                "the password is not shown without TLS; use TLS, or allow it with --tls none".to_owned(),
            );
        }
        if self.has("AUTH=PLAIN") {
            let sasl = SaslClient::in_clear(Mechanism::Plain, credentials);
            return self.authenticate("PLAIN", sasl);
        }
        if self.has("LOGINDISABLED") {
            return Next::Fail("the server offers no login that we know".to_owned());
        }
        self.stage = Stage::Login;
        Next::Send(login(&credentials))
    }

    fn authenticate(&mut self, name: &str, mut sasl: SaslClient) -> Next {
        let mut command = format!("AUTHENTICATE {name}");
        if self.has("SASL-IR")
            && let Some(initial) = sasl.initial_response()
        {
            command.push(' ');
            command.push_str(&sasl::encode_initial_response(&initial));
        }
        self.stage = Stage::Authenticate(Box::new(sasl));
        Next::Send(vec![command.into_bytes()])
    }

    fn challenged(&mut self, challenge: &[u8]) -> Next {
        let Stage::Authenticate(sasl) = &mut self.stage else { return Next::Wait };
        let decoded = sasl::decode_line(challenge).ok().flatten();
        let answer = decoded.and_then(|challenge| sasl.respond(&challenge));
        // `*` breaks the exchange off (RFC 9051 §6.2.2).
        let mut line = answer.map_or_else(|| "*".to_owned(), |answer| sasl::encode(&answer));
        line.push_str("\r\n");
        Next::Write(line.into_bytes())
    }
}

/// With literals that wait: name and password may hold anything.
fn login(credentials: &Credentials) -> Vec<Vec<u8>> {
    let (name, password) = (&credentials.authentication_id, &credentials.password);
    vec![
        format!("LOGIN {{{}}}", name.len()).into_bytes(),
        format!("{name} {{{}}}", password.len()).into_bytes(),
        password.clone().into_bytes(),
    ]
}
