//! What comes out of the reader does not depend on how the octets come in.

use proptest::prelude::*;

use super::{super::command::Flag, *};

const LIMITS: Limits =
    Limits { command_bytes: 400, unsolicited_literal_bytes: 300, skipped_bytes: 2000, utf8: false };

/// What the reader says, one line for each item; literals of messages above 99 octets are refused.
fn read(octets: &[u8], piece_bytes: usize) -> Vec<String> {
    let (mut reader, mut said, mut content) = (Reader::new(), Vec::<String>::new(), Vec::new());
    for piece in octets.chunks(piece_bytes.max(1)) {
        reader.push(piece);
        while let Some(item) = reader.next(&LIMITS) {
            if let Item::Append(AppendItem::Octets(octets)) = &item {
                content.extend_from_slice(octets);
                continue;
            }
            if !content.is_empty() {
                said.push(format!("octets {}", std::mem::take(&mut content).escape_ascii()));
            }
            said.push(tell(&item));
            match item {
                Item::Append(AppendItem::Literal { octets }) if octets > 99 => reader.refuse(),
                Item::Append(AppendItem::Literal { .. }) if reader.accept() => {
                    said.push("go ahead".to_owned());
                }
                Item::Flood => return said,
                _ => {}
            }
        }
        assert!(reader.command.len() <= LIMITS.command_bytes + TAIL_BYTES, "{}", reader.command.len());
    }
    if !content.is_empty() {
        said.push(format!("octets {}", content.escape_ascii()));
    }
    said
}

fn tell(item: &Item) -> String {
    match item {
        Item::Command(tagged) => format!("{} {:?}", tagged.tag, tagged.command),
        Item::Bad { tag, error } => format!("{} BAD {error}", tag.as_deref().unwrap_or("*")),
        Item::Continue => "+".to_owned(),
        Item::Refused => "refused".to_owned(),
        Item::Flood => "flood".to_owned(),
        Item::Append(AppendItem::Start(start)) => match start.replaced {
            None => format!("{} append to {}", start.tag, start.mailbox),
            Some(replaced) => format!("{} replace {replaced:?} in {}", start.tag, start.mailbox),
        },
        Item::Append(AppendItem::Message(message)) => {
            let flags: Vec<&str> = message.flags.iter().map(Flag::name).collect();
            let extras = [
                (message.date.is_some(), " dated"),
                (message.utf8, " utf8"),
                (message.catenate, " catenate"),
            ];
            let extras: String = extras.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect();
            format!("message [{}]{extras}", flags.join(" "))
        }
        Item::Append(AppendItem::Url(url)) => format!("url {url}"),
        Item::Append(AppendItem::Literal { octets }) => format!("literal {octets}"),
        Item::Append(AppendItem::Octets(_)) => String::new(),
        Item::Append(AppendItem::MessageEnd) => "message end".to_owned(),
        Item::Append(AppendItem::End) => "end".to_owned(),
    }
}

#[track_caller]
fn check(wire: &str, expected: &[&str]) {
    let whole = read(wire.as_bytes(), wire.len());
    assert_eq!(whole, expected, "{wire}");
    for piece_bytes in [1, 2, 3, 7, 100] {
        assert_eq!(read(wire.as_bytes(), piece_bytes), whole, "in pieces of {piece_bytes}");
    }
}

#[test]
fn commands_with_literals_of_both_kinds() {
    check("a NOOP\r\nb noop\n", &["a Noop", "b Noop"]);
    check("a DELETE {3}\r\nx y\r\nb NOOP\r\n", &["+", "a Delete(MailboxName(\"x y\"))", "b Noop"]);
    check("a DELETE {3+}\r\nx y\r\n", &["a Delete(MailboxName(\"x y\"))"]);
    check("a DELETE \"{3}\"\r\n", &["a Delete(MailboxName(\"{3}\"))"]);
    check(
        "a RENAME {1+}\r\nx {1}\r\ny\r\n",
        &["+", "a Rename { from: MailboxName(\"x\"), to: MailboxName(\"y\") }"],
    );
}

