//! SASL mechanisms (RFC 4422) as machines: SCRAM (RFC 5802, RFC 7677), EXTERNAL (RFC 4422 appendix A), PLAIN
//! (RFC 4616), LOGIN (draft-murchison-sasl-login).
//!
//! [`SaslServer`] and [`SaslClient`] work on decoded octets. What SMTP (RFC 4954 §4), POP3 (RFC 5034 §4) and IMAP
//! (RFC 9051 §6.2.2) put around them on the wire is the same in all and stands in [`encode`], [`decode_line`] and
//! [`decode_initial_response`].

mod client;
mod encoding;
mod exchange;
mod oauth;
mod scram;
mod server;

use std::fmt;

pub use client::SaslClient;
pub use encoding::{DecodeError, decode_initial_response, decode_line, encode, encode_initial_response};
pub(crate) use exchange::{Exchange, Question, Turn};
use mail::scram::ScramHash;
pub use oauth::{BearerToken, TokenForm, TokenHint};
pub use scram::{ChannelBinding, NONCE_BYTES, Nonce, ScramOutcome, ScramUser};
pub use server::{SaslServer, SaslStep};

/// RFC 4616 §2: each of the three parts of a message is at most this long.
const PART_BYTES_MAX: usize = 255;

/// The mechanisms we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// The password never goes over the wire. `plus`: bound to the TLS connection (RFC 5802 §6).
    Scram {
        hash: ScramHash,
        plus: bool,
    },
    /// The client's certificate says who it is.
    External,
    /// A token that an issuer made, in place of a password (RFC 7628).
    OAuthBearer,
    XOAuth2,
    /// In clear, as with LOGIN, so it belongs under TLS.
    Plain,
    Login,
}

impl Mechanism {
    /// In the order we announce them.
    pub const ALL: [Self; 9] = [
        Self::Scram { hash: ScramHash::Sha256, plus: true },
        Self::Scram { hash: ScramHash::Sha256, plus: false },
        Self::Scram { hash: ScramHash::Sha1, plus: true },
        Self::Scram { hash: ScramHash::Sha1, plus: false },
        Self::External,
        Self::OAuthBearer,
        Self::XOAuth2,
        Self::Plain,
        Self::Login,
    ];
    /// What our client prefers among those that show the password.
    const CLEAR: [Self; 2] = [Self::Plain, Self::Login];
    /// The one with which our client does not show it.
    pub const CLIENT_SCRAM: Self = Self::Scram { hash: ScramHash::Sha256, plus: false };

    /// RFC 4422 §3.1; clients write the name in any case.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.has_name(name))
    }

    /// The one we prefer among the names a server offers, of those that show the password.
    pub fn choose(offered: &[&[u8]]) -> Option<Self> {
        Self::CLEAR.into_iter().find(|mechanism| offered.iter().any(|name| mechanism.has_name(name)))
    }

    pub fn has_name(self, name: &[u8]) -> bool {
        self.name().as_bytes().eq_ignore_ascii_case(name)
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Scram { hash: ScramHash::Sha256, plus: true } => "SCRAM-SHA-256-PLUS",
            Self::Scram { hash: ScramHash::Sha256, plus: false } => "SCRAM-SHA-256",
            Self::Scram { hash: ScramHash::Sha1, plus: true } => "SCRAM-SHA-1-PLUS",
            Self::Scram { hash: ScramHash::Sha1, plus: false } => "SCRAM-SHA-1",
            Self::External => "EXTERNAL",
            Self::OAuthBearer => "OAUTHBEARER",
            Self::XOAuth2 => "XOAUTH2",
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
        }
    }

    /// Whether whoever listens learns the password, or a token that is as good.
    pub const fn shows_password(self) -> bool {
        matches!(self, Self::Plain | Self::Login | Self::OAuthBearer | Self::XOAuth2)
    }

    /// Whether it can be had on this connection at all.
    pub fn fits(self, channel: &Channel) -> bool {
        match self {
            Self::Scram { plus: true, .. } => channel.binding.is_there(),
            Self::External => channel.external,
            Self::OAuthBearer | Self::XOAuth2 => channel.tokens,
            Self::Scram { plus: false, .. } | Self::Plain | Self::Login => true,
        }
    }

    /// The names to announce, with spaces between them.
    pub fn announcement(channel: &Channel, with_passwords: bool) -> String {
        let offered = Self::ALL
            .into_iter()
            .filter(|mechanism| mechanism.fits(channel) && (with_passwords || !mechanism.shows_password()));
        offered.map(Self::name).collect::<Vec<_>>().join(" ")
    }
}

