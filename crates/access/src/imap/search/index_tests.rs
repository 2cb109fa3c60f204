//! A search asks the index, and finds what it finds without.

use std::fmt::Write;

use ::store::{
    Batch, KeyRange, Order,
    keys::SEARCH_BLOCK,
    mailbox::{Quota, Uid},
};
use proptest::prelude::*;
use world::{Clock, SystemClock};

use super::{
    index::{Undecided, queries, rule_out},
    indexing::SearchIndexer,
    text::Place,
    *,
};
use crate::testing::Base;

/// What upper and lower case, charsets, encodings and word boundaries make difficult.
const PIECES: &[&str] = &[
    "a",
    "B",
    "ab",
    "word",
    "Word",
    "1",
    "ß",
    "ẞ",
    "SS",
    "İ",
    "i\u{307}",
    "ı",
    "I",
    "Σ",
    "σ",
    "ς",
    "ΟΔΟΣ",
    "é",
    "É",
    "e\u{301}",
    "ﬁ",
    "K",
    "Å",
    "日",
    "本語",
    "カナ",
    "ก",
    "กา",
    "가",
    "\u{fffd}",
    "\u{200d}",
    " ",
    " ",
    " ",
    ".",
    "-",
    "_",
    "'",
    "=",
    "\r\n",
    "\r\n ",
    "@",
    "<",
    ">",
    "=?utf-8?Q?=C3=9F?=",
    "=?utf-8?B?w5/Dnw==?=",
    "=?x",
    "?=",
    "\0",
];
const CHARSETS: &[&str] = &[
    "utf-8",
    "utf-8",
    "utf-8",
    "us-ascii",
    "iso-8859-1",
    "windows-1254",
    "koi8-r",
    "shift_jis",
    "utf-16le",
    "x",
];

fn pieces(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(PIECES), length).prop_map(|pieces| pieces.concat())
}

fn encode(text: &str, encoding: u8) -> (&'static str, String) {
    let mut out = String::new();
    match encoding {
        0 => ("8bit", text.to_owned()),
        1 => {
            for (at, octet) in text.bytes().enumerate() {
                let break_after = if at % 20 == 19 { "=\r\n" } else { "" };
                write!(out, "={octet:02X}{break_after}").unwrap();
            }
            ("quoted-printable", out)
        }
        2 => {
            use base64::{Engine, engine::general_purpose::STANDARD};
            for line in STANDARD.encode(text).as_bytes().chunks(12) {
                write!(out, "{}\r\n", std::str::from_utf8(line).unwrap()).unwrap();
            }
            ("base64", out)
        }
        _ => ("x-unknown", text.to_owned()),
    }
}

fn part() -> impl Strategy<Value = String> {
    let is_long = prop::bool::weighted(0.03);
    (pieces(0..30), prop::sample::select(CHARSETS), 0_u8..4, is_long).prop_map(|(text, charset, encoding, is_long)| {
        // So that the text lies across two pieces that are read.
        let text = if is_long { "ab ".repeat(21_843) + &text } else { text };
        let (name, body) = encode(&text, encoding);
        format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {name}\r\n\r\n{body}")
    })
}

fn message() -> impl Strategy<Value = String> {
    let parts = prop::collection::vec(part(), 1..4);
    (pieces(0..12), pieces(0..6), parts, 0_u8..3).prop_map(|(subject, value, parts, shape)| {
        let subject = subject.replace("\r\n", "\r\n\t");
        let header = format!("Subject: {subject}\r\nX-Own: {}\r\n", value.replace("\r\n", ""));
        let multipart = || {
            let parts = parts.join("\r\n--b\r\n");
            format!("{header}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n{parts}\r\n--b--\r\n")
        };
        match shape {
            0 => format!("{header}{}", parts[0]),
            1 => multipart(),
            _ => format!("Subject: outer\r\nContent-Type: message/rfc822\r\n\r\n{}", multipart()),
        }
    })
}

