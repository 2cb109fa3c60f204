//! The command line as its user meets it: exit codes, messages, JSON, with and without a running server.
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
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::Path,
    process::{Command, Stdio},
};

use support::{
    server::{ALICE, BOB, DOMAIN, PASSWORD, Server, binary},
    tools::{self, Done},
    wait_for,
};
use tempfile::TempDir;

fn run_in(directory: &Path, arguments: &[&str]) -> Done {
    tools::run(Command::new(binary()).args(arguments).current_dir(directory), b"")
}

fn code(done: &Done) -> i32 {
    done.status.code().unwrap()
}

fn stderr(done: &Done) -> String {
    String::from_utf8(done.stderr.clone()).unwrap()
}

fn stdout(done: &Done) -> String {
    String::from_utf8(done.stdout.clone()).unwrap()
}

#[test]
fn a_mistake_in_the_configuration_is_shown_where_it_stands() {
    let directory = TempDir::new().unwrap();
    let text =
        "hostname = \"mx.example.test\"\n\n[[listener]]\nservice = \"smtp\"\nadress = \"127.0.0.1:25\"\n";
    fs::write(directory.path().join("postrider.toml"), text).unwrap();
    for arguments in [&["config", "check"][..], &["serve"], &["domain", "list"]] {
        let done = run_in(directory.path(), &[arguments, &["--config", "postrider.toml"]].concat());
        assert_eq!(code(&done), 1, "{}", done.said());
        let said = stderr(&done);
        assert!(
            said.contains(
                "postrider.toml:5:1: unknown key \"adress\" in [[listener]]; did you mean \"address\"?"
            ),
            "{said}"
        );
        assert!(said.contains("  5 | adress = \"127.0.0.1:25\"\n    | ^^^^^^"), "{said}");
    }
    let done = run_in(directory.path(), &["config", "check", "--config", "missing.toml"]);
    assert_eq!(code(&done), 1);
    assert!(stderr(&done).contains("missing.toml cannot be read"), "{}", stderr(&done));
}

