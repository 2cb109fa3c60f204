//! Who may open whose mailboxes.

use login::Outcome;
use mail::text::clean_within;
use proto::sasl::{BearerToken, Credentials, ScramOutcome, ScramUser};
use store::directory::Service;

use super::session::Session;

/// Octets of a user name that a log line shows.
const LOGGED_NAME_BYTES: usize = 80;

impl Session {
    /// As far as logins go.
    fn client(&self) -> login::Client {
        login::Client { ip: self.connection.peer().ip(), service: Service::Imap }
    }

    pub(super) async fn log_in(&mut self, credentials: &Credentials) {
        let outcome = self.service.logins.password(self.client(), credentials).await;
        self.answer_login(&credentials.authentication_id, outcome).await;
    }

    pub(super) async fn find_verifier(&mut self, user: &ScramUser) {
        match self.service.logins.scram_verifier(self.client(), user).await {
            Ok((verifier, nonce)) => self.machine.answer_scram_verifier(verifier, &nonce),
            Err(outcome) => self.answer_login(&user.authentication_id, outcome).await,
        }
    }

    pub(super) async fn finish_scram(&mut self, outcome: &ScramOutcome) {
        let login = self.service.logins.finish_scram(self.client(), outcome).await;
        self.answer_login(&outcome.user.authentication_id, login).await;
    }

    pub(super) async fn log_in_by_token(&mut self, token: &BearerToken) {
        match self.service.logins.token(self.client(), token).await {
            Outcome::Refused { after } => {
                self.connection.wait_to_refuse(after).await;
                self.machine.answer_token_refused(&self.service.logins.token_hint());
            }
            outcome => self.answer_login(&token.authorization_id, outcome).await,
        }
    }

    pub(super) async fn log_in_externally(&mut self, authorization_id: &str) {
        let addresses = self.connection.client_addresses();
        let outcome = self.service.logins.external(self.client(), addresses, authorization_id).await;
        let name = self.connection.client_addresses().first().cloned().unwrap_or_default();
        self.answer_login(&name, outcome).await;
    }

    async fn answer_login(&mut self, name: &str, outcome: Outcome) {
        match outcome {
            Outcome::Accepted(account) => {
                let user = clean_within(name.as_bytes(), LOGGED_NAME_BYTES);
                tracing::info!(client = %self.connection.peer().ip(), %user, "IMAP login");
                self.account = Some(account);
                self.machine.answer_authenticated();
            }
            Outcome::Refused { after } => {
                self.connection.wait_to_refuse(after).await;
                self.machine.answer_authentication_failed();
            }
            Outcome::Held => self.machine.answer_held(),
            Outcome::Unavailable => self.machine.answer_unavailable(),
        }
    }
}
