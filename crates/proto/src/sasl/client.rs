//! The client's side of PLAIN, LOGIN and SCRAM-SHA-256.

use mail::scram::ScramHash;

use super::{Credentials, Mechanism, Nonce, scram::ClientExchange};

/// One exchange with a server; messages are octets before base64.
#[derive(Debug)]
pub struct SaslClient {
    credentials: Credentials,
    next: Next,
}

#[derive(Debug)]
enum Next {
    Scram(Box<ClientExchange>),
    PlainMessage,
    LoginUser,
    LoginPassword,
    Nothing,
}

impl SaslClient {
    /// A mechanism that shows the password: PLAIN, or LOGIN.
    pub fn in_clear(mechanism: Mechanism, credentials: Credentials) -> Self {
        let next = match mechanism {
            Mechanism::Login => Next::LoginUser,
            Mechanism::Plain
            | Mechanism::Scram { .. }
            | Mechanism::External
            | Mechanism::OAuthBearer
            | Mechanism::XOAuth2 => Next::PlainMessage,
        };
        Self { credentials, next }
    }

    /// [`Mechanism::CLIENT_SCRAM`]. The nonce is random, and never the same again.
    pub fn scram(credentials: Credentials, nonce: Nonce) -> Self {
        let exchange = ClientExchange::new(ScramHash::Sha256, nonce);
        Self { credentials, next: Next::Scram(Box::new(exchange)) }
    }

    /// Whether a server that says that we are in may be believed: with SCRAM it has to prove that it knows us too.
    pub fn may_succeed(&self) -> bool {
        match &self.next {
            Next::Scram(exchange) => exchange.server_is_verified(),
            Next::PlainMessage | Next::LoginUser | Next::LoginPassword | Next::Nothing => true,
        }
    }

    /// What to send with the AUTH command. Taken once; a client that rather waits for the empty challenge of PLAIN
    /// gets the same message from [`respond`](Self::respond).
    pub fn initial_response(&mut self) -> Option<Vec<u8>> {
        match self.next {
            Next::PlainMessage | Next::Scram(_) => self.respond(b""),
            // Servers differ in whether LOGIN takes one, so it waits for the challenge.
            Next::LoginUser | Next::LoginPassword | Next::Nothing => None,
        }
    }

    /// Answers a decoded challenge. `None`: the server asks for more than the mechanism has; cancel with `*`.
    ///
    /// The words of LOGIN's challenges differ from server to server, so their order alone counts.
    pub fn respond(&mut self, challenge: &[u8]) -> Option<Vec<u8>> {
        let Credentials { authorization_id, authentication_id, password } = &self.credentials;
        let (message, next) = match &mut self.next {
            Next::Scram(exchange) => return exchange.respond(challenge, &self.credentials),
            Next::PlainMessage => {
                (format!("{authorization_id}\0{authentication_id}\0{password}"), Next::Nothing)
            }
            Next::LoginUser => (authentication_id.clone(), Next::LoginPassword),
            Next::LoginPassword => (password.clone(), Next::Nothing),
            Next::Nothing => return None,
        };
        self.next = next;
        Some(message.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ChannelBinding, SaslServer, SaslStep},
        *,
    };

    fn tim() -> Credentials {
        Credentials::new("tim", "tanstaaftanstaaf").unwrap()
    }

    #[test]
    fn plain_sends_all_at_once() {
        let mut client = SaslClient::in_clear(Mechanism::Plain, tim());
        assert_eq!(client.initial_response().unwrap(), b"\0tim\0tanstaaftanstaaf");
        assert_eq!(client.initial_response(), None);
        assert_eq!(client.respond(b""), None);
    }

    #[test]
    fn client_and_server_understand_each_other() {
        for mechanism in [Mechanism::Plain, Mechanism::Login] {
            let mut client = SaslClient::in_clear(mechanism, tim());
            let first = client.initial_response();
            let (mut server, mut step) =
                SaslServer::start(mechanism, first.as_deref(), &ChannelBinding::default());
            while let SaslStep::Challenge(challenge) = step {
                step = server.response(&client.respond(&challenge).unwrap());
            }
            assert_eq!(step, SaslStep::Credentials(tim()));
            assert!(client.may_succeed());
            assert!(!format!("{client:?}").contains("tanstaaf"));
        }
    }
}
