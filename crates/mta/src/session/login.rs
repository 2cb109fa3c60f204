//! AUTH: who the client is (RFC 4954).

use std::time::Duration;

use mail::{Reply, scram::ScramVerifier};
use proto::{
    sasl::{ChannelBinding, Credentials, Nonce, ScramOutcome, ScramUser},
    smtp::server::Decision,
};
use store::{StoreError, directory::Account};

use super::Session;

/// Each failed login of a session is answered this much later than the one before.
const LOGIN_FAILURE_DELAY: Duration = Duration::from_secs(1);

impl Session {
    pub(super) async fn authenticate(&mut self, credentials: Credentials) -> Decision {
        let login = &credentials.authentication_id;
        let found = self.mta.stores.directory.authenticate(login, &credentials.password).await;
        self.log_in(found, credentials.acts_as_other()).await
    }

    /// RFC 5802: the verifier, or one that stands in for nobody's.
    pub(super) async fn scram_verifier(&mut self, user: &ScramUser) -> Result<(ScramVerifier, Nonce), Reply> {
        let entropy = &*self.mta.world.entropy;
        let directory = &self.mta.stores.directory;
        let verifier = directory.scram_verifier(&user.authentication_id, user.hash, entropy).await;
        verifier.map(|verifier| (verifier, entropy.array())).map_err(|error| unreadable(&error))
    }

    pub(super) async fn finish_scram(&mut self, outcome: ScramOutcome) -> Decision {
        let found = self.mta.stores.directory.account_of_login(&outcome.user.authentication_id).await;
        let found = found.map(|account| account.filter(|_| outcome.proven));
        self.log_in(found, outcome.user.acts_as_other()).await
    }

    /// `found`: the account if the password is right.
    async fn log_in(&mut self, found: Result<Option<Account>, StoreError>, acts_as_other: bool) -> Decision {
        match found {
            Ok(Some(account)) if !acts_as_other => {
                self.identity = Some(account.address);
                Decision::ACCEPT
            }
            Ok(_) => {
                self.failed_logins += 1;
                tracing::info!(client = %self.peer.ip(), "a login failed");
                let clock = &self.mta.world.clock;
                clock.sleep_until(clock.now() + LOGIN_FAILURE_DELAY * self.failed_logins).await;
                // The same words for an unknown user and a wrong password (RFC 4954 §6).
                Decision::Reject(Reply::new(535, (5, 7, 8), "the user name or the password is wrong"))
            }
            Err(error) => Decision::Reject(unreadable(&error)),
        }
    }

    /// Of the TLS connection, if there is one.
    pub(super) fn channel_binding(&self) -> ChannelBinding {
        let exporter = self.tls.as_ref().and_then(|tls| tls.exporter.clone());
        ChannelBinding { tls_exporter: exporter }
    }
}

fn unreadable(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be read");
    Reply::new(454, (4, 7, 0), "cannot check the password now; try again later")
}
