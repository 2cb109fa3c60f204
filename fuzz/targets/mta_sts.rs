//! Records and policies of MTA-STS.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::mta_sts::{StsPolicy, StsRecord};

fuzz_target!(|octets: &[u8]| {
    if let Some(record) = StsRecord::among(&[octets.to_vec()]) {
        assert!(record.id.bytes().all(|octet| octet.is_ascii_alphanumeric()));
    }
    if let Ok(policy) = StsPolicy::parse(octets) {
        for pattern in &policy.hosts {
            let host = pattern.as_str().replace('*', "mx");
            assert!(policy.pattern_of(&host).is_some());
        }
    }
});
