//! A POP3 session up to its login: no panic, bounded output, whatever the split.
#![no_main]

use std::{sync::Arc, time::{Duration, Instant}};

use libfuzzer_sys::fuzz_target;
use mail::scram::ScramVerifier;
use proto::{
    machine::{Machine, Step},
    pop3::{Config, Event, Server, Tls},
    sasl::TokenHint,
};

fn play(octets: &[u8], piece_bytes: usize) -> Vec<u8> {
    let mut server = Server::new(Config {
        hostname: Arc::from("pop.example"),
        tls: Tls::Available,
        allow_plaintext_auth: true,
        idle_timeout: Duration::from_secs(600),
    });
    let (now, mut said) = (Instant::now(), Vec::new());
    let mut pieces = octets.chunks(piece_bytes);
    loop {
        match server.poll(now) {
            Step::Write(reply) => said.extend(reply),
            Step::NeedInput => match pieces.next() {
                Some(piece) => server.push(piece),
                None => return said,
            },
            Step::StartTls => server.handle_tls_failed(),
            Step::Close => return said,
            Step::Event(Event::Authenticate(_)) => server.answer_authentication_failed(),
            Step::Event(Event::ScramVerifier(user)) => {
                let nobody = ScramVerifier::of_nobody(user.hash, &user.authentication_id, b"secret");
                server.answer_scram_verifier(nobody, &[7; 18]);
            }
            Step::Event(Event::Token(_)) => server.answer_token_refused(&TokenHint::default()),
            Step::Event(Event::External(_) | Event::Scram(_)) => server.answer_authentication_failed(),
            Step::Event(_) => return said,
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    assert_eq!(play(octets, 1), play(octets, octets.len().max(1)));
});
