//! In which zones a word is: ascending numbers, as differences or as bits, whichever is shorter.

use crate::engine::StoreError;

/// Appends one list to many.
pub(super) fn encode(zones: &[u32], out: &mut Vec<u8>) {
    let bitmap_bytes = zones.last().map_or(0, |last| *last as usize / 8 + 1);
    let mut differences = Vec::with_capacity(zones.len());
    let mut next = 0;
    for zone in zones {
        varint(zone.saturating_sub(next), &mut differences);
        next = zone.saturating_add(1);
    }
    if differences.len() <= bitmap_bytes {
        varint(length(&differences) << 1, out);
        out.extend_from_slice(&differences);
    } else {
        let mut bits = vec![0_u8; bitmap_bytes];
        for zone in zones {
            if let Some(octet) = bits.get_mut(*zone as usize / 8) {
                *octet |= 1 << (zone % 8);
            }
        }
        varint(length(&bits) << 1 | 1, out);
        out.extend_from_slice(&bits);
    }
}

/// One list as it is stored.
pub(super) struct Encoded<'a> {
    octets: &'a [u8],
    is_bitmap: bool,
}

/// Takes the next of many lists.
pub(super) fn next<'a>(lists: &mut &'a [u8]) -> Result<Encoded<'a>, StoreError> {
    let head = read_varint(lists)?;
    let length = usize::try_from(head >> 1).unwrap_or(usize::MAX);
    let (octets, rest) = lists.split_at_checked(length).ok_or_else(super::damaged)?;
    *lists = rest;
    Ok(Encoded { octets, is_bitmap: head & 1 == 1 })
}

impl Encoded<'_> {
    /// `sink` gets each zone, ascending.
    pub(super) fn decode(&self, sink: &mut impl FnMut(u32)) -> Result<(), StoreError> {
        if self.is_bitmap {
            for (octet, first) in self.octets.iter().zip((0_u32..).step_by(8)) {
                let mut bits = *octet;
                while bits != 0 {
                    sink(first + bits.trailing_zeros());
                    bits &= bits - 1;
                }
            }
            return Ok(());
        }
        let (mut rest, mut next) = (self.octets, 0_u32);
        while !rest.is_empty() {
            let zone = next.checked_add(read_varint(&mut rest)?).ok_or_else(super::damaged)?;
            sink(zone);
            next = zone.saturating_add(1);
        }
        Ok(())
    }
}

/// A block is far smaller than that.
fn length(octets: &[u8]) -> u32 {
    u32::try_from(octets.len()).unwrap_or(u32::MAX >> 1)
}

fn varint(number: u32, out: &mut Vec<u8>) {
    let mut rest = number;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push((rest & 0x7f) as u8);
}

fn read_varint(octets: &mut &[u8]) -> Result<u32, StoreError> {
    let (mut number, mut shift) = (0_u32, 0);
    loop {
        let (octet, rest) = octets.split_first().ok_or_else(super::damaged)?;
        *octets = rest;
        number |= u32::from(octet & 0x7f).checked_shl(shift).ok_or_else(super::damaged)?;
        if octet & 0x80 == 0 {
            return Ok(number);
        }
        shift += 7;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(mut lists: &[u8]) -> Vec<u32> {
        let mut zones = Vec::new();
        next(&mut lists).unwrap().decode(&mut |zone| zones.push(zone)).unwrap();
        assert!(lists.is_empty());
        zones
    }

    #[test]
    fn a_word_that_is_everywhere_takes_bits() {
        let mut out = Vec::new();
        encode(&(0..1000).collect::<Vec<_>>(), &mut out);
        assert_eq!((out.len(), decoded(&out).len()), (2 + 125, 1000));
        out.clear();
        encode(&[70_000], &mut out);
        assert_eq!((out.len(), decoded(&out)), (4, vec![70_000]));
    }

    #[test]
    fn what_is_cut_short_is_damage() {
        for octets in [&b""[..], &[0x80], &[0x06, 1], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
            assert!(next(&mut &*octets).is_err());
        }
        assert!(next(&mut &[0x02, 0x80][..]).unwrap().decode(&mut |_| {}).is_err());
    }

    proptest! {
        #[test]
        fn zones_come_back(zones in prop::collection::btree_set(0_u32..3000, 0..300)) {
            let zones: Vec<u32> = zones.into_iter().collect();
            let mut out = Vec::new();
            encode(&zones, &mut out);
            prop_assert_eq!(decoded(&out), zones);
        }
    }
}
