//! Commands as clients write them.

use super::{
    super::{
        LIST_ITEMS_MAX, NESTING_MAX, SEARCH_KEYS_MAX,
        date::Date,
        error::{CommandError, Fault},
        sequence::SequenceSet,
    },
    parse as parser, *,
};

fn parsed(text: &str) -> Command {
    let tagged =
        parser(format!("a1 {text}").as_bytes(), false).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
    assert_eq!(tagged.tag, "a1");
    tagged.command
}

fn error(text: &str) -> CommandError {
    match parser(format!("a1 {text}").as_bytes(), false) {
        Err(Fault::Error(error)) => error,
        other => panic!("{text}: {other:?}"),
    }
}

fn mailbox(name: &str) -> MailboxName {
    MailboxName::new(name).unwrap()
}

fn set(text: &str) -> SequenceSet {
    SequenceSet::parse(text).unwrap()
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn commands_without_arguments() {
    assert_eq!(parsed("noop"), Command::Noop);
    assert_eq!(parsed("CAPABILITY "), Command::Capability);
    assert_eq!(parsed("Logout"), Command::Logout);
    assert_eq!(parsed("STARTTLS"), Command::StartTls);
    assert_eq!(parsed("UNSELECT"), Command::Unselect);
    assert_eq!(parsed("EXPUNGE"), Command::Expunge(None));
    assert_eq!(parsed("UID EXPUNGE 3:5"), Command::Expunge(Some(set("3:5"))));
    assert_eq!(parsed("COMPRESS DEFLATE"), Command::Compress);
    assert_eq!(parsed("UNAUTHENTICATE"), Command::Unauthenticate);
    assert_eq!(error("NOOP now"), CommandError::Trailing);
    assert_eq!(error("XYZZY"), CommandError::Unknown);
    assert_eq!(error("UID NOOP"), CommandError::Unknown);
    assert_eq!(error("COMPRESS LZMA"), CommandError::Expected("DEFLATE, which alone is known here"));
}

#[test]
fn a_command_has_a_tag() {
    let no_tag = |octets: &[u8]| parser(octets, false) == Err(Fault::Error(CommandError::NoTag));
    for octets in [b"".as_slice(), b" NOOP", b"+ NOOP", b"a1", b"(a NOOP", b"\"a\" NOOP", b"\xc3\xa4 NOOP"] {
        assert!(no_tag(octets), "{}", octets.escape_ascii());
    }
    assert_eq!(parser(b"a] NOOP", false).unwrap().tag, "a]");
    assert_eq!(tag_of(b"A1 X"), Some("A1".to_owned()));
    assert_eq!(tag_of(b"A1"), None);
}

#[test]
fn logins_take_every_kind_of_string() {
    for text in [
        "LOGIN ann open]sesame",
        "LOGIN \"ann\" \"open]sesame\"",
        "LOGIN {3}\r\nann {11}\r\nopen]sesame",
        "LOGIN {3+}\r\nann open]sesame",
    ] {
        let Command::Login(Some(credentials)) = parsed(text) else { panic!("{text}") };
        assert_eq!(
            (credentials.authentication_id.as_str(), credentials.password.as_str()),
            ("ann", "open]sesame")
        );
    }
    assert_eq!(parsed("LOGIN \"\" x"), Command::Login(None));
    assert!(!format!("{:?}", parsed("LOGIN ann sesame")).contains("sesame"));
    assert!(!format!("{:?}", parsed("AUTHENTICATE PLAIN AGEAYg==")).contains("AGEAYg"));
    assert_eq!(error("LOGIN ann"), CommandError::Expected("a space"));
}

#[test]
fn id_and_enable() {
    assert_eq!(parsed("ID NIL"), Command::Id(Vec::new()));
    assert_eq!(
        parsed("ID (\"name\" \"Thunderbird\" \"os\" NIL)"),
        Command::Id(vec![("name".into(), Some("Thunderbird".into())), ("os".into(), None)])
    );
    let pairs = |count: usize| format!("ID ({})", vec!["\"a\" \"b\""; count].join(" "));
    assert!(matches!(parsed(&pairs(30)), Command::Id(fields) if fields.len() == 30));
    assert!(matches!(error(&pairs(31)), CommandError::TooMany { .. }));
    assert!(matches!(parsed(&format!("ID (\"a\" \"{}\")", "x".repeat(1024))), Command::Id(_)));
    assert_eq!(parsed("ENABLE condstore X-Good"), Command::Enable(strings(&["CONDSTORE", "X-GOOD"])));
}

#[test]
fn names_of_mailboxes_by_dialect() {
    assert_eq!(parsed("DELETE iNbOx"), Command::Delete(mailbox("INBOX")));
    assert_eq!(parsed("SUBSCRIBE Entw&APw-rfe"), Command::Subscribe(mailbox("Entwürfe")));
    assert_eq!(parsed("DELETE {5}\r\na b\"c"), Command::Delete(mailbox("a b\"c")));
    assert_eq!(error("DELETE \"Entwürfe\""), CommandError::MailboxName);
    assert_eq!(error("DELETE a&b"), CommandError::MailboxName);
    assert_eq!(error("DELETE \"\""), CommandError::MailboxName);
    assert_eq!(error("DELETE a*"), CommandError::Trailing);
    let utf8 = |text: &str| parser(text.as_bytes(), true).unwrap().command;
    assert_eq!(utf8("a DELETE \"Entwürfe\""), Command::Delete(mailbox("Entwürfe")));
    assert_eq!(utf8("a DELETE a&b"), Command::Delete(mailbox("a&b")));
    assert_eq!(MailboxName::new("a\u{1b}b"), None);
    assert_eq!(MailboxName::new(&"x".repeat(MAILBOX_NAME_BYTES_MAX + 1)), None);
}

#[test]
fn select_with_what_the_client_remembers() {
    let select = |text: &str| match parsed(text) {
        Command::Select(select) => *select,
        other => panic!("{other:?}"),
    };
    let plain = |read_only| Select { mailbox: mailbox("INBOX"), read_only, condstore: false, qresync: None };
    assert_eq!(select("SELECT inbox"), plain(false));
    assert_eq!(select("EXAMINE inbox (CONDSTORE)"), Select { condstore: true, ..plain(true) });
    let qresync =
        select("SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211,214:541))").qresync.unwrap();
    assert_eq!((qresync.uid_validity.get(), qresync.modseq.get()), (67_890_007, 20_050_715_194_045_000));
    assert_eq!(qresync.uids, Some(set("41,43:211,214:541")));
    let qresync = select("SELECT INBOX (QRESYNC (1 2 (1,3 10,30)))").qresync.unwrap();
    assert_eq!(qresync.uids, None);
    assert_eq!(qresync.messages.unwrap(), KnownMessages { numbers: set("1,3"), uids: set("10,30") });
    assert_eq!(select("SELECT INBOX (QRESYNC (1 2))").qresync.unwrap().uids, None);
    for text in [
        "SELECT INBOX (QRESYNC (0 2))",
        "SELECT INBOX (QRESYNC (1 0))",
        "SELECT INBOX (QRESYNC (1 2 1:*))",
        "SELECT INBOX (QRESYNC (1 2 $))",
        "SELECT INBOX (QRESYNC (1 9223372036854775808))",
        "SELECT INBOX (QRESYNC ())",
        "SELECT INBOX ()",
    ] {
        assert!(matches!(error(text), CommandError::Expected(_)), "{text}");
    }
}

#[test]
fn list_in_all_its_forms() {
    let list = |text: &str| match parsed(text) {
        Command::List(list) => *list,
        other => panic!("{other:?}"),
    };
    let plain = list("LIST \"\" %");
    assert_eq!((plain.reference.as_str(), plain.patterns, plain.extended), ("", strings(&["%"]), false));
    assert_eq!(list("LIST \"\" \"\"").patterns, strings(&[""]));
    assert_eq!(list("LIST ~/Mail/ {2}\r\n*%").patterns, strings(&["*%"]));
    let full = list(
        "LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (\"INBOX\" Entw&APw-%) RETURN (CHILDREN SUBSCRIBED SPECIAL-USE \
         MYRIGHTS STATUS (MESSAGES UNSEEN) METADATA (/shared/comment))",
    );
    assert!(full.selection.subscribed && full.selection.recursive_match && full.extended);
    assert_eq!(full.patterns, strings(&["INBOX", "Entwü%"]));
    let ListReturn { subscribed, children, special_use, my_rights, status, metadata } = full.returned;
    assert!(subscribed && children && special_use && my_rights);
    assert_eq!(status, [StatusItem::Messages, StatusItem::Unseen]);
    assert_eq!(metadata, ["/shared/comment"]);
    assert!(list("LIST () \"\" () RETURN ()".replace("()  ", "").replace("\" ()", "\" *").as_str()).extended);
    assert!(matches!(error("LIST (RECURSIVEMATCH) \"\" *"), CommandError::Expected(_)));
    assert!(matches!(error("LIST (FOO) \"\" *"), CommandError::Expected(_)));
    assert_eq!(
        parsed("LSUB \"#news.\" \"comp.*\""),
        Command::Lsub { reference: "#news.".into(), pattern: "comp.*".into() }
    );
}

#[test]
fn create_rename_status() {
    assert_eq!(
        parsed("CREATE Sent (USE (\\Sent \\IMPORTANT))"),
        Command::Create { mailbox: mailbox("Sent"), uses: vec![SpecialUse::Sent, SpecialUse::Important] }
    );
    assert_eq!(error("CREATE Sent (USE (\\Foo))"), CommandError::SpecialUse);
    assert_eq!(parsed("RENAME a b"), Command::Rename { from: mailbox("a"), to: mailbox("b") });
    assert_eq!(
        parsed("STATUS a (MESSAGES SIZE mailboxid HIGHESTMODSEQ APPENDLIMIT DELETED DELETED-STORAGE)"),
        Command::Status {
            mailbox: mailbox("a"),
            items: vec![
                StatusItem::Messages,
                StatusItem::Size,
                StatusItem::MailboxId,
                StatusItem::HighestModSeq,
                StatusItem::AppendLimit,
                StatusItem::Deleted,
                StatusItem::DeletedStorage,
            ]
        }
    );
    assert!(matches!(error("STATUS a ()"), CommandError::Expected(_)));
}

fn fetch(text: &str) -> Fetch {
    match parsed(text) {
        Command::Fetch { fetch, .. } => *fetch,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fetch_items_and_sections() {
    use FetchItem::{BodyShort, Envelope, Flags, InternalDate, Preview, Rfc822Size};
    assert_eq!(fetch("FETCH 1 FULL").items, [Flags, InternalDate, Rfc822Size, Envelope, BodyShort]);
    assert_eq!(
        fetch("FETCH 1 (FLAGS PREVIEW (LAZY) PREVIEW)").items[1..],
        [Preview { lazy: true }, Preview { lazy: false }]
    );
    let section = |text: &str| match fetch(&format!("FETCH 1:* ({text})")).items.remove(0) {
        FetchItem::Body { section, peek, partial } => (section, peek, partial),
        other => panic!("{other:?}"),
    };
    assert_eq!(section("BODY[]"), (Section::default(), false, None));
    assert_eq!(
        section("BODY.PEEK[]<5.10>"),
        (Section::default(), true, Some(Partial { offset: 5, octets: 10 }))
    );
    assert_eq!(section("BODY[1.2.MIME]").0, Section { part: vec![1, 2], text: SectionText::Mime });
    assert_eq!(section("BODY[3]").0, Section { part: vec![3], text: SectionText::All });
    assert_eq!(section("BODY[TEXT]").0.text, SectionText::Text);
    assert_eq!(section("BODY[4.HEADER]").0, Section { part: vec![4], text: SectionText::Header });
    let names = strings(&["From", "X-\"y"]);
    assert_eq!(
        section("body.peek[header.fields (From \"X-\\\"y\")]").0.text,
        SectionText::HeaderFields(names)
    );
    assert_eq!(
        section("BODY[1.HEADER.FIELDS.NOT ({2}\r\nTo)]").0,
        Section { part: vec![1], text: SectionText::HeaderFieldsNot(strings(&["To"])) }
    );
    assert_eq!(fetch("FETCH 1 BINARY.SIZE[1.2]").items, [FetchItem::BinarySize(vec![1, 2])]);
    assert_eq!(
        fetch("FETCH 1 BINARY.PEEK[1]<0.9>").items,
        [FetchItem::Binary { part: vec![1], peek: true, partial: Some(Partial { offset: 0, octets: 9 }) }]
    );
    for text in
        ["BODY[MIME]", "BODY[1.]", "BODY[0]", "BODY[]<1.0>", "BODY[1", "BODY[1.FOO]", "FOO", "BODY[HEADERS]"]
    {
        assert!(matches!(error(&format!("FETCH 1 {text}")), CommandError::Expected(_)), "{text}");
    }
    let deep = format!("FETCH 1 BODY[{}1]", "1.".repeat(1000));
    assert_eq!(error(&deep), CommandError::TooDeep);
}

#[test]
fn fetch_modifiers() {
    let modifiers = fetch("UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED PARTIAL -1:-30)").modifiers;
    assert_eq!((modifiers.changed_since, modifiers.vanished), (Some(12345), true));
    let partial = modifiers.partial.unwrap();
    assert_eq!((partial.first.get(), partial.last.get(), partial.from_end), (1, 30, true));
    assert!(matches!(error("FETCH 1 FLAGS (VANISHED)"), CommandError::Expected(_)));
}

#[test]
fn store_copy_move() {
    let store = |text: &str| match parsed(text) {
        Command::Store { store, uid: false } => *store,
        other => panic!("{other:?}"),
    };
    let seen = store("STORE 1 +FLAGS.SILENT (\\seen $Junk $JUNK)");
    assert_eq!((seen.action, seen.silent, seen.flags.len()), (StoreAction::Add, true, 2));
    assert_eq!(seen.flags[1], Flag::Keyword("$junk".into()));
    assert_eq!(store("STORE 1 -FLAGS \\Deleted \\Draft").flags, [Flag::Deleted, Flag::Draft]);
    let none = store("STORE 1:* (UNCHANGEDSINCE 7) FLAGS ()");
    assert_eq!((none.action, none.unchanged_since, none.flags.len()), (StoreAction::Replace, Some(7), 0));
    assert_eq!(error("STORE 1 FLAGS \\Recent"), CommandError::Flag);
    assert!(matches!(error("STORE 1 +-FLAGS x"), CommandError::Expected(_)));
    assert_eq!(
        parsed("UID MOVE $ Trash"),
        Command::Move { uid: true, messages: SequenceSet::Saved, to: mailbox("Trash") }
    );
    assert_eq!(parsed("COPY 2 a"), Command::Copy { uid: false, messages: set("2"), to: mailbox("a") });
}

fn keys(text: &str) -> Vec<SearchKey> {
    match parsed(&format!("SEARCH {text}")) {
        Command::Search { search, .. } => search.keys,
        other => panic!("{other:?}"),
    }
}

#[test]
fn search_keys() {
    use SearchKey::{And, Before, Envelope, Header, ModSeq, Not, NotFlag, Older, Or, Text};
    assert_eq!(keys("ALL "), [SearchKey::All]);
    assert_eq!(
        keys("CHARSET UTF-8 UNSEEN FROM \"Müller\" SENTSINCE 1-Feb-1994"),
        [
            NotFlag(Flag::Seen),
            Envelope(EnvelopeField::From, "Müller".into()),
            SearchKey::Since(WhichDate::Sent, Date::new(1994, 2, 1).unwrap()),
        ]
    );
    assert_eq!(
        keys("OR (1:3 UID 4) NOT TEXT {3}\r\na b"),
        [Or(Box::new((
            And(vec![SearchKey::Messages(set("1:3")), SearchKey::Uids(set("4"))]),
            Not(Box::new(Text("a b".into())))
        )))]
    );
    assert_eq!(
        keys("HEADER X-Y \"\" $"),
        [Header { name: "X-Y".into(), value: String::new() }, SearchKey::Messages(SequenceSet::Saved)]
    );
    assert_eq!(
        keys("SAVEDBEFORE \"2-Mar-2026\" OLDER 60 MODSEQ \"/flags/\\\\draft\" all 9 MODSEQ 0"),
        [
            Before(WhichDate::Saved, Date::new(2026, 3, 2).unwrap()),
            Older(60.try_into().unwrap()),
            ModSeq(9),
            ModSeq(0)
        ]
    );
    assert_eq!(error("SEARCH CHARSET KOI8-R TEXT x"), CommandError::Charset);
    for text in
        ["", "FOO", "OR ALL", "NOT", "KEYWORD \\Seen", "SINCE 31-Feb-2026", "LARGER -1", "OLDER 0", "()"]
    {
        assert!(matches!(error(&format!("SEARCH {text}")), CommandError::Expected(_)), "{text}");
    }
}

#[test]
fn search_programs_have_limits() {
    let nots = |count: usize| format!("SEARCH {}ALL", "NOT ".repeat(count));
    assert!(matches!(parsed(&nots(NESTING_MAX)), Command::Search { .. }));
    assert_eq!(error(&nots(NESTING_MAX + 1)), CommandError::TooDeep);
    assert_eq!(error(&format!("SEARCH {}ALL", "OR ALL ".repeat(NESTING_MAX + 1))), CommandError::TooDeep);
    assert_eq!(error(&format!("SEARCH ALL{}", " ALL".repeat(SEARCH_KEYS_MAX))), CommandError::SearchKeys);
    let many = format!("FETCH 1 (UID{})", " UID".repeat(LIST_ITEMS_MAX));
    assert!(matches!(error(&many), CommandError::TooMany { .. }));
}

#[test]
fn search_return_options() {
    let returned = |text: &str| match parsed(text) {
        Command::Search { search, .. } => search.returned,
        other => panic!("{other:?}"),
    };
    assert_eq!(returned("SEARCH ALL"), None);
    let all = SearchReturn { all: true, ..SearchReturn::default() };
    assert_eq!(returned("SEARCH RETURN () ALL"), Some(all));
    let some = returned("UID SEARCH RETURN (MIN MAX COUNT SAVE PARTIAL 500:1) CHARSET us-ascii 1").unwrap();
    assert!(some.min && some.max && some.count && some.save && !some.all);
    assert_eq!(
        some.partial.map(|range| (range.first.get(), range.last.get(), range.from_end)),
        Some((1, 500, false))
    );
    for text in ["SEARCH RETURN (ALL PARTIAL 1:2) 1", "SEARCH RETURN (PARTIAL 1:-2) 1", "SEARCH RETURN (X) 1"]
    {
        assert!(matches!(error(text), CommandError::Expected(_)), "{text}");
    }
}

#[test]
fn sort_and_thread() {
    let Command::Sort { sort, uid: true } = parsed("UID SORT (REVERSE DATE SUBJECT) UTF-8 ALL") else {
        panic!()
    };
    assert_eq!(sort.by[0], SortKey { field: SortField::Date, direction: Direction::Descending });
    assert_eq!(sort.by[1], SortKey { field: SortField::Subject, direction: Direction::Ascending });
    let Command::Thread { thread, uid: false } = parsed("THREAD REFERENCES UTF-8 SINCE 5-MAR-2000") else {
        panic!()
    };
    assert_eq!(thread.algorithm, ThreadAlgorithm::References);
    assert!(matches!(error("THREAD REFS UTF-8 ALL"), CommandError::Expected(_)));
}

#[test]
fn rights() {
    let rights = |letters: &str| Rights::parse(letters).unwrap();
    assert_eq!(
        parsed("SETACL INBOX chris +cda"),
        Command::SetAcl {
            mailbox: mailbox("INBOX"),
            identifier: "chris".into(),
            change: RightsChange::Add(rights("kxtea"))
        }
    );
    assert_eq!(
        parsed("SETACL a b \"\""),
        Command::SetAcl {
            mailbox: mailbox("a"),
            identifier: "b".into(),
            change: RightsChange::Replace(Rights::default())
        }
    );
    assert_eq!(error("SETACL a b lrz"), CommandError::Right);
    assert_eq!(rights("alr").to_string(), "lra");
    assert_eq!(Rights::all().without(rights("lr")).union(rights("l")).to_string(), "lswipkxtea");
    assert_eq!(
        parsed("LISTRIGHTS ~/Mail/saved smith"),
        Command::ListRights { mailbox: mailbox("~/Mail/saved"), identifier: "smith".into() }
    );
}

#[test]
fn quota_and_metadata() {
    assert_eq!(
        parsed("SETQUOTA \"\" (STORAGE 512 message 9)"),
        Command::SetQuota {
            root: String::new(),
            limits: vec![(QuotaResource::Storage, 512), (QuotaResource::Message, 9)]
        }
    );
    let get = |text: &str| match parsed(text) {
        Command::GetMetadata(get) => *get,
        other => panic!("{other:?}"),
    };
    let both = GetMetadata {
        mailbox: Some(mailbox("INBOX")),
        entries: strings(&["/shared/comment", "/private/comment"]),
        octets_max: Some(1024),
        depth: AnnotationDepth::Infinity,
    };
    assert_eq!(
        get("GETMETADATA (MAXSIZE 1024 DEPTH infinity) INBOX (/shared/Comment /private/comment)"),
        both
    );
    assert_eq!(
        get("GETMETADATA INBOX (MAXSIZE 1024 DEPTH infinity) (/shared/comment /private/comment)"),
        both
    );
    assert_eq!(get("GETMETADATA \"\" /shared/admin").mailbox, None);
    assert_eq!(
        parsed("SETMETADATA INBOX (/private/comment ~{3}\r\na\0b /shared/x NIL)"),
        Command::SetMetadata {
            mailbox: Some(mailbox("INBOX")),
            annotations: vec![
                Annotation { entry: "/private/comment".into(), value: Some(b"a\0b".to_vec()) },
                Annotation { entry: "/shared/x".into(), value: None },
            ]
        }
    );
    assert_eq!(get("GETMETADATA (DEPTH infinity) INBOX (/Shared /private)").entries, ["/shared", "/private"]);
    assert_eq!(error("SETMETADATA INBOX (/shared NIL)"), CommandError::AnnotationName);
    for entry in ["comment", "/other/x", "/shared/", "/shared//x", "\"/shared/*\""] {
        assert_eq!(error(&format!("GETMETADATA a {entry}")), CommandError::AnnotationName, "{entry}");
    }
}

#[test]
fn notify_events() {
    assert_eq!(parsed("NOTIFY NONE"), Command::Notify(Notify::None));
    let text = "NOTIFY SET STATUS (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge FlagChange)) \
                (subtree Lists (MailboxName)) (personal NONE)";
    let Command::Notify(Notify::Set { status: true, groups }) = parsed(text) else { panic!() };
    assert_eq!(groups.len(), 3);
    assert_eq!(groups[0].mailboxes, MailboxFilter::Selected);
    assert_eq!(groups[0].events.message_new.as_ref().map(Vec::len), Some(2));
    assert!(groups[0].events.message_expunge && groups[0].events.flag_change);
    assert_eq!(groups[1].mailboxes, MailboxFilter::Subtree(vec![mailbox("Lists")]));
    assert_eq!(groups[2].events, Events::default());
    assert_eq!(error("NOTIFY SET (selected (Foo))"), CommandError::Event);
    for text in [
        "NOTIFY SET (selected (MessageNew))",
        "NOTIFY SET (selected (MailboxName))",
        "NOTIFY SET (selected (MessageNew MessageExpunge)) (selected-delayed (MessageNew MessageExpunge))",
        "NOTIFY SET (selected (FlagChange))",
        "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))",
        "NOTIFY SET (everywhere NONE)",
        "NOTIFY SET",
    ] {
        assert!(matches!(error(text), CommandError::Expected(_)), "{text}");
    }
}

#[test]
fn urls() {
    let url = "imap://joe@example.com/INBOX/;uid=20/;section=1.2;urlauth=submit+fred";
    assert_eq!(
        parsed(&format!("GENURLAUTH \"{url}\" internal")),
        Command::GenUrlAuth(vec![GenUrlAuth { url: url.into(), mechanism: "INTERNAL".into() }])
    );
    assert_eq!(parsed("URLFETCH a \"b c\""), Command::UrlFetch(strings(&["a", "b c"])));
    assert_eq!(parsed("RESETKEY"), Command::ResetKey { mailbox: None, mechanisms: Vec::new() });
    assert_eq!(
        parsed("RESETKEY INBOX internal"),
        Command::ResetKey { mailbox: Some(mailbox("INBOX")), mechanisms: strings(&["INTERNAL"]) }
    );
}
