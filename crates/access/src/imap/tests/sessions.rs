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
             S: * NAMESPACE ((\"\" \"/\")) NIL NIL
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