#[test]
fn a_client_that_waits_is_told_at_once_that_it_is_no_use() {
    check("a XYZZY {3}\r\nb NOOP\r\n", &["a BAD there is no such command", "b Noop"]);
    check(
        "a DELETE x {3}\r\nb NOOP\r\n",
        &["a BAD something follows that the command does not take", "b Noop"],
    );
    check("a DELETE {400}\r\nb NOOP\r\n", &["a BAD the literal is too long", "b Noop"]);
    check("a DELETE {99999999999999999999}\r\nb NOOP\r\n", &["a BAD the literal is too long", "b Noop"]);
}

#[test]
fn a_literal_that_comes_unasked_is_skipped() {
    check("a XYZZY {3+}\r\nabc\r\nb NOOP\r\n", &["a BAD there is no such command", "b Noop"]);
    let long = "x\r\ny NOOP\r\n".repeat(40);
    check(
        &format!("a DELETE {{{}+}}\r\n{long} {{3+}}\r\nc d\r\nb NOOP\r\n", long.len()),
        &["a BAD a literal of that size has to wait for the continuation", "b Noop"],
    );
    check("a DELETE {300+}\r\n", &[]);
    check("a DELETE {2001+}\r\n", &["flood"]);
}

#[test]
fn lines_too_long_are_skipped_with_their_literals() {
    let long = "x".repeat(1000);
    check(&format!("a {long}\r\nb NOOP\r\n"), &["a BAD the command is too long", "b Noop"]);
    check(&format!("a {long} {{5+}}\r\nc d\r\n\r\nb NOOP\r\n"), &["a BAD the command is too long", "b Noop"]);
    check(&format!("a {long} {{5}}\r\nb NOOP\r\n"), &["a BAD the command is too long", "b Noop"]);
    check(&format!("{long}\r\nb NOOP\r\n"), &["* BAD the command is too long", "b Noop"]);
    check(&format!("a {}\r\n", "x".repeat(3000)), &["flood"]);
}

#[test]
fn lines_without_a_tag() {
    check("\r\nb NOOP\r\n", &["* BAD a command begins with a tag, a space and a name", "b Noop"]);
    check("GET\r\n", &["* BAD a command begins with a tag, a space and a name"]);
}

#[test]
fn append_streams() {
    check(
        "a APPEND x {3}\r\nabc\r\nb NOOP\r\n",
        &[
            "a append to x",
            "message []",
            "literal 3",
            "go ahead",
            "octets abc",
            "message end",
            "end",
            "b Noop",
        ],
    );
    check(
        "a append {1+}\r\nx (\\Seen $Junk) \"26-Nov-2026 09:05:00 +0100\" ~{2+}\r\na\0\r\n",
        &[
            "a append to x",
            "message [\\Seen $Junk] dated",
            "literal 2",
            "octets a\\x00",
            "message end",
            "end",
        ],
    );
    check(
        "a APPEND x UTF8 (~{2+}\r\nab)\r\n",
        &["a append to x", "message [] utf8", "literal 2", "octets ab", "message end", "end"],
    );
}

#[test]
fn append_of_several_messages_and_of_pieces() {
    check(
        "a APPEND x {1+}\r\na (\\Draft) {1}\r\nb\r\n",
        &[
            "a append to x",
            "message []",
            "literal 1",
            "octets a",
            "message end",
            "message [\\Draft]",
            "literal 1",
            "go ahead",
            "octets b",
            "message end",
            "end",
        ],
    );
    check(
        "a APPEND x CATENATE (URL {2+}\r\n/u TEXT {1+}\r\na URL \"/v\" TEXT {0+}\r\n) CATENATE (URL /w)\r\n",
        &[
            "a append to x",
            "message [] catenate",
            "url /u",
            "literal 1",
            "octets a",
            "url /v",
            "literal 0",
            "message end",
            "message [] catenate",
            "url /w",
            "message end",
            "end",
        ],
    );
}