#[test]
fn what_is_shown_is_a_configuration() {
    let directory = TempDir::new().unwrap();
    let shown = run_in(directory.path(), &["config", "show"]);
    assert_eq!(code(&shown), 0, "{}", shown.said());
    fs::write(directory.path().join("again.toml"), &shown.stdout).unwrap();
    let again = run_in(directory.path(), &["config", "show", "--config", "again.toml"]);
    assert_eq!(stdout(&shown), stdout(&again));
    let json = run_in(directory.path(), &["config", "show", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(value["smtp"]["message_bytes_max"], "50 MiB");
    let docs = stdout(&run_in(directory.path(), &["config", "docs"]));
    assert!(docs.starts_with("# postrider.toml") && docs.contains("### `retry_delays`"), "{docs}");
    assert!(!directory.path().join("postrider-data").exists(), "looking leaves nothing behind");
}

#[test]
fn wrong_usage_is_told_from_failure() {
    let directory = TempDir::new().unwrap();
    let wrong: [&[&str]; 6] = [
        &["nonsense"],
        &["queue", "list", "--older-than", "yesterday"],
        &["queue", "delete"],
        &["alias", "add", "info@example.test"],
        &["send", "--subject", "nobody"],
        &["send", "--to", "not an address"],
    ];
    for arguments in wrong {
        let done = run_in(directory.path(), arguments);
        assert_eq!(code(&done), 2, "{arguments:?}: {}", done.said());
        assert!(done.stdout.is_empty(), "{arguments:?}");
    }
    let done = run_in(directory.path(), &["account", "list"]);
    assert_eq!(code(&done), 1);
    assert!(stderr(&done).contains("there is no data in"), "{}", done.said());
}

#[test]
fn accounts_are_kept_with_and_without_a_server() {
    let mut server = Server::prepare("", Path::new("data"));
    server.cli_ok(&["domain", "add", DOMAIN]);
    let made = server.cli_json(&["account", "add", ALICE, "--quota", "1 GiB"]);
    assert_eq!(made["password"].as_str().unwrap().len(), 19);
    server.add_account(BOB);
    server.cli_ok(&["alias", "add", "info@example.test", ALICE, BOB]);
    let listings = || ["domain", "account", "alias"].map(|family| server.cli_json(&[family, "list"]));
    let offline = listings();
    assert_eq!(offline[0][0]["accounts"], 2);
    assert_eq!(offline[1][0]["quota_bytes"], 1 << 30);
    assert_eq!(offline[2][0]["targets"], serde_json::json!([ALICE, BOB]));
    let in_use = server.cli(&["domain", "remove", DOMAIN]);
    assert_eq!(code(&in_use), 1);
    assert!(stderr(&in_use).contains("remove them first"), "{}", in_use.said());
    server.launch();
    assert_eq!(["domain", "account", "alias"].map(|family| server.cli_json(&[family, "list"])), offline);
    assert_eq!(server.pop3(BOB).count().unwrap(), 0);
    let taken = server.cli(&["account", "add", ALICE]);
    assert_eq!(code(&taken), 1);
    assert!(stderr(&taken).contains("there is an account, alias or list alice@example.test already"));
    server.cli_ok(&["account", "remove", ALICE]);
    server.cli_ok(&["alias", "remove", "info@example.test"]);
    server.stop();
    assert_eq!(server.cli_json(&["account", "list"]).as_array().unwrap().len(), 1);
    assert_eq!(code(&server.cli(&["account", "show", ALICE])), 1);
}

#[test]
fn full_names_are_kept_shown_and_told() {
    let mut server = Server::prepare("", Path::new("data"));
    server.cli_ok(&["domain", "add", DOMAIN]);
    server.cli_ok(&["account", "add", ALICE, "--name", "Alice  Example"]);
    server.add_account(BOB);
    server.launch();
    server.cli_ok(&["account", "set-name", BOB, "Bob O. Example"]);
    let listed = server.cli_json(&["account", "list"]);
    assert_eq!(listed[0]["full_name"], "Alice Example");
    assert_eq!(listed[1]["full_name"], "Bob O. Example");
    assert!(server.cli_ok(&["account", "show", ALICE]).contains("Alice Example"));
    let wrong = server.cli(&["account", "set-name", BOB, "Bob\u{1b}[2J"]);
    assert_eq!(code(&wrong), 2, "{}", wrong.said());
    assert!(stderr(&wrong).contains("control characters"), "{}", wrong.said());
    let script = format!(
        "import smtplib\ns = smtplib.SMTP('127.0.0.1', {}); s.login({ALICE:?}, {PASSWORD:?})\n\
         for who in ('bob', 'Alice Exam', 'Example'): print(*s.verify(who))\n",
        server.port("submission")
    );
    server
        .cli_with(&["account", "passwd", ALICE, "--password-stdin"], format!("{PASSWORD}\n").as_bytes())
        .ok("passwd");
    let said = tools::run(Command::new("python3").arg("-c").arg(script), b"").ok("python3");
    let said = String::from_utf8(said).unwrap();
    assert!(said.contains("250 b'2.1.5 \"Bob O. Example\" <bob@example.test>'"), "{said}");
    assert!(said.contains("250 b'2.1.5 Alice Example <alice@example.test>'"), "{said}");
    assert!(said.contains("553 b'5.1.4 ") && said.contains("ambiguous"), "{said}");
    server.cli_ok(&["account", "set-name", BOB]);
    assert_eq!(server.cli_json(&["account", "show", BOB])[0]["full_name"], serde_json::Value::Null);
}

#[test]
fn a_password_can_be_changed_while_the_server_runs() {
    let server = Server::start("");
    let done = server.cli_with(&["account", "passwd", BOB, "--password-stdin"], b"another one\n");
    done.ok("account passwd");
    assert!(support::wire::Pop3::login(server.port("pop3"), BOB, PASSWORD).is_err());
    support::wire::Pop3::login(server.port("pop3"), BOB, "another one").unwrap();
    let empty = server.cli_with(&["account", "passwd", BOB, "--password-stdin"], b"");
    assert_eq!(code(&empty), 2, "{}", empty.said());
}

/// A186: what is inside needs no modes of its own then.
#[test]
fn other_users_of_the_machine_see_nothing_of_the_data() {
    let server = Server::start("");
    let data = server.path().join("data");
    assert_eq!(fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    let socket = data.join("control.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn garbage_on_the_control_socket_harms_nobody() {
    let mut server = Server::start("");
    let socket = server.path().join("data/control.sock");
    for garbage in [&b"\xff\x00\n"[..], b"{\"request\":\"no-such\"}\n", &vec![b'x'; 300_000], b"\n"] {
        let mut stream = UnixStream::connect(&socket).unwrap();
        // The server may answer and close before all of it is written.
        let _ = stream.write_all(garbage);
        let mut answer = String::new();
        let _ = BufReader::new(stream).read_line(&mut answer);
        assert!(garbage.len() > 100_000 || answer.contains("\"response\":\"error\""), "{answer}");
    }
    server.still_serves("after garbage");
}

#[test]
fn sighup_puts_a_good_configuration_in_force_and_keeps_the_old_one_otherwise() {
    let mut server = Server::start("");
    let config = fs::read_to_string(server.config()).unwrap();
    let announced = |server: &Server| {
        let mut smtp = support::wire::Smtp::dial(server.port("smtp")).unwrap();
        smtp.reply().unwrap();
        smtp.command("EHLO client.test").unwrap().to_string()
    };
    assert!(announced(&server).contains("SIZE 52428800"));
    fs::write(server.config(), format!("{config}[smtp]\nmessage_bytes_max = \"1 MiB\"\n")).unwrap();
    server.signal("HUP");
    wait_for("the new limit", || announced(&server).contains("SIZE 1048576").then_some(()));
    fs::write(server.config(), format!("{config}[smpt]\nmessage_bytes_max = \"2 MiB\"\n")).unwrap();
    server.signal("HUP");
    wait_for("the complaint", || server.logged().contains("did you mean \"smtp\"").then_some(()));
    assert!(announced(&server).contains("SIZE 1048576"));
    server.still_serves("after reloads");
}

#[test]
fn our_own_send_tells_what_the_server_said() {
    let server = Server::start("");
    let at = format!("127.0.0.1:{}", server.port("smtp"));
    let done = server.cli(&[
        "send",
        "--server",
        &at,
        "--from",
        "Ännchen <me@client.test>",
        "--to",
        ALICE,
        "--bcc",
        BOB,
        "--subject",
        "Grüße",
        "--body",
        "first\n.second",
    ]);
    assert!(stdout(&done).starts_with("250 "), "{}", done.said());
    done.ok("send");
    for user in [ALICE, BOB] {
        let stored = String::from_utf8(server.mailbox(user, 1).remove(0)).unwrap();
        assert!(stored.ends_with("\r\n\r\nfirst\r\n.second\r\n"), "{stored}");
        let header = stored.split_once("\r\n\r\n").unwrap().0;
        assert!(!header.to_lowercase().contains("bcc") && !header.contains("To: <bob"), "{header}");
    }
    // Without --server the first listener of the configuration is meant.
    let refused =
        server.cli(&["send", "--from", "me@client.test", "--to", BOB, "--to", "nobody@example.test"]);
    assert_eq!(code(&refused), 1, "{}", refused.said());
    assert!(stdout(&refused).contains("nobody@example.test: 550 "), "{}", refused.said());
    server.mailbox(BOB, 2);
    let json = server.cli(&["send", "--json", "--from", "me@client.test", "--to", "nobody@example.test"]);
    assert_eq!(code(&json), 1);
    let receipt: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&receipt["accepted"], &receipt["refused"][0]["recipient"]),
        (&false.into(), &"nobody@example.test".into())
    );
    let nowhere = server.cli(&["send", "--server", "127.0.0.1:1", "--from", "me@client.test", "--to", BOB]);
    assert_eq!(code(&nowhere), 1);
    assert!(stderr(&nowhere).contains("127.0.0.1:1"), "{}", nowhere.said());
}

#[test]
fn our_own_send_logs_in() {
    let server = Server::start("");
    for (service, tls) in [("submission", "starttls"), ("submissions", "implicit"), ("submission", "none")] {
        let at = format!("127.0.0.1:{}", server.port(service));
        let arguments = [
            "send",
            "--server",
            &at,
            "--tls",
            tls,
            "--user",
            ALICE,
            "--password-stdin",
            "--to",
            BOB,
            "--body",
            "x",
        ];
        server.cli_with(&arguments, format!("{PASSWORD}\n").as_bytes()).ok(tls);
        let wrong = server.cli_with(&arguments, b"wrong\n");
        assert_eq!(code(&wrong), 1, "{}", wrong.said());
        assert!(stderr(&wrong).contains("535"), "{}", wrong.said());
    }
    server.mailbox(BOB, 3);
}

#[test]
fn load_goes_into_the_sink() {
    let directory = TempDir::new().unwrap();
    let mut sink = Command::new(binary())
        .args(["bench", "sink", "--listen", "127.0.0.1:0", "--max-messages", "50", "--max-seconds", "60"])
        .current_dir(directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(sink.stdout.take().unwrap()).lines();
    let first = said.next().unwrap().unwrap();
    let at = first.strip_prefix("sink on ").expect(&first);
    let load = run_in(
        directory.path(),
        &[
            "bench",
            "load",
            "--server",
            at,
            "--sessions",
            "5",
            "--messages",
            "50",
            "--size",
            "4 KiB",
            "--from",
            "a@client.test",
            "--to",
            "b@example.test",
            "--json",
        ],
    );
    assert_eq!(code(&load), 0, "{}", load.said());
    let outcome: serde_json::Value = serde_json::from_slice(&load.stdout).unwrap();
    assert_eq!((&outcome["messages"], &outcome["failed"]), (&50.into(), &0.into()));
    let last = said.next().unwrap().unwrap();
    assert!(last.starts_with("50 messages ("), "{last}");
    assert!(sink.wait().unwrap().success());
}
