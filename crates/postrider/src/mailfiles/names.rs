//! Names of mailboxes as names of files: modified UTF-7, as Courier and Dovecot write them.

use proto::imap::mutf7;

/// A dot would part levels, or hide a file.
const DOT: &str = "&AC4-";

/// One level of a mailbox's name.
pub fn encode(level: &str) -> String {
    mutf7::encode(level).replace('.', DOT)
}

/// What is no modified UTF-7 is taken as it is.
pub fn decode(name: &str) -> String {
    let plain = name.replace(DOT, ".");
    mutf7::decode(plain.as_bytes()).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_comes_back_and_none_leads_elsewhere() {
        for level in ["Sent", "Entwürfe", "a.b", "..", ".", "A&B", "&AC4-", "日本"] {
            let name = encode(level);
            assert!(!name.contains(['.', '/']), "{name}");
            assert_eq!(decode(&name), level);
        }
        assert_eq!(decode("Möbel & Co"), "Möbel & Co");
    }
}
