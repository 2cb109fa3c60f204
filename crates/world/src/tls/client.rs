//! The client's side.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore,
    client::{Resumption, WebPkiServerVerifier},
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio_rustls::TlsConnector;

use super::{
    EXPORTER_LABEL, HANDSHAKE_TIMEOUT, TlsError, TlsSummary,
    judge::{Authentication, Judge, Judgement},
    provider, summary,
    verify::{AnyCertificate, SignatureCheck},
};
use crate::{dns, net::BoxStream};

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
    config: Arc<ClientConfig>,
    roots: Option<Arc<WebPkiServerVerifier>>,
    /// Of one connection.
    judge: Option<Arc<Judge>>,
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
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(
            CertificateDer::pem_slice_iter(roots_pem.as_bytes()).filter_map(Result::ok),
        );
        let roots = Arc::new(roots);
        // Fails without any root: then we trust nobody.
        let trusted = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider()).build().ok();
        let config = match verify {
            Verify::Nothing => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(SignatureCheck(provider()))))
                .with_no_client_auth(),
            Verify::RootsAndName => builder.with_root_certificates(roots).with_no_client_auth(),
        };
        Ok(Self { config: Arc::new(config), roots: trusted, judge: None })
    }

    /// For one connection: its server has to prove this, and what it proves is told by [`judgement`](Self::judgement).
    #[must_use]
    pub fn expecting(&self, expected: Authentication) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        let signatures = SignatureCheck(config.crypto_provider().clone());
        let judge = Arc::new(Judge::new(expected, self.roots.clone(), signatures));
        config.dangerous().set_certificate_verifier(judge.clone());
        // A session that is resumed shows no certificate.
        config.resumption = Resumption::disabled();
        Self { config: Arc::new(config), roots: self.roots.clone(), judge: Some(judge) }
    }

    /// Of the server of this connection; none before it has shown a certificate.
    pub fn judgement(&self) -> Option<&Judgement> {
        self.judge.as_ref()?.judgement()
    }

    /// What that server's certificate proves where something else is expected of it.
    pub fn judge_again(&self, expected: &Authentication) -> Option<Judgement> {
        self.judge.as_ref()?.judge_again(expected)
    }

    pub async fn connect(&self, host: &str, stream: BoxStream) -> io::Result<(BoxStream, TlsSummary)> {
        let name = match dns::literal(host) {
            Some(ip) => ServerName::from(ip),
            None => ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let connector = TlsConnector::from(self.config.clone());
        let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, connector.connect(name, stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let connection = secured.get_ref().1;
        let exporter =
            |octets: &mut [u8]| connection.export_keying_material(octets, EXPORTER_LABEL, Some(b"")).is_ok();
        let summary = summary(connection, exporter);
        Ok((Box::new(secured), summary))
    }
}
