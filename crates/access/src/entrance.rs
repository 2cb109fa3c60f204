//! How a client comes in: TLS and logins, which go alike in every protocol here.

use std::time::Duration;

use login::Outcome;
use mail::text::clean_within;
use proto::{
    imap, pop3,
    sasl::{Channel, TokenHint},
};

use crate::connection::Connection;

/// Octets of a user name that a log line shows.
const LOGGED_NAME_BYTES: usize = 80;

/// What every protocol's machine has for it.
pub(crate) trait Entrance {
    fn set_channel(&mut self, channel: Channel);
    fn handle_tls_started(&mut self);
    fn handle_tls_failed(&mut self);
    fn answer_authentication_failed(&mut self);
    fn answer_token_refused(&mut self, hint: &TokenHint);
    fn answer_held(&mut self);
    fn answer_unavailable(&mut self);
}

macro_rules! entrance {
    ($machine:ty) => {
        impl Entrance for $machine {
            fn set_channel(&mut self, channel: Channel) {
                Self::set_channel(self, channel);
            }

            fn handle_tls_started(&mut self) {
                Self::handle_tls_started(self);
            }

            fn handle_tls_failed(&mut self) {
                Self::handle_tls_failed(self);
            }

            fn answer_authentication_failed(&mut self) {
                Self::answer_authentication_failed(self);
            }

            fn answer_token_refused(&mut self, hint: &TokenHint) {
                Self::answer_token_refused(self, hint);
            }

            fn answer_held(&mut self) {
                Self::answer_held(self);
            }

            fn answer_unavailable(&mut self) {
                Self::answer_unavailable(self);
            }
        }
    };
}

entrance!(imap::server::Server);
entrance!(pop3::Server);

impl Connection {
    /// `tokens`: logins by token are taken.
    pub(crate) async fn start_tls(&mut self, machine: &mut impl Entrance, tokens: bool) {
        if self.secure().await {
            machine.handle_tls_started();
            machine.set_channel(self.channel(tokens));
        } else {
            machine.handle_tls_failed();
        }
    }

    /// Whoever guesses has to wait.
    pub(crate) async fn refuse_login(&mut self, machine: &mut impl Entrance, outcome: &Outcome) {
        match outcome {
            Outcome::Refused { after } => {
                self.wait_to_refuse(*after).await;
                machine.answer_authentication_failed();
            }
            Outcome::Held => machine.answer_held(),
            Outcome::Unavailable | Outcome::Accepted(_) => machine.answer_unavailable(),
        }
    }

    pub(crate) async fn refuse_token(
        &mut self,
        machine: &mut impl Entrance,
        after: Duration,
        hint: &TokenHint,
    ) {
        self.wait_to_refuse(after).await;
        machine.answer_token_refused(hint);
    }
}

/// A user name as a log line shows it.
pub(crate) fn logged(name: &str) -> String {
    clean_within(name.as_bytes(), LOGGED_NAME_BYTES)
}
