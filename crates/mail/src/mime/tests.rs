//! Messages as they are out there, and the sections that IMAP finds in them.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn structure(message: &str) -> Structure {
    let message = message.as_bytes();
    let whole = Structure::of(message);
    for size in [1, 2, 3, 17] {
        let mut builder = Builder::new();
        message.chunks(size).for_each(|chunk| builder.push(chunk));
        assert_eq!(builder.finish(), whole, "in chunks of {size}");
    }
    whole
}

fn section<'a>(message: &'a str, path: &[u32], which: SectionPart) -> Option<&'a str> {
    let range = structure(message).section(path, which)?;
    message.get(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
}

/// The tree: media types, `octets/lines` of leaves.
fn tree(message: &str) -> String {
    fn describe(structure: &Structure, place: usize, out: &mut String) {
        let part = &structure.parts()[place];
        let Content { media_type, subtype, .. } = &part.content;
        write!(out, "{media_type}/{subtype}").unwrap();
        if part.kind == Kind::Leaf {
            write!(out, ":{}/{}", part.body().end - part.body().start, part.lines).unwrap();
            return;
        }
        out.push('(');
        for (index, child) in structure.children(place).enumerate() {
            out.push_str(if index == 0 { "" } else { " " });
            describe(structure, child, out);
        }
        out.push(')');
    }
    let mut out = String::new();
    describe(&structure(message), 0, &mut out);
    out
}

#[test]
fn a_message_without_mime() {
    let message = "Subject: x\r\n\r\nhello\r\nworld";
    assert_eq!(tree(message), "text/plain:12/2");
    assert_eq!(section(message, &[], SectionPart::All), Some(message));
    assert_eq!(section(message, &[], SectionPart::Header), Some("Subject: x\r\n\r\n"));
    assert_eq!(section(message, &[], SectionPart::Text), Some("hello\r\nworld"));
    assert_eq!(section(message, &[1], SectionPart::All), Some("hello\r\nworld"));
    assert_eq!(section(message, &[1], SectionPart::Mime), Some("Subject: x\r\n\r\n"));
    assert_eq!(section(message, &[1], SectionPart::Header), None);
    assert_eq!(section(message, &[2], SectionPart::All), None);
    assert_eq!(section(message, &[1, 1], SectionPart::All), None);
    assert_eq!(section(message, &[0], SectionPart::All), None);
}

#[test]
fn messages_that_break_off() {
    assert_eq!(tree(""), "text/plain:0/0");
    assert_eq!(tree("\r\n"), "text/plain:0/0");
    assert_eq!(tree("Subject: x"), "text/plain:0/0");
    assert_eq!(tree("\nx\n"), "text/plain:2/1");
    assert_eq!(
        tree("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b"),
        "multipart/mixed(text/plain:0/0)"
    );
    assert_eq!(
        tree("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nX: y"),
        "multipart/mixed(text/plain:0/0)"
    );
    assert_eq!(tree("Content-Type: message/rfc822\r\n\r\n"), "message/rfc822(text/plain:0/0)");
    assert_eq!(tree("Content-Type: message/rfc822\r\n"), "message/rfc822(text/plain:0/0)");
}

const MIXED: &str = "Content-Type: multipart/mixed; boundary=\"foo\r\n bar\"\r\n\r\npreamble\r\n--foo bar\r\n\
    Content-Type: text/x-myown; charset=us-ascii\r\n\r\nhello\r\n\r\n--foo bar \t\r\n\r\n\
    second\r\n--foo bar-- \r\nepilogue\r\n";

#[test]
fn a_multipart() {
    assert_eq!(tree(MIXED), "multipart/mixed(text/x-myown:7/1 text/plain:6/1)");
    assert_eq!(section(MIXED, &[1], SectionPart::All), Some("hello\r\n"));
    assert_eq!(
        section(MIXED, &[1], SectionPart::Mime),
        Some("Content-Type: text/x-myown; charset=us-ascii\r\n\r\n")
    );
    assert_eq!(section(MIXED, &[2], SectionPart::Mime), Some("\r\n"));
    assert_eq!(section(MIXED, &[2], SectionPart::All), Some("second"));
    assert_eq!(section(MIXED, &[3], SectionPart::All), None);
    assert_eq!(section(MIXED, &[1], SectionPart::Text), None);
    assert_eq!(tree(&MIXED.replace("\r\n", "\n")), "multipart/mixed(text/x-myown:6/1 text/plain:6/1)");
}

