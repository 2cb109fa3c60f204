use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Bits that set apart the messages of one millisecond.
const SEQUENCE_BITS: u32 = 22;
/// Bits of milliseconds: enough until 2109.
const MILLIS_BITS: u32 = 42;
/// Characters of the written form: 13 × 5 bits, of which the first character's highest is always zero.
const WRITTEN_CHARS: usize = 13;
/// Crockford's base 32.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The name of one accepted message for as long as anyone asks about it.
///
/// Ordered by time of acceptance: 42 bits of milliseconds, then 22 bits that set apart the messages of one millisecond.
/// Written as 13 characters of Crockford's base 32 (no I, L, O, U), read in either case; the written forms have the
/// same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueId(u64);

impl QueueId {
    /// `sequence` is cut to its low 22 bits.
    pub const fn new(accepted_at: crate::Timestamp, sequence: u32) -> Self {
        let millis = accepted_at.millis().cast_unsigned() & ((1 << MILLIS_BITS) - 1);
        Self((millis << SEQUENCE_BITS) | (sequence as u64 & ((1 << SEQUENCE_BITS) - 1)))
    }

    pub const fn from_u64(value: u64) -> Self {
        Self(value)
    }

    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The time of acceptance that the name holds.
    pub const fn accepted_at(self) -> crate::Timestamp {
        crate::Timestamp::from_millis((self.0 >> SEQUENCE_BITS).cast_signed())
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = [b'0'; WRITTEN_CHARS];
        let mut value = self.0;
        for character in written.iter_mut().rev() {
            let digit = usize::try_from(value & 31).unwrap_or_default();
            *character = ALPHABET.get(digit).copied().unwrap_or(b'0');
            value >>= 5;
        }
        f.pad(str::from_utf8(&written).unwrap_or_default())
    }
}

/// Not 13 characters of base 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a queue ID: expected 13 letters and digits such as 6N8Z3K0QW4T1A")]
pub struct QueueIdError;

impl FromStr for QueueId {
    type Err = QueueIdError;

    fn from_str(text: &str) -> Result<Self, QueueIdError> {
        if text.len() != WRITTEN_CHARS {
            return Err(QueueIdError);
        }
        let mut value: u64 = 0;
        for character in text.bytes() {
            let upper = character.to_ascii_uppercase();
            let digit = ALPHABET.iter().position(|&known| known == upper).ok_or(QueueIdError)?;
            // What overflows 64 bits names no message.
            value = value.checked_mul(32).ok_or(QueueIdError)? | digit as u64;
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Timestamp;

    #[test]
    fn written_and_read() {
        assert_eq!(QueueId::from_u64(0).to_string(), "0000000000000");
        assert_eq!(QueueId::from_u64(u64::MAX).to_string(), "FZZZZZZZZZZZZ");
        let id = QueueId::new(Timestamp::from_millis(1_795_473_360_123), 7);
        assert_eq!(id.accepted_at(), Timestamp::from_millis(1_795_473_360_123));
        assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
        for bad in ["", "000000000000", "00000000000000", "G000000000000", "000000000000U", "00000000000ä"] {
            assert_eq!(bad.parse::<QueueId>(), Err(QueueIdError), "{bad}");
        }
    }

    #[test]
    fn ordered_by_time_then_sequence() {
        let at = |millis, sequence| QueueId::new(Timestamp::from_millis(millis), sequence);
        assert!(at(1, u32::MAX) < at(2, 0));
        assert!(at(2, 0) < at(2, 1));
        assert_eq!(at(2, 1 << SEQUENCE_BITS), at(2, 0));
    }

    proptest! {
        #[test]
        fn round_trip(a: u64, b: u64) {
            let (a, b) = (QueueId::from_u64(a), QueueId::from_u64(b));
            prop_assert_eq!(a.to_string().parse(), Ok(a));
            prop_assert_eq!(a.cmp(&b), a.to_string().cmp(&b.to_string()));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<QueueId>();
        }
    }
}