#[test]
fn replace_takes_one_message() {
    check(
        "a UID REPLACE 7 Drafts (\\Draft) {1+}\r\na\r\n",
        &[
            "a replace Replaced { uid: true, message: Number(7) } in Drafts",
            "message [\\Draft]",
            "literal 1",
            "octets a",
            "message end",
            "end",
        ],
    );
    check(
        "a REPLACE * x {1+}\r\na {1+}\r\nb\r\nb NOOP\r\n",
        &[
            "a replace Replaced { uid: false, message: Largest } in x",
            "message []",
            "literal 1",
            "octets a",
            "a BAD something follows that the command does not take",
            "b Noop",
        ],
    );
}

#[test]
fn an_append_that_is_refused_keeps_the_stream_in_step() {
    check(
        "a APPEND x {100}\r\nb NOOP\r\n",
        &["a append to x", "message []", "literal 100", "refused", "b Noop"],
    );
    let body = "y NOOP\r\n".repeat(20);
    let wire = format!("a APPEND x {{160+}}\r\n{body} {{8+}}\r\nz NOOP\r\n\r\nb NOOP\r\n");
    check(&wire, &["a append to x", "message []", "literal 160", "refused", "b Noop"]);
}

#[test]
fn an_append_that_breaks_off() {
    check("a APPEND x {0}\r\nb NOOP\r\n", &["a BAD an empty message cancels the command", "b Noop"]);
    check(
        "a APPEND x {1+}\r\na {0+}\r\n\r\nb NOOP\r\n",
        &[
            "a append to x",
            "message []",
            "literal 1",
            "octets a",
            "a BAD an empty message cancels the command",
            "b Noop",
        ],
    );
    check(
        "a APPEND x {1+}\r\nab\r\nb NOOP\r\n",
        &[
            "a append to x",
            "message []",
            "literal 1",
            "octets a",
            "a BAD something follows that the command does not take",
            "b Noop",
        ],
    );
    check("a APPEND x\r\n", &["a BAD expected a space"]);
    check("a APPEND x (\\Recent) {1+}\r\na\r\n", &["a BAD no such system flag can be set"]);
}

#[test]
fn other_lines_are_read_when_asked_for() {
    let mut reader = Reader::new();
    reader.push(b"AGEA");
    assert_eq!(reader.next_line(8), None);
    reader.push(b"Yg==\r\nx NOOP\r\n");
    assert_eq!(reader.next_line(8), Some(RawLine::Complete(b"AGEAYg==".to_vec())));
    assert_eq!(tell(&reader.next(&LIMITS).unwrap()), "x Noop");
    reader.push(b"0123456789");
    assert_eq!(reader.next_line(8), Some(RawLine::TooLong));
}

#[test]
fn nothing_is_held_while_nothing_comes() {
    let mut reader = Reader::new();
    reader.push(b"a DELETE {3+}\r\nx y\r\n");
    assert!(reader.next(&LIMITS).is_some() && reader.next(&LIMITS).is_none());
    assert_eq!((reader.pending.capacity(), reader.command.capacity()), (0, 0));
    assert!(reader.is_between_commands());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_way_of_splitting_gives_the_same(
        words in prop::collection::vec(
            "a |b |APPEND |REPLACE 1 |CATENATE \\(|UTF8 \\(~|TEXT |URL x|NOOP|DELETE |x|\\) |\r\n|\n|\\{3\\}\r\n|\\{2\\+\\}\r\n|\
             \\{150\\}\r\n|\\{350\\+\\}\r\n|\\{0\\}\r\n|\"| |abc|x{90}",
            0..40,
        ),
        piece_bytes in 1_usize..20,
    ) {
        let wire = words.concat();
        prop_assert_eq!(read(wire.as_bytes(), piece_bytes), read(wire.as_bytes(), wire.len()));
    }
}