const FORWARD: &str = "Subject: out\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\none\r\n--a\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: in\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
    --b\r\n\r\nplain\r\n--b\r\nContent-Type: text/html\r\n\r\nhtml\r\n--b--\r\n--a\r\n\
    Content-Type: message/rfc822\r\n\r\nSubject: bare\r\n\r\ntext\r\n--a--\r\n";

#[test]
fn messages_within_a_message() {
    assert_eq!(
        tree(FORWARD),
        "multipart/mixed(text/plain:3/1 message/rfc822(multipart/alternative(text/plain:5/1 text/html:4/1)) \
         message/rfc822(text/plain:4/1))"
    );
    assert_eq!(section(FORWARD, &[2, 1], SectionPart::All), Some("plain"));
    assert_eq!(section(FORWARD, &[2, 2], SectionPart::Mime), Some("Content-Type: text/html\r\n\r\n"));
    assert_eq!(section(FORWARD, &[2], SectionPart::Mime), Some("Content-Type: message/rfc822\r\n\r\n"));
    assert!(section(FORWARD, &[2], SectionPart::Header).unwrap().starts_with("Subject: in\r\n"));
    assert_eq!(section(FORWARD, &[3], SectionPart::All), Some("Subject: bare\r\n\r\ntext"));
    assert_eq!(section(FORWARD, &[3], SectionPart::Text), Some("text"));
    assert_eq!(section(FORWARD, &[3, 1], SectionPart::All), Some("text"));
    assert_eq!(section(FORWARD, &[3, 1, 1], SectionPart::All), None);
    let structure = structure(FORWARD);
    let subject = |path: &[u32]| {
        let message =
            structure.parts().iter().position(|part| std::ptr::eq(part, structure.part(path).unwrap()));
        structure.parts()[message.unwrap() + 1].envelope.as_ref().unwrap().subject.clone().unwrap()
    };
    assert_eq!((subject(&[2]), subject(&[3])), ("in".to_owned(), "bare".to_owned()));
    assert_eq!(structure.part(&[2]).unwrap().lines, 11);
}

#[test]
fn a_message_that_is_a_message() {
    let message = "Content-Type: message/rfc822\r\n\r\nFrom: s\r\n\r\nHello\r\n";
    assert_eq!(section(message, &[1], SectionPart::All), Some("From: s\r\n\r\nHello\r\n"));
    assert_eq!(section(message, &[1, 1], SectionPart::All), Some("Hello\r\n"));
    assert_eq!(section(message, &[1], SectionPart::Header), Some("From: s\r\n\r\n"));
    assert_eq!(section(message, &[1], SectionPart::Text), Some("Hello\r\n"));
}

#[test]
fn digests_hold_messages() {
    let message = "Content-Type: multipart/digest; boundary=d\r\n\r\n--d\r\n\r\nSubject: m1\r\n\r\nbody\r\n--d\r\n--d\r\n\
        Content-Type: text/plain\r\n\r\nx\r\n--d--\r\n";
    assert_eq!(
        tree(message),
        "multipart/digest(message/rfc822(text/plain:4/1) message/rfc822(text/plain:0/0) text/plain:1/1)"
    );
    assert_eq!(section(message, &[1, 1], SectionPart::All), Some("body"));
}

