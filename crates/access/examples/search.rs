//! What SEARCH costs in a large mailbox, without the index and with it; how long the index takes to be made, and how
//! large it is.
//!
//! `cargo run --release -p access --example search [MESSAGES]`
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a measurement for people")]

use std::{
    fmt::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use access::imap::{ImapListener, ImapService, SearchIndexer};
use bytes::Bytes;
use login::Logins;
use mail::{Address, Domain, Timestamp};
use store::{
    Batch, Stores,
    mailbox::{AppendWith, Flags, MailboxId, Quota},
};
use store_embedded::{EmbeddedEngine, Options};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream};
use world::{Peer, ShutdownTrigger, SystemEntropy, World, tls::TlsMode};

const ADDRESS: &str = "alice@example.org";
const PASSWORD: &str = "open sesame";
const MESSAGE_BYTES: usize = 4096;
const BATCH: u32 = 500;
const VOCABULARY: u64 = 40_000;
const ROUNDS: u32 = 3;

#[tokio::main]
async fn main() {
    let count: u32 = std::env::args().nth(1).map_or(10_000, |count| count.parse().expect("a number"));
    let directory = std::env::temp_dir().join(format!("postrider-search-{}", std::process::id()));
    let engine = EmbeddedEngine::open(&directory, Options::default()).unwrap();
    let (stores, world) = (Stores::new(engine), World::system());
    let inbox = account(&stores, &world).await;
    let octets = fill(&stores, inbox, count).await;
    println!("{count} messages, {octets} octets");
    let (trigger, shutdown) = ShutdownTrigger::new();
    let logins = Arc::new(Logins::new(stores.directory.clone(), &world, login::Limits::default()));
    let service =
        Arc::new(ImapService::new(logins, stores.clone(), world.clock.clone(), world.entropy.clone()));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let peer =
        Peer::Tcp { remote: "127.0.0.1:4711".parse().unwrap(), local: "127.0.0.1:143".parse().unwrap() };
    let listener = Arc::new(ImapListener::new("mx.example.org", TlsMode::None, 1 << 20));
    let session = tokio::spawn(service.serve(listener, Box::new(theirs), peer, shutdown.clone()));
    let mut client = BufReader::new(ours);
    say(&mut client, &format!("a LOGIN {ADDRESS} \"{PASSWORD}\"")).await;
    say(&mut client, "a SELECT INBOX").await;
    search(&mut client, "without the index", count).await;

    let begun = Instant::now();
    let indexer = SearchIndexer::new(&stores, world.clock.clone());
    let indexing = tokio::spawn(indexer.run(shutdown.clone()));
    let blocks = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let blocks = stores.search_index.blocks(inbox.account()).await.unwrap();
        if blocks.iter().map(|block| block.record.messages).sum::<u32>() == count {
            break blocks;
        }
    };
    let index: u64 = blocks.iter().map(|block| block.record.octets()).sum();
    println!(
        "index made in {:?}, rests included: {} a message",
        begun.elapsed(),
        micros(begun.elapsed(), count)
    );
    println!("{index} octets in {} blocks: {} % of the mail", blocks.len(), index * 100 / octets);
    search(&mut client, "with the index", count).await;
    trigger.give();
    drop(client);
    session.await.unwrap();
    indexing.await.unwrap();
    stores.engine.close().await.unwrap();
    std::fs::remove_dir_all(&directory).unwrap();
}

async fn account(stores: &Stores, world: &World) -> MailboxId {
    let (domain, address): (Domain, Address) = ("example.org".parse().unwrap(), ADDRESS.parse().unwrap());
    stores.directory.add_domain(&domain, world.clock.wall()).await.unwrap();
    let now = world.clock.wall();
    stores.directory.add_account(&address, PASSWORD, None, &SystemEntropy, now).await.unwrap();
    stores.directory.account(&address).await.unwrap().unwrap().inbox
}

async fn fill(stores: &Stores, inbox: MailboxId, count: u32) -> u64 {
    let (mut octets, mut chance) = (0, Chance(1));
    let now = Timestamp::from_millis(1_795_473_360_123);
    for first in (0..count).step_by(BATCH as usize) {
        let mut batch = Batch::new();
        for number in first..(first + BATCH).min(count) {
            let message = message(number, &mut chance);
            octets += message.len() as u64;
            let mut writer = stores.mailboxes.message_writer().await.unwrap();
            writer.write(Bytes::from(message)).await.unwrap();
            let with = AppendWith { internal_date: now, flags: Flags::default(), keywords: Vec::new() };
            let written = writer.finish().await.unwrap();
            stores.mailboxes.append_written(&mut batch, inbox, written, with, Quota::default(), now);
        }
        stores.engine.commit(batch).await.unwrap();
    }
    octets
}

struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Few words are frequent, and most are rare, as in what people write.
    fn word(&mut self) -> String {
        let bits = self.next() % 16;
        let rank = self.next() % (VOCABULARY >> bits).max(1);
        let mut word = Chance(rank * 2 + 12_345);
        let length = 2 + word.next() % 9;
        (0..length).map(|_| char::from(b'a' + u8::try_from(word.next() % 26).unwrap())).collect()
    }
}

fn message(number: u32, chance: &mut Chance) -> String {
    let mut text = format!(
        "Received: from mail{}.example.net (mail.example.net [192.0.2.{}])\r\n\tby mx.example.org with ESMTPS id {:X}\r\n\
         DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=main; h=from:to:subject:date;\r\n\tbh={:016x}{:016x};\r\n\
         \tb={:016x}{:016x}{:016x}\r\nMessage-ID: <{:016x}@example.net>\r\nFrom: {} <{}@example.net>\r\nTo: {ADDRESS}\r\n\
         Subject: {} {} {}\r\nDate: Mon, 23 Nov 2026 22:36:00 +0000\r\nMIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\r\nrare{number}\r\n",
        chance.next() % 50,
        chance.next() % 256,
        chance.next(),
        chance.next(),
        chance.next(),
        chance.next(),
        chance.next(),
        chance.next(),
        chance.next(),
        chance.word(),
        chance.word(),
        chance.word(),
        chance.word(),
        chance.word()
    );
    let mut line = 0;
    while text.len() < MESSAGE_BYTES {
        let word = chance.word();
        line += word.len() + 1;
        let gap = if line > 70 { "\r\n" } else { " " };
        line = if line > 70 { 0 } else { line };
        write!(text, "{word}{gap}").unwrap();
    }
    text + "\r\n"
}

async fn say(client: &mut BufReader<DuplexStream>, line: &str) -> String {
    client.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
    let mut told = String::new();
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await.unwrap();
        if line.starts_with("a ") {
            assert!(line.starts_with("a OK"), "{line}");
            return told;
        }
        told.push_str(&line);
    }
}

async fn search(client: &mut BufReader<DuplexStream>, when: &str, count: u32) {
    let rare = format!("BODY rare{}", count / 2);
    for keys in [rare.as_str(), "BODY nowhere", "HEADER Message-ID <1234@", "TEXT \"rare1\""] {
        let mut best = Duration::MAX;
        let mut hits = 0;
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            hits = say(client, &format!("a SEARCH {keys}")).await.split_whitespace().skip(2).count();
            best = best.min(begun.elapsed());
        }
        println!("{when}: {keys}: {hits} found in {best:?}");
    }
}

fn micros(time: Duration, count: u32) -> String {
    format!("{} µs", time.as_micros() / u128::from(count.max(1)))
}
