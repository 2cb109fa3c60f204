//! TLS as openssl and Python see it: certificates by name and their renewal, ALPN, tickets, and what attackers try.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{fs, io::Write, path::Path, process::Command, thread, time::Duration};

use support::{
    certificates::{self, Files},
    s_client::SClient,
    server::{ALICE, BOB, PASSWORD, Server},
    tools, wait_for,
};

const CLOSE_NOTIFY: &str = include_str!("support/python/close_notify.py");
/// Services with the arguments that openssl needs to reach their TLS, and the name that ALPN has for them.
const SERVICES: [(&str, &[&str], &str); 7] = [
    ("smtp", &["-starttls", "smtp"], "smtp"),
    ("submission", &["-starttls", "smtp"], "smtp"),
    ("submissions", &[], "smtp"),
    ("pop3", &["-starttls", "pop3"], "pop3"),
    ("pop3s", &[], "pop3"),
    ("imap", &["-starttls", "imap"], "imap"),
    ("imaps", &[], "imap"),
];

/// Those where one can log in.
const ASKING: [&str; 6] = ["submission", "submissions", "pop3", "pop3s", "imap", "imaps"];

fn has_openssl(test: &str) -> bool {
    tools::find("openssl", test).is_some()
}

/// What openssl tells about a handshake; it says farewell behind it, as IMAP has it and then the others.
fn shake(server: &Server, service: &str, more: &[&str]) -> String {
    let (_, starttls, _) = SERVICES.iter().find(|(name, ..)| *name == service).unwrap();
    let mut command = Command::new("timeout");
    let address = format!("127.0.0.1:{}", server.port(service));
    command.args(["60", "openssl", "s_client", "-ign_eof", "-crlf", "-connect", &address]);
    command.args(*starttls).args(more);
    tools::run(&mut command, b"x LOGOUT\nQUIT\n").said()
}

/// The common name of the certificate that is shown to whom asks for this name.
fn shown(server: &Server, service: &str, name: &str) -> String {
    let said = shake(server, service, &["-servername", name]);
    let subject = said.lines().find_map(|line| line.strip_prefix("subject=CN = "));
    subject.unwrap_or_else(|| panic!("{service}, {name}: {said}")).to_owned()
}

/// A server whose default certificate and those behind it come from files; `more` goes in front of the sections.
fn server_with(more: &str, default: impl Fn(&Path) -> (Files, Vec<Files>)) -> (Server, Files, Vec<Files>) {
    let mut server = Server::prepare("", Path::new("data"));
    let (default, others) = default(server.path());
    let mut config = fs::read_to_string(server.config()).unwrap();
    config = format!("{config}[tls]\nmode = \"files\"\n{}{more}", default.lines());
    for other in &others {
        config = format!("{config}[[certificate]]\n{}", other.lines());
    }
    fs::write(server.config(), config).unwrap();
    server.populate();
    server.launch();
    (server, default, others)
}

fn certificate(folder: &Path, subject: &str, alternatives: &str) -> Files {
    certificates::self_signed(folder, subject, subject, alternatives)
}

#[test]
fn each_name_has_its_certificate_on_every_service() {
    if !has_openssl("certificates by name") {
        return;
    }
    let (server, ..) = server_with("", |folder| {
        let others = ["DNS:mail.example.net", "DNS:*.example.com,DNS:example.com"];
        let others = [("net", others[0]), ("com", others[1])];
        let others = others.map(|(subject, names)| certificate(folder, subject, names));
        (certificate(folder, "default", "DNS:mx.example.test"), others.to_vec())
    });
    for (service, ..) in SERVICES {
        let names =
            ["mail.example.net", "MX9.example.com", "mx.example.test", "nobody.invalid", "a.b.example.com"];
        let subjects = names.map(|name| shown(&server, service, name));
        // RFC 6066 §3: no alert for a name that nobody has.
        assert_eq!(subjects, ["net", "com", "default", "default", "default"], "{service}");
    }
}

