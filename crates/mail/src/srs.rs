//! The sender rewriting scheme: mail that is forwarded gets a sender of the forwarder's domain, so that SPF (RFC 7208)
//! finds what it expects, and a bounce finds the way back. `SRS0=tag=day=domain=user@ours` stands for `user@domain`;
//! what another forwarder rewrote already becomes `SRS1=tag=forwarder==…@ours`.

use crate::{
    Address, Domain, Timestamp,
    seal::{Seal, digit, letter},
};

/// Bounces come within the days that mail is tried, and some.
const VALID_DAYS: u64 = 21;
/// Days are counted modulo this: two letters.
const DAYS_MODULUS: u64 = 1024;
const DAY_MS: i64 = 86_400_000;
/// Letters of a tag: 30 bits, guessed online only.
const TAG_CHARS: usize = 6;

const SRS0: &str = "srs0";
const SRS1: &str = "srs1";

/// Why an address does not lead back to a sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SrsError {
    #[error("the address was not made here")]
    NotOurs,
    #[error("the address has expired")]
    Expired,
}

/// Whether the local part has the shape of a rewritten sender, ours or another's.
pub fn is_rewritten(address: &Address) -> bool {
    after(address.local_part(), "SRS0").is_some() || after(address.local_part(), "SRS1").is_some()
}

/// The sender under which mail of `sender` is forwarded by `domain`. `None` if `sender` has no domain name, or the result
/// were longer than a local part may be (RFC 5321 §4.5.3.1.1).
pub fn rewrite(seal: &Seal, sender: &Address, domain: &Domain, now: Timestamp) -> Option<Address> {
    let (local_part, host) = (sender.local_part(), sender.domain()?.as_str());
    let rewritten = if let Some(rest) = after(local_part, "SRS0") {
        srs1(seal, host, rest)
    } else if let Some((host, rest)) = after(local_part, "SRS1").and_then(forwarder) {
        srs1(seal, host, rest)
    } else {
        let day = day_letters(day_of(now));
        let tag = tag(seal, SRS0, &[&day, host, local_part]);
        format!("SRS0={tag}={day}={host}={local_part}")
    };
    Address::new(&rewritten, domain.clone()).ok()
}

/// Whom an address that [`rewrite`] made stands for.
pub fn restore(seal: &Seal, address: &Address, now: Timestamp) -> Result<Address, SrsError> {
    let local_part = address.local_part();
    if let Some(rest) = after(local_part, "SRS0") {
        return restore_srs0(seal, rest, now);
    }
    let rest = after(local_part, "SRS1").ok_or(SrsError::NotOurs)?;
    let (host, inner) = forwarder(rest).ok_or(SrsError::NotOurs)?;
    let (given, _) = rest.get(1..).and_then(|rest| rest.split_once('=')).ok_or(SrsError::NotOurs)?;
    check(seal, SRS1, &[host, inner], given)?;
    make(&format!("SRS0{inner}"), host)
}

fn restore_srs0(seal: &Seal, rest: &str, now: Timestamp) -> Result<Address, SrsError> {
    let mut fields = rest.get(1..).unwrap_or_default().splitn(4, '=');
    let mut next = || fields.next().ok_or(SrsError::NotOurs);
    let (given, day, host, local_part) = (next()?, next()?, next()?, next()?);
    check(seal, SRS0, &[day, host, local_part], given)?;
    let made = day_number(day).ok_or(SrsError::NotOurs)?;
    let age = (day_of(now) + DAYS_MODULUS - made) % DAYS_MODULUS;
    // A clock that was set back a day makes nobody's address invalid.
    if age > VALID_DAYS && age != DAYS_MODULUS - 1 {
        return Err(SrsError::Expired);
    }
    make(local_part, host)
}

/// What follows the word, from its separator on: `=`, or as other implementations have it `+` or `-`.
fn after<'a>(local_part: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = local_part.split_at_checked(word.len())?;
    (start.eq_ignore_ascii_case(word) && rest.starts_with(['=', '+', '-'])).then_some(rest)
}

/// The first forwarder and its rest in `=tag=forwarder==…`.
fn forwarder(rest: &str) -> Option<(&str, &str)> {
    let (_tag, rest) = rest.get(1..)?.split_once('=')?;
    let (host, inner) = rest.split_once('=')?;
    (!host.is_empty() && inner.starts_with(['=', '+', '-'])).then_some((host, inner))
}

fn srs1(seal: &Seal, host: &str, inner: &str) -> String {
    format!("SRS1={}={host}={inner}", tag(seal, SRS1, &[host, inner]))
}

/// Case may be lost on the way, so it does not count.
fn tag(seal: &Seal, kind: &str, parts: &[&str]) -> String {
    seal.tag(kind, &[&parts.join("=").to_lowercase()], TAG_CHARS)
}

fn check(seal: &Seal, kind: &str, parts: &[&str], given: &str) -> Result<(), SrsError> {
    let fits = given.len() == TAG_CHARS && seal.fits(kind, &[&parts.join("=").to_lowercase()], given);
    if fits { Ok(()) } else { Err(SrsError::NotOurs) }
}

fn make(local_part: &str, host: &str) -> Result<Address, SrsError> {
    let domain: Domain = host.parse().map_err(|_| SrsError::NotOurs)?;
    Address::new(local_part, domain).map_err(|_| SrsError::NotOurs)
}

