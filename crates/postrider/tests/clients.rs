//! More programs we did not write, chosen for what they try: TLS versions, ways to log in, and what scanners look for.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{path::Path, process::Command};

use support::{
    s_client::{SClient, s_client},
    samples::{self, Sample, assert_same},
    server::{ALICE, BOB, PASSWORD, Server},
    tools,
    wire::dot_stuffed,
};

const NODE_SEND: &str = include_str!("support/node/send.js");
const SENDER: &str = "ann@client.test";
/// `alice@example.test` and her password, as AUTH PLAIN has them.
const ALICE_PLAIN: &str = "AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl";

fn at(server: &Server, service: &str) -> String {
    format!("127.0.0.1:{}", server.port(service))
}

#[test]
fn openssl_speaks_tls_1_2_and_1_3() {
    if tools::find("openssl", "openssl s_client").is_none() {
        return;
    }
    let server = Server::start("");
    let mut arrived = 0;
    for (version, name) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        for (service, starttls) in [("smtp", true), ("submission", true), ("submissions", false)] {
            let mut arguments = vec![version];
            if starttls {
                arguments.extend(["-starttls", "smtp"]);
            }
            let mut client = SClient::start(&at(&server, service), &arguments);
            if !starttls {
                client.dialog("S: 220 mx.example.test");
            }
            client.dialog("C: EHLO client.test\nS: 250");
            if service != "smtp" {
                client.dialog(&format!("C: AUTH PLAIN {ALICE_PLAIN}\nS: 235 2.7.0"));
            }
            client.dialog(&format!(
                "C: MAIL FROM:<{ALICE}>\nS: 250\nC: RCPT TO:<{BOB}>\nS: 250\nC: DATA\nS: 354\n\
                 C: Subject: {name}\nC:\nC: text\nC: .\nS: 250\nC: QUIT\nS: 221"
            ));
            let told = client.end();
            assert!(told.contains(&format!("Protocol version: {name}")), "{told}");
            arrived += 1;
            let stored = server.mailbox(BOB, arrived).pop().unwrap();
            let received = samples::field(&stored, "Received").unwrap();
            let word = if service == "smtp" { "with ESMTPS" } else { "with ESMTPSA" };
            assert!(received.contains(word), "RFC 3848: {received}");
        }
    }
}

#[test]
fn openssl_finds_no_old_tls() {
    if tools::find("openssl", "openssl finds no old TLS").is_none() {
        return;
    }
    let server = Server::start("");
    for version in ["-tls1", "-tls1_1"] {
        for (service, starttls) in [("smtp", true), ("submission", true), ("submissions", false)] {
            let mut arguments = vec![version, "-cipher", "DEFAULT@SECLEVEL=0"];
            if starttls {
                arguments.extend(["-starttls", "smtp"]);
            }
            let done = tools::run(&mut s_client(&at(&server, service), &arguments), b"QUIT\n");
            // RFC 8996 §4, §5
            let said = done.said();
            assert!(!done.status.success() && !said.contains("CONNECTION ESTABLISHED"), "{version}: {said}");
            assert!(said.contains("alert"), "the server says so: {said}");
        }
    }
}

/// What one of nmap's scripts says about the service.
fn nmap(nmap: &Path, server: &Server, service: &str, script: &str, arguments: &str) -> String {
    let mut command = Command::new(nmap);
    command.args(["-Pn", "-n", "-sT", "-p", &server.port(service).to_string()]);
    // The plus: run it although the port is none of the usual.
    command.args(["--script", &format!("+{script}"), "--script-args", arguments, "127.0.0.1"]);
    let said = String::from_utf8(tools::run(&mut command, b"").ok("nmap")).unwrap();
    assert!(said.contains("open"), "{said}");
    said
}

