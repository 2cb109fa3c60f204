use base64::{Engine as _, prelude::BASE64_STANDARD};
use proptest::prelude::*;

use super::*;
use crate::header;

fn convert_by(message: &[u8], target: Target, piece: usize) -> Result<(Vec<u8>, usize), Unconvertible> {
    let mut survey = Survey::new(target);
    message.chunks(piece).try_for_each(|piece| survey.push(piece))?;
    let plan = survey.finish()?;
    let (mut converter, mut out) = (Converter::new(&plan), Vec::new());
    message.chunks(piece).try_for_each(|piece| converter.push(piece, &mut out))?;
    converter.finish(&mut out)?;
    Ok((out, plan.encoded_parts()))
}

/// The same in all pieces, and something that the target can carry.
fn convert(message: &[u8], target: Target) -> Result<Vec<u8>, Unconvertible> {
    let whole = convert_by(message, target, usize::MAX);
    for piece in [1, 2, 7, 1500] {
        assert_eq!(convert_by(message, target, piece), whole, "{piece} octets at once");
    }
    let (out, _) = whole?;
    let mut scan = Scan::new();
    scan.push(&out);
    assert!(!scan.finish().exceeds(target), "{}", out.escape_ascii());
    Ok(out)
}

fn seven(message: &[u8]) -> Result<Vec<u8>, Unconvertible> {
    convert(message, Target::SevenBit)
}

fn text(octets: &[u8]) -> &str {
    std::str::from_utf8(octets).unwrap()
}

#[test]
fn a_message_without_mime_becomes_one() {
    let out = seven(b"Subject: x\r\n\r\nGr\xfc\xdfe, = and a space \r\nat the end").unwrap();
    let expected = "Subject: x\r\nMIME-Version: 1.0\r\n\
        Content-Type: text/plain; charset=unknown-8bit\r\n\
        Content-Transfer-Encoding: quoted-printable\r\n\r\n\
        Gr=FC=DFe, =3D and a space=20\r\nat the end=\r\n";
    assert_eq!(text(&out), expected);
    assert_eq!(
        text(&seven(b"\r\n\xe4 is one of many\r\n").unwrap()).lines().last(),
        Some("=E4 is one of many")
    );
    let plain = b"Subject: x\r\n\r\nplain\r\n";
    assert_eq!(seven(plain).unwrap(), plain);
}

const NESTED: &[u8] = b"From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"out er\"\r\n\
Content-Transfer-Encoding: binary\r\nX-Last: 1\r\n\r\n\
pre\xe4mble\r\n--out er \r\n\
Content-Type: multipart/alternative; boundary=out\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
--out\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
J\xc3\xb6rg has a long line of text here\r\n\r\n--out\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6 --out\r\n--out\r\n\r\nno header\r\n--out--\r\nepi\xe4logue\r\n\
--out er\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
Subject: inner\r\n\r\n\xe4 inner body, mostly in ASCII\r\n--out er\r\n\
Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\nContent-ID: <x>\r\n\r\n\x00\x01\r\r\n\xff\n\r\n--out er--";

#[test]
fn nested_parts_each_get_what_they_need() {
    let expected = "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed;\r\n boundary=\"out er\"\r\n\
Content-Transfer-Encoding: 7bit\r\nX-Last: 1\r\n\r\n\
pre?mble\r\n--out er \r\n\
Content-Type: multipart/alternative; boundary=out\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
--out\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
J=C3=B6rg has a long line of text here\r\n\r\n--out\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=B6 --out\r\n--out\r\n\r\nno header\r\n--out--\r\nepi?logue\r\n\
--out er\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n\
Subject: inner\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n\
Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4 inner body, mostly in ASCII\r\n--out er\r\n\
Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\nContent-ID: <x>\r\n\r\nAAENDQr/Cg==\r\n--out er--";
    assert_eq!(text(&seven(NESTED).unwrap()), expected);
    assert_eq!(convert_by(NESTED, Target::SevenBit, 5).unwrap().1, 3);
}

#[test]
fn for_a_host_with_8bitmime_only_binary_parts_change() {
    let out = convert(NESTED, Target::EightBit).unwrap();
    let expected = NESTED.escape_ascii().to_string();
    let expected = expected.replacen("Encoding: binary", "Encoding: 8bit", 1);
    let expected = expected.replace("Encoding: binary", "Encoding: base64");
    let expected = expected.replace("\\x00\\x01\\r\\r\\n\\xff\\n\\r\\n--out", "AAENDQr/Cg==\\r\\n--out");
    assert_eq!(out.escape_ascii().to_string(), expected);
}

