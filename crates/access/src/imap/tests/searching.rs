use super::*;

async fn house() -> House {
    let house = House::with_alice().await;
    house
        .deliver(
            b"Subject: =?utf-8?Q?Gr=C3=BCn?= day\r\nFrom: Ann <ann@example.org>\r\nDate: Tue, 1 Jul 2003 23:52:37 \
              -0200\r\n\r\nThe meadow is green.\r\n",
        )
        .await;
    house
        .deliver(
            b"Subject: two\r\nCc: carol@example.net\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\
              Content-Transfer-Encoding: quoted-printable\r\n\r\nDie Wiese ist gr=FCn und ei=\r\nn Wald.\r\n",
        )
        .await;
    let attachment = "Content-Type: multipart/mixed; boundary=b\r\nSubject: three\r\n\r\n--b\r\n\r\nx\r\n--b\r\n\
                      Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+bmVlZGxlPC9iPg==\r\n--b--\r\n";
    house.deliver(attachment.as_bytes()).await;
    house
}

async fn found(client: &mut Client, keys: &str) -> String {
    client.say(&format!("x SEARCH {keys}")).await;
    let line = client.hear().await;
    client.expect("x OK searched").await;
    line.strip_prefix("* SEARCH").unwrap_or_else(|| panic!("{line}")).trim_start().to_owned()
}

#[tokio::test]
async fn keys_find_what_they_say() {
    let house = house().await;
    let mut client = house.in_inbox().await;
    client.converse("C: a STORE 2 +FLAGS.SILENT (\\Seen $Junk)\nS: a OK stored").await;
    for (keys, numbers) in [
        ("ALL", "1 2 3"),
        ("SUBJECT {6+}\r\nGR\u{dc}N ", "1"),
        ("CHARSET UTF-8 TEXT {5+}\r\ngr\u{fc}n", "1 2"),
        ("BODY \"ein wald\"", "2"),
        ("BODY needle", "3"),
        ("NOT BODY needle SINCE 1-Jan-2020", "1 2"),
        ("FROM ann@EXAMPLE", "1"),
        ("CC carol OR UNSEEN SEEN", "2"),
        ("HEADER Cc \"\"", "2"),
        ("HEADER X-None \"\"", ""),
        ("SENTON 1-Jul-2003", "1"),
        ("SENTSINCE 2-Jul-2003", ""),
        ("SENTBEFORE 2-Jul-2003", "1"),
        ("BEFORE 1-Jan-2020", ""),
        ("UNSEEN", "1 3"),
        ("KEYWORD $junk", "2"),
        ("UNKEYWORD $Junk NOT 3", "1"),
        ("2:3", "2 3"),
        ("UID 3:9", "3"),
        ("NEW", ""),
        ("OR (SUBJECT two) (SUBJECT three) SMALLER 100", ""),
        ("YOUNGER 3600", "1 2 3"),
        ("OLDER 3600", ""),
    ] {
        assert_eq!(found(&mut client, keys).await, numbers, "{keys}");
    }
    client.converse("C: a SEARCH CHARSET EBCDIC ALL\nS: a NO [BADCHARSET (UTF-8 US-ASCII)] …").await;
    client.converse("C: a SEARCH 4\nS: a BAD there is no message of that number").await;
}

#[tokio::test]
async fn results_are_returned_as_asked_and_kept() {
    let house = house().await;
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a SEARCH RETURN (MIN MAX COUNT) ALL
             S: * ESEARCH (TAG \"a\") MIN 1 MAX 3 COUNT 3
             S: a OK searched
             C: b UID SEARCH RETURN () 2:*
             S: * ESEARCH (TAG \"b\") UID ALL 2:3
             S: b OK searched
             C: c SEARCH RETURN (SAVE) SUBJECT t
             S: c OK searched
             C: d UID FETCH $ UID
             S: * 2 FETCH (UID 2)
             S: * 3 FETCH (UID 3)
             S: d OK fetched
             C: e SEARCH RETURN (COUNT SAVE) $ SUBJECT three
             S: * ESEARCH (TAG \"e\") COUNT 1
             S: e OK searched
             C: f FETCH $ UID
             S: * 3 FETCH (UID 3)
             S: f OK fetched
             C: g SEARCH RETURN (PARTIAL -1:-2) ALL
             S: * ESEARCH (TAG \"g\") PARTIAL (-1:-2 2:3)
             S: g OK searched
             C: h SEARCH RETURN (ALL) SUBJECT none
             S: * ESEARCH (TAG \"h\")
             S: h OK searched",
        )
        .await;
}

#[tokio::test]
async fn messages_are_sorted_and_threaded() {
    let house = House::with_alice().await;
    for message in [
        "Subject: Re: plan\r\nFrom: zoe@x\r\nDate: 3 Jul 2003 10:00:00 +0000\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n",
        "Subject: plan\r\nFrom: Ann <bob@x>\r\nDate: 1 Jul 2003 10:00:00 +0000\r\nMessage-ID: <1@x>\r\n",
        "Subject: =?utf-8?Q?=C3=A4nderung?=\r\nFrom: Carl <ann@x>\r\nDate: 2 Jul 2003 10:00:00 +0000\r\n",
    ] {
        house.deliver(format!("{message}\r\ntext of it\r\n").as_bytes()).await;
    }
    let mut client = house.in_inbox().await;
    client
        .converse(
            "C: a SORT (DATE) UTF-8 ALL
             S: * SORT 2 3 1
             S: a OK sorted
             C: b UID SORT (REVERSE FROM) US-ASCII ALL
             S: * SORT 1 2 3
             S: b OK sorted
             C: c SORT (SUBJECT REVERSE DATE) UTF-8 NOT 9999:*
             S: c BAD there is no message of that number
             C: d SORT (SUBJECT REVERSE DATE) UTF-8 ALL
             S: * SORT 1 2 3
             S: d OK sorted
             C: e SORT RETURN (COUNT PARTIAL 1:2) (SIZE) UTF-8 ALL
             S: * ESEARCH (TAG \"e\") COUNT 3 PARTIAL (1:2 2,3)
             S: e OK sorted
             C: f THREAD REFERENCES UTF-8 ALL
             S: * THREAD (2 1)(3)
             S: f OK threaded
             C: g UID THREAD ORDEREDSUBJECT UTF-8 1:2
             S: * THREAD (2 1)
             S: g OK threaded
             C: h FETCH 1:2 (THREADID PREVIEW)",
        )
        .await;
    let (one, other) = (client.hear().await, client.hear().await);
    let thread = one.strip_prefix("* 1 FETCH (THREADID (").unwrap().split(')').next().unwrap().to_owned();
    assert_eq!(one, format!("* 1 FETCH (THREADID ({thread}) PREVIEW \"text of it\")"));
    assert_eq!(other, format!("* 2 FETCH (THREADID ({thread}) PREVIEW \"text of it\")"));
    client.expect("h OK fetched").await;
    assert_eq!(found(&mut client, &format!("THREADID {thread}")).await, "1 2");
    assert_eq!(found(&mut client, "THREADID T0").await, "");
}
