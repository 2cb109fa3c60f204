use std::borrow::Cow;

use super::MailboxError;

/// Octets of a mailbox's whole name.
pub const NAME_BYTES_MAX: usize = 1000;
const LEVELS_MAX: usize = 50;

/// RFC 9051 §5.1: INBOX is the same in any case, as the first level of a hierarchy too.
pub fn canonical_name(name: &str) -> Cow<'_, str> {
    match name.split_at_checked(5) {
        Some(("INBOX", _)) => name.into(),
        Some((first, rest))
            if first.eq_ignore_ascii_case("INBOX") && (rest.is_empty() || rest.starts_with('/')) =>
        {
            format!("INBOX{rest}").into()
        }
        _ => name.into(),
    }
}

/// The name that a mailbox to be gets. One `/` at the end only says that others are to come below it (RFC 9051 §6.3.4).
pub(super) fn new_name(name: &str) -> Result<String, MailboxError> {
    let name = canonical_name(name.strip_suffix('/').unwrap_or(name)).into_owned();
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.len() > NAME_BYTES_MAX {
        "it is too long"
    } else if name.split('/').any(str::is_empty) {
        "a level of it is empty"
    } else if name.split('/').count() > LEVELS_MAX {
        "it has too many levels"
    // RFC 5198 §2; RFC 9051 §5.1.
    } else if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        "it has control characters"
    } else {
        return Ok(name);
    };
    Err(MailboxError::Name(problem))
}

/// The names of the levels above, outermost first.
pub(crate) fn parents(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('/').filter_map(|(at, _)| name.get(..at))
}

/// The rest of the name, with its `/`, of what is below `parent`.
pub(super) fn below<'a>(name: &'a str, parent: &str) -> Option<&'a str> {
    name.strip_prefix(parent).filter(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        assert_eq!(new_name("inbox/Work/").unwrap(), "INBOX/Work");
        assert_eq!(new_name("Gelöschte Elemente").unwrap(), "Gelöschte Elemente");
        for bad in
            ["", "/", "/a", "a//b", "a//", "a\nb", "a\0", "a\u{2028}", &"x".repeat(1001), &"a/".repeat(60)]
        {
            assert!(matches!(new_name(bad), Err(MailboxError::Name(_))), "{bad:?}");
        }
        assert_eq!(parents("a/b/c").collect::<Vec<_>>(), ["a", "a/b"]);
        assert_eq!((below("a/b", "a"), below("ab", "a"), below("a", "a")), (Some("/b"), None, None));
    }
}
