//! The server's side of all mechanisms.

use mail::scram::ScramVerifier;

use super::{
    BearerToken, ChannelBinding, Credentials, Mechanism, Nonce, PART_BYTES_MAX, ScramOutcome, ScramUser,
    TokenForm, TokenHint, scram::ServerExchange,
};

/// One exchange, from the AUTH command until [`SaslStep::Credentials`], [`SaslStep::ScramDone`] or
/// [`SaslStep::Malformed`].
#[derive(Debug)]
pub struct SaslServer {
    awaits: Awaits,
}

/// What the server does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SaslStep {
    /// Send this (not yet base64) and give the client's answer to [`SaslServer::response`].
    Challenge(Vec<u8>),
    /// The exchange is complete; whether the password is right is for the caller to find out.
    Credentials(Credentials),
    /// Give this user's verifier, or one like it for nobody, to [`SaslServer::verifier`].
    ScramUser(ScramUser),
    /// Tell whether the token is good: [`SaslServer::refuse_token`], or nothing more.
    Token(BearerToken),
    /// The client has heard why its token was refused; the exchange has failed.
    TokenRefused,
    /// The exchange is complete.
    ScramDone(ScramOutcome),
    /// EXTERNAL: whom the client wants to act as; empty means whom its certificate names. Whether it may is for the
    /// caller to find out. At most 255 octets, no NUL.
    External(String),
    /// The message breaks the mechanism's grammar; the exchange has failed.
    Malformed,
}

#[derive(Debug)]
enum Awaits {
    ExternalMessage,
    TokenMessage(TokenForm),
    TokenVerdict(TokenForm),
    TokenAcknowledgement,
    PlainMessage,
    LoginUser,
    LoginPassword { user: String },
    Scram(Box<ServerExchange>),
    Nothing,
}

impl SaslServer {
    /// `initial_response`: the decoded argument of the AUTH command if it had one. `binding`: of the TLS connection;
    /// with it a client that believes there is none is refused, so it has to be announced.
    pub fn start(
        mechanism: Mechanism,
        initial_response: Option<&[u8]>,
        binding: &ChannelBinding,
    ) -> (Self, SaslStep) {
        let (awaits, challenge) = match mechanism {
            // RFC 5802 §5: here too the client speaks first.
            Mechanism::Scram { hash, plus } => {
                (Awaits::Scram(Box::new(ServerExchange::new(hash, plus, binding.clone()))), Vec::new())
            }
            // RFC 7628 §3.1
            Mechanism::OAuthBearer => (Awaits::TokenMessage(TokenForm::OAuthBearer), Vec::new()),
            Mechanism::XOAuth2 => (Awaits::TokenMessage(TokenForm::XOAuth2), Vec::new()),
            // RFC 4422 §A.1
            Mechanism::External => (Awaits::ExternalMessage, Vec::new()),
            // RFC 4616 §2: the client speaks first, so without an initial response it gets an empty challenge.
            Mechanism::Plain => (Awaits::PlainMessage, Vec::new()),
            Mechanism::Login => (Awaits::LoginUser, b"Username:".to_vec()),
        };
        let mut server = Self { awaits };
        let step = match initial_response {
            Some(response) => server.response(response),
            None => SaslStep::Challenge(challenge),
        };
        (server, step)
    }

    /// Takes the decoded answer to the last challenge.
    pub fn response(&mut self, response: &[u8]) -> SaslStep {
        match std::mem::replace(&mut self.awaits, Awaits::Nothing) {
            Awaits::ExternalMessage => parse_name(response).map_or(SaslStep::Malformed, SaslStep::External),
            Awaits::PlainMessage => parse_plain(response).map_or(SaslStep::Malformed, SaslStep::Credentials),
            Awaits::LoginUser => match parse_login_user(response) {
                Some(user) => {
                    self.awaits = Awaits::LoginPassword { user };
                    SaslStep::Challenge(b"Password:".to_vec())
                }
                None => SaslStep::Malformed,
            },
            Awaits::LoginPassword { user } => std::str::from_utf8(response)
                .ok()
                .and_then(|password| Credentials::new(&user, password))
                .map_or(SaslStep::Malformed, SaslStep::Credentials),
            Awaits::Scram(mut exchange) => {
                let step = exchange.response(response);
                self.awaits = Awaits::Scram(exchange);
                step
            }
            Awaits::TokenMessage(form) => match BearerToken::parse(form, response) {
                Some(token) => {
                    self.awaits = Awaits::TokenVerdict(form);
                    SaslStep::Token(token)
                }
                None => SaslStep::Malformed,
            },
            // RFC 7628 §3.2.3: the answer says nothing.
            Awaits::TokenAcknowledgement => SaslStep::TokenRefused,
            Awaits::TokenVerdict(_) | Awaits::Nothing => SaslStep::Malformed,
        }
    }

    /// Answers [`SaslStep::Token`] with the reason why not, which the client has to acknowledge (RFC 7628 §3.2.3).
    pub fn refuse_token(&mut self, hint: &TokenHint) -> SaslStep {
        let Awaits::TokenVerdict(form) = std::mem::replace(&mut self.awaits, Awaits::Nothing) else {
            return SaslStep::Malformed;
        };
        self.awaits = Awaits::TokenAcknowledgement;
        SaslStep::Challenge(hint.challenge(form))
    }

