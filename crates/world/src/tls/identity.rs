//! A server's own certificates.

use std::sync::Arc;

use mail::Timestamp;
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{TlsError, provider};

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

/// A chain whose key fits, and the names that it is shown for.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
    /// In lower case; `*.` in front stands for one label.
    pub(super) names: Vec<String>,
    expires_at: Timestamp,
}

impl Certificate {
    /// For the DNS names that stand in the certificate, or for `names` if there are any.
    pub fn new(identity: &Identity, names: &[String]) -> Result<Self, TlsError> {
        let chain = read_chain(&identity.certificate_pem)?;
        let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
            .map_err(|error| TlsError(format!("the key is not PEM: {error}")))?;
        let own = chain.first().ok_or_else(|| TlsError("there is no certificate in it".to_owned()))?;
        let (_, parsed) = parse_x509_certificate(own)
            .map_err(|error| TlsError(format!("the certificate cannot be read: {error}")))?;
        let expires_at = Timestamp::from_millis(parsed.validity().not_after.timestamp().saturating_mul(1000));
        let names = if names.is_empty() { dns_names(&parsed) } else { names.to_vec() };
        let names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let key = CertifiedKey::from_der(chain, key, &provider())
            .map_err(|error| TlsError(format!("the certificate and its key cannot be used: {error}")))?;
        Ok(Self { key: Arc::new(key), names, expires_at })
    }

    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

pub(super) fn read_chain(pem: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError(format!("the certificate is not PEM: {error}")))
}

/// RFC 9525 §2: the subject's common name is no name of a host.
fn dns_names(certificate: &x509_parser::certificate::X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(names)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        })
        .collect()
}
