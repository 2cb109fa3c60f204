//! Reports on TLS (RFC 8460): sessions counted, shown, and told to the domain that asks for it, read back with Python.
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

use names::NameServer;
use serde_json::{Value, json};
use support::{
    ports::Ports,
    server::{ALICE, BOB, Server},
    sink::Sink,
    tools, wait_for,
};

const EXTENSIONS: [&str; 3] = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
const MESSAGE: &[u8] = b"Subject: by MX\r\n\r\nHello.\r\n";
/// Header fields and the unpacked report of the message on standard input.
const UNPACK: &str = "import email, email.policy, gzip, json, sys\n\
    message = email.message_from_bytes(sys.stdin.buffer.read(), policy=email.policy.default)\n\
    part = [p for p in message.walk() if p.get_content_type() == 'application/tlsrpt+gzip'][0]\n\
    json.dump({\n    \
        'header': {k.lower(): str(v) for k, v in message.items()},\n    \
        'type': message['content-type'].params.get('report-type'),\n    \
        'defects': [str(d) for p in message.walk() for d in p.defects],\n    \
        'file': part.get_filename(),\n    \
        'report': json.loads(gzip.decompress(part.get_payload(decode=True))),\n\
    }, sys.stdout)\n";

fn near(names: &NameServer, port: u16, more: &str) -> Server {
    Server::start(&format!(
        "[smtp]\ntrusted_networks = [\"127.0.0.0/8\"]\n{more}{}\
         [[route]]\nrecipient = \"*\"\nvia = \"mx\"\nport = {port}\nprivate_addresses = true\n",
        names.section("dnssec = \"off\"")
    ))
}

fn deliver(server: &Server, sink: &Sink, number: usize) {
    let reply = server.smtp().deliver(ALICE, &["carol@far.test"], MESSAGE).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for("the message", || (sink.messages().len() == number).then_some(()));
}