    /// Answers [`SaslStep::ScramUser`]. The nonce is the driver's: random, and never the same again.
    pub fn verifier(&mut self, verifier: ScramVerifier, nonce: &Nonce) -> SaslStep {
        match &mut self.awaits {
            Awaits::Scram(exchange) => exchange.verifier(verifier, nonce),
            _ => SaslStep::Malformed,
        }
    }
}

/// `message = [authzid] NUL authcid NUL passwd`, UTF-8 (RFC 4616 §2).
fn parse_plain(message: &[u8]) -> Option<Credentials> {
    let text = std::str::from_utf8(message).ok()?;
    let (authorization_id, rest) = text.split_once('\0')?;
    let (authentication_id, password) = rest.split_once('\0')?;
    Credentials::with_authorization(authorization_id, authentication_id, password)
}

fn parse_login_user(response: &[u8]) -> Option<String> {
    parse_name(response).filter(|user| !user.is_empty())
}

/// RFC 4422 §A.1 allows every UTF-8 but NUL.
fn parse_name(response: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(response).ok()?;
    (name.len() <= PART_BYTES_MAX && !name.contains('\0')).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(mechanism: Mechanism, initial_response: Option<&[u8]>) -> (SaslServer, SaslStep) {
        SaslServer::start(mechanism, initial_response, &ChannelBinding::default())
    }

    fn credentials(authorization_id: &str, user: &str, password: &str) -> SaslStep {
        SaslStep::Credentials(Credentials::with_authorization(authorization_id, user, password).unwrap())
    }

    #[test]
    fn plain_with_an_initial_response() {
        let (_, step) = start(Mechanism::Plain, Some(b"\0tim\0tanstaaftanstaaf"));
        assert_eq!(step, credentials("", "tim", "tanstaaftanstaaf"));
        let (_, step) = start(Mechanism::Plain, Some(b"Ursel\0Kurt\0xipj3plmq"));
        assert_eq!(step, credentials("Ursel", "Kurt", "xipj3plmq"));
    }

    #[test]
    fn plain_with_an_empty_challenge() {
        let (mut server, step) = start(Mechanism::Plain, None);
        assert_eq!(step, SaslStep::Challenge(Vec::new()));
        assert_eq!(server.response("\0zoë\0pässword".as_bytes()), credentials("", "zoë", "pässword"));
        assert_eq!(server.response(b"\0tim\0again"), SaslStep::Malformed);
    }

    #[test]
    fn plain_messages_that_break_the_grammar() {
        let long = [b"\0tim\0".as_slice(), &[b'x'; 256]].concat();
        let cases: [&[u8]; 9] = [
            b"",
            b"\0",
            b"tim",
            b"\0tim",
            b"\0\0secret",
            b"\0tim\0",
            b"\0tim\0sec\0ret",
            b"\0tim\0\xff",
            &long,
        ];
        for message in cases {
            let (_, step) = start(Mechanism::Plain, Some(message));
            assert_eq!(step, SaslStep::Malformed, "{:?}", message.escape_ascii().to_string());
        }
    }

    #[test]
    fn external_takes_a_name_or_none() {
        for (message, name) in [(b"".as_slice(), ""), (b"ann@example.org", "ann@example.org")] {
            let (_, step) = start(Mechanism::External, Some(message));
            assert_eq!(step, SaslStep::External(name.to_owned()));
            let (mut server, step) = start(Mechanism::External, None);
            assert_eq!(step, SaslStep::Challenge(Vec::new()));
            assert_eq!(server.response(message), SaslStep::External(name.to_owned()));
            assert_eq!(server.response(message), SaslStep::Malformed, "once is enough");
        }
        for message in [b"ann\0".as_slice(), b"\xff\xfe", &[b'x'; 256], b"\0ann\0secret"] {
            assert_eq!(start(Mechanism::External, Some(message)).1, SaslStep::Malformed);
        }
    }

    #[test]
    fn login_asks_for_user_and_password() {
        let (mut server, step) = start(Mechanism::Login, None);
        assert_eq!(step, SaslStep::Challenge(b"Username:".to_vec()));
        assert_eq!(server.response(b"tim"), SaslStep::Challenge(b"Password:".to_vec()));
        assert_eq!(server.response(b"secret"), credentials("", "tim", "secret"));
    }

    #[test]
    fn login_takes_the_user_as_initial_response() {
        let (mut server, step) = start(Mechanism::Login, Some(b"tim"));
        assert_eq!(step, SaslStep::Challenge(b"Password:".to_vec()));
        assert_eq!(server.response(b"secret"), credentials("", "tim", "secret"));
    }

    #[test]
    fn login_refuses_empty_and_overlong_parts() {
        for user in [b"".as_slice(), b"t\0m", &[b'x'; 256], b"\xff"] {
            let (mut server, step) = start(Mechanism::Login, Some(user));
            assert_eq!(step, SaslStep::Malformed);
            assert_eq!(server.response(b"secret"), SaslStep::Malformed);
        }
        let (mut server, _) = start(Mechanism::Login, Some(b"tim"));
        assert_eq!(server.response(b""), SaslStep::Malformed);
    }

    #[test]
    fn the_state_shows_no_password_and_an_exchange_ends_once() {
        let (mut server, _) = start(Mechanism::Login, Some(b"tim"));
        assert_eq!(server.response(b"secret"), credentials("", "tim", "secret"));
        assert!(!format!("{server:?}").contains("secret"));
        assert_eq!(server.response(b"secret"), SaslStep::Malformed);
    }
}
