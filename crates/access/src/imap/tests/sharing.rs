//! RFC 4314: alice shares, bob sees.

use super::*;

const INBOX: &str = "\"Other Users/alice@example.org/INBOX\"";

impl House {
    async fn with_alice_and_bob() -> Self {
        let house = Self::with_alice().await;
        house.add_account("bob").await;
        house
    }
}

/// The lines until the command with this tag is over, and how.
async fn answers(client: &mut Client, command: &str) -> Vec<String> {
    client.say(&format!("x {command}")).await;
    let mut heard = Vec::new();
    while !heard.last().is_some_and(|line: &String| line.starts_with("x ")) {
        heard.push(client.hear().await);
    }
    heard
}

async fn set(client: &mut Client, rights: &str) {
    let heard = answers(client, &format!("SETACL INBOX bob@example.org {rights}")).await;
    assert_eq!(heard, ["x OK so it is"]);
}

#[tokio::test]
async fn the_commands_of_access_control() {
    let house = House::with_alice_and_bob().await;
    let mut alice = house.logged_in().await;
    alice
        .converse(
            "C: a MYRIGHTS INBOX
             S: * MYRIGHTS INBOX \"lrswipkxteacd\"
             S: a OK that is all
             C: b SETACL INBOX bob@example.org lrc
             S: b OK so it is
             C: c SETACL INBOX -bob@example.org x
             S: c OK so it is
             C: d GETACL INBOX
             S: * ACL INBOX alice@example.org \"lrswipkxteacd\" bob@example.org \"lrkxc\" -bob@example.org \"xc\"
             S: d OK that is all
             C: e SETACL INBOX bob@example.org +s
             S: e OK so it is
             C: f DELETEACL INBOX -bob@example.org
             S: f OK so it is
             C: g GETACL inbox
             S: * ACL INBOX alice@example.org \"lrswipkxteacd\" bob@example.org \"lrskxc\"
             S: g OK that is all
             C: h LISTRIGHTS INBOX bob@example.org
             S: * LISTRIGHTS INBOX bob@example.org \"\" l r s w i p k x t e a c d
             S: h OK that is all
             C: i LISTRIGHTS INBOX Alice@example.org
             S: * LISTRIGHTS INBOX Alice@example.org \"lrswipkxteacd\"
             S: i OK that is all
             C: j SETACL INBOX nobody@example.org lr
             S: j NO [CANNOT] nobody here has that identifier
             C: k SETACL INBOX alice@example.org -a
             S: k NO [CANNOT] the owner has all rights, always
             C: l SETACL INBOX anyone lr
             S: l NO [NOPERM] only the operator shares with everybody here
             C: m SETACL INBOX -anyone w
             S: m OK so it is
             C: n SETACL none bob@example.org lr
             S: n NO [NONEXISTENT] there is no such mailbox
             C: o SETACL INBOX bob@example.org lrz
             S: o BAD there is no such right
             C: p NAMESPACE
             S: * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL
             S: p OK that is all",
        )
        .await;
    let mut bob = house.logged_in_as("bob").await;
    bob.converse(&format!(
        "C: a MYRIGHTS {INBOX}
         S: * MYRIGHTS {INBOX} \"lrskxc\"
         S: a OK that is all
         C: b GETACL {INBOX}
         S: b NO [NOPERM] you may not do that there
         C: c SETACL {INBOX} bob@example.org +a
         S: c NO [NOPERM] you may not do that there
         C: d LIST \"\" (INBOX Other*) RETURN (MYRIGHTS)
         S: * LIST (\\HasNoChildren) \"/\" INBOX
         S: * MYRIGHTS INBOX \"lrswipkxteacd\"
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users\"
         S: * LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Other Users/alice@example.org\"
         S: * LIST (\\HasNoChildren) \"/\" {INBOX}
         S: * MYRIGHTS {INBOX} \"lrskxc\"
         S: d OK listed"
    ))
    .await;
}

