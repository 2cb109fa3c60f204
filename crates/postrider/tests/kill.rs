//! `kill -9` at random moments under load: what was acknowledged is in the mailbox, whole, exactly once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout
)]

mod support;

use std::{collections::BTreeMap, env, fmt, io, sync::Mutex, thread, time::Duration};

use support::{
    random::Random,
    samples,
    server::{ALICE, BOB, Server},
    wait_for,
    wire::{Smtp, dot_stuffed, expect},
};

const SENDER: &str = "load@client.test";
const FIELD: &str = "X-Test-Id";

/// A message of the load; everything about it follows from these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    round: u64,
    sender: u64,
    number: u64,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.round, self.sender, self.number)
    }
}

impl Id {
    fn parse(text: &str) -> Self {
        let mut numbers = text.split('-').map(|number| number.parse().unwrap());
        Self {
            round: numbers.next().unwrap(),
            sender: numbers.next().unwrap(),
            number: numbers.next().unwrap(),
        }
    }

    fn random(self) -> Random {
        Random(self.round << 40 ^ self.sender << 32 ^ self.number)
    }

    /// Alice, bob, or both.
    fn recipients(self) -> &'static [&'static str] {
        [&[ALICE][..], &[BOB], &[ALICE, BOB]][usize::try_from(self.number % 3).unwrap()]
    }

    /// Mostly small; some exceed what a server would keep in memory.
    fn message(self) -> Vec<u8> {
        let mut random = self.random();
        let size = if random.one_in(100) { 250_000 + random.below(150_000) } else { random.below(6_000) };
        let mut message = format!("{FIELD}: {self}\r\nSubject: load\r\n\r\n").into_bytes();
        for line in random.bytes(usize::try_from(size).unwrap()).chunks(70) {
            message.extend(line.iter().map(|octet| b'.' + octet % 64));
            message.extend_from_slice(b"\r\n");
        }
        message
    }
}

/// Every message that was begun, and whether it was acknowledged.
type Book = Mutex<BTreeMap<Id, bool>>;

/// How a sender talks.
#[derive(Clone, Copy, Debug)]
enum Manner {
    InTurn,
    Pipelined,
    Chunked,
}

/// Sends until the connection breaks, which is when the server is killed.
fn send(port: u16, manner: Manner, round: u64, sender: u64, book: &Book) -> io::Result<()> {
    let mut smtp = Smtp::connect(port)?;
    let mut pace = Random(round ^ sender << 32);
    for number in 0.. {
        let id = Id { round, sender, number };
        book.lock().unwrap().insert(id, false);
        transact(&mut smtp, manner, id)?;
        book.lock().unwrap().insert(id, true);
        thread::sleep(Duration::from_micros(pace.below(6_000)));
    }
    Ok(())
}

/// Ok when the final reply was 250.
fn transact(smtp: &mut Smtp, manner: Manner, id: Id) -> io::Result<()> {
    let message = id.message();
    let rcpt = |recipient: &&str| format!("RCPT TO:<{recipient}>\r\n");
    let group = id
        .recipients()
        .iter()
        .map(rcpt)
        .fold(format!("MAIL FROM:<{SENDER}>\r\n"), |group, rcpt| group + &rcpt);
    match manner {
        Manner::InTurn => return expect(&smtp.deliver(SENDER, id.recipients(), &message)?, 250),
        Manner::Pipelined => smtp.write(format!("{group}DATA\r\n").as_bytes())?,
        Manner::Chunked => {
            let chunk = format!("{group}BDAT {} LAST\r\n", message.len());
            smtp.write(&[chunk.as_bytes(), &message].concat())?;
        }
    }
    for _ in 0..=id.recipients().len() {
        expect(&smtp.reply()?, 250)?;
    }
    if let Manner::Pipelined = manner {
        expect(&smtp.reply()?, 354)?;
        smtp.write(&dot_stuffed(&message))?;
    }
    expect(&smtp.reply()?, 250)
}

/// Load from several senders, cut off after a while.
fn round(server: &mut Server, round: u64, after: Duration, book: &Book) {
    let port = server.port("smtp");
    let manners = [Manner::InTurn, Manner::InTurn, Manner::Pipelined, Manner::Chunked];
    thread::scope(|scope| {
        for (manner, sender) in manners.into_iter().zip(0..) {
            scope.spawn(move || match send(port, manner, round, sender, book) {
                // Only the server's death may stop a sender.
                Err(error) if error.kind() == io::ErrorKind::Other => panic!("{manner:?}: {error}"),
                _ => (),
            });
        }
        thread::sleep(after);
        server.kill();
    });
    server.launch();
}

/// How often each message is in the mailbox; each of them is what was sent.
fn found(server: &Server, user: &str) -> BTreeMap<Id, usize> {
    let mut found = BTreeMap::new();
    for stored in server.pop3(user).messages().unwrap() {
        let id = Id::parse(&samples::field(&stored, FIELD).expect("it has its id"));
        samples::assert_same(&stored, &id.message(), &format!("message {id} for {user}"));
        *found.entry(id).or_default() += 1;
    }
    found
}

#[test]
fn acknowledged_messages_survive_kill_9_exactly_once() {
    let mut random = Random::seeded("kill");
    let rounds = env::var("POSTRIDER_TEST_ROUNDS").map_or(50, |rounds| rounds.parse().unwrap());
    let mut server = Server::start("");
    let book = Book::default();
    for number in 0..rounds {
        round(&mut server, number, Duration::from_millis(50 + random.below(350)), &book);
    }
    wait_for("the queue to be empty", || {
        (server.cli_json(&["queue", "list"]) == serde_json::json!([])).then_some(())
    });
    let book = book.into_inner().unwrap();
    let (mut lost, mut duplicated, mut unacknowledged, mut copies) = (Vec::new(), Vec::new(), 0, 0);
    for user in [ALICE, BOB] {
        let found = found(&server, user);
        copies += found.len();
        for (id, accepted) in book.iter().filter(|(id, _)| id.recipients().contains(&user)) {
            match found.get(id) {
                None if *accepted => lost.push((user, id)),
                None => (),
                Some(count) if *count > 1 => duplicated.push((user, id)),
                Some(_) => unacknowledged += usize::from(!accepted),
            }
        }
        assert!(
            found.keys().all(|id| book.contains_key(id) && id.recipients().contains(&user)),
            "a stranger's message"
        );
    }
    println!(
        "kill: {rounds} rounds, accepted {} messages, found {copies} copies of them ({unacknowledged} of messages \
         without an acknowledgement), lost {}, duplicated {}",
        book.values().filter(|accepted| **accepted).count(),
        lost.len(),
        duplicated.len()
    );
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(duplicated.is_empty(), "duplicated: {duplicated:?}");
}
