//! The subject without what answers and forwards add to it (RFC 5256 §2.1), as messages are sorted and threaded by it.

use mail::charset::decode_words;

/// In front of one `re:`; with more of them it is none.
const BLOBS_MAX: usize = 16;

/// In lower case. Second: whether there was something that answers or forwards add.
pub(super) fn base_subject(subject: &str) -> (String, bool) {
    let decoded = decode_words(subject);
    let text: Vec<&str> = decoded.split_whitespace().collect();
    let text = text.join(" ").to_lowercase();
    let (mut base, mut is_reply) = (text.as_str(), false);
    loop {
        let before = base;
        base = base.trim_end();
        while let Some(rest) = base.strip_suffix("(fwd)") {
            (base, is_reply) = (rest.trim_end(), true);
        }
        loop {
            let start = base;
            base = base.trim_start();
            if let Some(rest) = without_leader(base) {
                (base, is_reply) = (rest, true);
            }
            if let Some(rest) = without_blob(base).filter(|rest| !rest.is_empty()) {
                base = rest;
            }
            if base.len() == start.len() {
                break;
            }
        }
        if let Some(inner) = base.strip_prefix("[fwd:").and_then(|rest| rest.strip_suffix(']')) {
            (base, is_reply) = (inner, true);
        }
        if base.len() == before.len() {
            return (base.to_owned(), is_reply);
        }
    }
}

/// `re:`, `fw:`, `fwd [list] :`
fn without_leader(text: &str) -> Option<&str> {
    let mut after = text;
    for _ in 0..BLOBS_MAX {
        after = without_blob(after).unwrap_or(after);
    }
    let rest = ["re", "fwd", "fw"].iter().find_map(|word| after.strip_prefix(word))?;
    let rest = rest.trim_start();
    without_blob(rest).unwrap_or(rest).strip_prefix(':')
}

/// `[list] `
fn without_blob(text: &str) -> Option<&str> {
    let (inner, rest) = text.strip_prefix('[')?.split_once(']')?;
    (!inner.contains('[')).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_and_forwards_add_is_taken_off() {
        for (subject, base, is_reply) in [
            ("Hello", "hello", false),
            ("Re: Hello", "hello", true),
            ("RE: Fwd:  re [list]: Hello  world", "hello world", true),
            ("[list] Re: Hello", "hello", true),
            ("[list] Hello", "hello", false),
            ("[list]", "[list]", false),
            ("Hello (fwd) (Fwd) ", "hello", true),
            ("[Fwd: Re: Hello]", "hello", true),
            ("=?utf-8?Q?Re:_Gr=C3=BCn?=", "grün", true),
            ("Regarding: x", "regarding: x", false),
            ("Re:", "", true),
            ("", "", false),
        ] {
            assert_eq!(base_subject(subject), (base.to_owned(), is_reply), "{subject}");
        }
        base_subject(&"[".repeat(50_000));
        base_subject(&"[a] ".repeat(10_000));
    }
}
