//! Flags as the store has them, and as the wire has them.

use proto::imap::command::{Flag, StoreAction};
use store::mailbox::{FlagChange, FlagChangeKind, FlagMask, Flags, Mailbox};

use super::outbox;

const BITS: [(Flag, Flags); 5] = [
    (Flag::Seen, Flags::SEEN),
    (Flag::Answered, Flags::ANSWERED),
    (Flag::Flagged, Flags::FLAGGED),
    (Flag::Deleted, Flags::DELETED),
    (Flag::Draft, Flags::DRAFT),
];

/// Registered keywords that clients look for before they use them (RFC 9051 §2.3.2).
const KEYWORDS: [&str; 5] = ["$Forwarded", "$MDNSent", "$Junk", "$NotJunk", "$Phishing"];

/// Those that every mailbox of its kind has.
pub(super) fn usual(mailbox: &Mailbox) -> Vec<Flag> {
    let keywords = if mailbox.id.is_outbox() { outbox::STATES } else { KEYWORDS };
    let keywords = keywords.iter().map(|keyword| Flag::Keyword((*keyword).to_owned()));
    Flag::SYSTEM.into_iter().chain(keywords).collect()
}

pub(super) fn has(flags: Flags, keywords: &[String], flag: &Flag) -> bool {
    match flag {
        Flag::Keyword(name) => keywords.iter().any(|own| own.eq_ignore_ascii_case(name)),
        system => BITS.iter().any(|(own, bit)| own == system && flags.has(*bit)),
    }
}

/// Whether it is one of those.
pub(super) fn is_within(mask: FlagMask, flag: &Flag) -> bool {
    match flag {
        Flag::Keyword(_) => mask.keywords,
        system => BITS.iter().any(|(own, bit)| own == system && mask.flags.has(*bit)),
    }
}

/// As they go on the wire.
pub(super) fn written(flags: Flags, keywords: &[String]) -> Vec<Flag> {
    let system = BITS.iter().filter(|(_, bit)| flags.has(*bit)).map(|(flag, _)| flag.clone());
    system.chain(keywords.iter().cloned().map(Flag::Keyword)).collect()
}

/// As they are stored.
pub(super) fn split(flags: &[Flag]) -> (Flags, Vec<String>) {
    let (mut bits, mut keywords) = (Flags::default(), Vec::new());
    for flag in flags {
        match flag {
            Flag::Keyword(name) => keywords.push(name.clone()),
            system => {
                let bit = BITS.iter().find(|(own, _)| own == system).map(|(_, bit)| *bit);
                bits = bits | bit.unwrap_or_default();
            }
        }
    }
    (bits, keywords)
}

/// Those that a new message gets.
pub(super) fn new(flags: &[Flag], mask: FlagMask) -> (Flags, Vec<String>) {
    change(StoreAction::Replace, flags).within(mask).applied(Flags::default(), &[])
}

pub(super) fn change(action: StoreAction, flags: &[Flag]) -> FlagChange {
    let how = match action {
        StoreAction::Replace => FlagChangeKind::Replace,
        StoreAction::Add => FlagChangeKind::Add,
        StoreAction::Remove => FlagChangeKind::Remove,
    };
    let (flags, keywords) = split(flags);
    FlagChange { how, flags, keywords }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_written_again() {
        let flags = [Flag::Seen, Flag::Deleted, Flag::Keyword("$Junk".to_owned())];
        let (bits, keywords) = split(&flags);
        assert_eq!((bits, keywords.as_slice()), (Flags(9), &["$Junk".to_owned()][..]));
        assert_eq!(written(bits, &keywords), flags);
        assert!(
            has(bits, &keywords, &Flag::Deleted) && has(bits, &keywords, &Flag::Keyword("$JUNK".to_owned()))
        );
        assert!(!has(bits, &keywords, &Flag::Draft) && !has(bits, &keywords, &Flag::Keyword("x".to_owned())));
    }
}
