//! Certificates: our own, and those of the authorities that the system trusts.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use world::tls::{Identity, ServerTls};

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

/// The server's certificate as configured.
pub fn server_tls(config: &Config) -> Result<ServerTls, Failure> {
    let identity = match (config.tls.mode, &config.tls.certificate, &config.tls.key) {
        (TlsSource::Files, Some(certificate), Some(key)) => {
            Identity { certificate_pem: read(certificate)?, key_pem: read(key)? }
        }
        _ => self_signed(&config.data_dir.join("tls"), &config.hostname.0)?,
    };
    ServerTls::new(&identity).map_err(Failure::new)
}

/// The self-signed certificate of this host name, made at the first call and kept, so that clients that noted it
/// recognise it.
fn self_signed(dir: &Path, hostname: &str) -> Result<Identity, Failure> {
    let (certificate, key) = (dir.join(format!("{hostname}.crt")), dir.join(format!("{hostname}.key")));
    if certificate.exists() && key.exists() {
        return Ok(Identity { certificate_pem: read(&certificate)?, key_pem: read(&key)? });
    }
    let mut names = vec![hostname.to_owned()];
    if hostname == "localhost" {
        names.push("127.0.0.1".to_owned());
    }
    let identity = Identity::self_signed(names).map_err(Failure::new)?;
    let kept = storage::make_private(dir)
        .and_then(|()| write_private(&key, &identity.key_pem))
        .and_then(|()| write_private(&certificate, &identity.certificate_pem));
    kept.map_err(|error| {
        Failure::new(format!("the certificate cannot be kept in {}: {error}", dir.display()))
    })?;
    Ok(identity)
}

fn read(path: &PathBuf) -> Result<String, Failure> {
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
        let first = self_signed(&dir, "localhost").unwrap();
        let second = self_signed(&dir, "localhost").unwrap();
        assert_eq!(first.certificate_pem, second.certificate_pem);
        let key = fs::metadata(dir.join("localhost.key")).unwrap();
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
}
