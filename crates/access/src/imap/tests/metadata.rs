//! METADATA and LIST-METADATA (RFC 5464, RFC 9590).

use super::*;

#[tokio::test]
async fn annotations_are_set_told_and_removed() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client
        .converse(
            "C: a SETMETADATA INBOX (/private/comment {5+}\\r\\nhello /shared/vendor/x/color \"red\")
             S: a OK set
             C: b GETMETADATA INBOX (/private/Comment /private/none)
             S: * METADATA INBOX (/private/comment {5}
             S: hello /private/none NIL)
             S: b OK that is all
             C: c GETMETADATA (DEPTH 1) INBOX (/shared /private)
             S: * METADATA INBOX (/private/comment {5}
             S: hello)
             S: c OK that is all
             C: d GETMETADATA (DEPTH 1) INBOX /shared/vendor
             S: d OK that is all
             C: e GETMETADATA (DEPTH infinity) INBOX /shared/vendor
             S: * METADATA INBOX (/shared/vendor/x/color {3}
             S: red)
             S: e OK that is all
             C: f GETMETADATA (MAXSIZE 4) INBOX (/private/comment /shared/vendor/x/color)
             S: * METADATA INBOX (/shared/vendor/x/color {3}
             S: red)
             S: f OK [METADATA LONGENTRIES 5] that is all
             C: g SETMETADATA INBOX (/private/comment NIL)
             S: g OK set
             C: h GETMETADATA INBOX /private/comment
             S: * METADATA INBOX (/private/comment NIL)
             S: h OK that is all
             C: i GETMETADATA none /private/comment
             S: i NO [NONEXISTENT] there is no such mailbox
             C: j SETMETADATA none (/private/comment \"x\")
             S: j NO [NONEXISTENT] there is no such mailbox",
        )
        .await;
}

#[tokio::test]
async fn the_server_has_annotations_too() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client
        .converse(
            "C: a GETMETADATA \"\" (/shared/admin /shared/comment)
             S: * METADATA \"\" (/shared/admin {29}
             S: mailto:postmaster@example.org /shared/comment NIL)
             S: a OK that is all
             C: b SETMETADATA \"\" (/private/vendor/x/theme \"dark\")
             S: b OK set
             C: c GETMETADATA \"\" /private/vendor/x/theme
             S: * METADATA \"\" (/private/vendor/x/theme {4}
             S: dark)
             S: c OK that is all
             C: d SETMETADATA \"\" (/shared/comment \"mine\")
             S: d NO [NOPERM] what all users share is the operator's",
        )
        .await;
}

#[tokio::test]
async fn what_is_too_much_is_refused_as_a_whole() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    let long = "x".repeat(32 * 1024 + 1);
    client
        .converse(&format!("C: a SETMETADATA INBOX (/private/a \"1\" /private/b {{32769+}}\\r\\n{long})"))
        .await;
    client.expect("a NO [METADATA MAXSIZE 32768] a value is too long").await;
    let (most, last) =
        ("x".repeat(32 * 1024), "S: z NO [METADATA TOOMANY] there is no room for more annotations");
    for number in 0..31 {
        client
            .converse(&format!(
                "C: b SETMETADATA INBOX (/private/{number} {{32768+}}\\r\\n{most})\nS: b OK set"
            ))
            .await;
    }
    client.converse(&format!("C: z SETMETADATA INBOX (/private/a {{32768+}}\\r\\n{most})\n{last}")).await;
    client
        .converse(
            "C: c GETMETADATA INBOX (/private/a /private/b)
             S: * METADATA INBOX (/private/a NIL /private/b NIL)
             S: c OK that is all",
        )
        .await;
}

#[tokio::test]
async fn they_follow_their_mailbox_and_list_tells_them() {
    let house = House::with_alice().await;
    let mut client = house.logged_in().await;
    client
        .converse(
            "C: a CREATE box
             S: a OK [MAILBOXID …
             C: b SETMETADATA box (/shared/color \"red\")
             S: b OK set
             C: c RENAME box new
             S: c OK renamed
             C: d LIST \"\" (new Sent) RETURN (METADATA (/shared/color))
             S: * LIST (\\HasNoChildren \\Sent) \"/\" Sent
             S: * METADATA Sent (/shared/color NIL)
             S: * LIST (\\HasNoChildren) \"/\" new
             S: * METADATA new (/shared/color {3}
             S: red)
             S: d OK listed
             C: e DELETE new
             S: e OK deleted
             C: f CREATE new
             S: f OK [MAILBOXID …
             C: g GETMETADATA new /shared/color
             S: * METADATA new (/shared/color NIL)
             S: g OK that is all",
        )
        .await;
}