fn needle() -> impl Strategy<Value = (u8, String)> {
    (0_u8..5, prop_oneof![pieces(1..2), pieces(1..4), pieces(2..7)])
}

fn place(number: u8) -> Place {
    match number {
        0 | 1 => Place::Body,
        2 => Place::Text,
        3 => Place::Header { name: "Subject".to_owned() },
        _ => Place::Header { name: "x-own".to_owned() },
    }
}

/// Whether the needle is found in each message, by the index and without; how many it ruled out.
async fn both(base: &Base, messages: &[StoredMessage], needle: &Needle) -> (Vec<bool>, Vec<bool>, usize) {
    let (mailboxes, mailbox) = (base.stores.mailboxes.clone(), base.alice().await.inbox);
    let needles = std::slice::from_ref(needle);
    let hunt = Hunt { mailboxes, mailbox, test: &Test::Needle(0), needles };
    let mut undecided: Vec<Undecided> = messages.iter().map(Undecided::new).collect();
    rule_out(&base.stores.search_index, mailbox.account(), &queries(needles), &mut undecided).await.unwrap();
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for (message, one) in messages.iter().zip(&undecided) {
        with.push(hunt.is_hit(message, one.ruled_out).await.unwrap());
        without.push(hunt.is_hit(message, 0).await.unwrap());
    }
    (with, without, undecided.iter().filter(|one| one.ruled_out > 0).count())
}

async fn indexed(texts: &[String]) -> (Base, Vec<StoredMessage>) {
    let base = Base::new();
    base.add_alice().await;
    let alice = base.alice().await;
    for text in texts {
        base.deliver(text.as_bytes()).await;
    }
    let mut indexer = SearchIndexer::new(&base.stores, base.clock.clone());
    indexer.pending_min = 1;
    indexer.index(alice.id).await.unwrap();
    let messages = base.stores.mailboxes.messages(alice.inbox, Uid(1), usize::MAX).await.unwrap();
    (base, messages)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_index_changes_no_answer(
        messages in prop::collection::vec(message(), 16..24), needles in prop::collection::vec(needle(), 40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (base, stored) = indexed(&messages).await;
            for (number, text) in needles {
                let needle = Needle::new(place(number), &text);
                let (with, without, _) = both(&base, &stored, &needle).await;
                assert_eq!(with, without, "{needle:?}");
            }
        });
    }
}

fn letter(number: u32) -> String {
    format!(
        "Subject: letter {number}\r\nMessage-ID: <{number}@example.net>\r\n\r\nWord{number} for all and nobody else.\r\n"
    )
}

#[tokio::test]
async fn only_what_may_hold_it_is_read() {
    let texts: Vec<String> = (0..100).map(letter).collect();
    let (base, messages) = indexed(&texts).await;
    for (place, text, found, read) in [
        (Place::Body, "word42 FOR", 1, 1),
        (Place::Body, "ord9", 11, 11),
        (Place::Body, "letter", 0, 0),
        (Place::Body, "nobody else", 100, 100),
        // Both words are there, but not beside each other.
        (Place::Text, "else nobody", 0, 100),
        (Place::Text, "letter 7", 11, 11),
        (Place::Header { name: "message-id".to_owned() }, "<17@example.net>", 1, 1),
        (Place::Header { name: "from".to_owned() }, "<17@example.net>", 0, 1),
        (Place::Body, ".\r\n", 100, 100),
    ] {
        let needle = Needle::new(place, text);
        let (with, without, ruled_out) = both(&base, &messages, &needle).await;
        assert_eq!(with, without, "{needle:?}");
        let hits = with.iter().filter(|hit| **hit).count();
        assert_eq!((hits, messages.len() - ruled_out), (found, read), "{needle:?}");
    }
}

