//! A MIME boundary that occurs in none of the parts (RFC 2046 §5.1.1).

use std::collections::HashSet;

use memchr::memmem;

use crate::QueueId;

/// Made from the ID of the report, and a number: the first that no part holds behind the same ID. Linear in the parts.
pub(super) fn choose<'a>(id: QueueId, parts: impl Iterator<Item = &'a [u8]>) -> String {
    // `=_` is in no line of quoted-printable or base64.
    let prefix = format!("=_{id}.");
    let mut taken = HashSet::new();
    for part in parts {
        taken
            .extend(memmem::find_iter(part, &prefix).filter_map(|at| number(part.get(at + prefix.len()..)?)));
    }
    let free = (0..=u64::MAX).find(|number| !taken.contains(number)).unwrap_or_default();
    format!("{prefix}{free}=")
}

/// `17` of `17=…`
fn number(text: &[u8]) -> Option<u64> {
    let len = text.iter().take(21).position(|octet| !octet.is_ascii_digit())?;
    str::from_utf8(text.get(..len)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_occurs_is_not_chosen() {
        let id = QueueId::from_u64(1);
        let choose = |part: &str| choose(id, [part.as_bytes()].into_iter());
        assert_eq!(choose(""), "=_0000000000001.0=");
        assert_eq!(choose("--=_0000000000001.0="), "=_0000000000001.1=");
        assert_eq!(choose("=_0000000000001.1=_0000000000001.0="), "=_0000000000001.2=");
        assert_eq!(choose("=_0000000000001.99999999999999999999999="), "=_0000000000001.0=");
    }

    proptest! {
        #[test]
        fn never_in_a_part(numbers in prop::collection::vec(0u64..20, 0..20)) {
            let id = QueueId::from_u64(1);
            let part = numbers.iter().map(|number| format!("--=_{id}.{number}=")).collect::<Vec<_>>().concat();
            prop_assert!(!part.contains(&choose(id, [part.as_bytes()].into_iter())));
        }
    }
}
