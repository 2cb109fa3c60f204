//! The AUTHORIZATION state (RFC 1939 §4), STLS (RFC 2595 §4), AUTH (RFC 5034 §4), and CAPA (RFC 2449 §5).

use mail::scram::ScramVerifier;

use super::{
    LOGIN_FAILURES_MAX, MaildropListing, Server, Tls,
    maildrop::Maildrop,
    server::{Activity, Login},
};
use crate::sasl::{self, Channel, Credentials, Exchange, Mechanism, Nonce, TokenHint, Turn};

impl Server {
    /// TLS was agreed; the session starts over, without a greeting (RFC 2595 §4).
    pub fn handle_tls_started(&mut self) {
        if matches!(self.activity, Activity::StartingTls) {
            self.config.tls = Tls::Active;
            self.activity = Activity::AwaitingCommand;
        }
    }

    /// What the TLS connection gives to SASL: the mechanisms with `-PLUS` and EXTERNAL. To be set as soon as TLS is
    /// there; without it they are not offered.
    pub fn set_channel(&mut self, channel: Channel) {
        self.channel = channel;
    }

    /// The handshake failed, and nothing can be said on this connection any more.
    pub fn handle_tls_failed(&mut self) {
        self.activity = Activity::Closing;
    }

    /// The user's verifier, or one that stands in where there is no such user, and a nonce never used before.
    pub fn answer_scram_verifier(&mut self, verifier: ScramVerifier, nonce: &Nonce) {
        self.resume(|exchange| exchange.verifier(verifier, nonce));
    }

    fn resume(&mut self, next: impl FnOnce(Exchange) -> Result<Turn, Exchange>) {
        match std::mem::replace(&mut self.activity, Activity::AwaitingCommand) {
            Activity::LoggingIn(exchange) => match next(exchange) {
                Ok(turn) => self.take_turn(turn),
                Err(exchange) => self.activity = Activity::LoggingIn(exchange),
            },
            other => self.activity = other,
        }
    }

    /// The password is right and the maildrop is ours. `listing` is what the session will see of it.
    pub fn answer_authenticated(&mut self, listing: &MaildropListing) {
        if matches!(&self.activity, Activity::LoggingIn(exchange) if !exchange.may_succeed()) {
            return self.answer_authentication_failed();
        }
        if !self.authentication_answered() {
            return;
        }
        let maildrop = Maildrop::new(listing);
        let (count, octets) = maildrop.count_and_octets();
        self.maildrop = Some(maildrop);
        self.reply_ok(&format!("{count} messages ({octets} octets)"));
    }

    /// Unknown user or wrong password: one answer for both.
    pub fn answer_authentication_failed(&mut self) {
        if self.authentication_answered() {
            self.refuse_login();
        }
    }

    /// The token is not good; the client is told how to get a better one before it is told so.
    pub fn answer_token_refused(&mut self, hint: &TokenHint) {
        self.resume(|exchange| exchange.refuse_token(hint));
    }

    /// Another session has the maildrop (RFC 1939 §4, RFC 2449 §8.1.2).
    pub fn answer_locked(&mut self) {
        if self.authentication_answered() {
            self.reply_error("[IN-USE] another session has this maildrop open");
        }
    }

    /// The password could not be checked, or the maildrop not be read; trying later helps (RFC 3206 §4).
    pub fn answer_unavailable(&mut self) {
        if self.authentication_answered() {
            self.reply_error("[SYS/TEMP] the maildrop cannot be opened now");
        }
    }

    /// Too many logins failed before, so that this one was not looked at; trying later helps (RFC 3206 §4).
    pub fn answer_held(&mut self) {
        if self.authentication_answered() {
            self.count_failure("[SYS/TEMP] too many logins failed; try again later");
        }
    }

    fn authentication_answered(&mut self) -> bool {
        let awaited = matches!(&self.activity, Activity::LoggingIn(exchange) if !exchange.awaits_client());
        if awaited {
            self.activity = Activity::AwaitingCommand;
        }
        awaited
    }

    fn refuse_login(&mut self) {
        self.count_failure("[AUTH] the user name or the password is wrong");
    }

    fn count_failure(&mut self, reply: &str) {
        self.login.failures = self.login.failures.saturating_add(1);
        self.reply_error(reply);
        if self.login.failures >= LOGIN_FAILURES_MAX {
            self.activity = Activity::Closing;
        }
    }