#[test]
fn nmap_reads_the_commands() {
    let Some(program) = tools::find("nmap", "nmap reads the commands") else { return };
    let server = Server::start("");
    let said = nmap(&program, &server, "smtp", "smtp-commands", "smtp.domain=client.test");
    let announced = said.lines().find(|line| line.contains("smtp-commands")).unwrap_or_default();
    for word in ["mx.example.test", "PIPELINING", "8BITMIME", "SIZE", "STARTTLS", "CHUNKING", "SMTPUTF8"] {
        assert!(announced.contains(word), "{word} is missing in {said}");
    }
    assert!(!announced.contains("AUTH"), "the relay port offers no login: {said}");
}

#[test]
fn nmap_finds_no_open_relay() {
    let Some(program) = tools::find("nmap", "nmap finds no open relay") else { return };
    let mut server = Server::start("");
    for service in ["smtp", "submission"] {
        let arguments = "smtp-open-relay.domain=far.test,smtp-open-relay.ip=192.0.2.1";
        let said = nmap(&program, &server, service, "smtp-open-relay", arguments);
        let verdict = said.lines().find(|line| line.contains("smtp-open-relay")).unwrap_or_default();
        let closed =
            verdict.contains("doesn't seem to be an open relay") || verdict.contains("isn't an open relay");
        assert!(closed, "{service}: {said}");
    }
    server.still_serves("after the relay tests");
}

#[test]
fn nmap_learns_no_names_from_vrfy_and_expn() {
    let Some(program) = tools::find("nmap", "nmap learns no names") else { return };
    let mut server = Server::start("");
    for user in ["root@example.test", "admin@example.test"] {
        server.add_account(user);
    }
    for method in ["VRFY", "EXPN"] {
        let arguments = format!("smtp-enum-users.methods={{{method}}},smtp.domain=example.test");
        let said = nmap(&program, &server, "smtp", "smtp-enum-users", &arguments);
        for user in ["root", "admin"] {
            assert!(!said.contains(user), "{method}: {said}");
        }
    }
    server.still_serves("after the search for names");
}

#[test]
fn nmap_finds_no_ntlm_and_none_of_the_old_holes() {
    let Some(program) = tools::find("nmap", "nmap finds no NTLM") else { return };
    let mut server = Server::start("");
    let said = nmap(&program, &server, "submission", "smtp-ntlm-info", "smtp-ntlm-info.domain=x");
    for word in ["Target_Name", "NetBIOS", "DNS_", "Product_Version"] {
        assert!(!said.contains(word), "{said}");
    }
    for script in ["smtp-vuln-cve2010-4344", "smtp-vuln-cve2011-1720", "smtp-vuln-cve2011-1764"] {
        let said = nmap(&program, &server, "smtp", script, "vulns.short");
        assert!(!said.contains("VULNERABLE") || said.contains("NOT VULNERABLE"), "{script}: {said}");
    }
    server.still_serves("after the search for holes");
}

#[test]
fn nodemailer_delivers() {
    let Some((node, module)) = tools::find_node("nodemailer", "nodemailer delivers") else { return };
    let server = Server::start("");
    let module = module.display().to_string();
    let send = |service: &str, tls: &str, more: &[&str], sample: &Sample| {
        let port = server.port(service).to_string();
        let mut command = Command::new(&node);
        command.args(["-e", NODE_SEND, "--", &module, &port, tls]).args(more);
        let said = String::from_utf8(tools::run(&mut command, &sample.message).ok("nodemailer")).unwrap();
        assert!(said.starts_with("250 2.0.0"), "{said}");
        let stored = server.mailbox(ALICE, 1).remove(0);
        assert_same(&stored, &sample.message, sample.name);
        server.empty_mailbox(ALICE);
    };
    for sample in samples::plain() {
        send("smtp", "plain", &[SENDER, ALICE], &sample);
    }
    for sample in [samples::one_byte(), samples::dots(), samples::eight_bit()] {
        send("smtp", "starttls", &[SENDER, ALICE], &sample);
        send("submission", "starttls", &[ALICE, ALICE, "PLAIN", ALICE, PASSWORD], &sample);
        send("submissions", "implicit", &[ALICE, ALICE, "LOGIN", ALICE, PASSWORD], &sample);
    }
}

