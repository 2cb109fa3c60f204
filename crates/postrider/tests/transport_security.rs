//! What recipients' domains say of TLS is found, kept to, kept for as long as it holds, and told of: DANE (RFC 7672) under
//! a signed zone, MTA-STS (RFC 8461) with a web server that is not ours.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/names.rs"]
mod names;
mod support;

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use names::NameServer;
use support::{
    certificates::{self, Files},
    ports::Ports,
    server::{ALICE, Server},
    sink::Sink,
    tools, wait_for,
};

const EXTENSIONS: [&str; 3] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
const MESSAGE: &[u8] = b"Subject: under TLS\r\n\r\nHello.\r\n";
/// The host of all domains, the one without TLS, and the web server.
const FAR: &str = "127.0.0.2";
const CLEAR: [u8; 4] = [127, 0, 0, 3];
const WEB: &str = "127.0.0.4";

/// A host that takes mail for everybody, with this certificate, and keeps it for Alice.
fn far(port: u16, files: &Files) -> Server {
    Server::start_with(
        &format!(
            "[[listener]]\nservice = \"smtp\"\naddress = \"{FAR}:{port}\"\n[tls]\nmode = \"files\"\n{}\
             [[route]]\nrecipient = \"*\"\nvia = \"capture\"\nmailbox = \"{ALICE}\"\n",
            files.lines()
        ),
        &[],
    )
}

/// A server that delivers by MX to that port, and believes these authorities only.
fn near(names: &NameServer, port: u16, roots: &Path, dns: &str, more: &str) -> Server {
    let dns = names.section(dns);
    Server::start_trusting(
        roots,
        &format!(
            "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n{dns}{more}\
             [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n"
        ),
    )
}

