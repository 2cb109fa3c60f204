//! Postfix as the host that sends to us, and as the host that we send to: its own `smtp` and `smtpd`, under its `master`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

#[path = "support/postfix.rs"]
mod postfix;
mod support;

use postfix::Postfix;
use serde_json::Value;
use support::{
    certificates,
    samples::{self, Sample, assert_same, with_crlf},
    server::{ALICE, BOB, DOMAIN, PASSWORD, Server},
    tools, wait_for,
    wire::{dot_stuffed, expect},
};

const SENDER: &str = "ann@client.test";
const UTF8_SENDER: &str = "jörg@client.test";
const UTF8_RECIPIENT: &str = "δοκιμή@example.test";
const EIGHT_BIT: &str = "BODY=8BITMIME";
const UTF8: &str = "BODY=8BITMIME SMTPUTF8";
/// Postfix's domain and the mailboxes in it.
const FAR: &str = "virtual_mailbox_domains = far.test
virtual_mailbox_maps = inline:{carol@far.test=carol/, dave@far.test=dave/, δοκιμή@far.test=utf8/}
";

fn samples() -> [Sample; 4] {
    [samples::one_byte(), samples::dots(), samples::eight_bit(), samples::attachment_of(2)]
}

/// The lines that make our server the one Postfix sends everything to.
fn relay_to(server: &Server, service: &str, more: &str) -> String {
    format!("relayhost = [127.0.0.1]:{}\n{more}\n", server.port(service))
}

/// The details of the events of one kind, in the newest history that has to do with `term`.
fn events(server: &Server, term: &str, kind: &str) -> Vec<Value> {
    let histories = server.cli_json(&["trace", term]);
    let last = histories.as_array().unwrap().last().unwrap();
    let events = last["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind);
    events.map(|event| event["details"].clone()).collect()
}

/// What the only message of a mailbox is, and how the newest Received field says it came.
fn arrived(server: &Server, user: &str, sample: &Sample, with: &str) {
    let stored = server.mailbox(user, 1).remove(0);
    assert_same(&stored, &sample.message, sample.name);
    let received = samples::field(&stored, "Received").unwrap();
    assert!(received.contains(&format!(" with {with} ")), "{}: {received}", sample.name);
    server.empty_mailbox(user);
}

#[test]
fn postfix_delivers_in_clear_and_under_tls() {
    let server = Server::start("");
    server.add_account(UTF8_RECIPIENT);
    for (level, under_tls) in [("none", false), ("encrypt", true)] {
        let settings = relay_to(&server, "smtp", &format!("smtp_tls_security_level = {level}"));
        let Some(postfix) = Postfix::start("Postfix delivers", &settings) else { return };
        for sample in samples() {
            postfix.hand_over(SENDER, &[ALICE, BOB], EIGHT_BIT, &sample.message);
            for user in [ALICE, BOB] {
                arrived(&server, user, &sample, if under_tls { "ESMTPS" } else { "ESMTP" });
            }
        }
        let utf8 = samples::utf8();
        postfix.hand_over(UTF8_SENDER, &[UTF8_RECIPIENT], UTF8, &utf8.message);
        arrived(&server, UTF8_RECIPIENT, &utf8, if under_tls { "UTF8SMTPS" } else { "UTF8SMTP" });
        let accepted = events(&server, ALICE, "accepted").remove(0);
        assert_eq!(accepted["recipients"].as_array().unwrap().len(), 2, "one transaction: {accepted}");
        assert_eq!(accepted["helo"], "postfix.far.test");
        let agreed = accepted["tls"].as_str().is_some_and(|tls| tls.starts_with("TLSv1.3 TLS13_"));
        assert_eq!(agreed, under_tls, "{accepted}");
    }
}

/// The lines with which Postfix logs in as alice, over TLS with the certificate that the server made for itself.
fn login(server: &Server, service: &str, mechanism: &str, password: &str) -> String {
    let wrapper = if service == "submissions" { "yes" } else { "no" };
    let more = format!(
        "smtp_tls_security_level = secure\nsmtp_tls_secure_cert_match = mx.{DOMAIN}\n\
         smtp_tls_CAfile = {}/data/tls/mx.{DOMAIN}.crt\nsmtp_tls_wrappermode = {wrapper}\n\
         smtp_sasl_auth_enable = yes\nsmtp_sasl_tls_security_options = noanonymous\n\
         smtp_sasl_mechanism_filter = {mechanism}\nsmtp_sasl_password_maps = static:{{{ALICE}:{password}}}",
        server.path().display()
    );
    relay_to(server, service, &more)
}

#[test]
fn postfix_logs_in_with_each_of_its_mechanisms() {
    let server = Server::start("");
    let ways = [
        ("submission", "plain"),
        ("submission", "scram-sha-256"),
        ("submissions", "login"),
        ("submissions", "scram-sha-1"),
    ];
    for (service, mechanism) in ways {
        let settings = login(&server, service, mechanism, PASSWORD);
        let Some(postfix) = Postfix::start("Postfix logs in", &settings) else { return };
        for sample in [samples::dots(), samples::eight_bit()] {
            postfix.hand_over(ALICE, &[BOB], EIGHT_BIT, &sample.message);
            arrived(&server, BOB, &sample, "ESMTPSA");
        }
        let accepted = events(&server, BOB, "accepted").remove(0);
        assert_eq!(accepted["identity"], ALICE, "{mechanism}: {accepted}");
        assert_eq!(accepted["service"], "submission", "{mechanism}: {accepted}");
    }
}

#[test]
fn postfix_keeps_its_mail_while_its_password_is_wrong() {
    let server = Server::start("");
    let settings = login(&server, "submission", "scram-sha-256", "wrong");
    let Some(postfix) = Postfix::start("Postfix has a wrong password", &settings) else { return };
    postfix.hand_over(ALICE, &[BOB], EIGHT_BIT, &samples::dots().message);
    postfix.logs(&["status=deferred", "SASL authentication failed", "535 5.7.8"]);
    assert_eq!(server.pop3(BOB).count().unwrap(), 0);
}

#[test]
fn postfix_reports_whom_we_refuse_and_waits_while_we_are_down() {
    let mut server = Server::start("");
    let settings = relay_to(&server, "smtp", "smtp_tls_security_level = may");
    let Some(postfix) = Postfix::start("Postfix reports", &settings) else { return };
    postfix.hand_over(BOB, &[ALICE, "nobody@example.test"], EIGHT_BIT, &samples::dots().message);
    arrived(&server, ALICE, &samples::dots(), "ESMTPS");
    let report = server.mailbox(BOB, 1).remove(0);
    assert_eq!(samples::field(&report, "Return-Path").as_deref(), Some("<>"));
    let report = String::from_utf8_lossy(&report);
    let refusal = report.contains("Diagnostic-Code: smtp; 550 5.1.1") && report.contains("Status: 5.1.1");
    assert!(refusal && report.contains("Final-Recipient: rfc822; nobody@example.test"), "{report}");

    server.stop();
    postfix.hand_over(BOB, &[ALICE], EIGHT_BIT, &samples::one_byte().message);
    postfix.logs(&["status=deferred", "Connection refused"]);
    server.launch();
    arrived(&server, ALICE, &samples::one_byte(), "ESMTPS");
}

/// Gives our server a message for others.
fn send(server: &Server, from: &str, to: &[&str], parameters: &str, message: &[u8]) {
    let mut smtp = server.smtp();
    smtp.dialog(&format!("C: MAIL FROM:<{from}> {parameters}\nS: 250"));
    for to in to {
        smtp.dialog(&format!("C: RCPT TO:<{to}>\nS: 250"));
    }
    smtp.dialog("C: DATA\nS: 354");
    smtp.write(&dot_stuffed(message)).unwrap();
    expect(&smtp.reply().unwrap(), 250).unwrap();
}

fn server_before(postfix: &Postfix) -> Server {
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n[queue]\nretry_delays = [\"1s\"]\n\
         [[route]]\nrecipient = \"*@far.test\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {}\n",
        postfix.port()
    ))
}

