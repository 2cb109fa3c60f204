//! LIST and LSUB: which mailboxes match, and what is told of each (RFC 9051 §6.3.9, RFC 5258, RFC 3501 §6.3.9).

use std::collections::{BTreeMap, BTreeSet};

use proto::imap::{
    command::{List, ListSelection, SpecialUse},
    response::{ListAttribute, ListEntry},
};
use store::mailbox::Mailbox;

use super::commands::DELIMITER;

/// All mailboxes of an account, in the order of their names; INBOX comes first.
pub(super) struct Tree<'a> {
    mailboxes: BTreeMap<(bool, &'a str), &'a Mailbox>,
    /// Subscribed, and there is no such mailbox.
    orphans: BTreeSet<&'a str>,
    /// Names above others; mailboxes or not.
    parents: BTreeSet<&'a str>,
    /// Names above subscribed mailboxes.
    above_subscribed: BTreeSet<&'a str>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(mailboxes: &'a [Mailbox], orphans: &'a [String]) -> Self {
        let subscribed = mailboxes.iter().filter(|mailbox| mailbox.subscribed).map(|mailbox| &mailbox.name);
        let subscribed = subscribed.chain(orphans);
        Self {
            mailboxes: mailboxes.iter().map(|mailbox| (order(&mailbox.name), mailbox)).collect(),
            orphans: orphans.iter().map(String::as_str).collect(),
            parents: mailboxes.iter().flat_map(|mailbox| levels_above(&mailbox.name)).collect(),
            above_subscribed: subscribed.flat_map(|name| levels_above(name)).collect(),
        }
    }

    pub(super) fn list(&self, list: &List) -> Vec<ListEntry> {
        // RFC 9051 §6.3.9: an empty pattern asks for the delimiter and the root.
        if list.patterns.iter().all(String::is_empty) && !list.patterns.is_empty() {
            return vec![delimiter()];
        }
        let patterns: Vec<String> =
            list.patterns.iter().map(|pattern| joined(&list.reference, pattern)).collect();
        let orphans = self.orphans.iter().filter(|_| list.selection.subscribed);
        let others = self.parents.iter().chain(&self.above_subscribed).chain(orphans);
        let names: BTreeSet<(bool, &str)> =
            self.mailboxes.keys().copied().chain(others.map(|name| order(name))).collect();
        let matching =
            names.into_iter().filter(|(_, name)| patterns.iter().any(|pattern| matches(pattern, name)));
        matching.filter_map(|name| self.entry(name, list)).collect()
    }

    /// `None`: it is not one of those that are asked for.
    fn entry(&self, place: (bool, &str), list: &List) -> Option<ListEntry> {
        let (_, name) = place;
        let mailbox = self.mailboxes.get(&place).copied();
        let ListSelection { subscribed, special_use, recursive_match, .. } = list.selection;
        let is_subscribed = mailbox.map_or(self.orphans.contains(name), |mailbox| mailbox.subscribed);
        let has_children = self.parents.contains(name);
        let is_there = mailbox.is_some() || has_children || (subscribed && is_subscribed);
        let is_wanted = is_there
            && (!subscribed || is_subscribed)
            && (!special_use || mailbox.and_then(use_of).is_some());
        let child_info = recursive_match && subscribed && self.above_subscribed.contains(name);
        if !(is_wanted || child_info) {
            return None;
        }
        let mut attributes = Vec::new();
        if mailbox.is_none() {
            // RFC 5258 §3: the one implies the other, which older clients know.
            attributes.extend([ListAttribute::NonExistent, ListAttribute::NoSelect]);
        }
        attributes.push(match mailbox {
            // RFC 5258 §3.4: it implies that there are none.
            Some(mailbox) if mailbox.id.is_outbox() => ListAttribute::NoInferiors,
            _ if has_children => ListAttribute::HasChildren,
            _ => ListAttribute::HasNoChildren,
        });
        if (subscribed || list.returned.subscribed) && is_subscribed {
            attributes.push(ListAttribute::Subscribed);
        }
        attributes.extend(mailbox.and_then(use_of).map(ListAttribute::Use));
        Some(ListEntry { child_info, ..named(name, attributes) })
    }

    /// RFC 3501 §6.3.9: with `%`, names above subscribed mailboxes are told of too, as such that cannot be selected.
    pub(super) fn lsub(&self, reference: &str, pattern: &str) -> Vec<ListEntry> {
        if pattern.is_empty() {
            return vec![delimiter()];
        }
        let pattern = joined(reference, pattern);
        let subscribed = self.mailboxes.values().filter(|mailbox| mailbox.subscribed);
        let mut found: BTreeMap<(bool, &str), Vec<ListAttribute>> =
            subscribed.map(|mailbox| (order(&mailbox.name), Vec::new())).collect();
        found.extend(self.orphans.iter().map(|name| (order(name), vec![ListAttribute::NoSelect])));
        if pattern.contains('%') {
            for name in &self.above_subscribed {
                found.entry(order(name)).or_insert_with(|| vec![ListAttribute::NoSelect]);
            }
        }
        let matching = found.into_iter().filter(|((_, name), _)| matches(&pattern, name));
        matching.map(|((_, name), attributes)| named(name, attributes)).collect()
    }
}

