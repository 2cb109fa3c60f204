//! Certificates made by `openssl`, as files that a configuration can name.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::tools;

/// A certificate and its key.
#[derive(Clone, Debug)]
pub struct Files {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Files {
    fn beside(folder: &Path, name: &str) -> Self {
        Self { certificate: folder.join(format!("{name}.pem")), key: folder.join(format!("{name}.key")) }
    }

    /// The lines that a section of the configuration needs.
    pub fn lines(&self) -> String {
        format!("certificate = \"{}\"\nkey = \"{}\"\n", self.certificate.display(), self.key.display())
    }

    /// Puts these in the place of others, the way a renewal does.
    pub fn replace(&self, old: &Self) {
        fs::rename(&self.certificate, &old.certificate).unwrap();
        fs::rename(&self.key, &old.key).unwrap();
    }

    /// SHA-256 with colons.
    pub fn fingerprint(&self) -> String {
        let mut command = Command::new("openssl");
        command.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(&self.certificate);
        let said = String::from_utf8(tools::run(&mut command, b"").ok("openssl x509")).unwrap();
        said.trim().split_once('=').unwrap().1.to_owned()
    }
}

fn request(files: &Files, subject: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    command.args(["-days", "30", "-subj", &format!("/CN={subject}"), "-keyout"]).arg(&files.key);
    command.arg("-out").arg(&files.certificate);
    command
}

/// A self-signed certificate whose subject says `subject`, for these alternative names (`DNS:a.example`).
pub fn self_signed(folder: &Path, name: &str, subject: &str, alternatives: &str) -> Files {
    let files = Files::beside(folder, name);
    let mut command = request(&files, subject);
    command.args(["-addext", &format!("subjectAltName={alternatives}")]);
    tools::run(&mut command, b"").ok("openssl req");
    files
}

/// An authority that signs others.
pub fn authority(folder: &Path, name: &str) -> Files {
    let files = Files::beside(folder, name);
    tools::run(&mut request(&files, name), b"").ok("openssl req");
    files
}

/// A client's certificate, signed by the authority; `alternatives` such as `email:ann@example.org`.
pub fn client(folder: &Path, authority: &Files, name: &str, alternatives: &str) -> Files {
    let files = Files::beside(folder, name);
    let mut command = request(&files, name);
    command.arg("-CA").arg(&authority.certificate).arg("-CAkey").arg(&authority.key);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=clientAuth"]);
    command.args(["-addext", &format!("subjectAltName={alternatives}")]);
    tools::run(&mut command, b"").ok("openssl req");
    files
}

/// A server's certificate, signed by the authority; `alternatives` such as `DNS:mx.example.org`.
pub fn server(folder: &Path, authority: &Files, name: &str, alternatives: &str) -> Files {
    let files = Files::beside(folder, name);
    let mut command = request(&files, name);
    command.arg("-CA").arg(&authority.certificate).arg("-CAkey").arg(&authority.key);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-addext", "extendedKeyUsage=serverAuth"]);
    command.args(["-addext", &format!("subjectAltName={alternatives}")]);
    tools::run(&mut command, b"").ok("openssl req");
    files
}
