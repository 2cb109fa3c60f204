//! The structure of any octets: no panic, the same whatever the split, everything in its place.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mime::{Builder, Kind, SectionPart, Structure};

fuzz_target!(|octets: &[u8]| {
    let structure = Structure::of(octets);
    let mut builder = Builder::new();
    octets.iter().for_each(|octet| builder.push(&[*octet]));
    assert_eq!(builder.finish(), structure);
    for (place, part) in structure.parts().iter().enumerate() {
        assert!(part.header().end <= part.body().end && part.body().end <= structure.octets());
        assert_eq!(part.kind == Kind::Leaf, structure.children(place).next().is_none());
    }
    let _ = structure.section(&[1, 1, 2], SectionPart::Mime);
});