#[test]
fn a_foreign_application_protocol_is_refused_at_the_handshake() {
    if !has_openssl("ALPN") {
        return;
    }
    let server = Server::start("");
    for (service, _, own) in SERVICES {
        let foreign = if own == "smtp" { "pop3" } else { "smtp" };
        for offered in ["http/1.1", "managesieve", foreign, "h2,http/1.1"] {
            let said = shake(&server, service, &["-alpn", offered]);
            // RFC 7301 §3.2, alert 120
            assert!(said.contains("no application protocol"), "{service} {offered}: {said}");
        }
        let said = shake(&server, service, &["-alpn", &format!("http/1.1,{own}")]);
        assert!(said.contains(&format!("ALPN protocol: {own}")), "{service}: {said}");
        assert!(shake(&server, service, &[]).contains("No ALPN negotiated"), "{service}");
    }
}

#[test]
fn certificates_are_renewed_under_running_sessions() {
    if !has_openssl("certificate renewal") {
        return;
    }
    let (server, default, _) = server_with("watch_interval = \"1d\"\n", |folder| {
        (certificate(folder, "old", "DNS:mx.example.test"), Vec::new())
    });
    let mut session = SClient::start(&format!("127.0.0.1:{}", server.port("submissions")), &[]);
    session.dialog("S: 220\nC: EHLO client.test\nS: 250");
    certificate(server.path(), "new", "DNS:mx.example.test").replace(&default);
    assert_eq!(shown(&server, "submissions", "mx.example.test"), "old", "nobody looked yet");
    server.signal("HUP");
    for (service, ..) in SERVICES {
        wait_for("the new certificate", || {
            (shown(&server, service, "mx.example.test") == "new").then_some(())
        });
    }
    session.dialog("C: NOOP\nS: 250\nC: QUIT\nS: 221");

    // A key that does not fit, as in the middle of a renewal: the old pair stays.
    let other = certificate(server.path(), "other", "DNS:mx.example.test");
    fs::copy(&other.certificate, &default.certificate).unwrap();
    server.signal("HUP");
    wait_for("the complaint", || {
        server.logged().contains("the new configuration cannot be used").then_some(())
    });
    assert!(server.logged().contains("the certificate and its key cannot be used"), "{}", server.logged());
    assert_eq!(shown(&server, "smtp", "mx.example.test"), "new");
}

#[test]
fn changed_files_are_noticed_without_a_signal() {
    if !has_openssl("changed certificates") {
        return;
    }
    let (server, default, others) = server_with("watch_interval = \"1s\"\n", |folder| {
        (
            certificate(folder, "old", "DNS:mx.example.test"),
            vec![certificate(folder, "net", "DNS:example.net")],
        )
    });
    assert_eq!(shown(&server, "smtp", "example.net"), "net");
    certificate(server.path(), "net2", "DNS:example.net").replace(&others[0]);
    wait_for("the new certificate", || (shown(&server, "smtp", "example.net") == "net2").then_some(()));
    fs::write(&default.certificate, "-----BEGIN CERTIFICATE-----\nhalf a fi").unwrap();
    wait_for("the complaint", || {
        server
            .logged()
            .contains("certificates have changed and cannot be used; the old ones stay")
            .then_some(())
    });
    for (name, subject) in [("mx.example.test", "old"), ("example.net", "net2")] {
        assert_eq!(shown(&server, "pop3s", name), subject);
    }
    certificate(server.path(), "new", "DNS:mx.example.test").replace(&default);
    wait_for("the repair", || (shown(&server, "smtp", "mx.example.test") == "new").then_some(()));
}

#[test]
fn a_session_is_not_resumed_on_another_service() {
    if !has_openssl("session tickets") {
        return;
    }
    let server = Server::start("");
    let ticket = server.path().join("ticket");
    let ticket = ticket.to_str().unwrap();
    for version in ["-tls1_3", "-tls1_2"] {
        for (first, ..) in SERVICES {
            let said = shake(&server, first, &[version, "-sess_out", ticket]);
            assert!(said.contains("New, TLSv1."), "{said}");
            for (second, ..) in SERVICES {
                let said = shake(&server, second, &[version, "-sess_in", ticket]);
                let expected = if first == second { "Reused, TLSv1." } else { "New, TLSv1." };
                assert!(said.contains(expected), "{version} from {first} to {second}: {said}");
            }
        }
    }
}