#[tokio::test]
async fn a_search_that_reads_much_asks_for_the_index() {
    let house = super::super::tests::House::with_alice().await;
    for number in 0..70 {
        house.deliver(letter(number).as_bytes()).await;
    }
    let indexer = SearchIndexer::new(&house.stores, house.clock.clone());
    let running = tokio::spawn(indexer.run(house.shutdown.clone()));
    let mut client = house.in_inbox().await;
    let alice = house.alice().await.id;
    let index = &house.stores.search_index;
    assert_eq!(index.blocks(alice).await.unwrap(), []);
    for round in 0..2 {
        client.converse("C: a SEARCH UNSEEN BODY word42\nS: * SEARCH 43\nS: a OK searched").await;
        client.converse("C: b SEARCH OR BODY word42 SUBJECT \"letter 6\"").await;
        client.converse("S: * SEARCH 7 43 61 62 63 64 65 66 67 68 69 70\nS: b OK searched").await;
        client.converse("C: c SEARCH NOT TEXT example\nS: * SEARCH\nS: c OK searched").await;
        while index.blocks(alice).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(index.blocks(alice).await.unwrap()[0].record.messages, 70, "round {round}");
    }
    drop(client);
    house.trigger.give();
    running.await.unwrap();
}

#[tokio::test]
async fn copies_cost_nothing_and_what_is_gone_goes() {
    let texts: Vec<String> = (0..100).map(letter).collect();
    let (base, messages) = indexed(&texts).await;
    let (alice, now) = (base.alice().await, SystemClock.wall());
    let (mailboxes, index) = (&base.stores.mailboxes, &base.stores.search_index);
    let archive = mailboxes.create(alice.id, "Other", None, now).await.unwrap().id;
    let uids: Vec<Uid> = messages.iter().map(|message| message.uid).collect();
    mailboxes.copy(alice.inbox, &uids, archive, Quota::default(), now).await.unwrap();
    let mut indexer = SearchIndexer::new(&base.stores, base.clock.clone());
    indexer.index(alice.id).await.unwrap();
    let counts = || async {
        let blocks = index.blocks(alice.id).await.unwrap();
        blocks.iter().map(|block| block.record.messages).collect::<Vec<_>>()
    };
    assert_eq!((counts().await, index.pending(alice.id).await.unwrap()), (vec![100], vec![]));
    mailboxes.expunge(alice.inbox, &uids, now).await.unwrap();
    mailboxes.expunge(archive, &uids[..90], now).await.unwrap();
    indexer.index(alice.id).await.unwrap();
    assert_eq!(counts().await, [10]);
    mailboxes.expunge(archive, &uids, now).await.unwrap();
    indexer.pending_min = 0;
    indexer.index(alice.id).await.unwrap();
    assert_eq!(counts().await, [0; 0]);
}

/// What is stored of the index is damaged, or of another release: it answers nothing, and is made anew.
#[tokio::test]
async fn a_block_that_cannot_be_read_costs_no_answer() {
    let texts: Vec<String> = (0..100).map(letter).collect();
    let (base, messages) = indexed(&texts).await;
    let (alice, index) = (base.alice().await.id, &base.stores.search_index);
    let needle = Needle::new(Place::Body, "word42 for");
    let mut indexer = SearchIndexer::new(&base.stores, base.clock.clone());
    for (at, is_seen) in [(1, false), (usize::MAX, true)] {
        let range = KeyRange::prefix(&[SEARCH_BLOCK]);
        let (key, value) = base.stores.engine.scan(range, Order::Ascending, 1).await.unwrap().pop().unwrap();
        let mut other = value.to_vec();
        let at = at.min(other.len() - 1);
        other[at] += 1;
        let mut batch = Batch::new();
        batch.put(key, other);
        base.stores.engine.commit(batch).await.unwrap();
        let (with, without, ruled_out) = both(&base, &messages, &needle).await;
        assert_eq!((&with, ruled_out), (&without, 0));
        // A damaged one is dropped by who finds it, and one of another release by who makes blocks.
        assert_eq!(index.pending(alice).await.unwrap().is_empty(), !is_seen);
        indexer.index(alice).await.unwrap();
        let (with, without, ruled_out) = both(&base, &messages, &needle).await;
        assert_eq!((&with, ruled_out), (&without, 99));
    }
}
