//! TLS between servers. Its library draws randomness of its own, which nothing here sees: a run is a function of its seed
//! as long as the lengths of what is sent are, and so no certificate and no signature has a length that varies.

use std::error::Error;

use mta::config::TlsMode;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};
use world::tls::{Certificate, ClientTrust, Identity, Keyring, Keys, ListenerTls, ServerTls};

/// What a host of this name offers.
pub fn offer(host: &str) -> Result<TlsMode, Box<dyn Error>> {
    // An ECDSA signature has 70 to 72 octets, this one always 64.
    let key = KeyPair::generate_for(&PKCS_ED25519)?;
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.serial_number = Some(1_u64.into());
    let certificate_pem = params.self_signed(&key)?.pem();
    let identity = Identity { certificate_pem, key_pem: key.serialize_pem() };
    let certificate = Certificate::new(&identity, &[])?;
    let keyring = Keyring::new(Keys::new(&certificate, &[], ClientTrust::default()));
    Ok(TlsMode::Starttls(ServerTls::new(&keyring, ListenerTls { protocols: &[], asks_certificate: false })?))
}
