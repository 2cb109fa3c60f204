//! Header sections: every octet belongs to one field or to none, and taking fields out leaves the rest as it is.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::header;

fuzz_target!(|message: &[u8]| {
    let mut end = 0;
    for field in header::fields(message) {
        assert!(field.whole.start >= end && field.whole.end <= message.len());
        end = field.whole.end;
    }
    assert!(header::body_start(message) <= message.len());
    let _ = (header::value(message, "Subject"), header::message_id(message));
    assert_eq!(header::without_fields(message, &[]), message);
    assert_eq!(header::count(&header::without_fields(message, &["Bcc"]), "Bcc"), 0);
});
