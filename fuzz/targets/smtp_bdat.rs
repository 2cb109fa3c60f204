//! Chunks of BDAT: the first octet of each part of the input says how long it is and whether it is the last; what the
//! session hands over is what the chunks held, and text is judged the same however it is cut.
#![no_main]

use std::{sync::Arc, time::Instant};

use libfuzzer_sys::fuzz_target;
use proto::{
    machine::{Machine, Step},
    smtp::{
        bdat::TextScanner,
        server::{Config, Decision, Event, Extensions, Flavour, Server},
    },
};

fn scan(octets: &[u8], piece_bytes: usize) -> bool {
    let mut scanner = TextScanner::default();
    octets.chunks(piece_bytes).all(|piece| scanner.scan(piece).is_ok()) && scanner.finish().is_ok()
}

/// The octets that a client would send, and the content in them.
fn chunks(mut octets: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut wire, mut content) =
        (b"EHLO a\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<a@b>\r\n".to_vec(), Vec::new());
    while let Some((length, rest)) = octets.split_first() {
        let chunk = &rest[..rest.len().min(usize::from(*length))];
        wire.extend_from_slice(format!("BDAT {}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        content.extend_from_slice(chunk);
        octets = &rest[chunk.len()..];
    }
    wire.extend_from_slice(b"BDAT 0 LAST\r\n");
    (wire, content)
}

/// The content of the message that a session took.
fn play(wire: &[u8], piece_bytes: usize) -> Option<Vec<u8>> {
    let config = Config {
        refuse_early_talk: false,
        extensions: Extensions { binary_mime: true, ..Extensions::default() },
        ..Config::new("mx.example", Flavour::Smtp)
    };
    let mut server = Server::new(Arc::new(config), false);
    let (now, mut content, mut pieces) = (Instant::now(), Vec::new(), wire.chunks(piece_bytes));
    loop {
        match server.poll(now) {
            Step::NeedInput => server.push(pieces.next()?),
            Step::Close => return None,
            Step::Event(Event::Hello { .. }) => server.answer_hello(Decision::ACCEPT),
            Step::Event(Event::Mail(_)) => server.answer_mail(Decision::ACCEPT),
            Step::Event(Event::Rcpt(_)) => server.answer_rcpt(Decision::ACCEPT),
            Step::Event(Event::Data) => server.answer_data(Decision::ACCEPT),
            Step::Event(Event::Content(piece)) => content.extend_from_slice(&piece),
            Step::Event(Event::ContentEnd) => return Some(content),
            _ => {}
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    let judged = scan(octets, octets.len().max(1));
    assert_eq!(scan(octets, 1), judged);
    let (wire, content) = chunks(octets);
    for piece_bytes in [wire.len(), 1, 5] {
        assert_eq!(play(&wire, piece_bytes).as_ref(), Some(&content));
    }
});
