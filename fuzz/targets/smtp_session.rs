//! A whole server session (commands, DATA, BDAT, AUTH): no panic, bounded output, and every way of splitting the octets
//! gives the same content.
#![no_main]

use std::{sync::Arc, time::Instant};

use libfuzzer_sys::fuzz_target;
use mail::scram::ScramVerifier;
use proto::{
    machine::{Machine, Step},
    smtp::server::{Config, Decision, Event, Extensions, Flavour, HoldMax, Server, TokenAnswer},
    sasl::TokenHint,
};

/// What a session said and what content it took.
fn play(octets: &[u8], piece_bytes: usize) -> (Vec<u8>, Vec<u8>) {
    let config = Config {
        auth: true,
        plaintext_auth: true,
        refuse_early_talk: false,
        extensions: Extensions {
            binary_mime: true,
            dsn: true,
            expn: true,
            rrvs: true,
            tracking: true,
            deliver_by: Some(60),
            mt_priority: true,
            future_release: Some(HoldMax { seconds: 86_400, until: mail::Timestamp::from_millis(1 << 40) }),
            etrn: true,
            ..Extensions::default()
        },
        no_soliciting: "net.example:ADV".parse().unwrap_or_default(),
        ..Config::new("mx.example", Flavour::Smtp)
    };
    let mut server = Server::new(Arc::new(config), false);
    let (now, mut said, mut content) = (Instant::now(), Vec::new(), Vec::new());
    let mut pieces = octets.chunks(piece_bytes);
    loop {
        match server.poll(now) {
            Step::Write(reply) => said.extend(reply),
            Step::NeedInput => match pieces.next() {
                Some(piece) => server.push(piece),
                None => return (said, content),
            },
            Step::StartTls => server.handle_tls_failed(),
            Step::Close => return (said, content),
            Step::Event(event) => match event {
                Event::Hello { .. } => server.answer_hello(Decision::ACCEPT),
                Event::Mail(_) => server.answer_mail(Decision::ACCEPT),
                Event::Rcpt(_) => server.answer_rcpt(Decision::ACCEPT),
                Event::Data => server.answer_data(Decision::ACCEPT),
                Event::Content(chunk) => content.extend_from_slice(&chunk),
                Event::ContentEnd => server.answer_content(Decision::ACCEPT),
                Event::Verify(_) => server.answer_verify(&mail::Reply::new(252, (2, 5, 2), "perhaps")),
                Event::Expand(_) => server.answer_expand(&mail::Reply::new(550, (5, 1, 1), "no")),
                Event::Etrn(_) => server.answer_etrn(&mail::Reply::new(251, (2, 0, 0), "nothing waits")),
                Event::Turn(_) => server.answer_turn(Decision::ACCEPT),
                Event::Turned => {}
                Event::Url(url) => server.answer_url(Ok(url.len() as u64)),
                Event::MoreOfUrl => server.push_url(Ok(bytes::Bytes::from_static(b"\r\n"))),
                Event::Authenticate(_) => server.answer_auth(Decision::ACCEPT),
                Event::ScramVerifier(user) => {
                    let nobody = ScramVerifier::of_nobody(user.hash, &user.authentication_id, b"secret");
                    server.answer_scram_verifier(Ok((nobody, [7; 18])));
                }
                Event::Token(_) => server.answer_token(TokenAnswer::Refused(TokenHint::default())),
                Event::External(_) => {
                    server.answer_external(Err(mail::Reply::new(535, (5, 7, 8), "no")));
                }
                Event::Scram(_) => {
                    server.answer_auth(Decision::Reject(mail::Reply::new(535, (5, 7, 8), "no")));
                }
                Event::Impersonate(_) => server.answer_impersonate(Decision::ACCEPT),
                Event::ContentAborted(_) => {}
            },
        }
    }
}

fuzz_target!(|octets: &[u8]| {
    let whole = play(octets, octets.len().max(1));
    assert_eq!(play(octets, 1), whole);
    assert_eq!(play(octets, 7), whole);
});