#[test]
fn what_is_signed_or_broken_is_not_touched() {
    let signed = b"Content-Type: multipart/signed; boundary=s\r\n\r\n--s\r\n\r\n\xe4 is here\r\n--s--\r\n";
    assert_eq!(seven(signed), Err(Unconvertible::Signed));
    let beside = [
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n".as_slice(),
        &text(signed.split(|octet| *octet == 0xe4).next().unwrap())
            .replace("--s\r\n", "--s\r\nContent-Transfer-Encoding: 8bit\r\n")
            .into_bytes(),
        b"kept\r\n--s--\r\n--m\r\n\r\n\xe4 here, outside\r\n--m--\r\n",
    ]
    .concat();
    let out = seven(&beside).unwrap();
    assert!(text(&out).contains(
        "8bit\r\n\r\nkept\r\n--s--\r\n--m\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4"
    ));
    assert_eq!(seven(b"DKIM-Signature: v=1\r\n\r\n\xe4\r\n"), Err(Unconvertible::Signed));
    assert_eq!(seven(b"Subject: \xe4\r\n\r\n"), Err(Unconvertible::Header));
    for broken in [
        b"Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n".as_slice(),
        b"Content-Transfer-Encoding: x-own\r\n\r\n\xe4\r\n",
        b"Content-Transfer-Encoding: 8bit\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n\xe4\r\n",
        b"Content-Type: message/partial\r\n\r\n\xe4\r\n",
        b"A: b\r\nno field\r\n\r\n\xe4\r\n",
        b"A: b\rc\r\n\r\n\xe4\r\n",
    ] {
        assert_eq!(seven(broken), Err(Unconvertible::Malformed), "{}", broken.escape_ascii());
    }
}

#[test]
fn long_lines() {
    let words = "word ".repeat(500);
    let message = format!("Subject: {words}\r\n\r\n{words}\r\n");
    let out = convert(message.as_bytes(), Target::EightBit).unwrap();
    assert_eq!(header::value(&out, "Subject").unwrap(), words.trim_ascii_end().as_bytes());
    assert_eq!(decode(&out), [message.split_once("\r\n\r\n").unwrap().1.as_bytes()]);
    let unbreakable = format!("Subject: {}\r\n\r\n", "x".repeat(1000));
    assert_eq!(seven(unbreakable.as_bytes()), Err(Unconvertible::Malformed));
    let outside =
        format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{}\r\n--b--\r\n", "x".repeat(2500));
    assert_eq!(seven(outside.as_bytes()).unwrap().len(), outside.len() + 6);
}

#[test]
fn hostile_structures_cost_little() {
    let level = |n: usize| format!("Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n");
    let deep = |depth: usize| (0..depth).map(level).collect::<String>();
    assert!(convert_by(deep(DEPTH_MAX).as_bytes(), Target::SevenBit, 4096).is_ok());
    let too_deep = convert_by(deep(DEPTH_MAX + 1).as_bytes(), Target::SevenBit, 4096);
    assert_eq!(too_deep, Err(Unconvertible::TooComplex));
    let parts = |count: usize| [level(0), "--b0\r\n".repeat(count)].concat();
    assert!(convert_by(parts(PARTS_MAX - 2).as_bytes(), Target::SevenBit, 4096).is_ok());
    let too_many = convert_by(parts(PARTS_MAX).as_bytes(), Target::SevenBit, 4096);
    assert_eq!(too_many, Err(Unconvertible::TooComplex));
    let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(PARTS_MAX + 1);
    let too_many = convert_by(messages.as_bytes(), Target::SevenBit, 4096);
    assert_eq!(too_many, Err(Unconvertible::TooComplex));
    let header = format!("A: {}", "x".repeat(HEADER_BYTES_MAX));
    assert_eq!(convert_by(header.as_bytes(), Target::SevenBit, 4096), Err(Unconvertible::TooComplex));
}

