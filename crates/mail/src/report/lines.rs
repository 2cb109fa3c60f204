//! Texts of any length as lines that fit.

/// RFC 5322 §2.1.1: lines should have no more octets than this without their CRLF.
const LINE_BYTES: usize = 78;
/// A word longer than this is cut, so that no line has more than 998 octets (RFC 5321 §4.5.3.1.6).
const WORD_BYTES_MAX: usize = 900;

/// Appends `start` and the words of `text`, broken into lines at spaces; further lines begin with `indent`.
/// `text` must be free of controls.
pub(super) fn write_wrapped(start: &str, indent: &str, text: &str, out: &mut String) {
    out.push_str(start);
    let mut line_len = start.len();
    let mut is_first = true;
    for word in text.split(' ').filter(|word| !word.is_empty()).flat_map(pieces) {
        let separator_len = usize::from(!is_first);
        if !is_first && line_len + separator_len + word.len() > LINE_BYTES {
            out.push_str("\r\n");
            out.push_str(indent);
            line_len = indent.len();
        } else if !is_first {
            out.push(' ');
            line_len += 1;
        }
        out.push_str(word);
        line_len += word.len();
        is_first = false;
    }
    out.push_str("\r\n");
}

fn pieces(word: &str) -> impl Iterator<Item = &str> {
    let mut rest = word;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at_checked(rest.floor_char_boundary(WORD_BYTES_MAX))?;
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(start: &str, indent: &str, text: &str) -> String {
        let mut out = String::new();
        write_wrapped(start, indent, text, &mut out);
        out
    }

    #[test]
    fn lines_are_broken_at_spaces() {
        assert_eq!(wrapped("A: ", " ", "b c"), "A: b c\r\n");
        let text = "word ".repeat(20);
        assert_eq!(
            wrapped("Name: ", "  ", &text),
            format!("Name: {}word\r\n  {}word\r\n", "word ".repeat(13), "word ".repeat(5))
        );
        assert_eq!(wrapped("A: ", " ", ""), "A: \r\n");
    }

    #[test]
    fn long_words_are_cut() {
        let text = wrapped("A: ", " ", &"ü".repeat(1000));
        assert_eq!(text.lines().map(str::len).collect::<Vec<_>>(), [903, 901, 201]);
    }

    proptest! {
        #[test]
        fn words_are_kept_and_lines_are_short(text in "\\PC{0,300}") {
            let out = wrapped("A: ", " ", &text);
            prop_assert!(out.split("\r\n").all(|line| line.len() <= 998));
            let words = |text: &str| text.split([' ', '\r', '\n']).filter(|word| !word.is_empty()).collect::<String>();
            prop_assert_eq!(words(&out), format!("A:{}", words(&text)));
        }
    }
}
