//! Return addresses that name their message: `ann+bounce-ID-tag@ours`. They lead where `ann@ours` leads, as every address
//! with something behind a `+` does, and a report that comes back to one tells which message it is about.

use crate::{Address, QueueId, Timestamp, seal::Seal};

const PURPOSE: &str = "bounce";
const MARK: &str = "+bounce-";
/// Letters of a tag: 40 bits, guessed online only.
const TAG_CHARS: usize = 8;
/// A message may be held for a month before it leaves; after that it is tried for some days.
const VALID_MS: i64 = 60 * 86_400_000;

/// Why an address names no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerpError {
    #[error("the address was not made here")]
    NotOurs,
    #[error("the address has expired")]
    Expired,
}

/// What a return address stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verp {
    pub id: QueueId,
    pub sender: Address,
}

/// The return address of a message. `None` if `sender` has no domain name, or the result were longer than a local part may
/// be (RFC 5321 §4.5.3.1.1).
pub fn address(seal: &Seal, sender: &Address, id: QueueId) -> Option<Address> {
    let id = id.to_string().to_ascii_lowercase();
    let tag = seal.tag(PURPOSE, &[&id, &sender.to_lookup()], TAG_CHARS);
    Address::new(&format!("{}{MARK}{id}-{tag}", sender.local_part()), sender.domain()?.clone()).ok()
}

/// What an address that [`address`] made stands for, in whatever case it came back.
pub fn read(seal: &Seal, address: &Address, now: Timestamp) -> Result<Verp, VerpError> {
    let local_part = address.local_part();
    let at = local_part.to_ascii_lowercase().rfind(MARK).ok_or(VerpError::NotOurs)?;
    let (user, rest) = local_part.split_at_checked(at).ok_or(VerpError::NotOurs)?;
    let (id, tag) = rest.get(MARK.len()..).and_then(|rest| rest.split_once('-')).ok_or(VerpError::NotOurs)?;
    let domain = address.domain().ok_or(VerpError::NotOurs)?.clone();
    let sender = Address::new(user, domain).map_err(|_| VerpError::NotOurs)?;
    let parts = [&id.to_ascii_lowercase(), &sender.to_lookup()];
    if tag.len() != TAG_CHARS || !seal.fits(PURPOSE, &parts.map(String::as_str), tag) {
        return Err(VerpError::NotOurs);
    }
    let id: QueueId = id.parse().map_err(|_| VerpError::NotOurs)?;
    let is_old = now.millis().saturating_sub(id.accepted_at().millis()) > VALID_MS;
    if is_old { Err(VerpError::Expired) } else { Ok(Verp { id, sender }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn seal() -> Seal {
        Seal::new(b"secret")
    }

    fn made(sender: &str) -> Address {
        address(&seal(), &sender.parse().unwrap(), QueueId::new(NOW, 7)).unwrap()
    }

    fn read_as(text: &str, days: i64) -> Result<Verp, VerpError> {
        read(&seal(), &text.parse().unwrap(), Timestamp::from_millis(NOW.millis() + days * 86_400_000))
    }

    #[test]
    fn a_message_is_named_for_two_months_in_any_case() {
        for sender in ["Ann@ours.example", "ann+shop@ours.example", "\"ann lee\"@ours.example"] {
            let made = made(sender).to_string();
            for text in [made.clone(), made.to_lowercase(), made.to_uppercase()] {
                let verp = read_as(&text, 60).unwrap();
                assert_eq!(verp.id, QueueId::new(NOW, 7));
                assert_eq!(verp.sender.to_lookup(), sender.parse::<Address>().unwrap().to_lookup());
            }
            assert_eq!(read_as(&made, 61), Err(VerpError::Expired));
        }
    }

    #[test]
    fn what_was_not_made_here_names_nothing() {
        let made = made("ann@ours.example").to_string();
        let other = QueueId::new(NOW, 8).to_string().to_lowercase();
        let id = QueueId::new(NOW, 7).to_string().to_lowercase();
        for forged in [
            made.replace("ann+", "bob+"),
            made.replace("@ours", "@theirs"),
            made.replace(&id, &other),
            "ann@ours.example".to_owned(),
            "ann+bounce-@ours.example".to_owned(),
            format!("ann+bounce-{id}-aaaaaaaa@ours.example"),
            format!("ann+bounce-{id}-@ours.example"),
        ] {
            assert_eq!(read_as(&forged, 0), Err(VerpError::NotOurs), "{forged}");
        }
    }

    #[test]
    fn what_does_not_fit_is_left_alone() {
        let long = format!("{}@ours.example", "a".repeat(40)).parse().unwrap();
        assert_eq!(address(&seal(), &long, QueueId::new(NOW, 7)), None);
        assert_eq!(address(&seal(), &"a@[192.0.2.1]".parse().unwrap(), QueueId::new(NOW, 7)), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(local in "([a-zé+-]|\\+bounce-){0,20}") {
            if let Ok(address) = Address::new(&local, "ours.example".parse().unwrap()) {
                let _ = read(&seal(), &address, NOW);
            }
        }
    }
}
