//! An IMAP client against a server that says anything at all: no panic, an end, the same whatever the split.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use proto::{
    imap::client::{Client, Config, Event, TlsUse},
    machine::{Machine, Step},
    sasl::Credentials,
};

fn play(octets: &[u8], piece_bytes: usize) -> Vec<Event> {
    let Some(credentials) = Credentials::new("ann", "secret") else { return Vec::new() };
    let mut client = Client::new(Config {
        credentials,
        nonce: [7; _],
        tls: TlsUse::Active,
        plaintext_login: true,
        message_bytes_max: 1000,
        patience: Duration::from_secs(60),
    });
    let (now, mut told) = (Instant::now(), Vec::new());
    let mut pieces = octets.chunks(piece_bytes);
    let mut commands = 0;
    loop {
        match client.poll(now) {
            Step::Write(_) => {}
            Step::NeedInput => match pieces.next() {
                Some(piece) => client.push(piece),
                None => return told,
            },
            Step::StartTls => client.handle_tls_established(),
            Step::Close => return told,
            Step::Event(event) => {
                if matches!(event, Event::Ready | Event::Done | Event::Refused(_)) {
                    commands += 1;
                    match commands % 4 {
                        1 => client.list(),
                        2 => client.open(b"INBOX"),
                        3 => client.fetch_summaries(1, 10),
                        _ => client.fetch_bodies(&[1, 2, 3]),
                    }
                }
                told.push(event);
            }
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    assert_eq!(play(octets, 1), play(octets, octets.len().max(1)));
});
