//! Who may open whose mailboxes.

use login::Outcome;
use proto::sasl::{BearerToken, Credentials, ScramOutcome, ScramUser};
use store::directory::Service;

use super::session::Session;
use crate::entrance::logged;

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
                let hint = self.service.logins.token_hint();
                self.connection.refuse_token(&mut self.machine, after, &hint).await;
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
                tracing::info!(client = %self.connection.peer().ip(), user = %logged(name), "IMAP login");
                self.account = Some(account);
                self.machine.answer_authenticated();
            }
            refused => self.connection.refuse_login(&mut self.machine, &refused).await,
        }
    }
}
