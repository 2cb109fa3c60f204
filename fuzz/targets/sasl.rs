//! SASL exchanges and their base64.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::scram::ScramVerifier;
use proto::sasl::{self, ChannelBinding, Mechanism, SaslServer, SaslStep};

fuzz_target!(|octets: &[u8]| {
    if let Ok(Some(decoded)) = sasl::decode_line(octets) {
        assert_eq!(sasl::encode(&decoded).as_bytes(), octets);
    }
    let _ = sasl::decode_initial_response(octets);
    for mechanism in Mechanism::ALL {
        let mut parts = octets.split(|octet| *octet == b'\n');
        let (mut server, mut step) = SaslServer::start(mechanism, parts.next(), &ChannelBinding::default());
        loop {
            step = match step {
                SaslStep::Challenge(_) => match parts.next() {
                    Some(part) => server.response(part),
                    None => break,
                },
                SaslStep::ScramUser(user) => {
                    let nobody = ScramVerifier::of_nobody(user.hash, &user.authentication_id, b"secret");
                    server.verifier(nobody, &[7; 18])
                }
                _ => break,
            };
        }
    }
});
