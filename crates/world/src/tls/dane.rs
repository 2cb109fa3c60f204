//! Certificates against TLSA records (RFC 6698, with the rules for mail of RFC 7672).

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::{
    RootCertStore,
    client::verify_server_name,
    crypto::WebPkiSupportedAlgorithms,
    pki_types::{CertificateDer, Der, ServerName, TrustAnchor, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::{
    asn1_rs::{Any, FromDer},
    parse_x509_certificate,
    x509::SubjectPublicKeyInfo,
};

use super::judge::Flaw;
use crate::dns::Tlsa;

/// Records that are tried; more are ignored.
const RECORDS_MAX: usize = 24;

/// DANE-TA(2), DANE-EE(3)
const TRUST_ANCHOR: u8 = 2;
const END_ENTITY: u8 = 3;
/// Cert(0), SPKI(1)
const CERTIFICATE: u8 = 0;
const PUBLIC_KEY: u8 = 1;
/// Full(0), SHA2-256(1), SHA2-512(2)
const WHOLE: u8 = 0;
const SHA2_256: u8 = 1;
const SHA2_512: u8 = 2;

/// What DNSSEC proves of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dane {
    /// Usable ones.
    pub records: Vec<Tlsa>,
    /// The name that has them.
    pub base: String,
    /// The domains that the server takes mail for. A certificate below a trust anchor has to name the base, or all of
    /// these (RFC 7672 §3.2.2).
    pub domains: Vec<String>,
}

/// RFC 7672 §3.1.3: usages 0 and 1 mean nothing to mail, and what nobody can match is ignored. Of several digests of one
/// kind the strongest counts (RFC 7671 §9).
pub fn usable(records: &[Tlsa]) -> Vec<Tlsa> {
    let candidates: Vec<&Tlsa> = records.iter().filter(|record| is_usable(record)).collect();
    let is_outdone = |record: &Tlsa| {
        let same_kind = |other: &Tlsa| (other.usage, other.selector) == (record.usage, record.selector);
        record.matching == SHA2_256
            && candidates.iter().any(|other| same_kind(other) && other.matching == SHA2_512)
    };
    candidates.iter().filter(|record| !is_outdone(record)).take(RECORDS_MAX).map(|it| (*it).clone()).collect()
}

fn is_usable(record: &Tlsa) -> bool {
    let is_whole = || match record.selector {
        CERTIFICATE => parse_x509_certificate(&record.data).is_ok_and(|(rest, _)| rest.is_empty()),
        _ => SubjectPublicKeyInfo::from_der(&record.data).is_ok_and(|(rest, _)| rest.is_empty()),
    };
    let has_data = match record.matching {
        WHOLE => is_whole(),
        SHA2_256 => record.data.len() == SHA256.output_len(),
        SHA2_512 => record.data.len() == SHA512.output_len(),
        _ => false,
    };
    matches!(record.usage, TRUST_ANCHOR | END_ENTITY)
        && matches!(record.selector, CERTIFICATE | PUBLIC_KEY)
        && has_data
}

/// The record that the chain matches.
pub(super) fn find_match(
    dane: &Dane,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<Tlsa, Flaw> {
    // RFC 7672 §3.1.1: the key is the host; names, dates and signatures say nothing more.
    let of_host = dane.records.iter().find(|record| record.usage == END_ENTITY && describes(record, own));
    if let Some(record) = of_host {
        return Ok(record.clone());
    }
    let mut flaw = Flaw::NoMatch;
    for record in dane.records.iter().filter(|record| record.usage == TRUST_ANCHOR) {
        let anchors = anchors(record, own, others);
        if anchors.is_empty() {
            continue;
        }
        match below(anchors, dane, own, others, now, algorithms) {
            Ok(()) => return Ok(record.clone()),
            Err(found) => flaw = found,
        }
    }
    Err(flaw)
}

fn describes(record: &Tlsa, certificate: &CertificateDer<'_>) -> bool {
    let parsed = parse_x509_certificate(certificate);
    let selected = match (record.selector, &parsed) {
        (CERTIFICATE, _) => certificate.as_ref(),
        (PUBLIC_KEY, Ok((_, parsed))) => parsed.public_key().raw,
        _ => return false,
    };
    match record.matching {
        WHOLE => selected == record.data,
        SHA2_256 => digest(&SHA256, selected).as_ref() == record.data,
        SHA2_512 => digest(&SHA512, selected).as_ref() == record.data,
        _ => false,
    }
}

/// Whom the record makes an authority. RFC 7672 §3.1.2: it need not be a root, and a digest needs it to be in the chain.
fn anchors(
    record: &Tlsa,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
) -> Vec<TrustAnchor<'static>> {
    let mut store = RootCertStore::empty();
    for certificate in others.iter().filter(|certificate| describes(record, certificate)) {
        // One that cannot be read vouches for nobody.
        let _ = store.add(certificate.clone().into_owned());
    }
    if record.matching == WHOLE && record.selector == CERTIFICATE {
        let _ = store.add(CertificateDer::from(record.data.clone()));
    }
    if record.matching == WHOLE && record.selector == PUBLIC_KEY {
        // A key without a name: it may be that of any issuer in the chain.
        let chain = std::iter::once(own).chain(others);
        store.roots.extend(chain.filter_map(|certificate| issuer_with_key(certificate, &record.data)));
    }
    store.roots
}

fn issuer_with_key(certificate: &CertificateDer<'_>, key: &[u8]) -> Option<TrustAnchor<'static>> {
    let (_, parsed) = parse_x509_certificate(certificate).ok()?;
    Some(TrustAnchor {
        subject: contents(parsed.issuer().as_raw())?,
        subject_public_key_info: contents(key)?,
        name_constraints: None,
    })
}

/// What the outermost SEQUENCE holds.
fn contents(der: &[u8]) -> Option<Der<'static>> {
    let (_, sequence) = Any::from_der(der).ok()?;
    Some(Der::from(sequence.data.to_vec()))
}

fn below(
    anchors: Vec<TrustAnchor<'static>>,
    dane: &Dane,
    own: &CertificateDer<'_>,
    others: &[CertificateDer<'_>],
    now: UnixTime,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<(), Flaw> {
    let parsed = ParsedCertificate::try_from(own)?;
    let roots = RootCertStore { roots: anchors };
    rustls::client::verify_server_cert_signed_by_trust_anchor(&parsed, &roots, others, now, algorithms.all)?;
    let is_named = |name: &String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    let is_meant = is_named(&dane.base) || (!dane.domains.is_empty() && dane.domains.iter().all(is_named));
    if is_meant { Ok(()) } else { Err(Flaw::WrongName) }
}

#[cfg(test)]
mod tests;
