//! Reports of others: bounded, clean, and never a panic; every reply has a cause.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::{
    cause::classify_noted,
    report::read::{RECIPIENTS_MAX, read},
};

fuzz_target!(|octets: &[u8]| {
    if let Some(bounce) = read(octets) {
        assert!((1..=RECIPIENTS_MAX).contains(&bounce.recipients.len()));
        for outcome in &bounce.recipients {
            let _ = outcome.classified();
            let text = outcome.diagnostic.as_deref().unwrap_or_default();
            assert!(!text.chars().any(char::is_control), "{text:?}");
        }
    }
    let _ = classify_noted(&String::from_utf8_lossy(octets));
});
