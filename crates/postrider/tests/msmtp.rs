//! msmtp, which many scripts send with: in clear and under TLS of both kinds, with every login that it shares with us.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    certificates::{self, Files},
    samples::{self, Sample, assert_same},
    server::{ALICE, BOB, PASSWORD, Server},
    tools,
};

const CLEAR: &str = "tls off\n";
const STARTTLS: &str = "tls on\ntls_starttls on\n";
const IMPLICIT: &str = "tls on\ntls_starttls off\n";

/// msmtp as it is set up for one account of the server.
struct Msmtp {
    program: PathBuf,
    config: PathBuf,
}

impl Msmtp {
    /// `tls` and `auth` are the lines of the configuration that speak of them. The server's certificate has to verify.
    fn new(program: &Path, server: &Server, service: &str, tls: &str, auth: &str) -> Self {
        let config = server.path().join("msmtprc");
        let mut text = format!(
            "account default\nhost 127.0.0.1\nport {}\ndomain client.test\nfrom {ALICE}\n{tls}{auth}",
            server.port(service)
        );
        if tls != CLEAR {
            let trusted = server.path().join("data/tls/mx.example.test.crt");
            text = format!("{text}tls_trust_file {}\ntls_host_override mx.example.test\n", trusted.display());
        }
        fs::write(&config, text).unwrap();
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
        Self { program: program.to_owned(), config }
    }

    fn send(&self, sample: &Sample) -> tools::Done {
        let mut command = Command::new(&self.program);
        command.arg("--file").arg(&self.config).arg(BOB);
        tools::run(&mut command, &sample.message)
    }

    /// The sample arrives as it was, and Received names the protocol (RFC 3848).
    fn delivers(&self, server: &Server, sample: &Sample, with: &str) {
        self.send(sample).ok("msmtp");
        let stored = server.mailbox(BOB, 1).remove(0);
        assert_same(&stored, &sample.message, sample.name);
        let received = samples::field(&stored, "Received").unwrap();
        assert!(received.contains(&format!("with {with} ")), "{with}: {received}");
        server.empty_mailbox(BOB);
    }
}

fn login(mechanism: &str) -> String {
    format!("auth {mechanism}\nuser {ALICE}\npassword \"{PASSWORD}\"\n")
}

fn by_certificate(files: &Files) -> String {
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!("auth external\nuser {ALICE}\ntls_cert_file {certificate}\ntls_key_file {key}\n")
}

/// Alice's certificate, and the configuration of a server that believes it on submission.
fn certificate_of_alice(folder: &Path) -> (Files, String) {
    let authority = certificates::authority(folder, "authority");
    let alice = certificates::client(folder, &authority, "alice", &format!("email:{ALICE}"));
    let config = format!("[tls]\nclient_ca = \"{}\"\n", authority.certificate.display());
    (alice, config)
}

#[test]
fn msmtp_delivers_to_the_relay_port() {
    let Some(msmtp) = tools::find("msmtp", "msmtp to the relay port") else { return };
    let server = Server::start("");
    for sample in [samples::dots(), samples::eight_bit(), samples::one_byte()] {
        Msmtp::new(&msmtp, &server, "smtp", CLEAR, "auth off\n").delivers(&server, &sample, "ESMTP");
        Msmtp::new(&msmtp, &server, "smtp", STARTTLS, "auth off\n").delivers(&server, &sample, "ESMTPS");
    }
}

#[test]
fn msmtp_logs_in_with_every_mechanism_it_knows() {
    let Some(msmtp) = tools::find("msmtp", "msmtp logs in") else { return };
    let server = Server::start("");
    let sample = samples::dots();
    for mechanism in ["plain", "login", "scram-sha-1", "scram-sha-256", "on"] {
        for (service, tls) in [("submission", STARTTLS), ("submissions", IMPLICIT)] {
            let msmtp = Msmtp::new(&msmtp, &server, service, tls, &login(mechanism));
            msmtp.delivers(&server, &sample, "ESMTPSA");
        }
    }
    let in_clear = Msmtp::new(&msmtp, &server, "submission", CLEAR, &login("scram-sha-256"));
    in_clear.delivers(&server, &sample, "ESMTPA");
    let wrong = login("scram-sha-256").replace(PASSWORD, "wrong");
    let refused = Msmtp::new(&msmtp, &server, "submission", STARTTLS, &wrong).send(&sample);
    assert!(!refused.status.success() && refused.said().contains("535"), "{}", refused.said());
}

#[test]
fn msmtp_logs_in_with_a_certificate() {
    let Some(msmtp) = tools::find("msmtp", "msmtp with a certificate") else { return };
    let Some(_) = tools::find("openssl", "msmtp with a certificate") else { return };
    let folder = tempfile::tempdir().unwrap();
    let (alice, more) = certificate_of_alice(folder.path());
    let server = Server::start_with(&more, &["submission", "submissions"]);
    let sample = samples::dots();
    for (service, tls) in [("submission", STARTTLS), ("submissions", IMPLICIT)] {
        let external = Msmtp::new(&msmtp, &server, service, tls, &by_certificate(&alice));
        external.delivers(&server, &sample, "ESMTPSA");
        // Those without a certificate are asked for one too, and log in as ever.
        Msmtp::new(&msmtp, &server, service, tls, &login("plain")).delivers(&server, &sample, "ESMTPSA");
    }
}
