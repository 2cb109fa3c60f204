//! A client against a server that says anything at all.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use proto::{
    machine::{Machine, Step},
    smtp::client::{Client, Config, Event, Transaction},
};

fuzz_target!(|octets: &[u8]| {
    let mut client = Client::new(Config::new("client.example"), false);
    let now = Instant::now();
    let mut pieces = octets.chunks(13);
    let mut steps = 0;
    loop {
        steps += 1;
        assert!(steps < 10_000, "the client does not come to an end");
        match client.poll(now) {
            Step::Write(_) => {}
            Step::NeedInput => match pieces.next() {
                Some(piece) => client.push(piece),
                None => return,
            },
            Step::StartTls => client.handle_tls_established(),
            Step::Close | Step::Event(Event::Failed(_)) => return,
            Step::Event(Event::Ready) => client.send(transaction()),
            Step::Event(Event::WantContent) => {
                client.push_content(b".one\r\n.two");
                client.end_content();
            }
            Step::Event(_) => {}
        }
    }
});

fn transaction() -> Transaction {
    let recipient = |text: &str| mail::Recipient {
        forward_path: mail::ForwardPath::Address(text.parse().expect("an address")),
        rcpt: mail::RcptParameters::default(),
    };
    Transaction {
        reverse_path: mail::ReversePath::Null,
        mail: mail::MailParameters::default(),
        recipients: vec![recipient("a@b.example"), recipient("c@b.example")],
        body_bytes: 10,
    }
}
