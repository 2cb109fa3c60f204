//! What a mailbox of 100,000 messages costs to open, and what is told of it after that.
//!
//! `cargo run --release -p store-embedded --example listing [MESSAGES]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a measurement for people")]

use std::time::Instant;

use bytes::Bytes;
use mail::Timestamp;
use store::{
    Batch, Engine, Mailboxes,
    mailbox::{AccountId, AppendWith, FlagChange, FlagChangeKind, Flags, Quota, Uid},
};
use store_embedded::{EmbeddedEngine, Options};

const MESSAGE: &[u8] =
    b"From: a@b.example\r\nSubject: something\r\nDate: Mon, 23 Nov 2026 22:36:00 +0000\r\n\r\ntext\r\n";
const BATCH: u32 = 1000;

#[tokio::main]
async fn main() {
    let count: u32 = std::env::args().nth(1).map_or(100_000, |count| count.parse().expect("a number"));
    let directory = std::env::temp_dir().join(format!("postrider-listing-{}", std::process::id()));
    let engine = EmbeddedEngine::open(&directory, Options::default()).unwrap();
    let now = Timestamp::from_millis(1_795_473_360_123);
    let mailboxes = Mailboxes::new(engine.clone());
    let inbox = mailboxes.create(AccountId(1), "INBOX", None, now).await.unwrap().id;
    for _ in 0..count / BATCH {
        let mut batch = Batch::new();
        for _ in 0..BATCH {
            let mut writer = mailboxes.message_writer().await.unwrap();
            writer.write(Bytes::from_static(MESSAGE)).await.unwrap();
            let with = AppendWith { internal_date: now, flags: Flags::default(), keywords: Vec::new() };
            let written = writer.finish().await.unwrap();
            mailboxes.append_written(&mut batch, inbox, written, with, Quota::default(), now);
        }
        engine.commit(batch).await.unwrap();
    }
    engine.close().await.unwrap();
    drop((mailboxes, engine));

    let engine = EmbeddedEngine::open(&directory, Options::default()).unwrap();
    let mailboxes = Mailboxes::new(engine.clone());
    for round in ["cold", "warm", "warm"] {
        let begun = Instant::now();
        let listing = mailboxes.listing(inbox).await.unwrap();
        println!("{round}: {} messages listed in {:?}", listing.messages.len(), begun.elapsed());
    }
    let begun = Instant::now();
    let status = mailboxes.status(inbox).await.unwrap();
    println!("status ({} messages) in {:?}", status.messages, begun.elapsed());
    let seen = FlagChange { how: FlagChangeKind::Add, flags: Flags::SEEN, keywords: Vec::new() };
    let some: Vec<Uid> = (1..=10).map(|nth| Uid(nth * count / 11)).collect();
    mailboxes.store_flags(inbox, &some, &seen, None).await.unwrap();
    let begun = Instant::now();
    let changes = mailboxes.changes_since(inbox, status.highest_modseq).await.unwrap();
    println!("{} changes found in {:?}", changes.changed.len(), begun.elapsed());
    engine.close().await.unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}
