//! The configurations that the README shows, read out of it: they do what it says.
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

use std::{fs, process::Command};

use names::NameServer;
use support::{
    certificates,
    ports::Ports,
    samples::{self, assert_same},
    server::{ALICE, PASSWORD, Server},
    tools, wait_for,
    wire::expect,
};

const README: &str = include_str!("../../../README.md");
const CAROL: &str = "carol@example.net";

/// The first block of configuration below a heading.
fn block(heading: &str) -> String {
    let (_, below) = README.split_once(&format!("\n### {heading}\n")).expect("the heading is there");
    let (_, block) = below.split_once("```toml\n").unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// With what only a test needs in the place of what stands there, all of which has to be there.
fn adapted(mut config: String, changes: &[(&str, String)]) -> String {
    for (old, new) in changes {
        assert_eq!(config.matches(old).count(), 1, "{old} in the README:\n{config}");
        config = config.replace(old, new);
    }
    config
}

fn queue(server: &Server) -> Vec<serde_json::Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

/// Two hosts of example.net; the better one is a Postrider that may be down, on 127.0.0.5.
fn primary(port: u16) -> Server {
    let listener = format!("[[listener]]\nservice = \"smtp\"\naddress = \"127.0.0.5:{port}\"\n");
    let primary = Server::prepare(&listener, "data".as_ref());
    primary.cli_ok(&["domain", "add", "example.net"]);
    primary.add_account(CAROL);
    primary
}

#[test]
fn the_backup_mx_of_the_readme_keeps_mail_until_the_primary_is_back() {
    let ports = Ports::take();
    let port = ports.nth(0);
    let names = NameServer::start(
        "example.net. 60 IN MX 10 mx1.example.net.\nexample.net. 60 IN MX 20 mx2.example.org.\n\
         example.net. 60 IN MX 30 mx3.example.net.\nmx1.example.net. 60 IN A 127.0.0.5\n\
         mx2.example.org. 60 IN A 127.0.0.4\nmx3.example.net. 60 IN A 127.0.0.6\n\
         other.test. 60 IN MX 10 mx1.example.net.\n",
    );
    let mut backup = Server::configured(|server| {
        let listener = format!("127.0.0.1:{}", server.port("smtp"));
        let way = format!("backup_mx = true\nport = {port}\nprivate_addresses = true\n");
        let config = adapted(
            block("Backup MX"),
            &[
                ("0.0.0.0:25", listener),
                ("/var/lib/postrider", "data".to_owned()),
                ("backup_mx = true\n", way),
            ],
        );
        format!("{config}[queue]\nretry_delays = [\"1s\"]\n{}", names.section(""))
    });
    backup.launch();
    let mut primary = primary(port);
    let reply = backup.smtp().deliver("ann@stranger.test", &[CAROL], &samples::dots().message).unwrap();
    assert_eq!(reply.code, 250, "{reply}");
    let mut smtp = backup.smtp();
    expect(&smtp.command("MAIL FROM:<ann@stranger.test>").unwrap(), 250).unwrap();
    let reply = smtp.command("RCPT TO:<carol@other.test>").unwrap().to_string();
    assert!(reply.starts_with("550 5.7.1"), "no relay for anybody else: {reply}");
    let entry = wait_for("an attempt", || {
        queue(&backup).into_iter().next().filter(|entry| entry["attempts"].as_u64() > Some(0))
    });
    // Hosts that are no better than we are do not count.
    assert_eq!(entry["lane"], "mx:mx1.example.net", "{entry}");
    let route = backup.cli_ok(&["route", CAROL]);
    assert!(route.contains("relayed for anybody, as a backup MX does"), "{route}");
    primary.launch();
    assert_same(&primary.mailbox(CAROL, 1)[0], &samples::dots().message, "through the backup");
    wait_for("an empty queue", || queue(&backup).is_empty().then_some(()));
}

#[test]
fn the_smarthost_of_the_readme_gets_all_mail_after_a_login() {
    if tools::find("openssl", "the smarthost of the README").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let authority = certificates::authority(folder.path(), "authority");
    let files = certificates::server(folder.path(), &authority, "provider", "DNS:smtp.provider.example");
    let tls = format!("[smtp]\nsender_check = \"off\"\n[tls]\nmode = \"files\"\n{}", files.lines());
    let provider = Server::start_with(&tls, &[]);
    provider.cli_ok(&["domain", "add", "far.test"]);
    provider.add_account("carol@far.test");
    let names = NameServer::start("smtp.provider.example. 60 IN A 127.0.0.1\n");
    let mut gateway = Server::configured(|server| {
        let config = adapted(
            block("Smarthost"),
            &[
                ("127.0.0.1:25", format!("127.0.0.1:{}", server.port("smtp"))),
                ("/var/lib/postrider", "data".to_owned()),
                ("port = 587", format!("port = {}", provider.port("submission"))),
                ("\"example\"", format!("\"{ALICE}\"")),
                ("/etc/postrider/smarthost.password", "password".to_owned()),
            ],
        );
        config + &names.section("")
    });
    fs::write(gateway.path().join("password"), format!("{PASSWORD}\n")).unwrap();
    gateway.trust(&authority.certificate);
    gateway.launch();
    let reply = match tools::find("swaks", "the smarthost of the README, by swaks") {
        Some(swaks) => {
            let server = format!("127.0.0.1:{}", gateway.port("smtp"));
            let mut command = Command::new(swaks);
            command.args(["--server", &server, "--from", "ann@example.org", "--to", "carol@far.test"]);
            String::from_utf8(tools::run(&mut command, b"").ok("swaks")).unwrap()
        }
        None => gateway
            .smtp()
            .deliver("ann@example.org", &["carol@far.test"], &samples::dots().message)
            .unwrap()
            .to_string(),
    };
    assert!(reply.contains("250 2.0.0"), "{reply}");
    let stored = provider.mailbox("carol@far.test", 1).remove(0);
    assert!(samples::field(&stored, "Received").unwrap().contains("ESMTPSA"), "after a login, under TLS");
    wait_for("an empty queue", || queue(&gateway).is_empty().then_some(()));
    let told = gateway.cli_ok(&["trace", "carol@far.test"]);
    assert!(told.contains(", certificate verified, "), "{told}");
}

/// Every configuration in the README is one, or goes with the first; the others are scenarios.
#[test]
fn every_configuration_of_the_readme_is_sound() {
    let blocks: Vec<&str> =
        README.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 3);
    for block in &blocks {
        if block.contains("[[message]]") {
            let server = Server::configured(|_| blocks[0].to_owned());
            fs::write(server.path().join("scenario.toml"), block).unwrap();
            server.cli_ok(&["rehearse", "--scenario", "scenario.toml"]);
            continue;
        }
        let is_whole = block.starts_with("hostname");
        let server = Server::configured(|_| {
            if is_whole { (*block).to_owned() } else { format!("{}\n{block}", blocks[0]) }
        });
        server.cli_ok(&["config", "check"]);
    }
}