#[test]
fn tls_that_ends_in_the_middle_of_a_message_ends_the_connection() {
    let Some(python) = tools::find("python3", "close_notify in a message") else { return };
    let mut server = Server::start("");
    for how in ["data", "bdat"] {
        let port = server.port("smtp").to_string();
        let done = tools::python(&python, CLOSE_NOTIFY, &[&port, how], b"").ok("close_notify.py");
        let said = String::from_utf8(done).unwrap();
        assert!(said.ends_with("closed\n") && !said.contains("b'2"), "{how}: {said}");
    }
    assert!(server.mailbox(ALICE, 0).is_empty(), "half a message is none");
    server.still_serves("after TLS ended early");
}

/// A session in which s_client takes `R` for a renegotiation and `K` for a KeyUpdate.
fn commanding(server: &Server, version: &str) -> SClient {
    let address = format!("127.0.0.1:{}", server.port("submissions"));
    let mut openssl = Command::new("timeout");
    openssl.args(["60", "openssl", "s_client", "-brief", "-connect", &address, version]);
    let mut client = SClient::run(openssl);
    client.dialog("S: 220 mx.example.test");
    client
}

#[test]
fn floods_of_renegotiations_and_key_updates_are_cut_off() {
    if !has_openssl("TLS floods") {
        return;
    }
    let mut server = Server::start("");
    let mut client = commanding(&server, "-tls1_2");
    client.input.write_all(b"R\n").unwrap();
    wait_for("the refusal", || server.logged().contains("warning alert NoRenegotiation").then_some(()));
    client.kill();
    let mut client = commanding(&server, "-tls1_3");
    for _ in 0..200 {
        // Each has to be a read of its own for openssl to take it for a command.
        if client.input.write_all(b"K\n").is_err() {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let said = client.end();
    let cut_off = said.contains("unexpected eof") || said.contains("alert");
    assert!(said.matches("KEYUPDATE").count() < 200 && cut_off, "{said}");
    server.still_serves("after the floods");
}

#[test]
fn a_handshake_that_does_not_come_to_an_end_is_dropped() {
    let mut server = Server::start("");
    let mut slow = support::wire::Smtp::dial(server.port("submissions")).unwrap();
    // The start of a record that would hold a ClientHello, and then an octet now and then.
    slow.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03").unwrap();
    let ended = wait_for("the server to lose patience", || {
        thread::sleep(Duration::from_millis(200));
        slow.write(b"x").err()
    });
    assert!(!ended.to_string().is_empty());
    server.still_serves("while handshakes stall");
}

/// A session with this certificate, past the greeting under TLS.
fn session(server: &Server, service: &str, shown: Option<&Files>) -> SClient {
    let (_, starttls, _) = SERVICES.iter().find(|(name, ..)| *name == service).unwrap();
    let mut arguments: Vec<&str> = starttls.to_vec();
    if let Some(files) = shown {
        arguments.extend(["-cert", files.certificate.to_str().unwrap(), "-key", files.key.to_str().unwrap()]);
    }
    let mut client = SClient::start(&format!("127.0.0.1:{}", server.port(service)), &arguments);
    if starttls.is_empty() {
        client.line().unwrap();
    }
    client
}

/// What POP3 says to a line.
fn pop3_says(client: &mut SClient, line: &str) -> String {
    client.input.write_all(format!("{line}\n").as_bytes()).unwrap();
    std::iter::from_fn(|| client.line()).find(|said| said.starts_with(['+', '-'])).unwrap()
}

#[test]
fn a_client_certificate_logs_in_where_it_names_one_account() {
    if !has_openssl("EXTERNAL") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [ours, foreign] = ["ours", "foreign"].map(|name| certificates::authority(folder.path(), name));
    let client =
        |authority, name: &str, names: &str| certificates::client(folder.path(), authority, name, names);
    let alice = client(&ours, "alice", &format!("email:{ALICE}"));
    let named = certificates::self_signed(folder.path(), "named", "named", "DNS:laptop.test");
    let wrong = [
        client(&foreign, "other-authority", &format!("email:{ALICE}")),
        client(&ours, "no-address", "DNS:mx.example.test"),
    ];
    let refused = [
        client(&ours, "stranger", "email:alice@elsewhere.test"),
        client(&ours, "two", &format!("email:{ALICE},email:{BOB}")),
    ];
    let config = format!(
        "[tls]\nclient_ca = \"{}\"\n[[client_certificate]]\nfingerprint = \"{}\"\naccount = \"{BOB}\"\n",
        ours.certificate.display(),
        named.fingerprint()
    );
    let server = Server::start_with(&config, &ASKING);
    for service in ["submission", "submissions"] {
        for (files, from, other) in [(&alice, ALICE, BOB), (&named, BOB, ALICE)] {
            let mut client = session(&server, service, Some(files));
            client.dialog(&format!("C: EHLO c.test\nS: 250\nC: MAIL FROM:<{from}>\nS: 530"));
            client.dialog(&format!("C: AUTH EXTERNAL {}\nS: 535 5.7.8", base64(other)));
            client.dialog("C: AUTH EXTERNAL AGEAYg==\nS: 501 5.5.2\nC: AUTH EXTERNAL =\nS: 235 2.7.0");
            client.dialog(&format!(
                "C: MAIL FROM:<{other}>\nS: 5\nC: MAIL FROM:<{from}>\nS: 250\nC: QUIT\nS: 221"
            ));
            let mut client = session(&server, service, Some(files));
            client.dialog(&format!("C: EHLO c.test\nS: 250\nC: AUTH EXTERNAL {}\nS: 235", base64(from)));
            client.kill();
        }
        for files in wrong.iter().map(Some).chain([None]) {
            let mut client = session(&server, service, files);
            client.dialog("C: EHLO c.test\nS: 250\nC: AUTH EXTERNAL =\nS: 504 5.5.4");
            // Whatever the certificate is, the password still opens.
            client.dialog(&format!("C: AUTH PLAIN {}\nS: 235", base64(&format!("\0{ALICE}\0{PASSWORD}"))));
            client.kill();
        }
        for files in &refused {
            let mut client = session(&server, service, Some(files));
            client.dialog("C: EHLO c.test\nS: 250\nC: AUTH EXTERNAL =\nS: 535 5.7.8");
            client.kill();
        }
    }
    for service in ["imap", "imaps"] {
        for (files, said) in [
            (&alice, "x OK"),
            (&refused[0], "x NO [AUTHENTICATIONFAILED]"),
            (&wrong[0], "x BAD there is no such"),
        ] {
            let mut client = session(&server, service, Some(files));
            client.input.write_all(b"x AUTHENTICATE EXTERNAL =\n").unwrap();
            let heard = std::iter::from_fn(|| client.line()).find(|line| line.starts_with("x ")).unwrap();
            assert!(heard.starts_with(said), "{service}: {heard}");
            client.kill();
        }
    }
    for service in ["pop3", "pop3s"] {
        let mut client = session(&server, service, Some(&alice));
        assert!(pop3_says(&mut client, "AUTH EXTERNAL =").starts_with("+OK 0 messages"), "{service}");
        // The maildrop is free before the farewell.
        assert!(pop3_says(&mut client, "QUIT").starts_with("+OK"));
        client.kill();
        let mut client = session(&server, service, Some(&refused[0]));
        assert!(pop3_says(&mut client, "AUTH EXTERNAL =").starts_with("-ERR [AUTH]"), "{service}");
        client.kill();
        let mut client = session(&server, service, Some(&wrong[0]));
        assert!(pop3_says(&mut client, "AUTH EXTERNAL =").starts_with("-ERR there is no such"), "{service}");
        client.kill();
    }
}

#[test]
fn no_certificate_is_asked_for_unless_it_is_of_use() {
    if !has_openssl("certificate requests") {
        return;
    }
    let asks = |said: &str| {
        said.contains("Client Certificate Types") || said.contains("Requested Signature Algorithms")
    };
    let server = Server::start("");
    for (service, ..) in SERVICES {
        let said = shake(&server, service, &[]);
        assert!(said.contains("No client certificate CA names sent") && !asks(&said), "{service}: {said}");
    }
    let folder = tempfile::tempdir().unwrap();
    let ours = certificates::authority(folder.path(), "ours");
    let config = format!("[tls]\nclient_ca = \"{}\"\n", ours.certificate.display());
    let server = Server::start_with(&config, &ASKING);
    for (service, ..) in SERVICES {
        let said = shake(&server, service, &[]);
        assert_eq!(asks(&said), service != "smtp", "{service}: {said}");
    }
}

fn base64(text: &str) -> String {
    let done = tools::run(Command::new("openssl").args(["base64", "-A"]), text.as_bytes());
    String::from_utf8(done.ok("openssl base64")).unwrap().trim().to_owned()
}
