//! `rehearse`: the operator's own configuration, played on a virtual clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use support::server::Server;

const README: &str = include_str!("../../../README.md");
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
/// What its data directory is called; nothing may make it.
const DATA: &str = "data";

/// Configured, not running, and with nothing on disk.
fn at_rest(more: &str) -> Server {
    Server::prepare(more, Path::new(DATA))
}

fn play(server: &Server, scenario: &str) -> Value {
    fs::write(server.path().join("scenario.toml"), scenario).unwrap();
    server.cli_json(&["rehearse", "--scenario", "scenario.toml"])["scenes"][0].clone()
}

fn summary(scene: &Value, key: &str) -> u64 {
    scene["summary"][key].as_u64().unwrap_or_else(|| panic!("{key}: {scene}"))
}

fn events<'a>(message: &'a Value, kind: &str) -> Vec<&'a Value> {
    message["events"].as_array().unwrap().iter().filter(|event| event["kind"] == kind).collect()
}

const DOWN_FOR_TWO_DAYS: &str = r#"
    [[peer]]
    domain = "big.example"
    down = "0..2d"
    [[message]]
    to = ["bob@big.example"]
"#;

#[test]
fn mail_for_a_host_that_is_down_for_two_days_is_late_but_arrives() {
    let scene = play(&at_rest(""), DOWN_FOR_TWO_DAYS);
    let message = &scene["messages"][0];
    assert_eq!(message["end"], "delivered", "{message}");
    let wait = message["wait_seconds"].as_u64().unwrap();
    // The longest of the usual delays between two tries of a site is half an hour.
    assert!((2 * DAY..2 * DAY + HOUR).contains(&wait), "{wait}");
    assert!(message["told_of_delay"].as_bool().unwrap());
    let told = events(message, "told")[0];
    assert_eq!(told["day"], "day 1 04:00", "{told}");
    assert!(summary(&scene, "attempts") > 20);
    assert_eq!(scene["connections"][0]["host"], "mx.big.example");
}

#[test]
fn a_schedule_that_is_too_short_gives_the_message_back_with_the_reason() {
    let short = "[queue]\nretry_delays = [\"30m\"]\nexpire_after = \"6h\"\n";
    let scene = play(&at_rest(short), DOWN_FOR_TWO_DAYS);
    let message = &scene["messages"][0];
    assert_eq!(message["end"], "bounced", "{message}");
    assert!((6 * HOUR..7 * HOUR).contains(&message["wait_seconds"].as_u64().unwrap()), "{message}");
    let expired = events(message, "expired")[0]["text"].as_str().unwrap();
    assert!(expired.contains("given up for bob@big.example"), "{expired}");
    assert!(expired.contains("mx.big.example at 198.51.100.1:25 cannot be reached"), "{expired}");
    assert!(expired.contains("is the report on it"), "{expired}");
    assert!(scene["lasted_seconds"].as_u64().unwrap() < DAY, "the run ends once nothing waits: {scene}");
}