#[test]
fn swaks_has_its_ways_with_tls_and_auth() {
    let Some(swaks) = tools::find("swaks", "swaks' TLS and AUTH modes") else { return };
    let server = Server::start("");
    let sample = samples::dots();
    let run = |service: &str, more: &[&str]| {
        let mut command = Command::new(&swaks);
        command.args(["--server", &at(&server, service), "--from", ALICE, "--to", BOB]);
        command.args(["--data", "-", "--no-data-fixup"]).args(more);
        tools::run(&mut command, &dot_stuffed(&sample.message))
    };
    let user = ["--auth-user", ALICE, "--auth-password", PASSWORD];
    let mut arrived = 0;
    let mut delivers = |service: &str, more: &[&str]| {
        run(service, more).ok(&format!("swaks {more:?}"));
        arrived += 1;
        assert_same(&server.mailbox(BOB, arrived).pop().unwrap(), &sample.message, &format!("{more:?}"));
    };
    for tls in ["--tls", "--tls-optional", "--tls-optional-strict"] {
        delivers("smtp", &[tls]);
    }
    for mechanism in ["PLAIN", "LOGIN"] {
        for tls in ["--tls", "--tls-optional"] {
            delivers("submission", &[&[tls, "--auth", mechanism], &user[..]].concat());
        }
        delivers("submissions", &[&["--tls-on-connect", "--auth", mechanism], &user[..]].concat());
    }
    delivers("submission", &[&["--tls", "--auth-optional-strict", "PLAIN,LOGIN"], &user[..]].concat());
    delivers("submission", &[&["--tls", "--pipeline", "--auth", "PLAIN"], &user[..]].concat());
    for version in ["tlsv1_2", "tlsv1_3"] {
        delivers("smtp", &["--tls", "--tls-protocol", version]);
    }
}

#[test]
fn swaks_is_refused_where_it_has_to_be() {
    let Some(swaks) = tools::find("swaks", "swaks is refused") else { return };
    let mut server = Server::start("");
    let run = |service: &str, more: &[&str]| {
        let mut command = Command::new(&swaks);
        command.args(["--server", &at(&server, service), "--from", ALICE, "--to", BOB]).args(more);
        tools::run(&mut command, b"")
    };
    // Exit codes are swaks' own: 23 MAIL, 28 AUTH, 29 TLS.
    let wrong = ["--tls", "--auth-user", ALICE, "--auth-password", "wrong"];
    for mechanism in ["PLAIN", "LOGIN"] {
        let done = run("submission", &[&wrong[..], &["--auth", mechanism]].concat());
        assert_eq!(done.status.code(), Some(28), "{}", done.said());
        assert!(done.said().contains("535 5.7.8"), "{}", done.said());
    }
    let unknown =
        ["--tls", "--auth-user", "nobody@example.test", "--auth-password", "wrong", "--auth", "PLAIN"];
    let [known, unknown] = [&[&wrong[..], &["--auth", "PLAIN"]].concat()[..], &unknown].map(|more| {
        let said = run("submission", more).said();
        said.lines().find(|line| line.contains("535")).expect("a refusal").to_owned()
    });
    assert_eq!(known, unknown, "an unknown user is not told from a wrong password");
    let done = run("submission", &["--tls"]);
    assert_eq!(done.status.code(), Some(23), "{}", done.said());
    assert!(done.said().contains("530 5.7.0"), "RFC 6409 §4.3: {}", done.said());
    for version in ["tlsv1", "tlsv1_1"] {
        let done = run("smtp", &["--tls", "--tls-protocol", version]);
        assert!(!done.status.success(), "{version}: {}", done.said());
    }
    server.still_serves("after what was refused");
}