/// What there is on a connection besides passwords: nothing, unless it is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channel {
    pub binding: ChannelBinding,
    /// The client's certificate proves who it is.
    pub external: bool,
    /// Tokens can be checked here.
    pub tokens: bool,
}

/// What a client claims and proves. The password shows in no `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Whom to act as; empty means the same as `authentication_id` (RFC 4616 §2).
    pub authorization_id: String,
    /// Whose password it is; never empty.
    pub authentication_id: String,
    /// Never empty.
    pub password: String,
}

impl Credentials {
    /// Somebody who acts as themselves. `None` where a part is empty, too long, or holds a NUL.
    pub fn new(authentication_id: &str, password: &str) -> Option<Self> {
        Self::with_authorization("", authentication_id, password)
    }

    /// RFC 4616 §2: `authcid` and `passwd` have at least one octet; no part has a NUL or more than 255 octets.
    pub fn with_authorization(
        authorization_id: &str,
        authentication_id: &str,
        password: &str,
    ) -> Option<Self> {
        let parts = [authorization_id, authentication_id, password];
        let well_formed = parts.iter().all(|part| part.len() <= PART_BYTES_MAX && !part.contains('\0'));
        (well_formed && !authentication_id.is_empty() && !password.is_empty()).then(|| Self {
            authorization_id: authorization_id.to_owned(),
            authentication_id: authentication_id.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Whether the client asks to act as somebody else than the one whose password it has.
    pub fn acts_as_other(&self) -> bool {
        !self.authorization_id.is_empty() && self.authorization_id != self.authentication_id
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials")
            .field("authorization_id", &self.authorization_id)
            .field("authentication_id", &self.authentication_id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanism_names_are_read_in_any_case() {
        assert_eq!(Mechanism::parse(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::parse(b"Login"), Some(Mechanism::Login));
        let plus = Mechanism::Scram { hash: ScramHash::Sha256, plus: true };
        assert_eq!(Mechanism::parse(b"scram-SHA-256-plus"), Some(plus));
        assert_eq!(Mechanism::parse(b"CRAM-MD5"), None);
        assert_eq!(Mechanism::parse(b""), None);
    }

    #[test]
    fn the_announcement_says_what_can_be_had() {
        let binding = ChannelBinding { tls_exporter: Some([1; 32].into()) };
        let none = Channel::default();
        assert_eq!(Mechanism::announcement(&none, false), "SCRAM-SHA-256 SCRAM-SHA-1");
        assert_eq!(Mechanism::announcement(&none, true), "SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN");
        let all = "SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 PLAIN LOGIN";
        let bound = Channel { binding, ..Channel::default() };
        assert_eq!(Mechanism::announcement(&bound, true), all);
        let tokens = Channel { tokens: true, ..Channel::default() };
        let with_tokens = "SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN";
        assert_eq!(Mechanism::announcement(&tokens, true), with_tokens);
        assert_eq!(Mechanism::announcement(&tokens, false), "SCRAM-SHA-256 SCRAM-SHA-1");
        let external = Channel { external: true, ..Channel::default() };
        assert_eq!(Mechanism::announcement(&external, false), "SCRAM-SHA-256 SCRAM-SHA-1 EXTERNAL");
    }

    #[test]
    fn plain_is_preferred() {
        let offered: [&[u8]; 3] = [b"XOAUTH2", b"LOGIN", b"PLAIN"];
        assert_eq!(Mechanism::choose(&offered), Some(Mechanism::Plain));
        assert_eq!(Mechanism::choose(&offered[..2]), Some(Mechanism::Login));
        assert_eq!(Mechanism::choose(&offered[..1]), None);
    }

    #[test]
    fn debug_output_has_no_password() {
        let credentials = Credentials::new("alice@example.org", "hunter2").unwrap();
        let shown = format!("{credentials:?} {:#?}", SaslStep::Credentials(credentials.clone()));
        assert!(shown.contains("alice@example.org"));
        assert!(!shown.contains("hunter2"));
    }

    #[test]
    fn credentials_keep_to_the_grammar() {
        assert!(Credentials::new("", "secret").is_none());
        assert!(Credentials::new("alice", "").is_none());
        assert!(Credentials::new("al\0ice", "secret").is_none());
        assert!(Credentials::new("alice", &"p".repeat(256)).is_none());
        assert!(Credentials::with_authorization("bob", "alice", "secret").unwrap().acts_as_other());
        assert!(!Credentials::with_authorization("alice", "alice", "secret").unwrap().acts_as_other());
    }
}
