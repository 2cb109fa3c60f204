//! Addresses and paths: never a panic, and what is written is read back as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{Address, Domain, ForwardPath, ReversePath};

fuzz_target!(|octets: &[u8]| {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    if let Ok(address) = text.parse::<Address>() {
        assert_eq!(address.to_string().parse(), Ok(address.clone()));
        let _ = address.to_lookup();
    }
    if let Ok(domain) = text.parse::<Domain>() {
        assert_eq!(domain.to_lookup().parse::<Domain>().map(|again| again.to_lookup()), Ok(domain.to_lookup()));
    }
    for (path, rest) in [ReversePath::parse_prefix(text).map(|(path, rest)| (path.to_string(), rest))].into_iter().flatten() {
        assert!(text.ends_with(rest) && !path.contains(['\r', '\n']));
    }
    let _ = ForwardPath::parse_prefix(text);
});
