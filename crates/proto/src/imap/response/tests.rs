//! Responses as they stand on the wire.

use mail::{
    Timestamp,
    mime::{Envelope, Structure},
};
use proptest::prelude::*;

use super::{
    super::{
        command::{
            Flag, MailboxName, PartialRange, QuotaResource, Right, Rights, Section, SectionText, SpecialUse,
            StatusItem,
        },
        sequence::NumberSet,
    },
    *,
};

fn written(utf8: bool, write: impl FnOnce(&mut Encoder)) -> String {
    let mut encoder = Encoder::default();
    encoder.set_utf8(utf8);
    write(&mut encoder);
    String::from_utf8(encoder.take()).unwrap()
}

fn data(data: &Data) -> String {
    written(false, |encoder| encoder.data(data))
}

fn set(numbers: &[u32]) -> NumberSet {
    numbers.iter().copied().collect()
}

fn mailbox(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

#[test]
fn statuses_and_codes() {
    let status = |status: &Status| written(false, |encoder| encoder.status("a1", status));
    let code = |code: Code| status(&Status::ok("done").with(code));
    let one = 1.try_into().unwrap();
    assert_eq!(status(&Status::ok("done")), "a1 OK done\r\n");
    assert_eq!(status(&Status::no(Code::TryCreate, "none")), "a1 NO [TRYCREATE] none\r\n");
    assert_eq!(status(&Status::bad("what\r\n* BYE?")), "a1 BAD what??* BYE?\r\n");
    assert_eq!(
        code(Code::CopyUid { uid_validity: one, from: set(&[3, 4, 5]), to: set(&[9, 10, 11]) }),
        "a1 OK [COPYUID 1 3:5 9:11] done\r\n"
    );
    assert_eq!(
        code(Code::AppendUid { uid_validity: one, uids: set(&[7]) }),
        "a1 OK [APPENDUID 1 7] done\r\n"
    );
    assert_eq!(
        code(Code::PermanentFlags { flags: vec![Flag::Seen], any: true }),
        "a1 OK [PERMANENTFLAGS (\\Seen \\*)] done\r\n"
    );
    assert_eq!(code(Code::BadCharset), "a1 OK [BADCHARSET (UTF-8 US-ASCII)] done\r\n");
    assert_eq!(code(Code::Alert), "a1 OK [ALERT] done\r\n");
    assert_eq!(code(Code::BadUrl("/a]\r\nb".into())), "a1 OK [BADURL {6}\r\n/a]\r\nb] done\r\n");
    assert_eq!(
        code(Code::InProgress { tag: "A]1".into(), done: Some(4), of: None }),
        "a1 OK [INPROGRESS (\"A]1\" 4 NIL)] done\r\n"
    );
    assert_eq!(
        code(Code::MessageLimit { limit: 1000, uid: Some(8) }),
        "a1 OK [MESSAGELIMIT 1000 8] done\r\n"
    );
    assert_eq!(code(Code::MailboxId("F1".into())), "a1 OK [MAILBOXID (F1)] done\r\n");
    assert_eq!(code(Code::Modified(set(&[7, 9]))), "a1 OK [MODIFIED 7,9] done\r\n");
    assert_eq!(code(Code::MetadataMaxSize(9)), "a1 OK [METADATA MAXSIZE 9] done\r\n");
}

#[test]
fn mailbox_data() {
    let entry = |name: &str| ListEntry {
        attributes: vec![ListAttribute::HasNoChildren, ListAttribute::Use(SpecialUse::Drafts)],
        delimiter: Some('/'),
        name: name.to_owned(),
        child_info: false,
        old_name: None,
        my_rights: None,
    };
    let drafts = Data::List(entry("Entwürfe"));
    assert_eq!(data(&drafts), "* LIST (\\HasNoChildren \\Drafts) \"/\" Entw&APw-rfe\r\n");
    let rev2 = written(true, |encoder| encoder.data(&drafts));
    assert_eq!(rev2, "* LIST (\\HasNoChildren \\Drafts) \"/\" \"Entwürfe\"\r\n");
    let full = ListEntry {
        attributes: vec![],
        delimiter: None,
        child_info: true,
        old_name: Some(mailbox("a b")),
        my_rights: Some([Right::Lookup, Right::Read].into_iter().collect()),
        ..entry("x")
    };
    assert_eq!(
        data(&Data::List(full)),
        "* LIST () NIL x (\"CHILDINFO\" (\"SUBSCRIBED\") \"OLDNAME\" (\"a b\"))\r\n* MYRIGHTS x \"lr\"\r\n"
    );
    assert_eq!(
        data(&Data::Namespace(Namespaces { personal: vec![(String::new(), '/')], ..Namespaces::default() })),
        "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"
    );
    let items = vec![
        (StatusItem::Messages, StatusValue::Number(3)),
        (StatusItem::MailboxId, StatusValue::Id("F1".into())),
        (StatusItem::AppendLimit, StatusValue::Nil),
    ];
    assert_eq!(
        data(&Data::Status { mailbox: mailbox("a b"), items }),
        "* STATUS \"a b\" (MESSAGES 3 MAILBOXID (F1) APPENDLIMIT NIL)\r\n"
    );
    assert_eq!(
        data(&Data::Flags(vec![Flag::Seen, Flag::Keyword("$Junk".into())])),
        "* FLAGS (\\Seen $Junk)\r\n"
    );
    assert_eq!(
        data(&Data::Vanished { earlier: true, uids: set(&[1, 2, 3]) }),
        "* VANISHED (EARLIER) 1:3\r\n"
    );
}

#[test]
fn search_results() {
    assert_eq!(data(&Data::Search { numbers: vec![], modseq: Some(7) }), "* SEARCH\r\n");
    assert_eq!(data(&Data::Search { numbers: vec![2, 5], modseq: Some(7) }), "* SEARCH 2 5 (MODSEQ 7)\r\n");
    let found = ESearch {
        tag: "a\"1".into(),
        uid: true,
        min: Some(2),
        max: Some(9),
        count: Some(3),
        all: Some(Found::Ascending(set(&[2, 3, 9]))),
        modseq: Some(7),
        ..ESearch::default()
    };
    assert_eq!(
        data(&Data::ESearch(Box::new(found))),
        "* ESEARCH (TAG \"a\\\"1\") UID MIN 2 MAX 9 COUNT 3 ALL 2:3,9 MODSEQ 7\r\n"
    );
    let range = PartialRange { first: 1.try_into().unwrap(), last: 10.try_into().unwrap(), from_end: true };
    let none = ESearch {
        tag: "a".into(),
        all: Some(Found::Ascending(NumberSet::default())),
        partial: Some((range, Found::Sorted(vec![]))),
        ..ESearch::default()
    };
    assert_eq!(data(&Data::ESearch(Box::new(none))), "* ESEARCH (TAG \"a\") PARTIAL (-1:-10 NIL)\r\n");
    let sorted = ESearch { tag: "a".into(), all: Some(Found::Sorted(vec![5, 3, 4])), ..ESearch::default() };
    assert_eq!(data(&Data::ESearch(Box::new(sorted))), "* ESEARCH (TAG \"a\") ALL 5,3,4\r\n");
}

#[test]
fn threads_of_any_depth() {
    let threads = |nodes: &[(usize, u32)]| {
        let node = |(depth, number): &(usize, u32)| ThreadNode {
            depth: *depth,
            number: Some(*number).filter(|number| *number > 0),
        };
        data(&Data::Thread(nodes.iter().map(node).collect()))
    };
    // RFC 5256 §4
    assert_eq!(
        threads(&[(0, 2), (0, 3), (1, 6), (2, 4), (3, 23), (2, 44), (3, 7), (4, 96)]),
        "* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"
    );
    assert_eq!(threads(&[(0, 0), (1, 3), (1, 5)]), "* THREAD ((3)(5))\r\n");
    assert_eq!(threads(&[(0, 0), (1, 3), (2, 8), (2, 9), (1, 5), (0, 7)]), "* THREAD ((3 (8)(9))(5))(7)\r\n");
    assert_eq!(threads(&[]), "* THREAD\r\n");
    let chain: Vec<(usize, u32)> = (0..300_000).map(|depth| (depth, 1)).collect();
    assert!(threads(&chain).ends_with(" 1 1)\r\n"));
}

#[test]
fn lists_that_must_not_be_empty_are_left_out() {
    assert_eq!(data(&Data::Vanished { earlier: true, uids: set(&[]) }), "");
    assert_eq!(data(&Data::Metadata { mailbox: None, values: vec![] }), "");
    assert_eq!(data(&Data::UrlFetch(vec![])), "");
}

#[test]
fn rights_quota_and_annotations() {
    let rights: Rights = [Right::Lookup, Right::Read].into_iter().collect();
    let inbox = || mailbox("INBOX");
    assert_eq!(
        data(&Data::Acl { mailbox: inbox(), entries: vec![("fred".into(), rights), ("a b".into(), rights)] }),
        "* ACL INBOX fred \"lr\" \"a b\" \"lr\"\r\n"
    );
    assert_eq!(
        data(&Data::ListRights {
            mailbox: inbox(),
            identifier: "x".into(),
            always: Rights::default(),
            optional: rights
        }),
        "* LISTRIGHTS INBOX x \"\" l r\r\n"
    );
    let resources = vec![(QuotaResource::Storage, 10, 512)];
    assert_eq!(data(&Data::Quota { root: String::new(), resources }), "* QUOTA \"\" (STORAGE 10 512)\r\n");
    assert_eq!(data(&Data::QuotaRoot { mailbox: inbox(), roots: vec![] }), "* QUOTAROOT INBOX\r\n");
    let values = vec![("/shared/comment".into(), Some(b"a\0".to_vec())), ("/private/x".into(), None)];
    assert_eq!(
        data(&Data::Metadata { mailbox: None, values }),
        "* METADATA \"\" (/shared/comment ~{2}\r\na\0 /private/x NIL)\r\n"
    );
    assert_eq!(data(&Data::Id(vec![])), "* ID NIL\r\n");
    assert_eq!(data(&Data::Id(vec![("name".into(), "P".into())])), "* ID (\"name\" \"P\")\r\n");
    assert_eq!(
        data(&Data::UrlFetch(vec![("u".into(), None), ("v".into(), Some(b"x".to_vec()))])),
        "* URLFETCH \"u\" NIL \"v\" {1}\r\nx\r\n"
    );
}

#[test]
fn urls_whose_content_streams() {
    let said = written(false, |encoder| {
        encoder.start_url("imap://x/y/;UID=1", 3);
        encoder.content(b"ab");
        assert_eq!(encoder.content_left(), 1);
        encoder.content(b"cd");
        encoder.content(b"e");
        encoder.start_url("v", 0);
        encoder.data(&Data::Exists(8));
    });
    let expected =
        "* URLFETCH \"imap://x/y/;UID=1\" {3}\r\nabc\r\n* URLFETCH \"v\" {0}\r\n\r\n* 8 EXISTS\r\n";
    assert_eq!(said, expected);
}

#[test]
fn fetch_with_bodies_that_stream() {
    let section =
        Section { part: vec![1, 2], text: SectionText::HeaderFields(vec!["From".into(), "a b".into()]) };
    let said = written(false, |encoder| {
        encoder.start_fetch(7);
        encoder.fetch_item(&FetchData::Uid(70));
        encoder.fetch_item(&FetchData::Flags { flags: &[Flag::Seen], recent: true });
        encoder.start_content(&ContentName::Body { section: &section, origin: Some(5) }, 4, false);
        encoder.content(b"ab");
        assert_eq!(encoder.content_left(), 2);
        encoder.content(b"cdef");
        encoder.start_content(&ContentName::Rfc822Text, 0, false);
        encoder.fetch_item(&FetchData::Content(ContentName::Binary { part: &[1], origin: None }, b"\0"));
        encoder.fetch_item(&FetchData::NoContent(ContentName::Binary { part: &[2], origin: None }));
        encoder.end_fetch();
        encoder.data(&Data::Exists(8));
    });
    assert_eq!(
        said,
        "* 7 FETCH (UID 70 FLAGS (\\Seen \\Recent) BODY[1.2.HEADER.FIELDS (From \"a b\")]<5> {4}\r\nabcd \
         RFC822.TEXT {0}\r\n BINARY[1] ~{1}\r\n\0 BINARY[2] NIL)\r\n* 8 EXISTS\r\n"
    );
}

#[test]
fn fetch_of_what_stands_in_the_store() {
    let moment = Timestamp::from_millis(837_596_665_000);
    let said = written(false, |encoder| {
        encoder.start_fetch(1);
        encoder.fetch_item(&FetchData::InternalDate(moment));
        encoder.fetch_item(&FetchData::Rfc822Size(9));
        encoder.fetch_item(&FetchData::ModSeq(5));
        encoder.fetch_item(&FetchData::EmailId("M1"));
        encoder.fetch_item(&FetchData::ThreadId(None));
        encoder.fetch_item(&FetchData::SaveDate(None));
        encoder.fetch_item(&FetchData::Preview(Some("grün")));
        encoder.fetch_item(&FetchData::BinarySize { part: &[1, 2], octets: 6 });
        encoder.end_fetch();
    });
    assert_eq!(
        said,
        "* 1 FETCH (INTERNALDATE \"17-Jul-1996 09:44:25 +0000\" RFC822.SIZE 9 MODSEQ (5) EMAILID (M1) THREADID NIL \
         SAVEDATE NIL PREVIEW {5}\r\ngrün BINARY.SIZE[1.2] 6)\r\n"
    );
}

fn envelope(header: &str, utf8: bool) -> String {
    let structure = Structure::of(header.as_bytes());
    let envelope = structure.parts()[0].envelope.clone().unwrap();
    written(utf8, |encoder| {
        encoder.start_fetch(1);
        encoder.fetch_item(&FetchData::Envelope(&envelope));
    })
}

#[test]
fn an_envelope_has_ten_fields() {
    let empty = written(false, |encoder| {
        encoder.start_fetch(1);
        encoder.fetch_item(&FetchData::Envelope(&Envelope::default()));
    });
    assert_eq!(empty, "* 1 FETCH (ENVELOPE (NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    let full = "Date: Thu, 15 Feb 2007 01:02:03 +0200\r\nSubject: a \"b\"\r\nFrom: Real <u@d>\r\nReply-To: <@r:x@y>\r\n\
                To: g: a@b;\r\nMessage-ID: <m@i>\r\n\r\n";
    assert_eq!(
        envelope(full, false),
        "* 1 FETCH (ENVELOPE (\"Thu, 15 Feb 2007 01:02:03 +0200\" \"a \\\"b\\\"\" ((\"Real\" NIL \"u\" \"d\")) \
         ((\"Real\" NIL \"u\" \"d\")) ((NIL \"@r\" \"x\" \"y\")) ((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL \
         NIL)) NIL NIL NIL \"<m@i>\")"
    );
}

#[test]
fn what_is_beyond_ascii_is_encoded_for_who_has_not_asked() {
    let header = "Subject: grün\r\nFrom: Jörg <jörg@müller.example>\r\n\r\n";
    let plain = envelope(header, false);
    assert!(plain.is_ascii());
    assert!(
        plain.contains("\"=?utf-8?B?Z3LDvG4=?=\"") && plain.contains("\"j?rg\" \"m?ller.example\""),
        "{plain}"
    );
    assert!(envelope(header, true).contains("(\"Jörg\" NIL \"jörg\" \"müller.example\")"));
    let message = "Content-Type: image/png; name=\"ä b.png\"\r\n\r\n";
    let structure = Structure::of(message.as_bytes());
    let body = |utf8| {
        written(utf8, |encoder| {
            encoder.start_fetch(1);
            encoder.fetch_item(&FetchData::BodyStructure(&structure));
        })
    };
    assert!(body(false).contains("(\"name*\" \"utf-8''%C3%A4%20b.png\")"));
    assert!(body(true).contains("(\"name\" \"ä b.png\")"));
}

fn body(message: &str, extended: bool) -> String {
    let structure = Structure::of(message.as_bytes());
    let said = written(false, |encoder| {
        encoder.start_fetch(1);
        let body = if extended { FetchData::BodyStructure(&structure) } else { FetchData::Body(&structure) };
        encoder.fetch_item(&body);
    });
    said.split_once("BODY").unwrap().1.split_once(' ').unwrap().1.to_owned()
}

#[test]
fn body_structures() {
    assert_eq!(
        body("\r\nhello\r\n", false),
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 7 1)"
    );
    let mixed = "Content-Type: multipart/mixed; boundary=b\r\nContent-Language: de, en\r\n\r\n--b\r\n\
        Content-Type: image/png\r\nContent-ID: <i@d>\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: inline; filename=x.png\r\n\r\nAAAA\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: in\r\n\r\nx\r\n--b--\r\n";
    assert_eq!(
        body(mixed, false),
        "((\"image\" \"png\" NIL \"<i@d>\" NIL \"base64\" 4)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" \
         NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 1) 3) \
         \"mixed\")"
    );
    assert_eq!(
        body(mixed, true),
        "((\"image\" \"png\" NIL \"<i@d>\" NIL \"base64\" 4 NIL (\"inline\" (\"filename\" \"x.png\")) NIL NIL)\
         (\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 16 (NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL) (\"text\" \"plain\" \
         (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 1 NIL NIL NIL NIL) 3 NIL NIL NIL NIL) \"mixed\" (\"boundary\" \
         \"b\") NIL (\"de\" \"en\") NIL)"
    );
    assert_eq!(
        body("Content-Type: multipart/alternative\r\n\r\nx", false),
        "(\"text\" \"plain\" NIL NIL NIL \"7bit\" 1 1)"
    );
}