/// What is hidden answers as what is not there, whatever the command.
#[tokio::test]
async fn what_may_not_be_seen_does_not_exist() {
    let house = House::with_alice_and_bob().await;
    let mut alice = house.logged_in().await;
    alice
        .converse("C: a CREATE Secret\nS: a OK…\nC: b SETACL Secret bob@example.org w\nS: b OK so it is")
        .await;
    let mut bob = house.logged_in_as("bob").await;
    bob.converse("C: a APPEND INBOX {1+}\\r\\nx\nS: a OK…").await;
    for command in [
        "SELECT ?",
        "EXAMINE ?",
        "STATUS ? (MESSAGES)",
        "SUBSCRIBE ?",
        "UNSUBSCRIBE ?",
        "DELETE ?",
        "RENAME ? mine",
        "RENAME INBOX ?",
        "CREATE ?",
        "GETACL ?",
        "SETACL ? bob@example.org +lr",
        "DELETEACL ? bob@example.org",
        "LISTRIGHTS ? bob@example.org",
        "MYRIGHTS ?",
        "GETQUOTAROOT ?",
        "GETMETADATA ? /shared/comment",
        "SETMETADATA ? (/private/comment \"x\")",
        "GENURLAUTH \"imap://bob%40example.org@mx/Other%20Users/alice@example.org/!/;UID=1;URLAUTH=authuser\" INTERNAL",
        "RESETKEY ?",
        "LIST \"\" ?",
        "LSUB \"\" ?",
        "APPEND ? {1+}\r\nx",
        "APPEND INBOX CATENATE (URL \"/Other%20Users/alice@example.org/!;UID=1\")",
    ] {
        let mut heard = Vec::new();
        for name in ["Secret", "None"] {
            let quoted = format!("\"Other Users/alice@example.org/{name}\"");
            let said = answers(&mut bob, &command.replace('?', &quoted).replace('!', name)).await;
            heard.push(said.join("\n").replace(name, "?"));
        }
        assert_eq!(heard[0], heard[1], "{command}");
        assert!(heard[0].contains("x NO") || heard[0] == "x OK listed", "{command}: {}", heard[0]);
    }
    bob.converse("C: s SELECT INBOX").await;
    while !bob.hear().await.starts_with("s OK") {}
    for command in ["COPY 1 ?", "MOVE 1 ?"] {
        for name in ["alice@example.org/Secret", "alice@example.org/None", "nobody@example.org/INBOX"] {
            let said = answers(&mut bob, &command.replace('?', &format!("\"Other Users/{name}\""))).await;
            assert_eq!(said, ["x NO [NONEXISTENT] there is no such mailbox"], "{command} {name}");
        }
    }
    assert_eq!(answers(&mut bob, "LIST \"\" O*").await, ["x OK listed"]);
}

