//! From the greeting to the first transaction: EHLO or HELO, STARTTLS, AUTH.

use mail::Reply;

use super::{Capabilities, Cause, Client, Expected, Phase, Stage, TlsPolicy};
use crate::sasl::{self, Mechanism, SaslClient};

impl Client {
    /// TLS is there; the server is asked again what it has (RFC 3207 §4.2).
    pub fn handle_tls_established(&mut self) {
        if self.phase == Phase::StartingTls {
            self.tls = true;
            self.capabilities = Capabilities::default();
            self.phase = Phase::Handshake;
            self.say_hello();
        }
    }

    /// The handshake failed, or the certificate is not good enough. Where TLS is only opportunistic, the driver may try
    /// again without on a new connection.
    pub fn handle_tls_failed(&mut self) {
        if self.phase == Phase::StartingTls {
            self.fail(Stage::StartTls, Cause::TlsFailed);
        }
    }

    pub(super) fn handle_greeting(&mut self, reply: Reply) {
        if reply.is_success() {
            self.say_hello();
        } else {
            self.fail_and_quit(Stage::Greeting, Cause::Reply(reply));
        }
    }

    fn say_hello(&mut self) {
        let verb = if self.config.lmtp { "LHLO" } else { "EHLO" };
        let line = format!("{verb} {}", self.config.helo);
        self.command(&line, Expected::Ehlo);
    }

    pub(super) fn handle_ehlo_reply(&mut self, reply: Reply) {
        // RFC 5321 §3.2
        if matches!(reply.code, 500..=504) && !self.config.lmtp {
            let line = format!("HELO {}", self.config.helo);
            return self.command(&line, Expected::Helo);
        }
        self.capabilities = Capabilities::of(&reply);
        self.handle_helo_reply(reply);
    }

    pub(super) fn handle_helo_reply(&mut self, reply: Reply) {
        if reply.is_success() {
            self.secure();
        } else {
            self.fail_and_quit(Stage::Hello, Cause::Reply(reply));
        }
    }

    fn secure(&mut self) {
        match self.config.tls {
            _ if self.tls => self.authenticate(),
            TlsPolicy::Opportunistic | TlsPolicy::Required if self.capabilities.starttls => {
                self.command("STARTTLS", Expected::StartTls);
            }
            TlsPolicy::None | TlsPolicy::Opportunistic => self.authenticate(),
            TlsPolicy::Required => self.fail_and_quit(Stage::StartTls, Cause::TlsNotOffered),
        }
    }

    pub(super) fn handle_starttls_reply(&mut self, reply: Reply) {
        if reply.is_success() {
            // RFC 3207 §6: what came behind the reply in clear was put there by somebody else.
            if self.input.is_empty() {
                self.phase = Phase::StartingTls;
            } else {
                self.fail(Stage::StartTls, Cause::Unsolicited);
            }
        } else if self.config.tls == TlsPolicy::Required {
            self.fail_and_quit(Stage::StartTls, Cause::Reply(reply));
        } else {
            self.authenticate();
        }
    }

    fn authenticate(&mut self) {
        let Some(credentials) = self.config.credentials.clone() else {
            self.phase = Phase::Ready { told: false };
            return;
        };
        let allowed = self.tls || self.config.plaintext_auth;
        let (mechanism, mut exchange) = match (self.config.scram_nonce.take(), self.capabilities.auth) {
            (Some(nonce), _) if self.capabilities.scram => {
                (Mechanism::CLIENT_SCRAM, SaslClient::scram(credentials, nonce))
            }
            (_, Some(mechanism)) if allowed => (mechanism, SaslClient::in_clear(mechanism, credentials)),
            _ => return self.fail_and_quit(Stage::Auth, Cause::AuthNotOffered),
        };
        let line = match exchange.initial_response() {
            Some(response) => {
                format!("AUTH {} {}", mechanism.name(), sasl::encode_initial_response(&response))
            }
            None => format!("AUTH {}", mechanism.name()),
        };
        self.command(&line, Expected::Auth(Box::new(exchange)));
    }

    pub(super) fn handle_auth_reply(&mut self, mut exchange: Box<SaslClient>, reply: Reply) {
        if reply.is_success() {
            // RFC 5802 §5: a server that does not prove itself is somebody else.
            if !exchange.may_succeed() {
                return self.fail_and_quit(Stage::Auth, Cause::AuthUnproven);
            }
            self.phase = Phase::Ready { told: false };
            return;
        }
        if reply.code != 334 {
            return self.fail_and_quit(Stage::Auth, Cause::Reply(reply));
        }
        let text = reply.lines.first().map_or("", |line| line.trim());
        let challenge = sasl::decode_line(text.as_bytes()).ok().flatten();
        // RFC 4954 §4: `*` cancels.
        let line = challenge
            .and_then(|challenge| exchange.respond(&challenge))
            .map(|response| sasl::encode(&response));
        self.command(line.as_deref().unwrap_or("*"), Expected::Auth(exchange));
    }
}
