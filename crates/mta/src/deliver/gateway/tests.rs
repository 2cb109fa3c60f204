use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use crate::{
    deliver::remote::tests::queue_is_empty,
    route::{
        Route, Via,
        gateway::{Capture, Maildir, Pipe},
    },
    testing::{Site, config},
};

/// A folder of its own; it goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("postrider-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn own_name() -> String {
    world::World::system().processes.own_user().unwrap().unwrap().name
}

async fn site(via: Via) -> Site {
    Site::new(config(vec![Route { recipient: "*@gate.example".parse().unwrap(), via }])).await
}

fn maildir(path: &str, create: bool) -> Via {
    Via::Maildir(Arc::new(Maildir {
        path: path.parse().unwrap(),
        path_text: path.to_owned(),
        create,
        user: Some(own_name()),
    }))
}

fn pipe(script: &str, arguments: &[&str], timeout: Duration) -> Via {
    let arguments =
        ["-c", script, "x"].into_iter().chain(arguments.iter().copied()).map(|text| text.parse().unwrap());
    Via::Pipe(Arc::new(Pipe {
        program: "/bin/sh".into(),
        arguments: arguments.collect(),
        directory: None,
        user: Some(own_name()),
        timeout,
    }))
}

/// From somebody who may not relay.
async fn submit(site: &Site, recipients: &[&str]) {
    let mut wire = site.connect("192.0.2.9").await;
    wire.dialog("C: MAIL FROM:<s@client.example>\nS: 250").await;
    for recipient in recipients {
        wire.dialog(&format!("C: RCPT TO:<{recipient}>\nS: 250")).await;
    }
    wire.dialog("C: DATA\nS: 354\nC: Subject: x\nC: \nC: ..dot\nC: .\nS: 250").await;
}

async fn history(site: &Site, term: &str) -> String {
    let id = site.stores.ledger.find(term, 1).await.unwrap()[0];
    format!("{:?}", site.stores.ledger.events(id).await.unwrap())
}