/// All samples for two of Postfix's users, and one in UTF-8; `with` as its Received field has to say it.
fn postfix_takes(postfix: &Postfix, server: &Server, with: &str) {
    let received = |message: &[u8]| {
        let received = samples::field(message, "Received").unwrap();
        assert!(received.contains(&format!(" with {with} ")), "{received}");
    };
    for sample in samples() {
        send(server, ALICE, &["carol@far.test", "dave@far.test"], EIGHT_BIT, &sample.message);
        for name in ["carol", "dave"] {
            let stored = with_crlf(&postfix.take(name, 1)[0]);
            assert_same(&stored, &sample.message, sample.name);
            received(&stored);
        }
    }
    let utf8 = samples::utf8();
    send(server, UTF8_SENDER, &["δοκιμή@far.test"], UTF8, &utf8.message);
    assert_same(&with_crlf(&postfix.take("utf8", 1)[0]), &utf8.message, "SMTPUTF8");
    wait_for("an empty queue", || {
        server.cli_json(&["queue", "list"]).as_array().unwrap().is_empty().then_some(())
    });
}

#[test]
fn postfix_takes_what_we_relay_by_bdat_under_tls() {
    if tools::find("openssl", "Postfix takes under TLS").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let files = certificates::self_signed(folder.path(), "far", "postfix.far.test", "DNS:postfix.far.test");
    let tls = format!(
        "{FAR}smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = {}\nsmtpd_tls_key_file = {}\n",
        files.certificate.display(),
        files.key.display()
    );
    let Some(postfix) = Postfix::start("Postfix takes under TLS", &tls) else { return };
    let server = server_before(&postfix);
    postfix_takes(&postfix, &server, "ESMTPS");
    let attempt = events(&server, "carol@far.test", "attempt").remove(0);
    assert!(attempt["tls"].as_str().unwrap().starts_with("TLSv1.3 TLS13_"), "{attempt}");
    assert_eq!(events(&server, "carol@far.test", "delivered").len(), 2);
    assert!(!postfix.logs(&["disconnect", "starttls=1", "bdat="]).contains(" data=1 "));
}

#[test]
fn postfix_takes_what_we_relay_in_clear_and_without_chunking() {
    let settings = format!("{FAR}smtpd_discard_ehlo_keywords = chunking\n");
    let Some(postfix) = Postfix::start("Postfix takes in clear", &settings) else { return };
    let server = server_before(&postfix);
    postfix_takes(&postfix, &server, "ESMTP");
    assert_eq!(events(&server, "carol@far.test", "attempt")[0]["tls"], Value::Null);
    assert!(!postfix.logs(&["disconnect", "data="]).contains("bdat="));
    send(&server, ALICE, &["carol@far.test", "nobody@far.test"], EIGHT_BIT, &samples::dots().message);
    postfix.take("carol", 1);
    let report = String::from_utf8_lossy(&server.mailbox(ALICE, 1)[0]).into_owned();
    let refusal =
        report.contains("Status: 5.1.1") && report.contains("User unknown in virtual mailbox table");
    assert!(refusal && report.contains("nobody@far.test"), "{report}");
}
