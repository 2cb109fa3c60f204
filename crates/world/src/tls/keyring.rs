//! The certificates in force, chosen by the name that a client asks for (RFC 6066 §3).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use mail::Timestamp;
use rustls::{
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use super::{ClientTrust, identity::Certificate};

/// What a server shows, and whose certificates it believes. Shared by its listeners and replaced as a whole, which
/// counts for handshakes from then on; connections go on as they are.
#[derive(Clone, Debug)]
pub struct Keyring(Arc<RwLock<Arc<Keys>>>);

/// What a [`Keyring`] holds.
#[derive(Debug)]
pub struct Keys {
    /// Shown where no certificate has the name: an alert would only help to find out names.
    default: Arc<CertifiedKey>,
    /// Several for a name if they differ in the kind of key.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    expires_at: Timestamp,
    clients: ClientTrust,
}

impl Keys {
    pub fn new(default: &Certificate, others: &[Certificate], clients: ClientTrust) -> Self {
        let mut by_name: HashMap<String, Vec<_>> = HashMap::new();
        let all = std::iter::once(default).chain(others);
        for certificate in all.clone() {
            for name in &certificate.names {
                by_name.entry(name.clone()).or_default().push(certificate.key.clone());
            }
        }
        let expires_at = all.map(Certificate::expires_at).min().unwrap_or_else(|| default.expires_at());
        Self { default: default.key.clone(), by_name, expires_at, clients }
    }

    /// When the first of its certificates expires.
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The certificate for this name whose key the client can use. Looks up and keeps nothing.
    fn choose(&self, name: Option<&str>, can_use: impl Fn(&CertifiedKey) -> bool) -> &Arc<CertifiedKey> {
        let name = name.map(str::to_ascii_lowercase).unwrap_or_default();
        let wildcard = name.split_once('.').map(|(_, parent)| format!("*.{parent}"));
        let named = [Some(name), wildcard];
        let mut fitting = named.iter().flatten().filter_map(|name| self.by_name.get(name)).flatten();
        fitting.find(|key| can_use(key)).unwrap_or(&self.default)
    }
}

impl Keyring {
    pub fn new(keys: Keys) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(keys))))
    }

    pub fn replace(&self, keys: Keys) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    pub fn expires_at(&self) -> Timestamp {
        self.keys().expires_at
    }

    pub(super) fn clients(&self) -> ClientTrust {
        self.keys().clients.clone()
    }

    fn keys(&self) -> Arc<Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Keyring {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let can_use = |key: &CertifiedKey| key.key.choose_scheme(hello.signature_schemes()).is_some();
        Some(self.keys().choose(hello.server_name(), can_use).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::Identity;

    fn certificate(names: &[&str]) -> Certificate {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Certificate::new(&Identity::self_signed(names).unwrap(), &[]).unwrap()
    }

    #[test]
    fn a_name_leads_to_its_certificate_and_every_other_to_the_default() {
        let [default, org, net] =
            [&["mx.example.org"][..], &["mail.example.org", "*.example.com"], &["example.net"]]
                .map(certificate);
        let keys = Keys::new(&default, &[org.clone(), net.clone()], ClientTrust::default());
        for (name, expected) in [
            (Some("mx.example.org"), &default),
            (Some("MAIL.Example.ORG"), &org),
            (Some("a.example.com"), &org),
            (Some("a.b.example.com"), &default),
            (Some("example.com"), &default),
            (Some("example.net"), &net),
            (Some("nobody.test"), &default),
            (None, &default),
        ] {
            assert!(Arc::ptr_eq(keys.choose(name, |_| true), &expected.key), "{name:?}");
        }
    }

    #[test]
    fn of_two_certificates_for_a_name_the_client_gets_the_one_it_can_use() {
        let [default, first, second] =
            [&["mx.example.org"][..], &["a.example"], &["a.example"]].map(certificate);
        let keys = Keys::new(&default, &[first.clone(), second.clone()], ClientTrust::default());
        let is_second = |key: &CertifiedKey| std::ptr::eq(key, &raw const *second.key);
        assert!(Arc::ptr_eq(keys.choose(Some("a.example"), is_second), &second.key));
        assert!(Arc::ptr_eq(keys.choose(Some("a.example"), |_| false), &default.key));
    }

    #[test]
    fn names_may_be_given_instead_of_those_in_the_certificate() {
        let identity = Identity::self_signed(vec!["a.example".to_owned()]).unwrap();
        let certificate = Certificate::new(&identity, &["B.example".to_owned()]).unwrap();
        assert_eq!(certificate.names, ["b.example"]);
    }

    #[test]
    fn a_key_that_does_not_fit_is_refused() {
        let [one, other] =
            ["a.example", "b.example"].map(|name| Identity::self_signed(vec![name.to_owned()]).unwrap());
        let mixed = Identity { certificate_pem: one.certificate_pem.clone(), key_pem: other.key_pem };
        let error = Certificate::new(&mixed, &[]).unwrap_err().to_string();
        assert!(error.starts_with("the certificate and its key cannot be used: "), "{error}");
        let empty = Identity { certificate_pem: String::new(), key_pem: one.key_pem };
        assert_eq!(Certificate::new(&empty, &[]).unwrap_err().to_string(), "there is no certificate in it");
    }

    #[test]
    fn asking_for_names_leaves_nothing_behind() {
        let default = certificate(&["mx.example.org"]);
        let keys = Keys::new(&default, &[], ClientTrust::default());
        for number in 0..100_000 {
            keys.choose(Some(&format!("n{number}.example.org")), |_| true);
        }
        assert_eq!(keys.by_name.len(), 1);
    }
}
