//! The client's side of PLAIN and LOGIN.

use super::{Credentials, Mechanism};

/// One exchange with a server; messages are octets before base64.
#[derive(Debug)]
pub struct SaslClient {
    credentials: Credentials,
    next: Next,
}

#[derive(Clone, Copy, Debug)]
enum Next {
    PlainMessage,
    LoginUser,
    LoginPassword,
    Nothing,
}

impl SaslClient {
    pub fn new(mechanism: Mechanism, credentials: Credentials) -> Self {
        let next = match mechanism {
            Mechanism::Plain => Next::PlainMessage,
            Mechanism::Login => Next::LoginUser,
        };
        Self { credentials, next }
    }

    /// What to send with the AUTH command. Taken once; a client that rather waits for the empty challenge of PLAIN
    /// gets the same message from [`respond`](Self::respond).
    pub fn initial_response(&mut self) -> Option<Vec<u8>> {
        match self.next {
            Next::PlainMessage => self.respond(b""),
            // Servers differ in whether LOGIN takes one, so it waits for the challenge.
            Next::LoginUser | Next::LoginPassword | Next::Nothing => None,
        }
    }

    /// Answers a decoded challenge. `None`: the server asks for more than the mechanism has; cancel with `*`.
    ///
    /// The words of LOGIN's challenges differ from server to server, so their order alone counts.
    pub fn respond(&mut self, _challenge: &[u8]) -> Option<Vec<u8>> {
        let Credentials { authorization_id, authentication_id, password } = &self.credentials;
        let (message, next) = match self.next {
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
        super::{SaslServer, SaslStep},
        *,
    };

    fn tim() -> Credentials {
        Credentials::new("tim", "tanstaaftanstaaf").unwrap()
    }

    #[test]
    fn plain_sends_all_at_once() {
        let mut client = SaslClient::new(Mechanism::Plain, tim());
        assert_eq!(client.initial_response().unwrap(), b"\0tim\0tanstaaftanstaaf");
        assert_eq!(client.initial_response(), None);
        assert_eq!(client.respond(b""), None);
    }

    #[test]
    fn client_and_server_understand_each_other() {
        for mechanism in Mechanism::ALL {
            let mut client = SaslClient::new(mechanism, tim());
            let (mut server, mut step) = SaslServer::start(mechanism, client.initial_response().as_deref());
            while let SaslStep::Challenge(challenge) = step {
                step = server.response(&client.respond(&challenge).unwrap());
            }
            assert_eq!(step, SaslStep::Credentials(tim()));
            assert!(!format!("{client:?}").contains("tanstaaf"));
        }
    }
}
