use super::*;

/// What comes of a stream: the content, the first violation, and what is left behind the end if that was found.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    content: Vec<u8>,
    violation: Option<Violation>,
    rest: Option<Vec<u8>>,
}

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let (mut decoder, mut buffer) = (DataDecoder::default(), Vec::new());
    let mut outcome = Outcome { content: Vec::new(), violation: None, rest: None };
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if outcome.rest.is_some() {
            continue;
        }
        let decoded = decoder.decode(&mut buffer);
        outcome.violation = outcome.violation.or(decoded.violation);
        outcome.content.extend_from_slice(&buffer[..decoded.produced]);
        buffer.drain(..decoded.consumed);
        if decoded.ended {
            outcome.rest = Some(Vec::new());
        } else {
            assert!(buffer.len() <= 2, "{buffer:?}");
        }
    }
    outcome.rest = outcome.rest.map(|_| buffer);
    if outcome.violation.is_some() {
        outcome.content.clear();
    }
    outcome
}

fn whole(content: &[u8]) -> Outcome {
    Outcome { content: content.to_vec(), violation: None, rest: Some(Vec::new()) }
}

#[test]
fn transparency() {
    for (wire, content) in [
        (".\r\n", ""),
        ("\r\n.\r\n", "\r\n"),
        ("a\r\n.\r\n", "a\r\n"),
        ("..\r\n.\r\n", ".\r\n"),
        (".x\r\n..x\r\n...\r\n.\r\n", "x\r\n.x\r\n..\r\n"),
        ("a.b\r\n. \r\n .\r\n.\t\r\n.\r\n", "a.b\r\n \r\n .\r\n\t\r\n"),
        ("\u{1}\u{b}\u{c}\u{7f}\u{e9}\r\n.\r\n", "\u{1}\u{b}\u{c}\u{7f}\u{e9}\r\n"),
    ] {
        for piece in 1..=wire.len() {
            assert_eq!(
                decode(wire.as_bytes().chunks(piece)),
                whole(content.as_bytes()),
                "{wire:?} by {piece}"
            );
        }
    }
}

#[test]
fn what_follows_the_end_is_left_alone() {
    let outcome = decode([b"a\r\n.\r\nMAIL FROM:<>\r\n".as_slice()]);
    assert_eq!(outcome.rest.unwrap(), b"MAIL FROM:<>\r\n");
}

/// The lines of a text of dots alone cost no more than those of any other.
#[test]
fn many_dots_take_linear_time() {
    let mut wire = b"..\r\n".repeat(1 << 20);
    wire.extend_from_slice(b".\r\n");
    assert_eq!(decode(wire.chunks(1 << 16)).content.len(), 3 << 20);
}

/// The slow and obvious way, to compare with: find the end, then look for what is wrong before it.
fn expected(stream: &[u8]) -> Outcome {
    let framed = [b"\r\n", stream].concat();
    let end = framed.windows(5).position(|window| window == b"\r\n.\r\n");
    let Some(end) = end else {
        return Outcome { content: Vec::new(), violation: None, rest: None };
    };
    let content = &framed[2..(end + 2).max(2)];
    let mut text = content.to_vec();
    let mut violation = None;
    for (at, octet) in content.iter().enumerate() {
        let next_to = |at: Option<usize>, wanted: u8| at.and_then(|at| content.get(at)) == Some(&wanted);
        violation = violation.or(match octet {
            b'\r' if !next_to(Some(at + 1), b'\n') => Some(Violation::BareLineEnd),
            b'\n' if !next_to(at.checked_sub(1), b'\r') => Some(Violation::BareLineEnd),
            0 => Some(Violation::Nul),
            _ => None,
        });
    }
    if violation.is_some() {
        text.clear();
    } else {
        let lines = content.split_inclusive(|octet| *octet == b'\n');
        text = lines.flat_map(|line| line.strip_prefix(b".").unwrap_or(line)).copied().collect();
    }
    Outcome { content: text, violation, rest: Some(framed[end + 5..].to_vec()) }
}

const TOKENS: [&[u8]; 10] =
    [b"\r", b"\n", b"\0", b" ", b"\t", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8", b"."];

/// Everything that ever fooled a mail server is made of these: every string of three to six with one dot, and of three
/// to five with more dots, behind a line and before a smuggled command. Only CRLF, dot, CRLF ends the content.
#[test]
fn nothing_else_ends_the_content() {
    let mut with_one_dot = 0_u32;
    for length in 3..=6_u32 {
        for number in 0..10_usize.pow(length) {
            let tokens = (0..length).map(|place| number / 10_usize.pow(place) % 10);
            let dots = tokens.clone().filter(|token| *token == 9).count();
            if dots == 1 || (dots > 1 && length < 6) {
                must_end_at_its_end_only(&tokens.collect::<Vec<_>>());
            }
            with_one_dot += u32::from(dots == 1);
        }
    }
    assert_eq!(with_one_dot, 3 * 9_u32.pow(2) + 4 * 9_u32.pow(3) + 5 * 9_u32.pow(4) + 6 * 9_u32.pow(5));
}

fn must_end_at_its_end_only(tokens: &[usize]) {
    let mut stream = b"x\r\ny".to_vec();
    stream.extend(tokens.iter().flat_map(|token| TOKENS[*token]));
    stream.extend_from_slice(b"MAIL\r\n.\r\n");
    let wanted = expected(&stream);
    assert_eq!(decode([stream.as_slice()]), wanted, "{stream:?}");
    if tokens.len() < 5 || tokens.iter().all(|token| [0, 1, 2, 9].contains(token)) {
        assert_eq!(decode(stream.chunks(1)), wanted, "{stream:?} by octets");
    }
}

proptest::proptest! {
    #[test]
    fn any_stream_decodes_the_same_however_it_is_cut(
        stream in proptest::collection::vec(proptest::sample::select(b"\r\n\r\n..\0x".to_vec()), 0..80),
        cuts in proptest::collection::vec(1..9_usize, 1..80),
    ) {
        let stream = [stream.as_slice(), b"\r\n.\r\n"].concat();
        let (mut pieces, mut rest) = (Vec::new(), stream.as_slice());
        for cut in cuts.iter().cycle() {
            let (piece, tail) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        proptest::prop_assert_eq!(decode(pieces), expected(&stream));
    }
}