#[tokio::test]
async fn each_right_lets_do_what_it_is_for() {
    let house = House::with_alice_and_bob().await;
    for n in 1..=3 {
        house.deliver(format!("Subject: {n}\r\n\r\nbody\r\n").as_bytes()).await;
    }
    let mut alice = house.logged_in().await;
    set(&mut alice, "lr").await;
    let mut bob = house.logged_in_as("bob").await;
    bob.converse("C: a APPEND INBOX (\\Seen \\Flagged \\Deleted own) {1+}\\r\\nx\nS: a OK…").await;
    let opened = answers(&mut bob, &format!("SELECT {INBOX}")).await;
    assert_eq!(opened.last().unwrap(), "x OK [READ-ONLY] to be read only");
    assert!(opened.contains(&"* OK [PERMANENTFLAGS ()] flags that stay".to_owned()), "{opened:?}");
    assert_eq!(answers(&mut bob, "FETCH 1 BODY[TEXT]").await[..2], ["* 1 FETCH (BODY[TEXT] {6}", "body"]);
    set(&mut alice, "+st").await;
    let opened = answers(&mut bob, &format!("SELECT {INBOX}")).await;
    assert_eq!(opened.last().unwrap(), "x OK [READ-WRITE] opened");
    assert!(
        opened.contains(&"* OK [PERMANENTFLAGS (\\Deleted \\Seen)] flags that stay".to_owned()),
        "{opened:?}"
    );
    bob.converse(
        "C: a STORE 1 FLAGS (\\Flagged \\Deleted)
         S: * 1 FETCH (FLAGS (\\Deleted))
         S: a OK stored
         C: b STORE 1 +FLAGS (\\Flagged word)
         S: b NO [NOPERM] you may not do that there
         C: c EXPUNGE
         S: c NO [NOPERM] you may not do that there
         C: d MOVE 1 INBOX
         S: d NO [NOPERM] you may not do that there
         C: r REPLACE 1 INBOX {1+}\\r\\nx
         S: r NO [NOPERM] you may not do that there
         C: e COPY 1 INBOX
         S: e OK [COPYUID …
         C: f CLOSE
         S: f OK the mailbox is closed",
    )
    .await;
    assert_eq!(
        answers(&mut alice, "STATUS INBOX (MESSAGES DELETED)").await[0],
        "* STATUS INBOX (MESSAGES 3 DELETED 1)"
    );
    set(&mut alice, "+e").await;
    answers(&mut bob, &format!("SELECT {INBOX}")).await;
    bob.converse("C: a EXPUNGE\nS: * 1 EXPUNGE\nS: a OK expunged\nC: b MOVE 1 INBOX\nS: * OK [COPYUID…")
        .await;
    bob.converse("S: * 1 EXPUNGE\nS: b OK moved\nC: c UNSELECT\nS: c OK…").await;
    set(&mut alice, "li").await;
    // Whoever may only put in learns nothing of what is there.
    bob.converse(&format!(
        "C: a APPEND {INBOX} (\\Seen) {{1+}}\\r\\nx
         S: a OK appended
         C: b SELECT {INBOX}
         S: b NO [NOPERM] you may not do that there
         C: c LIST \"\" {INBOX} RETURN (STATUS (MESSAGES))
         S: * LIST (\\HasNoChildren \\Noselect) \"/\" {INBOX}
         S: c OK listed
         C: d EXAMINE INBOX"
    ))
    .await;
    while !bob.hear().await.starts_with("d OK") {}
    assert_eq!(answers(&mut bob, &format!("COPY 1 {INBOX}")).await, ["x OK copied"]);
    alice.converse("C: a SELECT INBOX").await;
    while !alice.hear().await.starts_with("a OK") {}
    assert_eq!(
        answers(&mut alice, "FETCH 2:3 FLAGS").await[..2],
        ["* 2 FETCH (FLAGS ())", "* 3 FETCH (FLAGS ())"]
    );
}

#[tokio::test]
async fn rights_that_are_taken_end_what_was_open() {
    let house = House::with_alice_and_bob().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    let mut alice = house.logged_in().await;
    set(&mut alice, "lrste").await;
    let mut bob = house.logged_in_as("bob").await;
    answers(&mut bob, "ENABLE IMAP4rev2").await;
    answers(&mut bob, &format!("SELECT {INBOX}")).await;
    set(&mut alice, "-te").await;
    bob.converse("C: a EXPUNGE\nS: a NO [NOPERM] you may not do that there\nC: i IDLE\nS: + idling").await;
    alice.converse("C: a DELETEACL INBOX bob@example.org\nS: a OK so it is").await;
    house.deliver(b"Subject: two\r\n\r\n").await;
    bob.converse("S: * OK [CLOSED] the mailbox was deleted\nC: DONE\nS: i OK idle no more").await;
    bob.converse("C: b FETCH 1 BODY[]\nS: b BAD select a mailbox first").await;
}

#[tokio::test]
async fn the_next_command_finds_nothing_once_rights_are_taken() {
    let house = House::with_alice_and_bob().await;
    house.deliver(b"Subject: one\r\n\r\n").await;
    let mut alice = house.logged_in().await;
    for command in ["FETCH 1 BODY[]", "UID SEARCH ALL", "STORE 1 +FLAGS (\\Seen)", "COPY 1 INBOX", "NOOP"] {
        set(&mut alice, "lrste").await;
        let mut bob = house.logged_in_as("bob").await;
        answers(&mut bob, &format!("SELECT {INBOX}")).await;
        set(&mut alice, "lst").await;
        let told = if command == "NOOP" {
            "OK nothing else is new"
        } else {
            "NO [NONEXISTENT] the mailbox is not there any more"
        };
        bob.converse(&format!("C: a {command}\nS: a {told}\nS: * BYE the mailbox was deleted")).await;
        bob.expect_end().await;
    }
}

#[tokio::test]
async fn mailboxes_are_made_and_removed_in_what_is_shared() {
    let house = House::with_alice_and_bob().await;
    let mut alice = house.logged_in().await;
    alice
        .converse("C: a CREATE Work\nS: a OK…\nC: b SETACL Work bob@example.org lrkx\nS: b OK so it is")
        .await;
    let mut bob = house.logged_in_as("bob").await;
    bob.converse(
        "C: a CREATE \"Other Users/alice@example.org/Work/May\"
         S: a OK [MAILBOXID…
         C: b CREATE \"Other Users/alice@example.org/Play\"
         S: b NO [NOPERM] you may not do that there
         C: c RENAME \"Other Users/alice@example.org/Work/May\" \"Other Users/alice@example.org/Work/June\"
         S: c OK renamed
         C: d RENAME \"Other Users/alice@example.org/Work/June\" Mine
         S: d NO [CANNOT] a mailbox stays with its owner; copy the messages
         C: e SUBSCRIBE \"Other Users/alice@example.org/Work/June\"
         S: e OK subscribed
         C: f LSUB \"\" Other*
         S: * LSUB () \"/\" \"Other Users/alice@example.org/Work/June\"
         S: f OK listed
         C: g DELETE \"Other Users/alice@example.org/Work/June\"
         S: g OK deleted
         C: h LSUB \"\" Other*
         S: * LSUB (\\Noselect) \"/\" \"Other Users/alice@example.org/Work/June\"
         S: h OK listed
         C: i UNSUBSCRIBE \"Other Users/alice@example.org/Work/June\"
         S: i OK not subscribed any more
         C: j APPEND \"Other Users/alice@example.org/Work/June\" {1+}\\r\\nx
         S: j NO [TRYCREATE] there is no such mailbox
         C: k STATUS \"Other Users/alice@example.org/Work\" (MESSAGES)
         S: * STATUS \"Other Users/alice@example.org/Work\" (MESSAGES 0)
         S: k OK that is all
         C: l GETQUOTAROOT \"Other Users/alice@example.org/Work\"
         S: * QUOTAROOT \"Other Users/alice@example.org/Work\"
         S: l OK that is all",
    )
    .await;
    assert_eq!(
        answers(&mut alice, "LIST \"\" W*").await,
        ["* LIST (\\HasNoChildren) \"/\" Work", "x OK listed"]
    );
}

#[tokio::test]
async fn annotations_are_read_with_the_mailbox_and_written_with_a_right_of_their_own() {
    let house = House::with_alice_and_bob().await;
    let mut alice = house.logged_in().await;
    alice
        .converse("C: a SETMETADATA INBOX (/shared/comment \"ours\" /private/comment \"mine\")\nS: a OK…")
        .await;
    set(&mut alice, "lr").await;
    let mut bob = house.logged_in_as("bob").await;
    let told = answers(&mut bob, &format!("GETMETADATA {INBOX} (/shared/comment /private/comment)")).await;
    assert_eq!(
        told[..2],
        [format!("* METADATA {INBOX} (/private/comment NIL /shared/comment {{4}}"), "ours)".to_owned()]
    );
    let command = format!("SETMETADATA {INBOX} (/shared/comment \"his\")");
    assert_eq!(answers(&mut bob, &command).await, ["x NO [NOPERM] you may not do that there"]);
    set(&mut alice, "+w").await;
    assert_eq!(answers(&mut bob, &command).await, ["x OK set"]);
}

#[tokio::test]
async fn quota_counts_to_the_owner() {
    let house = House::with_alice_and_bob().await;
    let mut alice = house.logged_in().await;
    set(&mut alice, "lri").await;
    let mut bob = house.logged_in_as("bob").await;
    bob.converse("C: a APPEND INBOX {3+}\\r\\nabc\nS: a OK…").await;
    let quota = ::store::mailbox::Quota { octets: Some(4), messages: None };
    house.stores.directory.set_quota(&house.alice().await.address, quota).await.unwrap();
    bob.converse(&format!("C: a APPEND {INBOX} {{5+}}\\r\\nabcde\nS: a NO [OVERQUOTA]…\nC: s SELECT INBOX"))
        .await;
    while !bob.hear().await.starts_with("s OK") {}
    bob.converse(&format!("C: a COPY 1 {INBOX}\nS: a OK [COPYUID…")).await;
    bob.converse(&format!("C: b MOVE 1 {INBOX}\nS: b NO [OVERQUOTA]…")).await;
    assert_eq!(house.stores.mailboxes.usage(house.alice().await.id).await.unwrap(), (1, 3));
}