/// As it stands in the answer to SELECT (RFC 9051 §6.3.2).
pub(super) fn selected_entry(mailbox: &Mailbox) -> ListEntry {
    named(&mailbox.name, Vec::new())
}

fn order(name: &str) -> (bool, &str) {
    (name != "INBOX", name)
}

fn levels_above(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices(DELIMITER).filter_map(|(at, _)| name.get(..at))
}

fn use_of(mailbox: &Mailbox) -> Option<SpecialUse> {
    let name = mailbox.special_use.as_deref()?;
    SpecialUse::ALL.into_iter().find(|special| special.name().eq_ignore_ascii_case(name))
}

fn named(name: &str, attributes: Vec<ListAttribute>) -> ListEntry {
    ListEntry {
        attributes,
        delimiter: Some(DELIMITER),
        name: name.to_owned(),
        child_info: false,
        old_name: None,
        my_rights: None,
    }
}

fn delimiter() -> ListEntry {
    named("", vec![ListAttribute::NoSelect])
}

/// The reference as it stands, and then the pattern; a pattern that begins at the root stands alone.
fn joined(reference: &str, pattern: &str) -> String {
    if pattern.starts_with(DELIMITER) { pattern.to_owned() } else { format!("{reference}{pattern}") }
}

/// `*` stands for anything, `%` for anything within a level. INBOX has no case.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let same = |one: char, other: char| one == other;
    let without_case = |one: char, other: char| one.eq_ignore_ascii_case(&other);
    let inbox = name == "INBOX" || name.starts_with("INBOX/");
    let (head, tail) = if inbox { name.split_at_checked(5).unwrap_or((name, "")) } else { ("", name) };
    let characters: Vec<(char, bool)> =
        head.chars().map(|c| (c, true)).chain(tail.chars().map(|c| (c, false))).collect();
    // Which places of the name the pattern so far can end at: each character of it moves all at once.
    let mut ends = vec![false; characters.len() + 1];
    if let Some(first) = ends.first_mut() {
        *first = true;
    }
    for wanted in pattern.chars() {
        let mut next = vec![false; ends.len()];
        let mut open = false;
        for (place, slot) in next.iter_mut().enumerate() {
            let before = place.checked_sub(1).and_then(|before| characters.get(before));
            let is_end = ends.get(place).copied().unwrap_or(false);
            *slot =
                match wanted {
                    '*' | '%' => {
                        let stops = wanted == '%' && before.is_some_and(|(c, _)| *c == DELIMITER);
                        open = is_end || (open && !stops);
                        open
                    }
                    wanted => {
                        let was_end = place.checked_sub(1).and_then(|before| ends.get(before)) == Some(&true);
                        was_end
                            && before.is_some_and(|(c, free)| {
                                if *free { without_case(wanted, *c) } else { same(wanted, *c) }
                            })
                    }
                };
        }
        ends = next;
    }
    ends.last() == Some(&true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name) in [
            ("*", "a/b"),
            ("%", "ab"),
            ("a/%", "a/b"),
            ("a*", "a/b/c"),
            ("a%c", "abc"),
            ("%/%", "a/b"),
            ("inbox", "INBOX"),
            ("inb%/x", "INBOX/x"),
            ("*x*", "axb"),
            ("%*%", "a/b"),
            ("Ä*", "Ärger"),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("%", "a/b"),
            ("a", "A"),
            ("a/%", "a/b/c"),
            ("", "a"),
            ("inbox/X", "INBOX/x"),
            ("a%", "b"),
            ("%/", "a"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
        let long = "%a".repeat(400);
        assert!(!matches(&long, &"a".repeat(399)), "and that takes no time");
    }
}
