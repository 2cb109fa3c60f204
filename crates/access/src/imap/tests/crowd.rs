//! Many sessions change one mailbox at once, and each believes what it is told.

use super::*;

const SESSIONS: u64 = 8;
/// Of each, unless `POSTRIDER_CROWD_COMMANDS` says how many.
const COMMANDS: u64 = 150;

/// What a client has been told of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Told {
    uid: Option<u32>,
    /// In alphabetical order.
    flags: Option<Vec<String>>,
}

struct Believer {
    client: Client,
    /// By number.
    messages: Vec<Told>,
    random: u64,
}

impl Believer {
    async fn new(house: &House, seed: u64) -> Self {
        let client = house.logged_in().await;
        let mut believer =
            Self { client, messages: Vec::new(), random: seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1 };
        assert!(believer.command("SELECT INBOX").await.starts_with("OK"));
        believer
    }

    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap() % limit
    }

    /// Returns the tagged answer.
    async fn command(&mut self, command: &str) -> String {
        self.client.say(&format!("t {command}")).await;
        let may_expunge = ["FETCH", "STORE", "SEARCH"].iter().all(|name| !command.starts_with(name));
        loop {
            let line = self.client.hear().await;
            if let Some(answer) = line.strip_prefix("t ") {
                return answer.to_owned();
            }
            let words: Vec<&str> = line.split(' ').collect();
            match (words[1].parse::<usize>(), *words.get(2).unwrap_or(&"")) {
                (Ok(count), "EXISTS") => {
                    assert!(count >= self.messages.len(), "{line}: {} were there", self.messages.len());
                    self.messages.resize(count, Told::default());
                }
                (Ok(number), "EXPUNGE") => {
                    assert!(may_expunge, "{line} during {command}");
                    self.messages.remove(number - 1);
                }
                (Ok(number), "FETCH") => self.believe(number, &line),
                _ => {}
            }
        }
    }

    fn believe(&mut self, number: usize, line: &str) {
        let told = &mut self.messages[number - 1];
        if let Some((_, rest)) = line.split_once("UID ") {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            let uid = digits.parse().unwrap();
            assert!(told.uid.is_none_or(|known| known == uid), "{line}: {told:?}");
            told.uid = Some(uid);
        }
        if let Some((_, rest)) = line.split_once("FLAGS (") {
            let mut flags: Vec<String> =
                rest.split(')').next().unwrap().split_whitespace().map(str::to_owned).collect();
            flags.sort();
            told.flags = Some(flags);
        }
    }

    async fn act(&mut self) {
        let count = self.messages.len();
        let number = if count == 0 { 0 } else { 1 + self.below(count) };
        let uid = self.messages.get(number.wrapping_sub(1)).and_then(|told| told.uid).unwrap_or(1);
        let flag = ["\\Seen", "\\Flagged", "$Junk", "own"][self.below(4)];
        let sign = ["+", "-", ""][self.below(3)];
        let command = match self.below(12) {
            0..=2 => "APPEND INBOX (\\Draft) {9+}\r\nSubject:x".to_owned(),
            3 if number > 0 => format!("STORE {number}:* {sign}FLAGS ({flag})"),
            4 if number > 0 => format!("STORE {number} {sign}FLAGS.SILENT ({flag})"),
            5 => format!("UID STORE {uid} {sign}FLAGS ({flag})"),
            6 if number > 0 => format!("STORE {number} +FLAGS.SILENT (\\Deleted)"),
            7 => "EXPUNGE".to_owned(),
            8 if count > 5 => format!("UID MOVE {uid} Aside"),
            9 if number > 0 && count < 60 => format!("COPY {number} INBOX"),
            10 if number > 0 => "FETCH 1:* (UID FLAGS)".to_owned(),
            _ => "NOOP".to_owned(),
        };
        let silent = command.contains(".SILENT").then_some(number);
        let answer = self.command(&command).await;
        assert!(!answer.starts_with("BAD"), "{command}: {answer}");
        // It did not hear what came of it, so it does not know.
        if let Some(told) = silent.and_then(|number| self.messages.get_mut(number - 1)) {
            told.flags = None;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_that_change_one_mailbox_end_with_one_view() {
    let wanted = std::env::var("POSTRIDER_CROWD_COMMANDS").ok().and_then(|number| number.parse().ok());
    let commands = wanted.unwrap_or(COMMANDS);
    let house = Arc::new(House::with_alice().await);
    let mut client = house.logged_in().await;
    client.converse("C: a CREATE Aside\nS: a OK …").await;
    let crowd: Vec<_> = (1..=SESSIONS)
        .map(|seed| {
            let house = house.clone();
            tokio::spawn(async move {
                let mut believer = Believer::new(&house, seed).await;
                for _ in 0..commands {
                    believer.act().await;
                }
                believer
            })
        })
        .collect();
    let mut believers = Vec::new();
    for one in crowd {
        believers.push(one.await.unwrap());
    }
    let inbox = house.alice().await.inbox;
    let listing = house.stores.mailboxes.listing(inbox).await.unwrap();
    let truth: Vec<Told> = listing
        .messages
        .iter()
        .map(|message| {
            let written = flags::written(message.flags, &message.keywords);
            let mut flags: Vec<String> = written.iter().map(|flag| flag.name().to_owned()).collect();
            flags.sort();
            Told { uid: Some(message.uid.0), flags: Some(flags) }
        })
        .collect();
    for believer in &mut believers {
        believer.command("NOOP").await;
        let view = &believer.messages;
        assert_eq!(view.len(), truth.len());
        for (told, there) in view.iter().zip(&truth) {
            assert!(told.uid.is_none() || told.uid == there.uid, "{told:?} {there:?}");
            assert!(told.flags.is_none() || told.flags == there.flags, "{told:?} {there:?}");
        }
        believer.command("FETCH 1:* (UID FLAGS)").await;
        assert_eq!(believer.messages, truth);
    }
}