#[test]
fn a_provider_s_limit_costs_time_and_no_message() {
    let scenario = r#"
        [[peer]]
        domain = "big.example"
        limit = "20/1m"
        [[message]]
        to = ["bob@big.example"]
        count = 60
    "#;
    let scene = play(&at_rest(""), scenario);
    assert_eq!(summary(&scene, "delivered"), 60, "{scene}");
    assert!(summary(&scene, "attempts") > 60, "some were put off");
    // Each is a message of its own, with its own Message-ID.
    let accepted =
        scene["messages"].as_array().unwrap().iter().map(|sent| &events(sent, "accepted")[0]["text"]);
    let ids: BTreeSet<_> =
        accepted.map(|text| text.as_str().unwrap().split_once("Message-ID ").unwrap().1.to_owned()).collect();
    assert_eq!(ids.len(), 60);
    // In any minute.
    let mut taken: Vec<u64> = scene["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sent| events(sent, "delivered")[0]["at_ms"].as_u64().unwrap())
        .collect();
    taken.sort_unstable();
    // A second for what lies between the provider's clock and the history's.
    assert!(taken.windows(21).all(|some| some[20] - some[0] > 59_000), "{taken:?}");

    // Who knows the limit and writes it down is never told no.
    let rule = "[[destination]]\nsite = \"big.example\"\nrate = \"20/1m\"\n";
    let heeded = play(&at_rest(rule), scenario);
    assert_eq!(summary(&heeded, "delivered"), 60, "{heeded}");
    assert!(summary(&heeded, "attempts") < summary(&scene, "attempts"), "{heeded}");
    assert!(summary(&heeded, "longest_wait_seconds") < summary(&scene, "longest_wait_seconds"), "{heeded}");
}

#[test]
fn name_servers_that_fail_put_mail_off() {
    for (answer, reason) in [("servfail", "SERVFAIL"), ("silent", "no name server answers")] {
        let scenario = format!(
            "[[dns]]\nanswer = \"{answer}\"\nduring = \"0..6h\"\n[[message]]\nto = [\"bob@big.example\"]\n\
             [[message]]\nto = [\"carol@small.example\"]\nat = \"7h\"\n"
        );
        let scene = play(&at_rest(""), &scenario);
        let [late, prompt] = [0, 1].map(|number| &scene["messages"][number]);
        assert_eq!((&late["end"], &prompt["end"]), (&"delivered".into(), &"delivered".into()), "{scene}");
        assert!((6 * HOUR..7 * HOUR).contains(&late["wait_seconds"].as_u64().unwrap()), "{late}");
        assert_eq!(prompt["attempts"], 1);
        assert!(events(late, "deferred")[0]["text"].as_str().unwrap().contains(reason), "{late}");
    }
    let of_one = "[[dns]]\ndomain = \"big.example\"\nduring = \"0..6h\"\n[[message]]\nto = [\"bob@big.example\"]\n\
                  [[message]]\nto = [\"carol@small.example\"]\n";
    let scene = play(&at_rest(""), of_one);
    assert!(scene["messages"][0]["attempts"].as_u64().unwrap() > 1, "{scene}");
    assert_eq!(scene["messages"][1]["attempts"], 1, "{scene}");
}

#[test]
fn hosts_refuse_greylist_are_full_and_hang_up() {
    let scenario = r#"
        [[peer]]
        domain = "grey.example"
        greylist = "5m"
        [[peer]]
        domain = "no.example"
        refuse = "550 5.7.1 we do not know you"
        [[peer]]
        domain = "later.example"
        refuse = "554 5.7.0 not today"
        refuse_at = "greeting"
        refuse_during = "0..1h"
        mx = ["mx1.later.example", "mx2.later.example"]
        [[peer]]
        host = "mx2.later.example"
        slow = "2s"
        tls = false
        [[peer]]
        domain = "full.example"
        full = "0..1h"
        [[peer]]
        domain = "curt.example"
        messages_per_connection = 2
        connections_max = 1
        [[message]]
        to = ["bob@grey.example"]
        [[message]]
        to = ["bob@no.example"]
        [[message]]
        to = ["bob@later.example"]
        [[message]]
        to = ["bob@full.example"]
        [[message]]
        to = ["bob@curt.example"]
        count = 7
        size = "30 KiB"
    "#;
    let scene = play(&at_rest(""), scenario);
    let [grey, no, later, full, curt] = [0, 1, 2, 3, 4].map(|number| &scene["messages"][number]);
    assert_eq!((&grey["end"], &grey["attempts"]), (&"delivered".into(), &3.into()), "{grey}");
    assert_eq!(no["end"], "bounced", "{no}");
    assert!(
        events(no, "bounced")[0]["text"].as_str().unwrap().contains("550 5.7.1 we do not know you"),
        "{no}"
    );
    // The other host takes it, in clear.
    let delivered = events(later, "delivered")[0]["text"].as_str().unwrap();
    assert!(delivered.contains("mx2.later.example"), "{delivered}");
    assert!(events(later, "attempt")[0]["text"].as_str().unwrap().contains("in clear"), "{later}");
    assert!(
        events(full, "deferred")[0]["text"].as_str().unwrap().contains("452 4.2.2 mailbox full"),
        "{full}"
    );
    assert_eq!((&full["end"], &curt["end"]), (&"delivered".into(), &"delivered".into()));
    assert_eq!(summary(&scene, "delivered"), 10, "{scene}");
    let curt =
        scene["connections"].as_array().unwrap().iter().find(|to| to["host"] == "mx.curt.example").unwrap();
    assert!(curt["in_all"].as_u64().unwrap() >= 4, "{curt}");
}

/// A filter on the same machine refuses connections while it is down; times may overlap, and need no end.
#[test]
fn hosts_come_and_go_as_all_of_their_times_say() {
    let filter =
        "[[route]]\nrecipient = \"*@scan.example\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = 10025\n";
    let scenario = r#"
        [[peer]]
        host = "127.0.0.1"
        down = "0..2h, 1h..3h, 4h.."
        [[peer]]
        domain = "big.example"
        down = "0..3h, 1h..2h"
        [[dns]]
        domain = "small.example"
        during = "..3h"
        [[dns]]
        domain = "small.example"
        answer = "silent"
        during = "1h..2h"
        [[message]]
        to = ["bob@scan.example"]
        [[message]]
        to = ["bob@scan.example"]
        at = "5h"
        [[message]]
        to = ["bob@big.example"]
        [[message]]
        to = ["bob@small.example"]
    "#;
    let scene = play(&at_rest(filter), scenario);
    let [early, late, big, small] = [0, 1, 2, 3].map(|number| &scene["messages"][number]);
    for message in [early, big, small] {
        assert_eq!(message["end"], "delivered", "{message}");
        let wait = message["wait_seconds"].as_u64().unwrap();
        assert!((3 * HOUR..4 * HOUR).contains(&wait), "{message}");
    }
    assert_eq!(late["end"], "bounced", "{late}");
    assert!(late["events"].to_string().contains("connection refused"), "{late}");
}

/// The smarthost of the README, whose password nobody has to read.
#[test]
fn a_smarthost_is_played_with_the_route_s_own_tls_and_without_its_password() {
    let (_, below) = README.split_once("\n### Smarthost\n").unwrap();
    let config = below.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0.to_owned();
    assert!(config.contains("tls = \"required\"") && config.contains("password_file"), "{config}");
    let server = Server::configured(|_| config.clone());
    let report = server.cli_json(&["rehearse"]);
    let note = report["notes"][0].as_str().unwrap();
    assert!(note.contains("[[route]] number 1") && note.contains("password is not read"), "{note}");
    let scenes = report["scenes"].as_array().unwrap();
    assert_eq!(scenes.len(), 5, "by MX nothing goes: {report}");
    for scene in scenes {
        assert_eq!(summary(scene, "delivered"), summary(scene, "sent"), "{scene}");
        let connections = scene["connections"].as_array().unwrap();
        assert_eq!(connections.len(), 1, "{scene}");
        assert_eq!(connections[0]["host"], "smtp.provider.example");
        let attempts = events(&scene["messages"][0], "attempt");
        let last = attempts.last().unwrap()["text"].as_str().unwrap();
        assert!(last.contains(":587 over TLSv1.3") && last.contains("certificate verified"), "{last}");
    }
    assert_eq!(summary(&scenes[3], "sent"), 100);

    // One that does not offer TLS gets nothing.
    let scenario =
        "[[peer]]\nhost = \"smtp.provider.example\"\ntls = false\n[[message]]\nto = [\"bob@big.example\"]\n";
    let scene = play(&server, scenario);
    assert_eq!(scene["messages"][0]["end"], "bounced", "{scene}");
    assert!(scene["messages"][0]["wait_seconds"].as_u64().unwrap() >= 5 * DAY, "{scene}");
}

#[test]
fn a_backup_mx_keeps_a_stranger_s_mail_until_the_better_host_is_back() {
    let (_, below) = README.split_once("\n### Backup MX\n").unwrap();
    let config = below.split_once("```toml\n").unwrap().1.split_once("```").unwrap().0.to_owned();
    let server = Server::configured(|_| config.clone());
    let scenario = "[[peer]]\ndomain = \"example.net\"\ndown = \"0..2d\"\n\
                    [[message]]\nfrom = \"eve@far.example\"\nto = [\"bob@example.net\"]\n\
                    [[message]]\nfrom = \"eve@far.example\"\nto = [\"bob@other.example\", \"carol@example.net\"]\n";
    let scene = play(&server, scenario);
    let [kept, partly] = [0, 1].map(|number| &scene["messages"][number]);
    assert_eq!(kept["end"], "delivered", "{kept}");
    assert!(kept["wait_seconds"].as_u64().unwrap() >= 2 * DAY, "{kept}");
    // Who waits hears of it, wherever it is.
    assert!(kept["told_of_delay"].as_bool().unwrap(), "{kept}");
    assert_eq!(partly["refused"][0]["recipient"], "bob@other.example", "{partly}");
    assert!(partly["refused"][0]["reply"].as_str().unwrap().contains("relaying is not allowed"), "{partly}");

    // Without a scenario both ways are played: the customer's domain, and everybody else's.
    let scenes = server.cli_json(&["rehearse"])["scenes"].as_array().unwrap().clone();
    let names: Vec<_> = scenes.iter().map(|scene| scene["scene"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 10, "{names:?}");
    for (from, domain) in [(0, "example.net"), (5, "big.example")] {
        assert!(names[from..from + 5].iter().all(|name| name.contains(domain)), "{names:?}");
    }
}

#[test]
fn programs_are_not_run_and_nothing_is_written() {
    let trap = "[[route]]\nrecipient = \"*@tickets.example.org\"\nvia = \"pipe\"\n\
                command = [\"/usr/bin/touch\", \"DIR/ran\"]\n\
                [[route]]\nrecipient = \"*@shelf.example.org\"\nvia = \"maildir\"\npath = \"DIR/${domain}/${user}\"\n";
    let server = at_rest("");
    let config = fs::read_to_string(server.config()).unwrap();
    let trap = trap.replace("DIR", server.path().to_str().unwrap());
    fs::write(server.config(), config + &trap).unwrap();
    fs::write(
        server.path().join("scenario.toml"),
        "days = 1\n[[message]]\nto = [\"a@tickets.example.org\", \"a@shelf.example.org\"]\n",
    )
    .unwrap();
    let before = listing(server.path());
    let report = server.cli_json(&["rehearse", "--scenario", "scenario.toml"]);
    let notes = report["notes"].to_string();
    assert!(notes.contains("programs are not run") && notes.contains("Maildirs are not written"), "{notes}");
    assert_eq!(report["scenes"][0]["messages"][0]["end"], "waiting", "{report}");
    assert_eq!(listing(server.path()), before);
    assert!(!server.path().join(DATA).exists());
}

fn listing(directory: &Path) -> BTreeSet<String> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn it_plays_while_the_server_runs() {
    let server = Server::start("");
    let said = server.cli_ok(&["rehearse", "--days", "6"]);
    assert!(said.contains("two days down: big.example"), "{said}");
    assert!(said.contains("the sender was told by"), "{said}");
    assert_eq!(server.cli_ok(&["queue", "list"]).lines().count(), 1, "the real queue has nothing of it");
    let other = server.cli(&["rehearse", "--seed", "2"]).ok("another seed");
    assert_ne!(String::from_utf8(other).unwrap(), said);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let server = at_rest("");
    let [first, second] = [(); 2].map(|()| server.cli_ok(&["rehearse", "--json", "--seed", "17"]));
    assert!(first == second, "{first}\n{second}");
}

#[test]
fn mistakes_are_told_with_file_line_and_nearest_key() {
    let server = at_rest("");
    let run = |scenario: &str, more: &[&str]| {
        fs::write(server.path().join("bad.toml"), scenario).unwrap();
        let done = server.cli(&[&["rehearse", "--scenario", "bad.toml"], more].concat());
        (done.status.code(), done.said())
    };
    let (code, said) =
        run("[[message]]\nto = [\"a@big.example\"]\n[[peer]]\ndomian = \"big.example\"\n", &[]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("bad.toml:4:1: unknown key \"domian\" in [[peer]]; did you mean \"domain\"?"),
        "{said}"
    );
    let late = "[[message]]\nto = [\"a@big.example\"]\nat = \"3d\"\n";
    let (code, said) = run(late, &["--days", "2"]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the run is over after 2 days"), "{said}");
    // A recipient of our own domain who gets an account, and a bounce that a script may wait for.
    let refused =
        "[[peer]]\ndomain = \"big.example\"\nrefuse = \"550 no\"\n[[message]]\nto = [\"a@big.example\"]\n";
    let (code, said) = run(refused, &["--fail-on", "bounced"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("1 messages bounced"), "{said}");
    assert_eq!(run(refused, &["--fail-on", "waiting"]).0, Some(0));

    let wrong = Server::configured(|_| "hostname = \"mx.example.org\"\nquue = 1\n".to_owned());
    let done = wrong.cli(&["rehearse"]);
    assert_eq!(done.status.code(), Some(2));
    assert!(done.said().contains("postrider.toml:2:1: unknown key"), "{}", done.said());
}

/// What a line says, whatever the figures and IDs in it.
fn skeleton(text: &str) -> Vec<String> {
    let is_id =
        |word: &str| word.len() == 13 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let word = |word: &str| {
        let bare = word.trim_end_matches(':');
        if is_id(bare) { "ID".to_owned() } else { word.replace(|c: char| c.is_ascii_digit(), "") }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.trim().lines().map(line).collect()
}

#[test]
fn the_readme_shows_what_it_says() {
    let (_, below) = README.split_once("\n### Rehearse a bad day\n").unwrap();
    let (scenario, rest) = below.split_once("```toml\n").unwrap().1.split_once("```").unwrap();
    let shown = rest.split_once("```console\n").unwrap().1.split_once("```").unwrap().0;
    let (command, shown) = shown.split_once('\n').unwrap();
    assert_eq!(command, "$ postrider rehearse --config postrider.toml --scenario scenario.toml");
    let server = at_rest("");
    let config = fs::read_to_string(server.config()).unwrap().replace("mx.example.test", "mx1.example.org");
    fs::write(server.config(), config).unwrap();
    fs::write(server.path().join("scenario.toml"), scenario).unwrap();
    let said = server.cli_ok(&["rehearse", "--scenario", "scenario.toml"]);
    assert_eq!(skeleton(&said), skeleton(shown), "{said}");
}

#[test]
fn every_key_is_in_the_reference() {
    let keys = at_rest("").cli_ok(&["rehearse", "--keys"]);
    for key in ["`[[peer]]`", "`[[dns]]`", "`[[message]]`", "`down`", "`limit`", "`deliver_by`", "`during`"] {
        assert!(keys.contains(key), "{key}: {keys}");
    }
}
