//! Who may open which maildrop.

use login::Outcome;
use proto::{
    pop3::MaildropListing,
    sasl::{BearerToken, Credentials, ScramOutcome},
};
use store::{
    StoreError,
    directory::{Account, Service},
};
use world::Peer;

use super::{Pop3Service, maildrop::Maildrop};

/// What comes of a login.
pub(super) enum Login {
    Opened(Maildrop, MaildropListing),
    Refused(Outcome),
    /// Another session has the maildrop.
    InUse,
    Unavailable(StoreError),
}

/// Who asks, as far as logins go.
pub(super) fn client(peer: Peer) -> login::Client {
    login::Client { ip: peer.ip(), service: Service::Pop3 }
}

impl Pop3Service {
    pub(super) async fn log_in(&self, peer: Peer, credentials: &Credentials) -> Login {
        self.enter(self.logins.password(client(peer), credentials).await).await
    }

    pub(super) async fn finish_scram(&self, peer: Peer, outcome: &ScramOutcome) -> Login {
        self.enter(self.logins.finish_scram(client(peer), outcome).await).await
    }

    pub(super) async fn log_in_externally(
        &self,
        peer: Peer,
        addresses: &[String],
        authorization_id: &str,
    ) -> Login {
        self.enter(self.logins.external(client(peer), addresses, authorization_id).await).await
    }

    pub(super) async fn log_in_by_token(&self, peer: Peer, token: &BearerToken) -> Login {
        self.enter(self.logins.token(client(peer), token).await).await
    }

    async fn enter(&self, outcome: Outcome) -> Login {
        match outcome {
            Outcome::Accepted(account) => self.open(&account).await,
            refused => Login::Refused(refused),
        }
    }

    async fn open(&self, account: &Account) -> Login {
        let Some(lock) = self.locks.try_lock(account.id) else { return Login::InUse };
        let maildrop = Maildrop::new(self.mailboxes.clone(), account.inbox, lock);
        match maildrop.list(account.inbox_uid_validity).await {
            Ok(listing) => Login::Opened(maildrop, listing),
            Err(error) => Login::Unavailable(error),
        }
    }
}