#[test]
fn what_imap_could_not_write_becomes_something_else() {
    assert_eq!(tree("Content-Type: multipart/alternative\r\n\r\nx\r\n"), "text/plain:3/1");
    assert_eq!(tree("Content-Type: multipart/mixed; boundary=\r\n\r\nx\r\n"), "text/plain:3/1");
    let empty = "Content-Type: multipart/alternative; boundary=b\r\n\r\nno part\r\n--b--\r\n";
    assert_eq!(tree(empty), "multipart/alternative(text/plain:0/0)");
    assert_eq!(section(empty, &[1], SectionPart::All), Some(""));
    let encoded = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n";
    assert_eq!(tree(encoded), "application/octet-stream:6/1");
    assert_eq!(tree("Content-Type: nonsense\r\n\r\nx"), "text/plain:1/1");
    assert_eq!(tree("Content-Type: text/\r\n\r\nx"), "text/plain:1/1");
}

#[test]
fn several_empty_multiparts_at_once() {
    let inner = |boundary: &str| format!("Content-Type: multipart/x; boundary={boundary}\r\n\r\n");
    let message = format!(
        "{}--a\r\n{}--a\r\n{}--c\r\n{}--a\r\n\r\nx\r\n--a--",
        inner("a"),
        inner("b"),
        inner("c"),
        inner("d")
    );
    assert_eq!(
        tree(&message),
        "multipart/x(multipart/x(text/plain:0/0) multipart/x(multipart/x(text/plain:0/0)) text/plain:1/1)"
    );
    assert_eq!(section(&message, &[3], SectionPart::All), Some("x"));
}

#[test]
fn an_outer_delimiter_ends_all_within() {
    let message = "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/mixed; boundary=aa\r\n\r\n\
        --aa\r\nContent-Type: text/css\r\n--a\r\n\r\nlast\r\n--a--\r\n--aa\r\n";
    assert_eq!(tree(message), "multipart/mixed(multipart/mixed(text/css:0/0) text/plain:4/1)");
}

#[test]
fn nesting_and_parts_have_limits() {
    let level =
        |depth: usize| format!("Content-Type: multipart/mixed; boundary=b{depth}x\r\n\r\n--b{depth}x\r\n");
    let deep: String = (0..300).map(level).collect();
    let structure = structure(&deep);
    assert_eq!(structure.parts().len(), DEPTH_MAX);
    assert!(structure.part(&[1; DEPTH_MAX - 1]).is_some() && structure.part(&[1; DEPTH_MAX]).is_none());
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(300);
    assert_eq!(Structure::of(nested.as_bytes()).parts().len(), DEPTH_MAX);
    let wide = format!(
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
        "--b\r\n\r\nx\r\n".repeat(PARTS_MAX + 10)
    );
    let wide = Structure::of(wide.as_bytes());
    assert_eq!(wide.parts().len(), PARTS_MAX);
    assert!(wide.part(&[9_999]).is_some() && wide.part(&[10_000]).is_none());
}

#[test]
fn text_has_a_limit() {
    let part = format!("--b\r\nContent-Description: {}\r\n\r\n", "x".repeat(60_000));
    let message = format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}", part.repeat(50));
    let structure = Structure::of(message.as_bytes());
    let kept: usize =
        structure.parts().iter().filter_map(|part| part.content.description.as_ref()).map(String::len).sum();
    assert!(kept > TEXT_BYTES_MAX / 2 && kept <= TEXT_BYTES_MAX);
    assert_eq!(structure.parts().len(), 51);
}

#[test]
fn fields_of_a_part() {
    let message = "Content-Type: Image/PNG (a comment); NAME=\"a; b.png\" ; filename*=utf-8''%C3%A4; bad\r\n\
        Content-Transfer-Encoding: BASE64\r\nContent-ID: <a@b>\r\nContent-Description: =?utf-8?q?x?=\r\n\
        Content-Disposition: attachment; filename=a.png\r\nContent-Language: de, en\r\nContent-MD5: abc\r\n\
        Content-Location: http://x/\r\nContent-Type: text/plain\r\n\r\n";
    let content = structure(message).parts()[0].content.clone();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert!(content.is("image", "png"));
    assert_eq!(content.parameters, [pair("NAME", "a; b.png"), pair("filename*", "utf-8''%C3%A4")]);
    assert_eq!(content.encoding.as_deref(), Some("BASE64"));
    assert_eq!(content.disposition, Some(("attachment".to_owned(), vec![pair("filename", "a.png")])));
    assert_eq!(content.languages, ["de", "en"]);
    assert_eq!(
        (
            content.id.as_deref(),
            content.description.as_deref(),
            content.md5.as_deref(),
            content.location.as_deref()
        ),
        (Some("<a@b>"), Some("=?utf-8?q?x?="), Some("abc"), Some("http://x/"))
    );
}

