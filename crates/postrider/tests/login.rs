//! Logging in from the outside: app passwords, and what guessing leads to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::process::Command;

use support::{
    samples,
    server::{ALICE, BOB, PASSWORD, Server},
    tools, wait_for,
    wire::Pop3,
};

const SEND: &str = include_str!("support/python/send.py");

/// `alice@example.test` with the password "wrong", and with the right one, for AUTH PLAIN.
const WRONG: &str = "AGFsaWNlQGV4YW1wbGUudGVzdAB3cm9uZw==";
const RIGHT: &str = "AGFsaWNlQGV4YW1wbGUudGVzdABjb3JyZWN0IGhvcnNlIGJhdHRlcnkgc3RhcGxl";

/// Made for these services, as the command line tells it.
fn app_password(server: &Server, name: &str, scope: &str) -> String {
    let made = server.cli_json(&["account", "app-password", "add", ALICE, "--name", name, "--scope", scope]);
    made["password"].as_str().unwrap().to_owned()
}

#[test]
fn app_passwords_are_for_their_program_and_their_service() {
    let (Some(python), Some(curl)) =
        (tools::find("python3", "app passwords"), tools::find("curl", "app passwords"))
    else {
        return;
    };
    let mut server = Server::start("");
    let (phone, scanner) =
        (app_password(&server, "phone", "pop3,imap"), app_password(&server, "scanner", "submission"));
    let sends = |password: &str| {
        let port = server.port("submission").to_string();
        let arguments = [&port, "starttls", ALICE, ALICE, ALICE, password];
        tools::python(&python, SEND, &arguments, &samples::one_byte().message).status.success()
    };
    let reads = |password: &str| {
        let mut command = Command::new(&curl);
        command.args(["--silent", "--show-error", "--insecure", "--ssl-reqd", "--user"]);
        command.arg(format!("{ALICE}:{password}")).arg(format!("pop3://127.0.0.1:{}/", server.port("pop3")));
        tools::run(&mut command, b"").status.success()
    };
    assert!(sends(&scanner) && !sends(&phone) && sends(PASSWORD));
    assert!(reads(&phone) && !reads(&scanner) && reads(PASSWORD));
    let listed = |server: &Server| server.cli_json(&["account", "app-password", "list", ALICE]);
    let used = wait_for("the last use", || {
        let listed = listed(&server);
        listed[0]["last_used_at"].is_string().then_some(listed)
    });
    assert_eq!(
        (used[0]["name"].as_str(), used[0]["services"].to_string()),
        (Some("phone"), r#"["pop3","imap"]"#.to_owned())
    );
    assert!(!server.cli_ok(&["account", "app-password", "list", ALICE]).contains(&phone));
    server.stop();
    server.cli_ok(&["account", "app-password", "remove", ALICE, "phone"]);
    assert_eq!(listed(&server).as_array().unwrap().len(), 1, "without a server too");
    server.launch();
    assert!(Pop3::login(server.port("pop3"), ALICE, &phone).is_err());
    assert!(!server.cli(&["account", "app-password", "remove", ALICE, "phone"]).status.success());
}

#[test]
fn guessing_at_one_door_closes_the_other_for_a_while() {
    let mut server = Server::start("[login]\nattempts = 2\n");
    for _ in 0..2 {
        let refused = Pop3::login(server.port("pop3"), ALICE, "wrong").unwrap_err().to_string();
        assert!(refused.contains("[AUTH]"), "{refused}");
    }
    for _ in 0..3 {
        let mut smtp = support::wire::Smtp::connect(server.port("submission")).unwrap();
        for message in [WRONG, RIGHT] {
            let reply = smtp.command(&format!("AUTH PLAIN {message}")).unwrap();
            assert!(reply.code == 454 && reply.lines[0].starts_with("4.7.0"), "{reply}");
        }
    }
    let refused = Pop3::login(server.port("pop3"), ALICE, PASSWORD).unwrap_err().to_string();
    assert!(refused.contains("[SYS/TEMP]"), "{refused}");
    server.pop3(BOB);
    let logged = server.logged();
    assert_eq!(logged.matches("too many logins failed").count(), 1, "{logged}");
    assert!(logged.contains("network=127.0.0.0/24") && !logged.contains("wrong"), "{logged}");
    // What is counted lives in memory, and the options are read again.
    let config = std::fs::read_to_string(server.config()).unwrap();
    std::fs::write(server.config(), config.replace("attempts = 2", "attempts = 20\nwindow = \"1d\""))
        .unwrap();
    server.signal("HUP");
    wait_for("the new limit", || Pop3::login(server.port("pop3"), ALICE, PASSWORD).ok());
    assert!(server.ended().is_none());
}
