//! Names and passwords as they are compared (RFC 8265): what looks the same on the keyboard is the same here.
//!
//! The mapping rules of both profiles, and no control characters. Code points are not refused for being unassigned in
//! some version of Unicode: a name has to be that of an account anyway, and a password may be what its owner likes.

use icu_normalizer::ComposingNormalizerBorrowed;

/// A login name by UsernameCaseMapped (RFC 8265 §3.3): width mapped, in lower case, NFC. `None`: it is empty, or holds a
/// control character.
pub fn username(name: &str) -> Option<String> {
    let narrow = if name.is_ascii() { name.to_owned() } else { name.chars().map(narrowed).collect() };
    let mapped = nfc(&nfc(&narrow).to_lowercase());
    is_opaque(&mapped).then_some(mapped)
}

/// A password by OpaqueString (RFC 8265 §4.2): every space is U+0020, NFC. `None`: it is empty, or holds a control
/// character.
pub fn password(password: &str) -> Option<String> {
    let spaced: String = password.chars().map(|c| if is_space(c) { ' ' } else { c }).collect();
    let mapped = nfc(&spaced);
    is_opaque(&mapped).then_some(mapped)
}

fn is_opaque(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(char::is_control)
}

/// General category Zs; what else is white space are controls and line ends.
fn is_space(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

/// RFC 8264 §5.2.1: fullwidth and halfwidth forms for what they stand for.
fn narrowed(c: char) -> char {
    if !matches!(c, '\u{3000}' | '\u{ff01}'..='\u{ffee}') {
        return c;
    }
    let mut octets = [0; 4];
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(c.encode_utf8(&mut octets)).into_owned();
    let mut chars = normal.chars();
    match (chars.next(), chars.next()) {
        (Some(narrow), None) => narrow,
        _ => c,
    }
}

fn nfc(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_mapped() {
        for (name, expected) in [
            ("Anna@Example.ORG", "anna@example.org"),
            ("ａｎｎａ＠example.org", "anna@example.org"),
            ("jo\u{308}rg@x", "j\u{f6}rg@x"),
            ("J\u{d6}RG@x", "j\u{f6}rg@x"),
            ("ΔΟΚΙΜΉ@x", "δοκιμή@x"),
            ("\u{ff76}\u{ff9e}", "\u{30ac}"),
        ] {
            assert_eq!(username(name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn passwords_are_mapped_and_keep_their_case() {
        for (given, expected) in [
            ("Pa\u{a0}ss\u{3000}w", "Pa ss w"),
            ("pa\u{308}ssw\u{f6}rd", "p\u{e4}ssw\u{f6}rd"),
            ("ｆｕｌｌ", "ｆｕｌｌ"),
            ("🤦🏽\u{200d}♂", "🤦🏽\u{200d}♂"),
        ] {
            assert_eq!(password(given).as_deref(), Some(expected), "{given}");
        }
        assert_eq!(password("A\u{30a}"), password("\u{c5}"));
        assert_eq!(password("\u{212b}"), password("\u{c5}"));
        assert_ne!(password("a"), password("A"));
    }

    #[test]
    fn control_characters_are_refused() {
        for bad in ["", "a\0b", "a\nb", "a\rb", "a\tb", "a\u{7f}b", "a\u{85}b"] {
            assert_eq!((username(bad), password(bad)), (None, None), "{bad:?}");
        }
    }
}
