//! TLS over any [`Stream`](crate::Stream): rustls with aws-lc-rs, TLS 1.2 and 1.3, post-quantum hybrid key exchange
//! preferred.

mod client;
mod dane;
mod identity;
mod judge;
mod keyring;
mod server;
mod trust;
mod verify;

use std::{sync::Arc, time::Duration};

pub use client::{ClientTls, Verify};
pub use dane::{Dane, usable};
pub use identity::{Certificate, Identity};
pub use judge::{Authentication, Flaw, Judgement};
pub use keyring::{Keyring, Keys};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
pub use server::{ListenerTls, ServerTls, TlsMode};
pub use trust::{ClientTrust, Fingerprint};

/// A peer that has not finished its handshake by then is dropped.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// Octets of the channel binding `tls-exporter` (RFC 9266 §2).
const EXPORTER_BYTES: usize = 32;
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// What was agreed, for the Received header and the ledger: `TLSv1.3`, `TLS13_AES_256_GCM_SHA384`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsSummary {
    pub version: &'static str,
    pub cipher: String,
    /// `X25519MLKEM768`, the post-quantum hybrid, if both sides have it.
    pub key_exchange: &'static str,
    /// The channel binding `tls-exporter` (RFC 9266). None before TLS 1.3, where it is not always unique (§4).
    pub exporter: Option<Box<[u8]>>,
    /// Mail addresses that the client's certificate proves; empty without one that we believe.
    pub client_addresses: Vec<String>,
}

/// A certificate, key or handshake that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub String);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// `export`: fills in the connection's exported keying material, if it can.
fn summary(connection: &rustls::CommonState, export: impl FnOnce(&mut [u8]) -> bool) -> TlsSummary {
    let is_tls13 = connection.protocol_version() == Some(rustls::ProtocolVersion::TLSv1_3);
    let mut exported = [0; EXPORTER_BYTES];
    let exporter = (is_tls13 && export(&mut exported)).then(|| Box::from(exported));
    let version = match connection.protocol_version() {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
        _ => "TLS",
    };
    let cipher = connection.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str());
    let key_exchange = connection.negotiated_key_exchange_group().and_then(|group| group.name().as_str());
    TlsSummary {
        version,
        cipher: cipher.unwrap_or("unknown").to_owned(),
        key_exchange: key_exchange.unwrap_or("unknown"),
        exporter,
        client_addresses: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