fn send(server: &Server, to: &[&str]) {
    let reply = server.smtp().deliver(ALICE, to, MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
}

/// The text of the history once there is an attempt in it that begins so.
fn told(server: &Server, to: &str, word: &str) -> String {
    wait_for(word, || {
        let history = server.cli_ok(&["trace", to]);
        history.contains(word).then_some(history)
    })
}

/// It waits, and this is why.
fn waits(server: &Server, to: &str, reason: &str) {
    let queue = wait_for("an attempt", || {
        let queue = server.cli_json(&["queue", "list"]);
        let entry = queue.as_array().unwrap().iter().find(|entry| entry["recipients"][0] == *to)?.clone();
        entry["last_error"].is_string().then_some(entry)
    });
    let said = queue["last_error"].as_str().unwrap();
    assert!(said.contains(reason), "{to}: {said}");
    let why = server.cli_ok(&["why", queue["id"].as_str().unwrap()]);
    assert!(why.contains(reason), "{why}");
}

/// Sends what must not go without TLS.
fn require_tls(server: &Server, to: &str) {
    const SEND: &str = "import smtplib, ssl, sys\n\
        smtp = smtplib.SMTP('127.0.0.1', int(sys.argv[1]))\n\
        context = ssl._create_unverified_context()\n\
        smtp.starttls(context=context)\n\
        smtp.sendmail(sys.argv[2], sys.argv[3], sys.stdin.buffer.read(), mail_options=['REQUIRETLS'])\n";
    let mut command = Command::new("python3");
    command.args(["-c", SEND, &server.port("smtp").to_string(), ALICE, to]);
    tools::run(&mut command, MESSAGE).ok("python3");
}

fn mx(domain: &str, address: &str) -> String {
    format!("{domain}. 60 IN MX 10 mx.{domain}.\nmx.{domain}. 60 IN A {address}\n")
}

#[test]
fn hosts_under_dane_show_the_key_that_dnssec_proves_or_get_nothing() {
    if tools::find("openssl", "DANE").is_none() {
        return;
    }
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let port = ports.nth(0);
    let files = certificates::self_signed(folder.path(), "far", "whoever", "DNS:whoever.test");
    let far = far(port, &files);
    let clear = Sink::start_on(CLEAR, port, &EXTENSIONS, |_| None);
    let right = files.fingerprint().replace(':', "");
    let tlsa = |domain: &str, data: &str| format!("_{port}._tcp.mx.{domain}. 60 IN TLSA {data}\n");
    let zone = [
        mx("right.test", FAR) + &tlsa("right.test", &format!("3 0 1 {right}")),
        mx("wrong.test", FAR) + &tlsa("wrong.test", &format!("3 0 1 {}", "00".repeat(32))),
        mx("unusable.test", FAR) + &tlsa("unusable.test", &format!("1 0 1 {right}")),
        mx("clear.test", "127.0.0.3") + &tlsa("clear.test", &format!("3 0 1 {right}")),
        mx("bogus.test", FAR),
        mx("none.test", FAR),
        mx("bare.test", "127.0.0.3"),
    ];
    let names = NameServer::signed(&zone.concat());
    // Nobody signed these: either they are forged, or the signer failed.
    names.change(&tlsa("bogus.test", &format!("3 0 1 {right}")));
    let anchor = folder.path().join("anchor");
    fs::write(&anchor, names.anchor()).unwrap();
    let dns = format!("dnssec = \"validate\"\ntrust_anchor = \"{}\"", anchor.display());
    let near = near(&names, port, &files.certificate, &dns, "");

    for (domain, policy) in [
        ("right.test", "DANE: the TLSA record 3 0 1 of mx.right.test matches"),
        ("unusable.test", "none can be used"),
        ("none.test", "policy: opportunistic; its certificate does not verify"),
        ("bare.test", "policy: opportunistic; nothing encrypts it"),
    ] {
        let to = format!("carol@{domain}");
        send(&near, &[&to]);
        let history = told(&near, &to, "delivered");
        assert!(history.contains(policy), "{history}");
        assert!(history.contains("over TLS") || domain == "bare.test", "{history}");
    }
    far.mailbox_count(ALICE, 3);
    for (domain, reason) in [
        (
            "wrong.test",
            "no TLSA record matches it, and its TLSA records (mx.wrong.test) let nothing go without",
        ),
        ("clear.test", "does not offer STARTTLS, and its TLSA records"),
        ("bogus.test", "may have TLSA records (DANE)"),
    ] {
        let to = format!("carol@{domain}");
        send(&near, &[&to]);
        waits(&near, &to, reason);
    }
    assert_eq!(clear.messages().len(), 1, "the one that nothing speaks against");
    // RFC 8689 §3: its sender would rather have it arrive.
    let waived = b"Subject: whatever it takes\r\nTLS-Required: No\r\n\r\nHello.\r\n";
    let reply = near.smtp().deliver(ALICE, &["dave@wrong.test"], waived).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let history = told(&near, "dave@wrong.test", "delivered");
    assert!(history.contains("as TLS-Required: No sets DANE and MTA-STS aside"), "{history}");
    far.mailbox_count(ALICE, 4);
    let route = near.cli_ok(&["route", "carol@right.test"]);
    assert!(route.contains("policy: DANE by the TLSA records of mx.right.test"), "{route}");
    let route = near.cli_ok(&["route", "carol@bogus.test"]);
    assert!(route.contains("no mail goes there: mx.bogus.test may have TLSA records"), "{route}");
}

#[test]
fn a_route_that_insists_on_dane_goes_nowhere_without() {
    if tools::find("openssl", "a route with tls = \"dane\"").is_none() {
        return;
    }
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let files = certificates::self_signed(folder.path(), "far", "far", "DNS:mx.far.test");
    let far = far(ports.nth(0), &files);
    let names = NameServer::start(&mx("far.test", FAR));
    let dane = format!(
        "[[route]]\nrecipient = \"*@far.test\"\nvia = \"mx\"\nport = {}\nprivate_addresses = true\ntls = \"dane\"\n",
        ports.nth(0)
    );
    let near = near(&names, ports.nth(0), &files.certificate, "", &dane);
    send(&near, &["carol@far.test"]);
    waits(&near, "carol@far.test", "has tls = \"dane\", and DNSSEC does not prove");
    far.mailbox_count(ALICE, 0);
}

/// `support/https.py`; ends with the test.
struct Web {
    folder: PathBuf,
    child: Child,
}

impl Web {
    fn start(folder: &Path, port: u16, files: &Files) -> Option<Self> {
        let python = tools::find("python3", "MTA-STS")?;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/https.py");
        let mut command = Command::new(python);
        command
            .arg(script)
            .arg(folder)
            .args([WEB, &port.to_string()])
            .arg(&files.certificate)
            .arg(&files.key);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Some(Self { folder: folder.to_owned(), child })
    }

    fn publish(&self, domain: &str, mode: &str, host: &str) {
        let policy = format!("version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 86400\r\n");
        fs::write(self.folder.join(format!("mta-sts.{domain}")), policy).unwrap();
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A domain with a record that announces a policy.
fn announced(domain: &str, id: &str) -> String {
    format!("_mta-sts.{domain}. 1 IN TXT \"v=STSv1; id={id};\"\nmta-sts.{domain}. 60 IN A {WEB}\n")
}

#[test]
fn policies_of_domains_are_fetched_and_kept_and_kept_to() {
    let test = "MTA-STS";
    if tools::find("openssl", test).is_none() {
        return;
    }
    let (ports, folder) = (Ports::take(), tempfile::tempdir().unwrap());
    let (port, web_port) = (ports.nth(0), ports.nth(1));
    let authority = certificates::authority(folder.path(), "authority");
    let hosts = "DNS:mx.good.test,DNS:mx.renewed.test";
    let far = far(port, &certificates::server(folder.path(), &authority, "far", hosts));
    let clear = Sink::start_on(CLEAR, port, &EXTENSIONS, |_| None);
    let domains = ["good", "bad", "elsewhere", "tested", "none", "moved", "renewed"];
    let names: Vec<String> = domains.iter().map(|name| format!("DNS:mta-sts.{name}.test")).collect();
    let web_files = certificates::server(folder.path(), &authority, "web", &names.join(","));
    let policies = folder.path().join("policies");
    fs::create_dir(&policies).unwrap();
    let Some(web) = Web::start(&policies, web_port, &web_files) else { return };
    for (domain, mode, host) in [
        ("good.test", "enforce", "*.good.test"),
        ("bad.test", "enforce", "mx.bad.test"),
        ("elsewhere.test", "enforce", "mx.other.test"),
        ("tested.test", "testing", "mx.other.test"),
        ("none.test", "none", "mx.other.test"),
        ("moved.test", "enforce", "mx.other.test"),
        ("renewed.test", "enforce", "mx.renewed.test"),
    ] {
        web.publish(domain, mode, host);
    }
    fs::write(policies.join("mta-sts.moved.test.moved"), "").unwrap();
    let zone = |name: &&str| mx(&format!("{name}.test"), FAR) + &announced(&format!("{name}.test"), "1");
    let names = NameServer::start(&domains.iter().map(zone).collect::<String>());
    let section = format!("[tls_policy]\nmta_sts_port = {web_port}\n");
    let mut near = near(&names, port, &authority.certificate, "", &section);

    for (domain, policy) in [
        (
            "good.test",
            "MTA-STS policy of good.test (enforce): the host matches *.good.test; its certificate verifies",
        ),
        ("tested.test", "MTA-STS policy of tested.test (testing): the host is not among those that it names"),
        ("none.test", "policy: opportunistic"),
        ("moved.test", "policy: opportunistic"),
        ("renewed.test", "(enforce): the host matches mx.renewed.test"),
    ] {
        let to = format!("carol@{domain}");
        send(&near, &[&to]);
        let history = told(&near, &to, "delivered");
        assert!(history.contains(policy), "{history}");
    }
    far.mailbox_count(ALICE, 5);
    // One host, and two domains of which one has a policy that it does not meet: each goes its own way.
    send(&near, &["carol@bad.test", "dave@elsewhere.test"]);
    waits(&near, "carol@bad.test", "it is for another name, and the MTA-STS policy of bad.test (enforce)");
    waits(
        &near,
        "dave@elsewhere.test",
        "mx.elsewhere.test is not among the hosts that the policy of elsewhere.test",
    );
    // RFC 8689 §4.2.1: the policy vouches for the host; where there is none nobody does.
    require_tls(&near, "frank@good.test");
    assert!(told(&near, "frank@good.test", "delivered").contains("REQUIRETLS kept"));
    far.mailbox_count(ALICE, 6);
    require_tls(&near, "frank@none.test");
    let report = near.mailbox(ALICE, 1);
    assert!(String::from_utf8_lossy(&report[0]).contains("Status: 5.7.10"));
    let route = near.cli_ok(&["route", "carol@good.test"]);
    for expected in
        ["enforce, by good.test, ID 1", "kept until", "*.good.test", "the host matches *.good.test"]
    {
        assert!(route.contains(expected), "{expected}: {route}");
    }

    // Whoever takes away record, web server and host has not taken away the policy.
    near.stop();
    drop(web);
    names.change(
        "_mta-sts.renewed.test. 1 IN TXT \"nothing of the kind\"\nrenewed.test. 60 IN MX 10 mx.forged.test.\n\
         mx.forged.test. 60 IN A 127.0.0.3\n",
    );
    near.launch();
    send(&near, &["erin@renewed.test"]);
    waits(
        &near,
        "erin@renewed.test",
        "mx.forged.test is not among the hosts that the policy of renewed.test",
    );
    assert!(clear.messages().is_empty());
}
