//! One-click unsubscription (RFC 8058): an address for each member, which is all that is asked for.

use crate::{
    Address,
    seal::{self, Seal},
};

const PURPOSE: &str = "list unsubscription";
/// Letters of a tag: 80 bits.
const TAG_CHARS: usize = 16;
/// Letters of a list's number: 64 bits.
const LIST_CHARS: usize = 13;

/// A word of lower-case letters and digits that takes this member out of list number `list`. It never expires: all that it
/// can do is what the member may do at any time.
pub fn unsubscribe_token(seal: &Seal, list: u64, member: &Address) -> String {
    let (list, member) = (seal::encode(&list.to_be_bytes()), member.to_string());
    let tag = seal.tag(PURPOSE, &[&list, &member], TAG_CHARS);
    format!("{list}{tag}{}", seal::encode(member.as_bytes()))
}

/// The list and the member that a token of ours names.
pub fn read_unsubscribe_token(seal: &Seal, token: &str) -> Option<(u64, Address)> {
    let token = token.to_ascii_lowercase();
    let (list, rest) = token.split_at_checked(LIST_CHARS)?;
    let (tag, written) = rest.split_at_checked(TAG_CHARS)?;
    let member = seal::decode(written).and_then(|octets| String::from_utf8(octets).ok())?;
    // Letters that carry no octet say nothing, so that there is one token and no other.
    let is_exact = seal::encode(member.as_bytes()) == written;
    if !is_exact || !seal.fits(PURPOSE, &[list, &member], tag) {
        return None;
    }
    let number = seal::decode(list)?.try_into().ok().map(u64::from_be_bytes)?;
    Some((number, member.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_names_its_list_and_member() {
        let (seal, ann) = (Seal::new(b"s"), "Ann.Lee@bücher.example".parse::<Address>().unwrap());
        let token = unsubscribe_token(&seal, 7, &ann);
        assert!(token.bytes().all(|octet| octet.is_ascii_alphanumeric()), "{token}");
        assert_eq!(read_unsubscribe_token(&seal, &token.to_uppercase()), Some((7, ann)));
        assert_eq!(read_unsubscribe_token(&Seal::new(b"t"), &token), None);
        for cut in 0..token.len() {
            assert_eq!(read_unsubscribe_token(&seal, &token[..cut]), None, "{cut}");
        }
        assert_eq!(read_unsubscribe_token(&seal, &format!("{token}x")), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(text: String) {
            let _ = read_unsubscribe_token(&Seal::new(b"s"), &text);
        }
    }
}
