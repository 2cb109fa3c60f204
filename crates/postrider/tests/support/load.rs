//! Load whose every message is known again, and the reckoning of what became of it.

use std::{collections::BTreeMap, fmt, io, sync::Mutex, thread, time::Duration};

use super::{
    random::Random,
    samples,
    wire::{Smtp, dot_stuffed, expect},
};

pub const SENDER: &str = "load@client.test";
const FIELD: &str = "X-Test-Id";

/// A message of the load; everything about it follows from these numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
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
    /// Whose message this is; its content has to be what was sent.
    fn of(stored: &[u8]) -> Self {
        let id = samples::field(stored, FIELD).expect("it has its id");
        let mut numbers = id.split('-').map(|number| number.parse().unwrap());
        let mut next = || numbers.next().unwrap();
        let id = Self { round: next(), sender: next(), number: next() };
        samples::assert_same(stored, &id.message(), &format!("message {id}"));
        id
    }

    /// Mostly small; some exceed what a server would keep in memory.
    fn message(self) -> Vec<u8> {
        let mut random = Random(self.round << 40 ^ self.sender << 32 ^ self.number);
        let size = if random.one_in(100) { 250_000 + random.below(150_000) } else { random.below(6_000) };
        let mut message = format!("{FIELD}: {self}\r\nSubject: load\r\n\r\n").into_bytes();
        for line in random.bytes(usize::try_from(size).unwrap()).chunks(70) {
            message.extend(line.iter().map(|octet| b'.' + octet % 64));
            message.extend_from_slice(b"\r\n");
        }
        message
    }
}

/// How a sender talks.
#[derive(Clone, Copy, Debug)]
enum Manner {
    InTurn,
    Pipelined,
    Chunked,
}

const MANNERS: [Manner; 4] = [Manner::InTurn, Manner::InTurn, Manner::Pipelined, Manner::Chunked];

/// Messages to one, the other, or both of two recipients.
#[derive(Debug)]
pub struct Load {
    recipients: [&'static str; 2],
    /// Every message that was begun, and whether it was acknowledged.
    book: Mutex<BTreeMap<Id, bool>>,
}

/// What became of a load, in copies: a message to both recipients counts twice.
#[derive(Debug, Default)]
pub struct Reckoning {
    pub accepted: usize,
    pub found: usize,
    pub unacknowledged: usize,
    pub lost: Vec<String>,
    pub duplicated: Vec<String>,
}

impl fmt::Display for Reckoning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, found, unacknowledged, lost, duplicated } = self;
        write!(
            f,
            "accepted {accepted}, found {found}, {unacknowledged} of them without an acknowledgement, "
        )?;
        write!(f, "lost {}, duplicated {}", lost.len(), duplicated.len())
    }
}

impl Load {
    pub fn new(recipients: [&'static str; 2]) -> Self {
        Self { recipients, book: Mutex::default() }
    }

    /// Several senders at once, until `cut` breaks their connections.
    pub fn round(&self, port: u16, round: u64, cut: impl FnOnce()) {
        thread::scope(|scope| {
            for (manner, sender) in MANNERS.into_iter().zip(0..) {
                scope.spawn(move || match self.send(port, manner, round, sender) {
                    // A reply that was not wanted; only the server's end may stop a sender.
                    Err(error) if error.kind() == io::ErrorKind::Other => {
                        assert!(error.to_string().contains("got 421"), "{manner:?}: {error}");
                    }
                    _ => (),
                });
            }
            cut();
        });
    }

    fn send(&self, port: u16, manner: Manner, round: u64, sender: u64) -> io::Result<()> {
        let mut smtp = Smtp::connect(port)?;
        let mut pace = Random(round ^ sender << 32);
        for number in 0.. {
            let id = Id { round, sender, number };
            self.book.lock().unwrap().insert(id, false);
            transact(&mut smtp, manner, self.recipients_of(id), &id.message())?;
            self.book.lock().unwrap().insert(id, true);
            thread::sleep(Duration::from_micros(pace.below(6_000)));
        }
        Ok(())
    }

    fn recipients_of(&self, id: Id) -> &[&'static str] {
        let [one, other] = [&self.recipients[..1], &self.recipients[1..]];
        [one, other, &self.recipients][usize::try_from(id.number % 3).unwrap()]
    }

    /// Compares with what arrived; `arrived` gives the messages that one recipient has.
    pub fn reckon(&self, arrived: impl Fn(&str) -> Vec<Vec<u8>>) -> Reckoning {
        let book = self.book.lock().unwrap();
        let mut reckoning = Reckoning::default();
        for recipient in self.recipients {
            let mut copies: BTreeMap<Id, usize> = BTreeMap::new();
            for stored in arrived(recipient) {
                *copies.entry(Id::of(&stored)).or_default() += 1;
            }
            reckoning.found += copies.len();
            for (id, accepted) in book.iter().filter(|(id, _)| self.recipients_of(**id).contains(&recipient))
            {
                reckoning.accepted += usize::from(*accepted);
                match copies.remove(id) {
                    None if *accepted => reckoning.lost.push(format!("{id} for {recipient}")),
                    None => (),
                    Some(1) => reckoning.unacknowledged += usize::from(!accepted),
                    Some(_) => reckoning.duplicated.push(format!("{id} for {recipient}")),
                }
            }
            assert!(copies.is_empty(), "messages that were not for {recipient}: {copies:?}");
        }
        reckoning
    }
}

/// Ok when the final reply was 250.
fn transact(smtp: &mut Smtp, manner: Manner, recipients: &[&str], message: &[u8]) -> io::Result<()> {
    let rcpts: Vec<String> =
        recipients.iter().map(|recipient| format!("RCPT TO:<{recipient}>\r\n")).collect();
    let group = format!("MAIL FROM:<{SENDER}>\r\n{}", rcpts.concat());
    match manner {
        Manner::InTurn => return expect(&smtp.deliver(SENDER, recipients, message)?, 250),
        Manner::Pipelined => smtp.write(format!("{group}DATA\r\n").as_bytes())?,
        Manner::Chunked => {
            let chunk = format!("{group}BDAT {} LAST\r\n", message.len());
            smtp.write(&[chunk.as_bytes(), message].concat())?;
        }
    }
    for _ in 0..=recipients.len() {
        expect(&smtp.reply()?, 250)?;
    }
    if let Manner::Pipelined = manner {
        expect(&smtp.reply()?, 354)?;
        smtp.write(&dot_stuffed(message))?;
    }
    expect(&smtp.reply()?, 250)
}
