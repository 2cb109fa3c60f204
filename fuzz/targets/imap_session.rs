//! An IMAP session with a driver that answers everything shortly: no panic, bounded output, whatever the split.
#![no_main]

use std::{sync::Arc, time::{Duration, Instant}};

use libfuzzer_sys::fuzz_target;
use mail::scram::ScramVerifier;
use proto::{
    imap::{
        response::Status,
        server::{AppendEvent, Config, Event, Extensions, Server},
    },
    machine::{Machine, Step, Tls},
    sasl::TokenHint,
};

fn play(octets: &[u8], piece_bytes: usize) -> Vec<u8> {
    let mut server = Server::new(Config {
        hostname: Arc::from("imap.example"),
        tls: Tls::Available,
        allow_plaintext_auth: true,
        idle_timeout: Duration::from_secs(1800),
        login_timeout: Duration::from_secs(180),
        append_bytes_max: 500,
        message_limit: None,
        extensions: Extensions::all(),
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
            // What follows is compressed, or else dropped.
            Step::Close | Step::Event(Event::StartCompression) => return said,
            Step::Event(event) => answer(&mut server, event),
        }
    }
}

fn answer(server: &mut Server, event: Event) {
    match event {
        Event::ScramVerifier(user) => {
            let nobody = ScramVerifier::of_nobody(user.hash, &user.authentication_id, b"secret");
            server.answer_scram_verifier(nobody, &[7; 18]);
        }
        Event::Token(_) => server.answer_token_refused(&TokenHint::default()),
        Event::Authenticate(credentials) if credentials.password.len() == 1 => server.answer_authenticated(),
        Event::Authenticate(_) | Event::Scram(_) | Event::External(_) => server.answer_authentication_failed(),
        Event::Unauthenticate => server.answer_unauthenticated(),
        Event::Append(AppendEvent::Literal { .. }) => server.go_ahead(),
        Event::Append(AppendEvent::End) | Event::Command(_) | Event::More | Event::IdleEnded => {
            server.complete(&Status::ok("done"));
        }
        Event::Append(_) | Event::StartCompression => {}
    }
}

fuzz_target!(|octets: &[u8]| {
    assert_eq!(play(octets, 1), play(octets, octets.len().max(1)));
});
