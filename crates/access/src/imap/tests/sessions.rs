use super::*;

#[tokio::test]
async fn a_session_from_greeting_to_logout() {
    let house = House::with_alice().await;
    let mut client = house.connect(TlsMode::None, "127.0.0.1:4711");
    client
        .converse(
            "S: * OK [CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL- ID ENABLE SASL-IR …
             C: a1 LOGIN alice@example.org wrong
             S: a1 NO [AUTHENTICATIONFAILED] the user name or the password is wrong
             C: a2 AUTHENTICATE PLAIN AGFsaWNlQGV4YW1wbGUub3JnAG9wZW4gc2VzYW1l
             S: a2 OK [CAPABILITY IMAP4rev2 IMAP4rev1 LITERAL+ ID ENABLE IDLE NAMESPACE …
             C: a3 ID (\"name\" \"test\")
             S: * ID (\"name\" \"Postrider\")
             S: a3 OK pleased to meet you
             C: a4 NAMESPACE
             S: * NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) NIL
             S: a4 OK that is all
             C: a5 NOOP
             S: a5 OK nothing else is new
             C: a6 FETCH 1 FLAGS
             S: a6 BAD select a mailbox first
             C: a7 XYZZY
             S: a7 BAD …
             C: a8 LOGOUT
             S: * BYE goodbye
             S: a8 OK logged out",
        )
        .await;
    client.expect_end().await;
}

#[tokio::test]
async fn strangers_on_the_network_get_no_login_in_clear() {
    let house = House::with_alice().await;
    let mut client = house.connect(TlsMode::None, "198.51.100.7:4711");
    let greeting = client.hear().await;
    assert!(greeting.contains(" LOGINDISABLED") && !greeting.contains("AUTH=PLAIN"), "{greeting}");
    client
        .converse("C: a LOGIN alice@example.org x\nS: a NO [PRIVACYREQUIRED] no passwords without TLS")
        .await;
}

#[tokio::test]
async fn unknown_user_and_wrong_password_are_refused_alike_and_three_are_enough() {
    let house = House::with_alice().await;
    let mut client = house.connect(TlsMode::None, "127.0.0.1:4711");
    client
        .converse(
            "S: * OK [CAPABILITY…
             C: a LOGIN nobody@example.org x
             S: a NO [AUTHENTICATIONFAILED] the user name or the password is wrong
             C: b LOGIN alice@example.org x
             S: b NO [AUTHENTICATIONFAILED] the user name or the password is wrong
             C: c LOGIN alice@example.org y
             S: c NO [AUTHENTICATIONFAILED] the user name or the password is wrong
             S: * BYE [AUTHENTICATIONFAILED] too many logins failed",
        )
        .await;
    client.expect_end().await;
}

#[tokio::test]
async fn a_session_ends_when_the_server_stops() {
    let house = House::with_alice().await;
    let mut client = house.in_inbox().await;
    client.converse("C: a IDLE\nS: + idling").await;
    house.trigger.give();
    client.expect("* BYE [UNAVAILABLE] the server is shutting down").await;
    client.expect_end().await;
}

#[tokio::test]
async fn what_is_sent_at_once_is_done_in_order() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n1\r\n").await;
    let mut client = house.in_inbox().await;
    client
        .say("A FETCH 1 BODY[TEXT]\r\nB STORE 1 +FLAGS (\\Deleted)\r\nC EXPUNGE\r\nD FETCH 1 FLAGS\r\nE NOOP")
        .await;
    client
        .converse(
            "S: * 1 FETCH (BODY[TEXT] {3}
             S: 1
             S:  FLAGS (\\Seen))
             S: A OK fetched
             S: * 1 FETCH (FLAGS (\\Seen \\Deleted))
             S: B OK stored
             S: * 1 EXPUNGE
             S: C OK expunged
             S: D BAD there is no message of that number
             S: E OK nothing else is new",
        )
        .await;
}

#[tokio::test]
async fn a_session_may_become_nobodys_again() {
    let house = House::with_alice().await;
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a UNAUTHENTICATE
             S: a OK you are nobody again
             C: b FETCH 1 FLAGS
             S: b BAD log in first
             C: c LOGIN alice@example.org \"open sesame\"
             S: c OK [CAPABILITY …
             C: d FETCH 1 FLAGS
             S: d BAD select a mailbox first",
        )
        .await;
}

#[tokio::test]
async fn quotas_are_told_and_kept_to() {
    let house = House::with_alice().await;
    house.deliver(b"Subject: one\r\n\r\n1\r\n").await;
    let mut client = house.in_inbox().await;
    client
        .converse("C: a GETQUOTAROOT INBOX\nS: * QUOTAROOT INBOX \"\"\nS: * QUOTA \"\" ()\nS: a OK …")
        .await;
    let alice = house.alice().await.address;
    let quota = ::store::mailbox::Quota { octets: Some(2048), messages: Some(9) };
    house.stores.directory.set_quota(&alice, quota).await.unwrap();
    let long = "x".repeat(3000);
    client
        .converse(&format!(
            "C: b GETQUOTA \"\"
             S: * QUOTA \"\" (STORAGE 1 2 MESSAGE 1 9)
             S: b OK that is all
             C: c SETQUOTA \"\" (STORAGE 512)
             S: c NO [NOPERM] quotas are set by the operator
             C: d GETQUOTA other
             S: d NO [NONEXISTENT] there is no such quota root
             C: e APPEND INBOX {{3000}}
             S: e NO [OVERQUOTA] the account may not hold so much
             C: f APPEND INBOX {{3000+}}\\r\\n{long}
             S: f NO [OVERQUOTA] the account may not hold so much
             C: g APPEND INBOX {{1100+}}\\r\\n{}
             S: * 2 EXISTS
             S: g OK …
             C: h COPY 2 INBOX
             S: h NO [OVERQUOTA] the account may not hold so much
             C: i STATUS INBOX (DELETED-STORAGE)
             S: * STATUS INBOX (DELETED-STORAGE 0)
             S: i OK that is all",
            &long[..1100]
        ))
        .await;
}

#[tokio::test]
async fn a_session_goes_on_compressed() {
    let house = House::with_alice().await;
    house.deliver(&[b"Subject: x\r\n\r\n", "all alike\r\n".repeat(1000).as_bytes()].concat()).await;
    let mut client = house.in_inbox().await;
    client.converse("C: a COMPRESS DEFLATE\nS: a OK compression begins").await;
    let Client { session, stream } = client;
    let compressed = crate::deflate::Deflated::new(stream.into_inner());
    let mut client = Client { session, stream: tokio::io::BufReader::new(Box::new(compressed)) };
    client
        .converse("C: b COMPRESS DEFLATE\nS: b NO [COMPRESSIONACTIVE] …\nC: c FETCH 1 BODY.PEEK[TEXT]")
        .await;
    client.expect("* 1 FETCH (BODY[TEXT] {11000}").await;
    for _ in 0..1000 {
        client.expect("all alike").await;
    }
    client.converse("S: )\nS: c OK fetched\nC: d LOGOUT\nS: * BYE goodbye\nS: d OK logged out").await;
    client.expect_end().await;
}
