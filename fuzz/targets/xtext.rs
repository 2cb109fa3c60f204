//! xtext of DSN parameters, and texts made safe.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{text, xtext};

fuzz_target!(|octets: &[u8]| {
    let cleaned = text::clean(octets);
    assert!(!cleaned.chars().any(char::is_control) && cleaned.len() <= text::CLEAN_BYTES_MAX + 16);
    let Ok(given) = std::str::from_utf8(octets) else { return };
    if let Ok(decoded) = xtext::decode(given) {
        assert!(!decoded.contains(['\0', '\r', '\n']));
        assert_eq!(xtext::decode(&xtext::encode(&decoded)), Ok(decoded));
    }
    let _ = xtext::decode_utf8_address(given);
});