/// The octets of all leaf parts, as a simple reader of MIME sees them: recursive, with everything in memory.
fn decode(message: &[u8]) -> Vec<Vec<u8>> {
    let body = &message[header::body_start(message)..];
    let kind = header::value(message, "Content-Type").unwrap_or_default();
    let kind = String::from_utf8(kind).unwrap();
    if kind.starts_with("message/rfc822") {
        return decode(body);
    }
    if let Some((_, boundary)) = kind.split_once("boundary=") {
        let delimiter = format!("\r\n--{boundary}");
        let body = [b"\r\n", body].concat();
        let mut parts = Vec::new();
        let mut rest = &body[..];
        while let Some(at) = memchr::memmem::find(rest, delimiter.as_bytes()) {
            parts.push(&rest[..at]);
            rest = &rest[at + delimiter.len()..];
        }
        return parts.iter().skip(1).flat_map(|part| decode(&part[2..])).collect();
    }
    let encoding = header::value(message, "Content-Transfer-Encoding").unwrap_or_default();
    vec![match encoding.as_slice() {
        b"base64" => BASE64_STANDARD.decode(text(body).replace("\r\n", "")).unwrap(),
        b"quoted-printable" => quoted_printable(body),
        _ => body.to_vec(),
    }]
}

fn quoted_printable(body: &[u8]) -> Vec<u8> {
    let lines = text(body).split("\r\n");
    assert!(lines.clone().all(|line| line.len() <= 76 && !line.ends_with([' ', '\t'])), "{body:?}");
    let mut out = Vec::new();
    let joined = text(body).replace("=\r\n", "");
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            out.push(u8::from_str_radix(text(&after[..2]), 16).unwrap());
            rest = &after[2..];
        } else {
            out.push(*first);
            rest = after;
        }
    }
    out
}

#[derive(Clone, Debug)]
enum Tree {
    Leaf { kind: &'static str, octets: Vec<u8> },
    Message(Box<Tree>),
    Multipart(Vec<Tree>),
}

impl Tree {
    /// A body part, or a message; boundaries are unique.
    fn render(&self, next: &mut usize) -> Vec<u8> {
        match self {
            Self::Leaf { kind, octets } => {
                let head = format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n\r\n");
                [head.as_bytes(), octets].concat()
            }
            Self::Message(inner) => {
                [b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n".to_vec(), inner.render(next)].concat()
            }
            Self::Multipart(parts) => {
                *next += 1;
                let boundary = format!("b{next}.");
                let mut out =
                    format!("Content-Type: multipart/mixed; boundary={boundary}\r\n\r\n").into_bytes();
                for part in parts {
                    out.extend(format!("--{boundary}\r\n").into_bytes());
                    out.extend(part.render(next));
                    out.extend(b"\r\n");
                }
                out.extend(format!("--{boundary}--\r\n").into_bytes());
                out
            }
        }
    }

    fn leaves(&self) -> Vec<Vec<u8>> {
        match self {
            Self::Leaf { octets, .. } => vec![octets.clone()],
            Self::Message(inner) => inner.leaves(),
            Self::Multipart(parts) => parts.iter().flat_map(Self::leaves).collect(),
        }
    }
}

fn tree() -> impl Strategy<Value = Tree> {
    let octets = prop_oneof![
        prop::collection::vec(prop::sample::select(b"ab =.\t-\r\n\r\n\xe4".to_vec()), 0..200),
        prop::collection::vec(any::<u8>(), 0..200),
        "(word|ä|=| |\t|\r\n|--b1){0,300}".prop_map(String::into_bytes),
    ];
    let kind = prop::sample::select(vec!["text/plain", "image/png"]);
    let leaf = (kind, octets).prop_map(|(kind, octets)| Tree::Leaf { kind, octets });
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Tree::Message(Box::new(inner))),
            prop::collection::vec(inner, 1..4).prop_map(Tree::Multipart),
        ]
    })
}

proptest! {
    #[test]
    fn parts_decode_to_what_they_were(tree in tree(), to_seven in any::<bool>()) {
        let target = if to_seven { Target::SevenBit } else { Target::EightBit };
        let message = [b"MIME-Version: 1.0\r\n".to_vec(), tree.render(&mut 0)].concat();
        let out = convert(&message, target).unwrap();
        prop_assert_eq!(decode(&out), tree.leaves());
        // What was converted needs nothing more.
        prop_assert_eq!(convert(&out, target).unwrap(), out);
    }

    #[test]
    fn any_octets_are_survived(
        pieces in prop::collection::vec("(Content-Type: |multipart/mixed; |boundary=b|--b|--|message/rfc822|Content-Transfer-Encoding: |8bit|\r\n|\r\n|\r\n\r\n|\r|\n|ä|x| )", 0..40),
        to_seven in any::<bool>(),
    ) {
        let target = if to_seven { Target::SevenBit } else { Target::EightBit };
        _ = convert(pieces.concat().as_bytes(), target);
    }
}
