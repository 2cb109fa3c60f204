//! Who may open which maildrop.

use std::time::Duration;

use proto::{
    pop3::MaildropListing,
    sasl::{Credentials, ScramOutcome},
};
use store::{StoreError, directory::Account};

use super::{Pop3Service, maildrop::Maildrop};

/// Before the first refusal is said; doubles with each failure of the session.
const FAILURE_DELAY: Duration = Duration::from_secs(1);
const FAILURE_DELAY_MAX: Duration = Duration::from_secs(8);

/// What comes of a login.
pub(super) enum Login {
    Opened(Maildrop, MaildropListing),
    /// Unknown user, wrong password, or no right to act as somebody else. To be said after
    /// [`failure_delay`] only.
    Refused,
    /// Another session has the maildrop.
    InUse,
    Unavailable(StoreError),
}

/// How long a refusal waits when the session has had `failures` before.
pub(super) fn failure_delay(failures: u32) -> Duration {
    FAILURE_DELAY.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(FAILURE_DELAY_MAX)
}

impl Pop3Service {
    pub(super) async fn log_in(&self, credentials: &Credentials) -> Login {
        let Credentials { authorization_id, authentication_id, password } = credentials;
        // The password is checked first whatever else is wrong, so that all refusals take the same time.
        match self.directory.authenticate(authentication_id, password).await {
            Ok(Some(account)) if may_act(authentication_id, authorization_id, &account) => {
                self.open(&account).await
            }
            Ok(_) => Login::Refused,
            Err(error) => Login::Unavailable(error),
        }
    }

    pub(super) async fn finish_scram(&self, outcome: &ScramOutcome) -> Login {
        let user = &outcome.user;
        let found = self.directory.account_of_login(&user.authentication_id).await;
        match found.map(|account| account.filter(|_| outcome.proven)) {
            Ok(Some(account)) if may_act(&user.authentication_id, &user.authorization_id, &account) => {
                self.open(&account).await
            }
            Ok(_) => Login::Refused,
            Err(error) => Login::Unavailable(error),
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

/// RFC 4616 §2: nobody acts as somebody else here; naming oneself by the full address is fine.
fn may_act(authentication_id: &str, authorization_id: &str, account: &Account) -> bool {
    authorization_id.is_empty()
        || authorization_id == authentication_id
        || authorization_id.eq_ignore_ascii_case(&account.address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delay_doubles_to_a_limit() {
        let seconds = [0, 1, 2, 3, 4, 40].map(|failures| failure_delay(failures).as_secs());
        assert_eq!(seconds, [1, 2, 4, 8, 8, 8]);
    }
}