    pub(super) fn handle_user(&mut self, name: &str) {
        if self.passwords_allowed_or_reply() {
            // Whether there is such a user shows after PASS only, and not even then.
            self.login.user = Some(name.to_owned());
            self.reply_ok("now the password");
        }
    }

    pub(super) fn handle_pass(&mut self, user: Option<String>, password: &str) {
        if !self.passwords_allowed_or_reply() {
            return;
        }
        match user {
            None => self.reply_bad_command("USER comes first"),
            Some(user) => self.authenticate(Credentials::new(&user, password)),
        }
    }

    pub(super) fn handle_auth(&mut self, mechanism: &str, initial_response: Option<&str>) {
        let known = Mechanism::parse(mechanism.as_bytes());
        let Some(mechanism) = known.filter(|mechanism| mechanism.fits(&self.channel)) else {
            return self.reply_bad_command("there is no such mechanism");
        };
        if mechanism.shows_password() && !self.passwords_allowed_or_reply() {
            return;
        }
        let decoded = initial_response.map(|argument| sasl::decode_initial_response(argument.as_bytes()));
        match decoded.transpose() {
            Ok(initial_response) => {
                let turn = Exchange::start(mechanism, initial_response.as_deref(), &self.channel.binding);
                self.take_turn(turn);
            }
            Err(error) => self.reply_bad_command(&error.to_string()),
        }
    }

    pub(super) fn handle_sasl_line(&mut self, exchange: Exchange, line: &[u8]) {
        match sasl::decode_line(line) {
            Ok(Some(response)) => self.take_turn(exchange.respond(&response)),
            // RFC 5034 §4
            Ok(None) => self.reply_bad_command("the authentication is cancelled"),
            Err(error) => self.reply_bad_command(&error.to_string()),
        }
    }

    fn take_turn(&mut self, turn: Turn) {
        match turn {
            Turn::Challenge(challenge, exchange) => {
                self.write_line(&format!("+ {}", sasl::encode(&challenge)));
                self.activity = Activity::LoggingIn(exchange);
            }
            Turn::Ask(exchange) => self.activity = Activity::LoggingIn(exchange),
            Turn::Refused => self.refuse_login(),
            Turn::Malformed => self.reply_bad_command("that is no message of this mechanism"),
        }
    }

    fn authenticate(&mut self, credentials: Option<Credentials>) {
        match credentials {
            Some(credentials) => self.activity = Activity::LoggingIn(Exchange::password(credentials)),
            // No account can have such a name or password.
            None => self.refuse_login(),
        }
    }

    pub(super) fn handle_stls(&mut self) {
        match self.config.tls {
            Tls::Active => self.reply_bad_command("TLS is active already"),
            Tls::Unavailable => self.reply_bad_command("TLS is not available here"),
            // RFC 6856 §2.1: STLS does not follow UTF8.
            Tls::Available if self.login.utf8 => self.reply_bad_command("STLS comes before UTF8"),
            Tls::Available => {
                self.reply_ok("begin TLS");
                // RFC 2595 §4: nothing said in clear counts afterwards. That somebody guessed passwords does.
                self.input.clear();
                self.login = Login { failures: self.login.failures, ..Login::default() };
                self.activity = Activity::StartingTls;
            }
        }
    }

    pub(super) fn handle_utf8(&mut self) {
        self.login.utf8 = true;
        self.reply_ok("UTF-8 it is");
    }

    fn passwords_allowed_or_reply(&mut self) -> bool {
        let allowed = self.passwords_allowed();
        if !allowed {
            self.reply_bad_command("[AUTH] no passwords without TLS");
        }
        allowed
    }

    fn passwords_allowed(&self) -> bool {
        self.config.allow_plaintext_auth || self.config.tls == Tls::Active
    }

    /// The same before and after login, as RFC 2449 §6 wants of most.
    pub(super) fn write_capabilities(&mut self) {
        self.reply_ok("capabilities follow");
        for line in ["TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING", "UTF8 USER", "LANG"] {
            self.write_line(line);
        }
        if self.passwords_allowed() {
            self.write_line("USER");
        }
        let mechanisms = Mechanism::announcement(&self.channel, self.passwords_allowed());
        self.write_line(&format!("SASL {mechanisms}"));
        if self.config.tls == Tls::Available {
            self.write_line("STLS");
        }
        // We neither remove mail by age nor want a pause between logins.
        for line in ["EXPIRE NEVER", "LOGIN-DELAY 0", "IMPLEMENTATION Postrider", "."] {
            self.write_line(line);
        }
    }
}
