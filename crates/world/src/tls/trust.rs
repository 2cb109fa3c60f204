//! Whom the certificate of a client speaks for.

use std::{collections::HashMap, str::FromStr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{extensions::GeneralName, parse_x509_certificate};

use super::{TlsError, identity::read_chain, provider, verify::SignatureCheck};

/// Octets of the SHA-256 fingerprint of a certificate.
const FINGERPRINT_BYTES: usize = 32;
/// SHA-256 over a certificate in DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl FromStr for Fingerprint {
    type Err = String;

    /// 64 hexadecimal digits, with or without colons between the octets.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{text:?} is not a SHA-256 fingerprint: 64 hexadecimal digits, colons between them or not"
            )
        };
        let digits: Vec<u32> = text
            .chars()
            .filter(|c| *c != ':')
            .map(|c| c.to_digit(16))
            .collect::<Option<_>>()
            .ok_or_else(wrong)?;
        let octets = digits.chunks(2).map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        });
        let octets = octets.collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
        octets.try_into().map(Self).map_err(|_| wrong())
    }
}

/// Whose certificates are believed, and what they prove. The default believes nobody.
#[derive(Clone, Debug, Default)]
pub struct ClientTrust {
    authorities: Option<Arc<dyn ClientCertVerifier>>,
    by_fingerprint: Arc<HashMap<Fingerprint, String>>,
}

impl ClientTrust {
    /// `authorities_pem`: certificates of those who may vouch for a client. `by_fingerprint`: the mail address that one
    /// certificate stands for, whoever signed it.
    pub fn new(
        authorities_pem: Option<&str>,
        by_fingerprint: HashMap<Fingerprint, String>,
    ) -> Result<Self, TlsError> {
        let authorities = authorities_pem.map(verifier).transpose()?;
        Ok(Self { authorities, by_fingerprint: Arc::new(by_fingerprint) })
    }

    /// The mail addresses that this chain proves, as they stand in it. Empty if nobody we believe vouches for it, or
    /// if it holds none: what is missing is never made up from another field.
    pub(super) fn addresses(&self, chain: &[CertificateDer<'_>]) -> Vec<String> {
        let Some((own, others)) = chain.split_first() else { return Vec::new() };
        if let Some(address) = fingerprint(own).and_then(|print| self.by_fingerprint.get(&print)) {
            return vec![address.clone()];
        }
        let Some(authorities) = &self.authorities else { return Vec::new() };
        match authorities.verify_client_cert(own, others, UnixTime::now()) {
            Ok(_) => addresses_in(own),
            Err(error) => {
                tracing::info!(%error, "the certificate of a client proves nothing");
                Vec::new()
            }
        }
    }
}

fn verifier(pem: &str) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in read_chain(pem)? {
        roots.add(certificate).map_err(|error| TlsError(error.to_string()))?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .build()
        .map_err(|error| TlsError(error.to_string()))
}

fn fingerprint(certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
    digest(&SHA256, certificate).as_ref().try_into().map(Fingerprint).ok()
}

/// RFC 5280 §4.2.1.6: each rfc822Name.
fn addresses_in(certificate: &CertificateDer<'_>) -> Vec<String> {
    let Ok((_, parsed)) = parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(names)) = parsed.subject_alternative_name() else { return Vec::new() };
    let names = names.value.general_names.iter();
    names
        .filter_map(|name| match name {
            GeneralName::RFC822Name(address) => Some((*address).to_owned()),
            _ => None,
        })
        .collect()
}

/// Asks for a certificate and lets everybody in who holds the key to theirs, or has none. What it proves is found out
/// behind the handshake: a client with a foreign certificate may still log in with a password.
#[derive(Debug)]
pub(super) struct AskedFor(pub(super) SignatureCheck);

impl ClientCertVerifier for AskedFor {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.schemes()
    }
}
