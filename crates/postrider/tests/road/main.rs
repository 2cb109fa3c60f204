//! The whole road: hundreds of messages through every kind of route, four Postriders and more, Postfix and a hostile
//! crowd, under signed zones. At the end every recipient is accounted for, and the histories agree with the receivers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod books;
mod cast;
mod foes;
#[path = "../support/names.rs"]
mod names;
#[path = "../support/postfix.rs"]
mod postfix;
#[path = "../support/mod.rs"]
mod support;

use std::{
    thread,
    time::{Duration, Instant},
};

use books::{Books, Letter};
use cast::Cast;
use support::{
    control::Control,
    say,
    server::{ALICE, Server},
    wait_for,
    wire::{dot_stuffed, expect},
};

/// How the mail of a domain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Each recipient has it once.
    Delivered,
    /// Once, and once more for each final reply that was lost.
    DeliveredAgain,
    /// Nobody has it, and nobody is told.
    Discarded,
    /// Its sender is told.
    Bounced,
}

/// A domain, how many messages go there, to how many recipients each, which host takes them from the origin, and the end.
#[derive(Debug)]
pub struct Road(pub &'static str, pub u32, pub u32, pub &'static str, pub Ending);

use Ending::{Bounced, Delivered, DeliveredAgain, Discarded};

const ROADS: [Road; 21] = [
    Road("far.test", 60, 2, "mx.far.test", Delivered),
    // Its better host is dead at first.
    Road("kept.test", 30, 1, "mx.backup.test", Delivered),
    Road("smart.test", 30, 2, "mx.smart.test", Delivered),
    Road("lmtp.gate.test", 20, 2, "gw.gate.test", Delivered),
    Road("pipe.gate.test", 15, 2, "gw.gate.test", Delivered),
    Road("maildir.gate.test", 20, 2, "gw.gate.test", Delivered),
    Road("http.gate.test", 10, 1, "gw.gate.test", Delivered),
    Road("capture.gate.test", 20, 1, "gw.gate.test", Delivered),
    Road("discard.gate.test", 10, 1, "gw.gate.test", Discarded),
    Road("reject.gate.test", 10, 2, "", Bounced),
    Road("honest.foe.test", 10, 1, "honest.foe.test", Delivered),
    Road("many.foe.test", 2, 150, "many.foe.test", Delivered),
    Road("tarpit.foe.test", 5, 1, "tarpit.foe.test", Delivered),
    Road("leaver.foe.test", 20, 1, "leaver.foe.test", Delivered),
    Road("storm.foe.test", 10, 2, "storm.foe.test", Delivered),
    Road("cutter.foe.test", 6, 1, "cutter.foe.test", Delivered),
    Road("talker.foe.test", 6, 1, "talker.foe.test", Delivered),
    Road("liar.foe.test", 10, 1, "liar.foe.test", Delivered),
    Road("grey.foe.test", 10, 1, "grey.foe.test", Delivered),
    Road("clumsy.foe.test", 6, 1, "clumsy.foe.test", Delivered),
    Road("loser.foe.test", 8, 1, "loser.foe.test", DeliveredAgain),
];

#[test]
fn every_recipient_on_every_road_is_accounted_for() {
    let Some(mut cast) = Cast::assemble() else { return };
    let mut books = Books::default();
    // Postfix, where there is one, gets mail from us and gives us some.
    let postfix_road = Road("postfix.test", 20, 1, "127.0.0.1", Delivered);
    let roads = ROADS.iter().chain(cast.postfix.is_some().then_some(&postfix_road));
    for Road(domain, letters, recipients, ..) in roads.clone() {
        for _ in 0..*letters {
            let letter = books.write(domain, *recipients);
            books.sent(&letter, send(&cast.origin, &letter));
        }
    }
    let from_postfix: Vec<Letter> = (0..10).map(|_| books.write("far.test", 1)).collect();
    if let Some(postfix) = &cast.postfix {
        for letter in &from_postfix {
            let parameters = letter.mail_parameters.trim();
            postfix.hand_over(ALICE, &[letter.to[0].as_str()], parameters, &letter.content);
            books.expect(letter);
        }
    }
    // The backup has what is for the dead primary, and hands it over when that returns.
    let kept = || queue(&cast.backup);
    wait_for("the backup to keep mail", || (kept().len() == 30).then_some(()));
    cast.primary.launch();
    for server in cast.with_queues() {
        // The last seen of it says what it hangs on.
        let mut left = Vec::new();
        let is_empty = |left: &mut Vec<_>| {
            *left = queue(server);
            left.is_empty()
        };
        let deadline = Instant::now() + support::PATIENCE;
        while !is_empty(&mut left) {
            assert!(Instant::now() < deadline, "{:?} keeps {left:#?}", server.path());
            thread::sleep(Duration::from_millis(100));
        }
    }
    cast.collect(&mut books);
    for Road(domain, _, _, host, ending) in roads {
        books.check(domain, *ending);
        books.check_histories(&mut Control::of(&cast.origin), domain, host, *ending);
    }
    let lost = cast.foes.replies_lost();
    assert!(books.duplicates() <= lost, "{} duplicates for {lost} lost replies", books.duplicates());
    assert_eq!(
        books.success_reports(),
        books.success_reports_wanted(),
        "RFC 3461: each success that was asked for"
    );
    say(&format!("the road: {books}, {lost} final replies lost"));
}

fn queue(server: &Server) -> Vec<serde_json::Value> {
    server.cli_json(&["queue", "list"]).as_array().unwrap().clone()
}

/// Hands a letter to the origin; its queue ID.
fn send(origin: &Server, letter: &Letter) -> String {
    let mut smtp = origin.smtp();
    let reply = smtp.command(&format!("MAIL FROM:<{ALICE}>{}", letter.mail_parameters)).unwrap();
    expect(&reply, 250).unwrap();
    for to in &letter.to {
        expect(&smtp.command(&format!("RCPT TO:<{to}>{}", letter.rcpt_parameters)).unwrap(), 250).unwrap();
    }
    expect(&smtp.command("DATA").unwrap(), 354).unwrap();
    smtp.write(&dot_stuffed(&letter.content)).unwrap();
    let reply = smtp.reply().unwrap();
    expect(&reply, 250).unwrap();
    reply.lines[0].rsplit(' ').next().unwrap().to_owned()
}
