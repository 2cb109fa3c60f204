//! AUTH: who the client is (RFC 4954).

use std::time::Duration;

use login::{Client, Outcome};
use mail::{Reply, scram::ScramVerifier};
use proto::{
    sasl::{BearerToken, Channel, ChannelBinding, Credentials, Nonce, ScramOutcome, ScramUser},
    smtp::server::{Decision, Event, Flavour, Server, TokenAnswer},
};
use store::directory::Service;

use super::Session;

impl Session {
    /// Answers what the machine asks about a login. What is announced may depend on who the client is.
    pub(super) async fn decide_login(&mut self, server: &mut Server, event: Event) {
        match event {
            Event::Authenticate(credentials) => {
                let decision = self.authenticate(credentials).await;
                server.answer_auth(decision);
            }
            Event::ScramVerifier(user) => {
                let answer = self.scram_verifier(&user).await;
                server.answer_scram_verifier(answer);
            }
            Event::Scram(outcome) => {
                let decision = self.finish_scram(outcome).await;
                server.answer_auth(decision);
            }
            Event::Token(token) => {
                let answer = self.authenticate_by_token(&token).await;
                server.answer_token(answer);
            }
            Event::External(authorization_id) => {
                let answer = self.authenticate_externally(&authorization_id).await;
                server.answer_external(answer);
            }
            _ => return,
        }
        self.announce(server);
    }

    async fn authenticate(&mut self, credentials: Credentials) -> Decision {
        let outcome = self.mta.logins.password(self.login_client(), &credentials).await;
        self.conclude_login(outcome).await
    }

    /// RFC 5802: the verifier, or one that stands in for nobody's.
    async fn scram_verifier(&mut self, user: &ScramUser) -> Result<(ScramVerifier, Nonce), Reply> {
        match self.mta.logins.scram_verifier(self.login_client(), user).await {
            Ok(found) => Ok(found),
            Err(outcome) => Err(refusal(&outcome)),
        }
    }

    async fn finish_scram(&mut self, outcome: ScramOutcome) -> Decision {
        let outcome = self.mta.logins.finish_scram(self.login_client(), &outcome).await;
        self.conclude_login(outcome).await
    }

    /// RFC 4422 §A: whom the client's certificate names.
    async fn authenticate_externally(&mut self, authorization_id: &str) -> Result<String, Reply> {
        let addresses = self.tls.as_ref().map(|tls| tls.client_addresses.as_slice()).unwrap_or_default();
        let outcome = self.mta.logins.external(self.login_client(), addresses, authorization_id).await;
        match self.conclude_login(outcome).await {
            Decision::Accept(_) => Ok(self.identity.as_ref().map(ToString::to_string).unwrap_or_default()),
            Decision::Reject(reply) => Err(reply),
        }
    }

    /// RFC 7628: the account that the token names.
    async fn authenticate_by_token(&mut self, token: &BearerToken) -> TokenAnswer {
        let logins = self.mta.logins.clone();
        let outcome = logins.token(self.login_client(), token).await;
        let is_refused = matches!(outcome, Outcome::Refused { .. });
        match self.conclude_login(outcome).await {
            Decision::Accept(_) => {
                TokenAnswer::Accepted(self.identity.as_ref().map(ToString::to_string).unwrap_or_default())
            }
            Decision::Reject(_) if is_refused => TokenAnswer::Refused(logins.token_hint()),
            Decision::Reject(reply) => TokenAnswer::Deferred(reply),
        }
    }

    async fn conclude_login(&mut self, outcome: Outcome) -> Decision {
        if let Outcome::Accepted(account) = outcome {
            self.identity = Some(account.address);
            self.submitter = Some(account.id);
            return Decision::ACCEPT;
        }
        if let Outcome::Refused { after } = outcome {
            self.wait_to_refuse(after).await;
        }
        Decision::Reject(refusal(&outcome))
    }

    /// Slows guessing down; nobody has to wait for it when the server stops.
    async fn wait_to_refuse(&mut self, after: Duration) {
        let clock = self.mta.world.clock.clone();
        let mut shutdown = self.mta.shutdown.clone();
        tokio::select! {
            biased;
            () = clock.sleep_until(clock.now() + after) => {}
            () = shutdown.given() => {}
        }
    }

    fn login_client(&self) -> Client {
        let service = if self.flavour == Flavour::Odmr { Service::Odmr } else { Service::Submission };
        Client { ip: self.peer.ip(), service }
    }

    /// What the TLS connection gives to SASL, if there is one.
    pub(super) fn channel(&self) -> Channel {
        let tokens = self.mta.logins.takes_tokens();
        let Some(tls) = &self.tls else { return Channel { tokens, ..Channel::default() } };
        let binding = ChannelBinding { tls_exporter: tls.exporter.clone() };
        Channel { binding, external: !tls.client_addresses.is_empty(), tokens }
    }
}

fn refusal(outcome: &Outcome) -> Reply {
    match outcome {
        // The same words for an unknown user and a wrong password (RFC 4954 §6).
        Outcome::Refused { .. } | Outcome::Accepted(_) => {
            Reply::new(535, (5, 7, 8), "the user name or the password is wrong")
        }
        Outcome::Held => Reply::new(454, (4, 7, 0), "too many logins failed; try again later"),
        Outcome::Unavailable => Reply::new(454, (4, 7, 0), "cannot check the password now; try again later"),
    }
}