fn addresses(value: &str) -> Vec<String> {
    let message = format!("To: {value}\r\n\r\n");
    let envelope = structure(&message).parts()[0].envelope.clone().unwrap();
    let tell = |address: &EnvelopeAddress| match address {
        EnvelopeAddress::GroupStart(name) => format!("{name}:"),
        EnvelopeAddress::GroupEnd => ";".to_owned(),
        EnvelopeAddress::Mailbox { name, route, local_part, host } => {
            let route = route.as_ref().map(|route| format!("{route}:")).unwrap_or_default();
            let name = name.as_ref().map(|name| format!("{name}|")).unwrap_or_default();
            format!("{name}{route}{local_part}|{host}")
        }
    };
    envelope.to.iter().map(tell).collect()
}

#[test]
fn addresses_as_people_write_them() {
    assert_eq!(addresses("user@domain"), ["user|domain"]);
    assert_eq!(addresses("user@domain (Real Name)"), ["Real Name|user|domain"]);
    assert_eq!(addresses("Real  Name <user@domain>, b@c"), ["Real Name|user|domain", "b|c"]);
    assert_eq!(addresses("\"Name, \\\"Real\\\" @ x\" <\"a b\"@c>"), ["Name, \"Real\" @ x|a b|c"]);
    assert_eq!(addresses("<@route,@b:user@domain>"), ["@route,@b:user|domain"]);
    assert_eq!(addresses("a@[127.0.0.1]"), ["a|[127.0.0.1]"]);
    assert_eq!(
        addresses("group: g1@d1.org, g2@d2.org;, group2: (foo) ;, x@y"),
        ["group:", "g1|d1.org", "g2|d2.org", ";", "group2:", ";", "x|y"]
    );
    assert_eq!(addresses("=?utf-8?q?J=C3=B6rg?= <j@x>"), ["=?utf-8?q?J=C3=B6rg?=|j|x"]);
    assert_eq!(addresses("Jörg <j@x>"), ["Jörg|j|x"]);
}

#[test]
fn addresses_that_are_broken() {
    assert_eq!(addresses(""), Vec::<String>::new());
    assert_eq!(addresses(",,; ,"), Vec::<String>::new());
    assert_eq!(addresses("undisclosed-recipients"), ["undisclosed-recipients|"]);
    assert_eq!(addresses("foo@bar <bazqux> x@y"), ["foo@bar x@y|bazqux|"]);
    assert_eq!(addresses("g: a@b"), ["g:", "a|b", ";"]);
    assert_eq!(addresses("\"open <a@b"), ["open <a@b|"]);
    assert_eq!(addresses("(open"), Vec::<String>::new());
    let many = addresses(&"g:a@b;".repeat(ADDRESSES_MAX));
    assert_eq!(many.iter().filter(|it| *it == ";").count(), many.iter().filter(|it| *it == "g:").count());
    assert!(many.len() <= ADDRESSES_MAX + 1);
}

#[test]
fn the_envelope_is_of_the_message() {
    let message = "Date: Thu, 15 Feb 2007 01:02:03 +0200\r\nSubject: a\r\n\t folded\0\r\nsubject: second\r\n\
        From: f@x\r\nSender: \r\nMessage-ID: <m@x>\r\nIn-Reply-To:\r\n <r@x>\r\n\r\n";
    let envelope = structure(message).parts()[0].envelope.clone().unwrap();
    assert_eq!(envelope.date.as_deref(), Some("Thu, 15 Feb 2007 01:02:03 +0200"));
    assert_eq!(envelope.subject.as_deref(), Some("a\t folded\u{fffd}"));
    assert_eq!((envelope.from.len(), envelope.sender.len()), (1, 0));
    assert_eq!(
        (envelope.message_id.as_deref(), envelope.in_reply_to.as_deref()),
        (Some("<m@x>"), Some("<r@x>"))
    );
    let latin = [b"Subject: gr\xfcn\r\n\r\n".as_slice()].concat();
    let envelope = Structure::of(&latin).parts()[0].envelope.clone().unwrap();
    assert_eq!(envelope.subject.as_deref(), Some("gr\u{fffd}n"));
}

