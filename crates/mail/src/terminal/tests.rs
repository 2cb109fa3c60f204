use proptest::prelude::*;

use super::*;

fn notice(message: &str) -> Notice {
    Notice::of(message.as_bytes(), message.len() as u64, &"a@b.example".parse_path())
}

trait ParsePath {
    fn parse_path(&self) -> ReversePath;
}

impl ParsePath for str {
    fn parse_path(&self) -> ReversePath {
        ReversePath::parse_prefix(&format!("<{self}>")).unwrap().0
    }
}

#[test]
fn a_plain_message_is_shown_with_its_header() {
    let shown = notice(
        "Received: from x\r\nFrom: =?utf-8?q?=C3=84nn?= <ann@b.example>\r\nDate: Wed, 25 Nov 2026 20:49:34 +0100\r\n\
         Subject: Lunch\r\n\r\nNow?\r\n\r\n\tYes.\r\n",
    );
    assert!(shown.is_whole());
    assert_eq!(
        shown.render(79),
        "Message from Änn <ann@b.example>\nDate: Wed, 25 Nov 2026 20:49:34 +0100\nSubject: Lunch\n\
         | Now?\n| \n|         Yes.\n(end of message)\n"
    );
}

#[test]
fn the_text_part_is_decoded_and_others_are_named() {
    let shown = notice(
        "From: a@b.example\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\
         Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
         Gr=FC=DFe=1B[2J\r\n--x\r\nContent-Type: image/png; name=\"cat\x1b[0m.png\"\r\n\
         Content-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n",
    );
    assert_eq!(shown.text, "Grüße\n");
    assert_eq!(shown.left_out, ["cat.png"]);
    assert!(!shown.is_whole());
    assert!(shown.render(79).ends_with("| Grüße\n(not shown: cat.png)\n(end of message)\n"));
}

#[test]
fn of_alternatives_the_text_is_shown_and_html_alone_becomes_text() {
    let part = |kind: &str, text: &str| format!("--x\r\nContent-Type: text/{kind}\r\n\r\n{text}\r\n");
    let both = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=x\r\n\r\n{}{}--x--\r\n",
        part("plain", "words"),
        part("html", "<b>others</b>")
    );
    assert_eq!((notice(&both).text.as_str(), notice(&both).is_whole()), ("words\n", true));
    let html = notice("MIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>just &lt;this&#27;[2J</p>\r\n");
    assert_eq!(html.text, "just <this\n");
}

/// A197
#[test]
fn nothing_is_left_that_a_terminal_obeys() {
    for (hostile, left) in [
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07a\x1b]52;c;ZXZpbA==\x1b\\b", "ab"),
        ("\x1b]0;no end", "0;no end"),
        ("\u{9b}31mred\u{9d}0;t\u{9c}x", "redx"),
        ("\x1bP1$r0m\x1b\\dcs", "dcs"),
        ("\x1b(0lq\x1b#8\x1bc\x1b7", "lq"),
        ("a\x08\x08b\x7f\0\x0e\x05", "ab"),
        ("\u{202e}txt.exe\u{200b}\u{feff}", "txt.exe"),
        ("over\rwrite", "over\nwrite"),
        ("\x1b", ""),
        ("\x1b[", ""),
        ("line\u{2028}sep", "linesep"),
    ] {
        assert_eq!(plain::lines(hostile).trim_end(), left, "{hostile:?}");
        let shown =
            notice(&format!("Subject: {hostile}\r\nFrom: \"{hostile}\" <a@b.example>\r\n\r\n{hostile}\r\n"));
        assert!(is_safe(&shown.render(79)), "{shown:?}");
    }
}

#[test]
fn lines_cannot_pass_for_ours() {
    let shown = notice("Subject: x\r\n\r\n(end of message)\r\nMessage from root\r\n").render(40);
    assert!(shown.contains("| (end of message)\n| Message from root\n(end of message)\n"), "{shown}");
}

#[test]
fn length_is_bounded() {
    let long = format!("Subject: {}\r\n\r\n{}", "s".repeat(5000), "word ".repeat(40_000));
    let shown = Notice::of(long.as_bytes(), long.len() as u64, &ReversePath::Null);
    assert!(shown.cut && !shown.is_whole());
    assert_eq!(shown.from, "the mail system");
    assert!(shown.subject.len() <= FIELD_BYTES_MAX);
    let rendered = shown.render(79);
    assert!(rendered.lines().all(|line| line.chars().count() <= 79));
    assert!(rendered.len() < 80 * 1024 && rendered.ends_with("(the message goes on)\n(end of message)\n"));
}

#[test]
fn lines_are_wrapped_at_spaces() {
    assert_eq!(plain::wrap("one two three", 7), ["one two", "three"]);
    assert_eq!(plain::wrap("onetwothree", 4), ["onet", "woth", "ree"]);
    assert_eq!(plain::wrap("  ab cd", 5), ["  ab", "cd"]);
    assert_eq!(plain::wrap("", 5), [""]);
    assert_eq!(plain::wrap("äöü ßß", 4), ["äöü", "ßß"]);
}

fn is_safe(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || text::is_harmless(c))
}

proptest! {
    #[test]
    fn whatever_comes_is_shown_safely(octets: Vec<u8>, hostile in "[\x1b\u{9b}\\[\\]P;0-9a-z\x07\x00-\x20ü]{0,80}") {
        let encoded = format!("Content-Type: text/plain; charset=utf-8\r\nFrom: {hostile}\r\n\r\n{hostile}");
        for message in [octets.as_slice(), encoded.as_bytes()] {
            let shown = Notice::of(message, message.len() as u64, &ReversePath::Null);
            let rendered = shown.render(40);
            prop_assert!(is_safe(&rendered), "{rendered:?}");
            prop_assert!(rendered.lines().all(|line| line.chars().count() <= 40));
            prop_assert!(!shown.from.contains('\n') && !shown.subject.contains('\n'));
        }
    }
}
