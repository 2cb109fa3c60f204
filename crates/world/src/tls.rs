//! TLS over any [`Stream`]: rustls with aws-lc-rs, TLS 1.2 and 1.3, post-quantum hybrid key exchange preferred.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::net::BoxStream;

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
    /// The channel binding `tls-exporter` (RFC 9266). None before TLS 1.3, where it is not always unique (§4).
    pub exporter: Option<Box<[u8]>>,
}

/// The server side of TLS; cheap to clone.
#[derive(Clone)]
pub struct ServerTls {
    acceptor: TlsAcceptor,
}

impl std::fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ServerTls")
    }
}

/// A certificate chain with its key, both in PEM.
#[derive(Clone)]
pub struct Identity {
    pub certificate_pem: String,
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(key withheld)")
    }
}

impl Identity {
    /// A self-signed certificate for these names.
    pub fn self_signed(names: Vec<String>) -> Result<Self, TlsError> {
        let made = rcgen::generate_simple_self_signed(names).map_err(|error| TlsError(error.to_string()))?;
        Ok(Self { certificate_pem: made.cert.pem(), key_pem: made.signing_key.serialize_pem() })
    }
}

/// A certificate, key or handshake that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct TlsError(pub String);

impl ServerTls {
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| TlsError(format!("the certificate is not PEM: {error}")))?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
            .map_err(|error| TlsError(format!("the key is not PEM: {error}")))?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| TlsError(format!("the certificate and its key cannot be used: {error}")))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    pub async fn accept(&self, stream: BoxStream) -> io::Result<(BoxStream, TlsSummary)> {
        let secured = tokio::time::timeout(HANDSHAKE_TIMEOUT, self.acceptor.accept(stream))
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let connection = secured.get_ref().1;
        let exporter =
            |octets: &mut [u8]| connection.export_keying_material(octets, EXPORTER_LABEL, Some(b"")).is_ok();
        let summary = summary(connection, exporter);
        Ok((Box::new(secured), summary))
    }
}

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
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
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
    let cipher = connection
        .negotiated_cipher_suite()
        .and_then(|suite| suite.suite().as_str())
        .unwrap_or("unknown")
        .to_owned();
    TlsSummary { version, cipher, exporter }
}

/// Accepts every certificate but still checks that the peer holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
