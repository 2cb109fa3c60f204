//! Certificates: our own, and those of the authorities that the system trusts.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use world::tls::{Certificate, ClientTrust, Identity, Keys};

use crate::{
    Failure,
    config::{Config, options::TlsSource},
    storage,
};

/// Where systems keep the certificates of the authorities they trust.
const ROOT_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];

/// Every certificate as configured, and whose certificates are believed.
pub fn keys(config: &Config) -> Result<Keys, Failure> {
    let (certificate, key) = default_files(config);
    if config.tls.mode == TlsSource::SelfSigned {
        make_self_signed(&certificate, &key, &config.hostname.0)?;
    }
    let default = certificate_of(&certificate, &key, &[])?;
    let others = config
        .certificate
        .iter()
        .map(|own| certificate_of(&own.certificate, &own.key, &own.names))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Keys::new(&default, &others, client_trust(config)?))
}

/// The files that [`keys`] reads.
pub fn files(config: &Config) -> Vec<PathBuf> {
    let (certificate, key) = default_files(config);
    let others = config.certificate.iter().flat_map(|own| [&own.certificate, &own.key]).cloned();
    [certificate, key].into_iter().chain(others).chain(config.tls.client_ca.clone()).collect()
}

fn default_files(config: &Config) -> (PathBuf, PathBuf) {
    if let (TlsSource::Files, Some(certificate), Some(key)) =
        (config.tls.mode, &config.tls.certificate, &config.tls.key)
    {
        return (certificate.clone(), key.clone());
    }
    let (dir, hostname) = (config.data_dir.join("tls"), &config.hostname.0);
    (dir.join(format!("{hostname}.crt")), dir.join(format!("{hostname}.key")))
}

fn certificate_of(certificate: &Path, key: &Path, names: &[String]) -> Result<Certificate, Failure> {
    let identity = Identity { certificate_pem: read(certificate)?, key_pem: read(key)? };
    Certificate::new(&identity, names)
        .map_err(|error| Failure::new(format!("{}: {error}", certificate.display())))
}

fn client_trust(config: &Config) -> Result<ClientTrust, Failure> {
    let authorities = config.tls.client_ca.as_deref().map(read).transpose()?;
    let named = config.client_certificate.iter();
    let named = named.map(|client| (client.fingerprint.value, client.account.clone())).collect();
    ClientTrust::new(authorities.as_deref(), named).map_err(|error| {
        let file = config.tls.client_ca.as_deref().unwrap_or(Path::new("client_ca"));
        Failure::new(format!("{}: {error}", file.display()))
    })
}

/// The self-signed certificate of this host name, made at the first call and kept, so that clients that noted it
/// recognise it.
fn make_self_signed(certificate: &Path, key: &Path, hostname: &str) -> Result<(), Failure> {
    if certificate.exists() && key.exists() {
        return Ok(());
    }
    let dir = certificate.parent().unwrap_or(Path::new(""));
    let mut names = vec![hostname.to_owned()];
    if hostname == "localhost" {
        names.push("127.0.0.1".to_owned());
    }
    let identity = Identity::self_signed(names).map_err(Failure::new)?;
    let kept = storage::make_private(dir)
        .and_then(|()| write_private(key, &identity.key_pem))
        .and_then(|()| write_private(certificate, &identity.certificate_pem));
    kept.map_err(|error| {
        Failure::new(format!("the certificate cannot be kept in {}: {error}", dir.display()))
    })
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::new(format!("{} cannot be read: {error}", path.display())))
}

/// Writes beside the name and renames, so that there is never half a file.
fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// The certificates that the system trusts, in PEM; `SSL_CERT_FILE` overrides where they are. Empty if there are none:
/// then nothing verifies.
pub fn system_roots() -> String {
    let chosen = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let mut files = chosen.into_iter().chain(ROOT_FILES.map(PathBuf::from));
    files.find_map(|file| fs::read_to_string(file).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_certificate_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("tls");
        let (certificate, key) = (dir.join("localhost.crt"), dir.join("localhost.key"));
        make_self_signed(&certificate, &key, "localhost").unwrap();
        let first = read(&certificate).unwrap();
        make_self_signed(&certificate, &key, "localhost").unwrap();
        assert_eq!(first, read(&certificate).unwrap());
        let key = fs::metadata(dir.join("localhost.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}