#[test]
fn a_domain_is_told_how_its_mail_arrives() {
    let ports = Ports::take();
    let sink = Sink::start_on([127, 0, 0, 2], ports.nth(0), &EXTENSIONS, |_| None);
    let names = NameServer::start(&format!(
        "far.test. 60 IN MX 10 mx.far.test.\nmx.far.test. 60 IN A 127.0.0.2\n\
         _smtp._tls.far.test. 60 IN TXT \"v=TLSRPTv1; rua=mailto:{BOB}\"\n"
    ));
    let reporting = format!("[tls_reports]\ncontact = \"{ALICE}\"\norganization = \"The Example\"\n");
    let mut server = near(&names, ports.nth(0), &reporting);
    deliver(&server, &sink, 1);
    let day = &server.cli_json(&["tls-reports", "list"])[0];
    assert_eq!(
        (&day["domain"], &day["sessions"], &day["failures"]),
        (&json!("far.test"), &json!(1), &json!(1))
    );
    let shown = server.cli_ok(&["tls-reports", "show", "far.test"]);
    for word in ["no-policy-found", "starttls-not-supported", "mx.far.test", "127.0.0.2"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
    // As reports themselves are sent: no report leads to another.
    let aside = [b"TLS-Required: No\r\n", MESSAGE].concat();
    let reply = server.smtp().deliver(ALICE, &["carol@far.test"], &aside).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    wait_for("the message", || (sink.messages().len() == 2).then_some(()));
    assert_eq!(server.cli_json(&["tls-reports", "list"])[0]["sessions"], 1);
    // Nothing counted is lost by a stop.
    server.stop();
    assert_eq!(
        server.cli_json(&["tls-reports", "list"])[0]["sessions"],
        1,
        "the same without a running server"
    );
    server.launch();
    deliver(&server, &sink, 3);
    let would = server.cli_json(&["tls-reports", "send-now", "--today", "--dry-run"]);
    assert_eq!(would[0]["outcome"], format!("would be sent to mailto:{BOB}"));
    assert_eq!(server.cli_json(&["tls-reports", "send-now"]), json!([]), "no day is over");
    server.cli_ok(&["tls-reports", "send-now", "--today"]);
    let message = server.mailbox(BOB, 1).remove(0);
    let Some(python) = tools::find("python3", "a report on TLS") else { return };
    let seen: Value =
        serde_json::from_slice(&tools::python(&python, UNPACK, &[], &message).ok("unpack")).unwrap();
    assert_eq!((&seen["defects"], &seen["type"]), (&json!([]), &json!("tlsrpt")));
    assert_eq!(seen["header"]["tls-report-domain"], "far.test");
    assert_eq!(seen["header"]["tls-report-submitter"], "example.test");
    let report = &seen["report"];
    let mut expected = would[0]["report"].clone();
    // A part of a day ends when it is asked for.
    expected["date-range"]["end-datetime"] = report["date-range"]["end-datetime"].clone();
    assert_eq!(report, &expected);
    assert_eq!(report["organization-name"], "The Example");
    assert_eq!(report["policies"][0]["summary"]["total-failure-session-count"], 2);
    let file: Vec<&str> = seen["file"].as_str().unwrap().split('!').collect();
    assert_eq!((file[0], file[1], file.len()), ("example.test", "far.test", 5));
    let state = server.cli_json(&["tls-reports", "list"]);
    assert_eq!(state[0]["sessions"], 0, "{state}");
}

#[test]
fn without_a_contact_nothing_is_sent() {
    let names = NameServer::start("far.test. 60 IN A 127.0.0.2\n");
    let server = near(&names, 25, "");
    let refused = server.cli(&["tls-reports", "send-now"]);
    assert!(refused.said().contains("[tls_reports] names no contact"), "{}", refused.said());
    assert!(server.cli_ok(&["tls-reports", "list"]).contains("no sessions with other hosts were counted"));
}

/// One that Python packed.
const PACK: &str = "import gzip, json, smtplib, sys\n\
    from email.message import EmailMessage\n\
    report = {'organization-name': 'Far \\x1b[2J', 'contact-info': 'tls@far.test', 'report-id': '1',\n    \
        'date-range': {'start-datetime': '2026-11-25T00:00:00Z', 'end-datetime': '2026-11-25T23:59:59Z'},\n    \
        'policies': [{'policy': {'policy-type': 'sts', 'policy-domain': 'example.test', 'mx-host': 'mx.example.test'},\n        \
            'summary': {'total-successful-session-count': 7, 'total-failure-session-count': 3},\n        \
            'failure-details': [{'result-type': 'certificate-expired', 'failed-session-count': 3,\n            \
                'receiving-mx-hostname': 'mx.example.test', 'failure-reason-code': 'X509_V_ERR'}]}]}\n\
    octets = gzip.compress(json.dumps(report).encode()) if sys.argv[3] == 'report' else gzip.compress(b' ' * (64 << 20))\n\
    message = EmailMessage()\n\
    message['From'], message['To'], message['Subject'] = 'tls@far.test', sys.argv[2], 'a report'\n\
    message.add_attachment(octets, maintype='application', subtype='tlsrpt+gzip', filename='r.json.gz')\n\
    with smtplib.SMTP('127.0.0.1', int(sys.argv[1])) as smtp:\n    smtp.send_message(message)\n";

#[test]
fn reports_of_others_say_who_failed_to_reach_us_and_why() {
    let Some(python) = tools::find("python3", "reports of others") else { return };
    let server = Server::start(&format!("[tls_reports]\naddress = \"{BOB}\"\n"));
    let port = server.port("smtp").to_string();
    let nothing = server.cli_ok(&["tls-reports", "received"]);
    assert!(nothing.contains("no reports were received"), "{nothing}");
    tools::python(&python, PACK, &[&port, BOB, "bomb"], b"").ok("a bomb");
    tools::python(&python, PACK, &[&port, BOB, "report"], b"").ok("a report");
    tools::python(&python, PACK, &[&port, ALICE, "report"], b"").ok("a report to somebody else");
    server.mailbox(BOB, 2);
    let received = server.cli_json(&["tls-reports", "received"]);
    assert_eq!(received.as_array().unwrap().len(), 1, "{received}");
    assert_eq!(received[0]["organization"], "Far \\u{1b}[2J");
    assert_eq!(received[0]["policies"][0]["failures"], 3);
    let shown = server.cli_ok(&["tls-reports", "received"]);
    for word in ["certificate-expired", "mx.example.test", "X509_V_ERR", "sts: 7 as it asks for, 3 failed"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }
}
