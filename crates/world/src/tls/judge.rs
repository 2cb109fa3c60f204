//! Whether a server is the one that is meant, and what speaks against it.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, DigitallySignedStruct, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::{
    dane::{self, Dane},
    verify::SignatureCheck,
};
use crate::dns::Tlsa;

/// What a server has to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// Nothing: encryption against a listener, as opportunistic TLS means (RFC 7435).
    Nothing,
    /// That a root we trust vouches for it under the name that was asked for.
    RootsAndName,
    /// That its key is the one that DNSSEC proves (RFC 7672).
    Dane(Dane),
}

/// What a server's certificate proves, whatever was asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// By a root that we trust, under the name that was asked for.
    pub pkix: Result<(), Flaw>,
    /// The record that matches; none if there were no records to match.
    pub dane: Option<Result<Tlsa, Flaw>>,
}

/// What is wrong with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    Expired,
    WrongName,
    /// Nobody we trust vouches for it.
    Untrusted,
    /// No TLSA record describes it, or anybody who vouches for it.
    NoMatch,
    Other(String),
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired => f.write_str("it has expired"),
            Self::WrongName => f.write_str("it is for another name"),
            Self::Untrusted => f.write_str("nobody we trust vouches for it"),
            Self::NoMatch => f.write_str("no TLSA record matches it"),
            Self::Other(reason) => f.write_str(reason),
        }
    }
}

impl From<rustls::Error> for Flaw {
    fn from(error: rustls::Error) -> Self {
        use CertificateError as Error;
        let rustls::Error::InvalidCertificate(error) = error else { return Self::Other(error.to_string()) };
        match error {
            Error::Expired | Error::ExpiredContext { .. } => Self::Expired,
            Error::NotValidForName | Error::NotValidForNameContext { .. } => Self::WrongName,
            Error::UnknownIssuer => Self::Untrusted,
            Error::Other(other) => Self::Other(format!("it cannot be used: {other}")),
            other => Self::Other(other.to_string()),
        }
    }
}

impl Judgement {
    /// It is the server that is meant, as roots or DNSSEC prove.
    pub fn proves(&self) -> bool {
        self.pkix.is_ok() || matches!(self.dane, Some(Ok(_)))
    }

    /// Whether that will do.
    pub fn meets(&self, expected: &Authentication) -> Result<(), Flaw> {
        match expected {
            Authentication::Nothing => Ok(()),
            Authentication::RootsAndName => self.pkix.clone(),
            Authentication::Dane(_) => match &self.dane {
                Some(found) => found.clone().map(drop),
                None => Err(Flaw::NoMatch),
            },
        }
    }
}

/// Judges the server of one connection, and remembers it.
#[derive(Debug)]
pub(super) struct Judge {
    expected: Authentication,
    /// None if we trust nobody.
    roots: Option<Arc<WebPkiServerVerifier>>,
    signatures: SignatureCheck,
    seen: OnceLock<Seen>,
}

/// What the server showed.
#[derive(Debug)]
struct Seen {
    name: ServerName<'static>,
    own: CertificateDer<'static>,
    others: Vec<CertificateDer<'static>>,
    judgement: Judgement,
}

impl Judge {
    pub(super) fn new(
        expected: Authentication,
        roots: Option<Arc<WebPkiServerVerifier>>,
        signatures: SignatureCheck,
    ) -> Self {
        Self { expected, roots, signatures, seen: OnceLock::new() }
    }

    pub(super) fn judgement(&self) -> Option<&Judgement> {
        self.seen.get().map(|seen| &seen.judgement)
    }

    /// Whether what it showed would do elsewhere.
    pub(super) fn judge_again(&self, expected: &Authentication) -> Option<Judgement> {
        let seen = self.seen.get()?;
        Some(self.judge(expected, &seen.own, &seen.others, &seen.name, UnixTime::now()))
    }

    fn judge(
        &self,
        expected: &Authentication,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        now: UnixTime,
    ) -> Judgement {
        let algorithms = &self.signatures.0.signature_verification_algorithms;
        let pkix = match &self.roots {
            Some(roots) => {
                roots.verify_server_cert(own, others, name, &[], now).map(drop).map_err(Flaw::from)
            }
            None => Err(Flaw::Untrusted),
        };
        let dane = match expected {
            Authentication::Dane(dane) => Some(dane::find_match(dane, own, others, now, algorithms)),
            _ => None,
        };
        Judgement { pkix, dane }
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let judgement = self.judge(&self.expected, own, others, name, now);
        let met = judgement.meets(&self.expected);
        let seen = Seen {
            name: name.to_owned(),
            own: own.clone().into_owned(),
            others: others.iter().map(|other| other.clone().into_owned()).collect(),
            judgement,
        };
        // There is one handshake a connection.
        let _ = self.seen.set(seen);
        match met {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(flaw) => Err(rustls::Error::InvalidCertificate(alert(&flaw))),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.tls12(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signatures.tls13(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signatures.schemes()
    }
}

/// What the server is told.
fn alert(flaw: &Flaw) -> CertificateError {
    match flaw {
        Flaw::Expired => CertificateError::Expired,
        Flaw::WrongName => CertificateError::NotValidForName,
        Flaw::Untrusted => CertificateError::UnknownIssuer,
        Flaw::NoMatch | Flaw::Other(_) => CertificateError::ApplicationVerificationFailure,
    }
}
