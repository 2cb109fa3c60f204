//! SCRAM (RFC 5802, RFC 7677) without a network: messages, and both sides of the exchange.

mod client;
mod message;
mod server;
#[cfg(test)]
mod tests;

pub(super) use client::ClientExchange;
use mail::scram::ScramHash;
pub(super) use message::saslname;
pub(super) use server::ServerExchange;

/// Octets of a nonce that the driver draws; with base64 24 characters on the wire.
pub const NONCE_BYTES: usize = 18;
/// Random octets, never used twice.
pub type Nonce = [u8; NONCE_BYTES];

/// Whom a client of SCRAM claims to be. Nothing is proven yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramUser {
    pub hash: ScramHash,
    /// Whom to act as; empty means the same as `authentication_id`. At most 255 octets, no NUL.
    pub authorization_id: String,
    /// Whose password it is; never empty. At most 255 octets, no NUL.
    pub authentication_id: String,
}

impl ScramUser {
    /// Whether the client asks to act as somebody else than the one whose password it has.
    pub fn acts_as_other(&self) -> bool {
        !self.authorization_id.is_empty() && self.authorization_id != self.authentication_id
    }
}

/// How an exchange of SCRAM ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramOutcome {
    pub user: ScramUser,
    /// The client knows the password, and sits at the other end of this TLS connection if it said so.
    pub proven: bool,
}

/// What a TLS connection can be recognised by at both its ends (RFC 5056). Empty without TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelBinding {
    /// RFC 9266: 32 octets.
    pub tls_exporter: Option<Box<[u8]>>,
}

impl ChannelBinding {
    /// Whether the mechanisms with `-PLUS` can be had.
    pub fn is_there(&self) -> bool {
        self.tls_exporter.is_some()
    }

    fn data(&self, name: &str) -> Option<&[u8]> {
        match name {
            "tls-exporter" => self.tls_exporter.as_deref(),
            _ => None,
        }
    }
}