async fn deferred(site: &Site, term: &str) -> String {
    loop {
        let history = history(site, term).await;
        if history.contains("Deferred") {
            return history;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// C409
#[tokio::test]
async fn a_maildir_gets_a_whole_file_of_its_own_for_each_message() {
    let folder = Folder::new("maildir");
    let root = folder.0.display();
    let site = site(maildir(&format!("{root}/${{domain}}/${{user}}"), true)).await;
    submit(&site, &["Bob@gate.example", "\"../../x\"@gate.example"]).await;
    submit(&site, &["bob@gate.example"]).await;
    queue_is_empty(&site).await;
    let mut names: Vec<_> =
        fs::read_dir(folder.0.join("gate.example")).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["%2E.%2F..%2Fx", "bob"]);
    let bob = folder.0.join("gate.example/bob");
    let files: Vec<_> = fs::read_dir(bob.join("new")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    assert_eq!(fs::read_dir(bob.join("tmp")).unwrap().count(), 0, "nothing unfinished stays");
    assert_eq!(fs::read_dir(bob.join("cur")).unwrap().count(), 0);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("Return-Path: <s@client.example>\nDelivered-To: "), "{text}");
        assert!(text.ends_with("\nSubject: x\n\n.dot\n") && !text.contains('\r'), "{text}");
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(
            name.ends_with(&format!(".mx.here.example,S={}", text.len())) && !name.contains(':'),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_maildir_that_is_missing_and_not_to_be_made_is_no_mailbox() {
    let folder = Folder::new("no-maildir");
    let site = site(maildir(&format!("{}/${{user}}", folder.0.display()), false)).await;
    submit(&site, &["nobody@gate.example"]).await;
    queue_is_empty(&site).await;
    let history = history(&site, "nobody@gate.example").await;
    assert!(history.contains("Bounced") && history.contains("there is no such Maildir"), "{history}");
    assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 0);
}

#[tokio::test]
async fn what_cannot_be_written_is_tried_again() {
    let folder = Folder::new("blocked");
    fs::write(folder.0.join("bob"), "a file in its place").unwrap();
    let site = site(maildir(&format!("{}/${{user}}", folder.0.display()), true)).await;
    submit(&site, &["bob@gate.example"]).await;
    let history = deferred(&site, "bob@gate.example").await;
    assert!(history.contains("cannot be written"), "{history}");
    fs::remove_file(folder.0.join("bob")).unwrap();
    queue_is_empty(&site).await;
    assert_eq!(fs::read_dir(folder.0.join("bob/new")).unwrap().count(), 1);
}

/// C412: what stands in an address is data.
#[tokio::test]
async fn a_program_gets_the_message_and_its_envelope() {
    let folder = Folder::new("pipe");
    let script = format!(
        "cat > {0}/message; printf '%s|' \"$@\" \"$SENDER\" \"$RECIPIENT\" \"$USER\" > {0}/envelope",
        folder.0.display()
    );
    let site = site(pipe(&script, &["--to", "${recipient}"], Duration::from_mins(1))).await;
    let address = "\"$(touch x)`;|&\"@gate.example";
    submit(&site, &[address]).await;
    queue_is_empty(&site).await;
    let envelope = fs::read_to_string(folder.0.join("envelope")).unwrap();
    assert_eq!(envelope, format!("--to|{address}|s@client.example|{address}|$(touch x)`;|&|"));
    let message = fs::read_to_string(folder.0.join("message")).unwrap();
    assert!(message.starts_with("Return-Path: <s@client.example>\nDelivered-To: "), "{message}");
    assert!(message.ends_with("\nSubject: x\n\n.dot\n"), "{message}");
}

/// C413
#[tokio::test]
async fn one_recipient_a_run_and_each_by_its_own_exit_status() {
    let script = "cat > /dev/null; echo \"for $USER\" >&2; \
        case $USER in good) exit 0;; unknown) exit 67;; killed) kill -9 $$;; *) exit 75;; esac";
    let site = site(pipe(script, &[], Duration::from_mins(1))).await;
    submit(
        &site,
        &["good@gate.example", "unknown@gate.example", "killed@gate.example", "later@gate.example"],
    )
    .await;
    let found = loop {
        let found = history(&site, "good@gate.example").await;
        if found.matches("Deferred").count() >= 2
            && found.contains("Bounced")
            && found.contains("Delivered {")
        {
            break found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert!(found.contains("ended with status 67 (no such user): for unknown"), "{found}");
    assert!(found.contains("was killed by signal 9: for killed"), "{found}");
    assert!(found.contains("ended with status 75 (try again later): for later"), "{found}");
    let waiting = site.stores.spool.list(None, 9).await.unwrap();
    assert_eq!(waiting.len(), 2, "each in an entry of its own");
}

#[tokio::test]
async fn a_program_that_takes_too_long_is_killed_and_the_mail_waits() {
    let site = site(pipe("sleep 600 & wait", &[], Duration::from_millis(300))).await;
    submit(&site, &["slow@gate.example"]).await;
    let history = deferred(&site, "slow@gate.example").await;
    assert!(history.contains("took too long and was killed"), "{history}");
}

#[tokio::test]
async fn an_address_that_looks_like_an_option_is_no_argument() {
    let site = site(pipe("exit 0", &["${recipient}"], Duration::from_mins(1))).await;
    submit(&site, &["-oQ/tmp@gate.example"]).await;
    queue_is_empty(&site).await;
    let history = history(&site, "-oQ/tmp@gate.example").await;
    assert!(history.contains("Bounced") && history.contains("could pass for an option"), "{history}");
}

#[tokio::test]
async fn a_program_does_not_run_as_root_unless_that_is_said() {
    let mut via = pipe("exit 0", &[], Duration::from_mins(1));
    if let Via::Pipe(pipe) = &mut via {
        *pipe = Arc::new(Pipe { user: None, ..(**pipe).clone() });
    }
    let site = site(via).await;
    submit(&site, &["bob@gate.example"]).await;
    if own_name() == "root" {
        let history = deferred(&site, "bob@gate.example").await;
        assert!(history.contains("does not run as root"), "{history}");
    } else {
        queue_is_empty(&site).await;
    }
}

#[tokio::test]
async fn captured_mail_reaches_one_mailbox_and_nobody_else() {
    let capture = Capture { mailbox: "bob@here.example".parse().unwrap() };
    let site = site(Via::Capture(Arc::new(capture))).await;
    submit(&site, &["carol@gate.example", "dave@gate.example"]).await;
    queue_is_empty(&site).await;
    let both = site.mail("bob@here.example", 1).await + &site.mail("bob@here.example", 2).await;
    for recipient in ["carol", "dave"] {
        assert!(both.contains(&format!("Delivered-To: {recipient}@gate.example\r\n")), "{both}");
    }
    let history = history(&site, "carol@gate.example").await;
    assert!(history.contains("nobody: captured into INBOX of bob@here.example"), "{history}");
}

#[tokio::test]
async fn what_is_to_be_captured_waits_for_its_mailbox() {
    let capture = Capture { mailbox: "nobody@here.example".parse().unwrap() };
    let site = site(Via::Capture(Arc::new(capture))).await;
    submit(&site, &["carol@gate.example"]).await;
    let history = deferred(&site, "carol@gate.example").await;
    assert!(history.contains("there is no such account"), "{history}");
}

#[tokio::test]
async fn a_gateway_whose_route_went_leads_where_the_new_one_does() {
    let site = site(pipe("exit 75", &[], Duration::from_mins(1))).await;
    submit(&site, &["bob@gate.example"]).await;
    deferred(&site, "bob@gate.example").await;
    let capture = Capture { mailbox: "bob@here.example".parse().unwrap() };
    let recipient = "*@gate.example".parse().unwrap();
    site.mta.reload(config(vec![Route { recipient, via: Via::Capture(Arc::new(capture)) }]));
    assert!(site.mail("bob@here.example", 1).await.contains("Delivered-To: bob@gate.example"));
    queue_is_empty(&site).await;
}
