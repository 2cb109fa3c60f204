//! The server's side.

use std::{io, sync::Arc};

use rustls::{ServerConfig, server::NoServerSessionStorage};
use tokio_rustls::TlsAcceptor;

use super::{
    EXPORTER_LABEL, HANDSHAKE_TIMEOUT, Keyring, TlsError, TlsSummary, provider, summary, trust::AskedFor,
    verify::SignatureCheck,
};
use crate::net::BoxStream;

/// When TLS begins on the connections of a listener.
#[derive(Clone, Debug)]
pub enum TlsMode {
    None,
    /// With a command.
    Starttls(ServerTls),
    /// Before the first octet of the protocol (RFC 8314 §3.3).
    Implicit(ServerTls),
}

/// What a listener asks of TLS.
#[derive(Clone, Copy, Debug)]
pub struct ListenerTls<'a> {
    /// What is spoken there, as ALPN names it. A client that offers names has to offer one of these (RFC 7301 §3.2):
    /// a browser that was sent here goes no further.
    pub protocols: &'a [&'a str],
    /// A certificate of the client is asked for. It may go without.
    pub asks_certificate: bool,
}

/// The server's side of TLS on one listener; cheap to clone. A session is resumed on the listener where it began and
/// nowhere else, as each has ticket keys of its own.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
    keyring: Keyring,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

impl ServerTls {
    pub fn new(keyring: &Keyring, listener: ListenerTls<'_>) -> Result<Self, TlsError> {
        let unusable = |error: rustls::Error| TlsError(error.to_string());
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let builder = if listener.asks_certificate {
            builder.with_client_cert_verifier(Arc::new(AskedFor(SignatureCheck(provider()))))
        } else {
            builder.with_no_client_auth()
        };
        let mut config = builder.with_cert_resolver(Arc::new(keyring.clone()));
        config.alpn_protocols = listener.protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        // Tickets hold all there is to a session, so nothing grows with the number of clients.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if listener.asks_certificate {
            // A certificate is judged anew each time: it may have expired, or its authority be gone.
            config.send_tls13_tickets = 0;
        } else {
            config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new().map_err(unusable)?;
        }
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), keyring: keyring.clone() })
    }

    pub async fn accept(&self, stream: BoxStream) -> io::Result<(BoxStream, TlsSummary)> {
        let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let connection = secured.get_ref().1;
        let exporter =
            |octets: &mut [u8]| connection.export_keying_material(octets, EXPORTER_LABEL, Some(b"")).is_ok();
        let mut summary = summary(connection, exporter);
        if let Some(chain) = connection.peer_certificates() {
            summary.client_addresses = self.keyring.clients().addresses(chain);
        }
        Ok((Box::new(secured), summary))
    }
}