fn day_of(now: Timestamp) -> u64 {
    u64::try_from(now.millis() / DAY_MS).unwrap_or_default() % DAYS_MODULUS
}

fn day_letters(day: u64) -> String {
    [letter(day >> 5), letter(day)].iter().collect()
}

fn day_number(letters: &str) -> Option<u64> {
    let mut chars = letters.chars();
    let (high, low) = (digit(chars.next()?)?, digit(chars.next()?)?);
    chars.next().is_none().then_some(high << 5 | low)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn seal() -> Seal {
        Seal::new(b"secret")
    }

    fn rewritten(sender: &str, domain: &str) -> String {
        rewrite(&seal(), &address(sender), &domain.parse().unwrap(), NOW).unwrap().to_string()
    }

    fn restored(text: &str, days: i64) -> Result<String, SrsError> {
        let now = Timestamp::from_millis(NOW.millis() + days * DAY_MS);
        restore(&seal(), &address(text), now).map(|address| address.to_string())
    }

    #[test]
    fn a_sender_comes_back_for_three_weeks() {
        let forwarded = rewritten("Ann@There.example", "here.example");
        assert!(forwarded.starts_with("SRS0=") && forwarded.ends_with("=There.example=Ann@here.example"));
        for days in [-1, 0, 21] {
            assert_eq!(restored(&forwarded, days).as_deref(), Ok("Ann@There.example"), "{days}");
        }
        assert_eq!(restored(&forwarded, 22), Err(SrsError::Expired));
        assert_eq!(restored(&forwarded, 500), Err(SrsError::Expired));
        assert_eq!(restored(&forwarded.to_lowercase(), 0).as_deref(), Ok("ann@there.example"));
    }

    #[test]
    fn what_was_not_made_here_leads_nowhere() {
        let forwarded = rewritten("ann@there.example", "here.example");
        let other = forwarded.replace("=ann@", "=bob@");
        assert_eq!(restored(&other, 0), Err(SrsError::NotOurs));
        let elsewhere = forwarded.replace("there.example", "victim.example");
        assert_eq!(restored(&elsewhere, 0), Err(SrsError::NotOurs));
        for bad in [
            "SRS0=@here.example",
            "SRS0=a=b=c@here.example",
            "SRS0=aaaaaa=aa=x.example=u@here.example",
            "SRS1=aaaaaa=x.example==a@here.example",
            "SRS1=a@here.example",
            "ann@here.example",
            "srs0@here.example",
        ] {
            assert_eq!(restored(bad, 0), Err(SrsError::NotOurs), "{bad}");
        }
    }

    #[test]
    fn a_chain_of_forwarders_goes_back_to_the_first() {
        let first = rewritten("ann@there.example", "one.example");
        let second = rewritten(&first, "two.example");
        assert!(second.starts_with("SRS1=") && second.contains("=one.example=="), "{second}");
        assert_eq!(
            restored(&second, 400).as_deref(),
            Ok(first.as_str()),
            "the first forwarder knows the age"
        );
        let third = rewritten(&second, "three.example");
        assert!(third.contains("=one.example==") && third.ends_with("@three.example"), "{third}");
        assert_eq!(restored(&third, 0).as_deref(), Ok(first.as_str()));
        // The separators of other implementations.
        let foreign = rewritten("SRS0+abcd=12=x.example=u@one.example", "two.example");
        assert_eq!(restored(&foreign, 0).as_deref(), Ok("SRS0+abcd=12=x.example=u@one.example"));
    }

    #[test]
    fn quoted_local_parts_stay_quoted_strings() {
        let forwarded = rewritten("\"ann lee\\\"\"@there.example", "here.example");
        assert!(forwarded.starts_with('"'), "{forwarded}");
        assert_eq!(restored(&forwarded, 0).as_deref(), Ok("\"ann lee\\\"\"@there.example"));
    }

    #[test]
    fn what_does_not_fit_is_not_rewritten() {
        let long = address(&format!("{}@there.example", "a".repeat(50)));
        assert_eq!(rewrite(&seal(), &long, &"here.example".parse().unwrap(), NOW), None);
        let literal = address("ann@[192.0.2.1]");
        assert_eq!(rewrite(&seal(), &literal, &"here.example".parse().unwrap(), NOW), None);
    }

    proptest! {
        #[test]
        fn restoring_never_panics(local in "(SRS[01][=+-])?[a-z=+-]{0,40}") {
            if let Ok(address) = Address::new(&local, "here.example".parse().unwrap()) {
                let _ = restore(&seal(), &address, NOW);
                let _ = rewrite(&seal(), &address, &"here.example".parse().unwrap(), NOW);
            }
        }

        #[test]
        fn round_trip(local in "[a-z][a-z0-9.=+-]{0,10}[a-z]", host in "[a-z]{1,8}\\.example") {
            let sender = format!("{}@{host}", local.replace("..", "."));
            if let Ok(sender) = sender.parse::<Address>() {
                let forwarded = rewrite(&seal(), &sender, &"here.example".parse().unwrap(), NOW).unwrap();
                prop_assert_eq!(restore(&seal(), &forwarded, NOW), Ok(sender));
            }
        }
    }
}
