//! The client's side.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;

use super::{
    EXPORTER_LABEL, HANDSHAKE_TIMEOUT, TlsError, TlsSummary, provider, summary,
    verify::{AnyCertificate, SignatureCheck},
};
use crate::net::BoxStream;

/// How a server's certificate is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// Any certificate will do: encryption against a listener, as opportunistic TLS means (RFC 7435).
    Nothing,
    /// A chain to a root that the system trusts, and the name.
    RootsAndName,
}

/// The client side of TLS; cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    connector: TlsConnector,
}

impl std::fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClientTls")
    }
}

impl ClientTls {
    /// `roots_pem`: the certificates to trust when `verify` asks for roots.
    pub fn new(verify: Verify, roots_pem: &str) -> Result<Self, TlsError> {
        let builder = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(error.to_string()))?;
        let config = match verify {
            Verify::Nothing => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(SignatureCheck(provider()))))
                .with_no_client_auth(),
            Verify::RootsAndName => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(
                    CertificateDer::pem_slice_iter(roots_pem.as_bytes()).filter_map(Result::ok),
                );
                builder.with_root_certificates(roots).with_no_client_auth()
            }
        };
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    pub async fn connect(&self, host: &str, stream: BoxStream) -> io::Result<(BoxStream, TlsSummary)> {
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.connector.connect(name, stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let connection = secured.get_ref().1;
        let exporter =
            |octets: &mut [u8]| connection.export_keying_material(octets, EXPORTER_LABEL, Some(b"")).is_ok();
        let summary = summary(connection, exporter);
        Ok((Box::new(secured), summary))
    }
}