#[test]
fn structures_are_small_when_stored() {
    let structure = structure(FORWARD);
    let stored = postcard::to_allocvec(&structure).unwrap();
    assert!(stored.len() < 60 * structure.parts().len(), "{}", stored.len());
    assert_eq!(postcard::from_bytes::<Structure>(&stored).unwrap(), structure);
}

fn filtered(header: &str, names: &[&str], others: bool) -> String {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let at_size = |size: usize| {
        let (mut filter, mut out) = (HeaderFilter::new(names.clone(), others), Vec::new());
        header.as_bytes().chunks(size).for_each(|chunk| filter.push(chunk, &mut out));
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    };
    let whole = at_size(header.len().max(1));
    for size in [1, 2, 5] {
        assert_eq!(at_size(size), whole);
    }
    whole
}

#[test]
fn fields_are_picked_out_of_a_header() {
    let header = "From: a\r\nTo: b,\r\n c\r\nX : y\r\nTO: d\r\nno field\r\n\r\n";
    assert_eq!(filtered(header, &["to"], false), "To: b,\r\n c\r\nTO: d\r\n\r\n");
    assert_eq!(filtered(header, &["to", "From"], true), "X : y\r\n\r\n");
    assert_eq!(filtered(header, &["x", "x"], false), "X : y\r\n\r\n");
    assert_eq!(filtered(header, &["none"], false), "\r\n");
    assert_eq!(filtered("A: b", &["a"], false), "A: b\r\n");
    assert_eq!(filtered("", &["a"], true), "\r\n");
}

proptest! {
    #[test]
    fn every_structure_can_be_written_and_every_section_found(
        words in prop::collection::vec(
            "Content-Type: |multipart/mixed; boundary=a|multipart/digest; boundary=b|message/rfc822|text/plain|\r\n|\n|\r\n\r\n|\
             --a\r\n|--b\r\n|--a--\r\n|--b--\r\n|x|To: a@b, c:;|\r",
            0..60,
        ),
        size in 1_usize..20,
    ) {
        let message = words.concat().into_bytes();
        let whole = Structure::of(&message);
        let mut builder = Builder::new();
        message.chunks(size).for_each(|chunk| builder.push(chunk));
        prop_assert_eq!(&builder.finish(), &whole);
        let octets = u64::try_from(message.len()).unwrap();
        prop_assert_eq!(whole.octets(), octets);
        // As it lies in a queue, and as it comes into a mailbox.
        let (received, delivered) = (&b"Received: x\r\n"[..], &b"Return-Path: <>\r\nDelivered-To: c\r\n"[..]);
        let queued = [received, &message].concat();
        let behind = Structure::of(&queued).behind(delivered.len() as u64);
        prop_assert_eq!(behind, Structure::of(&[delivered, &queued].concat()));
        for (place, part) in whole.parts().iter().enumerate() {
            let (header, body) = (part.header(), part.body());
            prop_assert!(header.start <= header.end && header.end <= body.end && body.end <= octets);
            let children: Vec<usize> = whole.children(place).collect();
            match part.kind {
                Kind::Leaf => prop_assert!(children.is_empty()),
                Kind::Multipart => prop_assert!(!children.is_empty()),
                Kind::Message => {
                    prop_assert_eq!(children.len(), 1);
                    prop_assert!(whole.parts()[children[0]].envelope.is_some());
                }
            }
            for child in children {
                let inner = &whole.parts()[child];
                prop_assert!(inner.header().start >= body.start && inner.body().end <= body.end);
            }
        }
    }
}
