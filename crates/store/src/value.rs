//! Values are versioned from the first release: one octet, then postcard.

use serde::{Serialize, de::DeserializeOwned};

use crate::engine::StoreError;

/// Most values are no longer, so that encoding allocates once.
pub(crate) const ENCODED_BYTES_TYPICAL: usize = 256;

/// A value of the schema. When its shape changes, `VERSION` rises and `decode_old` keeps reading the earlier ones.
pub trait Value: Serialize + DeserializeOwned {
    const NAME: &'static str;
    const VERSION: u8;

    fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(ENCODED_BYTES_TYPICAL);
        octets.push(Self::VERSION);
        // Fails for sequences of unknown length only, and no value has one.
        postcard::to_extend(self, octets).unwrap_or_default()
    }

    fn decode(octets: &[u8]) -> Result<Self, StoreError> {
        match octets.split_first() {
            Some((&version, rest)) if version == Self::VERSION => postcard::from_bytes(rest)
                .map_err(|error| StoreError::Value(format!("a {} cannot be read: {error}", Self::NAME))),
            Some((&version, rest)) => Self::decode_old(version, rest),
            None => Err(StoreError::Value(format!("a {} is empty", Self::NAME))),
        }
    }

    fn decode_old(version: u8, _octets: &[u8]) -> Result<Self, StoreError> {
        Err(unknown_version::<Self>(version))
    }
}

pub(crate) fn unknown_version<V: Value>(version: u8) -> StoreError {
    StoreError::Value(format!(
        "a {} of version {version} was written by a newer release of Postrider; run that one",
        V::NAME
    ))
}