/// Whether a response is one line but for literals, with brackets that match.
fn is_well_formed(response: &[u8]) -> bool {
    let (mut rest, mut depth, mut quoted) = (response, 0_i32, false);
    loop {
        match rest {
            [b'\r', b'\n'] => return depth == 0 && !quoted,
            [b'\\', _, after @ ..] if quoted => rest = after,
            [b'"', after @ ..] => {
                quoted = !quoted;
                rest = after;
            }
            [] | [b'\r' | b'\n' | 0, ..] => return false,
            [b'{', after @ ..] if !quoted => {
                let end = after.windows(3).position(|next| next == b"}\r\n").unwrap();
                let octets: usize = std::str::from_utf8(&after[..end]).unwrap().parse().unwrap();
                rest = &after[end + 3 + octets..];
            }
            [octet, after @ ..] => {
                depth += i32::from(!quoted && *octet == b'(') - i32::from(!quoted && *octet == b')');
                rest = after;
            }
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_message_the_response_is_whole(
        words in prop::collection::vec(
            "Content-Type: |Subject: |To: |multipart/mixed; boundary=a|message/rfc822|; name=|\r\n|\n|\r\n\r\n|--a\r\n|--a--\r\n|\
             x|\"|\\\\|\\(|\\)|<|@|,|:|;|ä|\r|\0|\\{3\\}| ",
            0..60,
        ),
        utf8: bool,
    ) {
        let message = words.concat();
        let structure = Structure::of(message.as_bytes());
        let said = written(utf8, |encoder| {
            encoder.start_fetch(1);
            encoder.fetch_item(&FetchData::Envelope(structure.parts()[0].envelope.as_ref().unwrap()));
            encoder.fetch_item(&FetchData::BodyStructure(&structure));
            encoder.end_fetch();
        });
        prop_assert!(is_well_formed(said.as_bytes()), "{}", said);
        prop_assert!(utf8 || said.is_ascii(), "{}", said);
        // A multipart has parts.
        prop_assert!(!said.contains("( \"mixed\""), "{}", said);
    }
}
