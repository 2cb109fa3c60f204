//! Who is to get what, and what became of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::{
    Ending,
    support::{
        control::Control,
        random::Random,
        samples::{self, assert_same, field},
    },
};

const NUMBER: &str = "X-Road";
/// Each so many letters to far.test ask to be told of the success.
const SUCCESS_EVERY: usize = 10;

#[derive(Clone, Debug)]
pub struct Letter {
    pub number: usize,
    pub to: Vec<String>,
    pub mail_parameters: &'static str,
    pub rcpt_parameters: &'static str,
    pub content: Vec<u8>,
}

#[derive(Default)]
pub struct Books {
    letters: Vec<Letter>,
    /// Queue IDs at the origin, by number.
    ids: BTreeMap<usize, String>,
    /// How many copies each recipient of a letter is owed, and has.
    expected: BTreeSet<(usize, String)>,
    found: BTreeMap<(usize, String), usize>,
    bounced: BTreeSet<(usize, String)>,
    success_reports: usize,
    success_reports_wanted: usize,
}

impl Books {
    /// The next letter to so many in the domain: plain, with dots, in 8 bits, large, to names beyond ASCII.
    pub fn write(&mut self, domain: &str, recipients: u32) -> Letter {
        let number = self.letters.len();
        let is_beyond_ascii = domain == "far.test" && number % 7 == 3;
        let user = if is_beyond_ascii { "δοκιμή" } else { "user" };
        let wants_report = domain == "far.test" && number.is_multiple_of(SUCCESS_EVERY);
        let letter = Letter {
            number,
            to: (0..recipients).map(|nth| format!("{user}{nth}@{domain}")).collect(),
            mail_parameters: if is_beyond_ascii { " BODY=8BITMIME SMTPUTF8" } else { " BODY=8BITMIME" },
            rcpt_parameters: if wants_report { " NOTIFY=SUCCESS,FAILURE" } else { "" },
            content: content(number, domain),
        };
        self.letters.push(letter.clone());
        letter
    }

    pub fn sent(&mut self, letter: &Letter, id: String) {
        self.ids.insert(letter.number, id);
        if !letter.rcpt_parameters.is_empty() {
            self.success_reports_wanted += letter.to.len();
        }
        self.expect(letter);
    }

    pub fn expect(&mut self, letter: &Letter) {
        self.expected.extend(letter.to.iter().map(|to| (letter.number, to.clone())));
    }

    /// A copy that `to` has, or without it whoever Delivered-To names. Its content has to be what was sent.
    pub fn arrived(&mut self, to: Option<&str>, copy: &[u8]) {
        let Some(number) = field(copy, NUMBER) else { panic!("not ours: {}", String::from_utf8_lossy(copy)) };
        let number: usize = number.parse().unwrap();
        let to = to.map_or_else(|| field(copy, "Delivered-To").expect("Delivered-To"), str::to_owned);
        assert_same(copy, &self.letters[number].content, &format!("letter {number} for {to}"));
        *self.found.entry((number, to)).or_default() += 1;
    }

    /// What the sender was told.
    pub fn reported(&mut self, report: &[u8]) {
        let text = String::from_utf8_lossy(report).replace("\r\n ", " ");
        self.success_reports += text.matches("Action: delivered\r\n").count();
        for block in text.split("\r\n\r\n").filter(|block| block.contains("Action: failed")) {
            let line = block.lines().find_map(|line| line.strip_prefix("Final-Recipient: rfc822; "));
            let number = text.lines().find_map(|line| line.strip_prefix("X-Road: "));
            assert!(number.is_some() && line.is_some(), "{text}");
            self.bounced.insert((number.unwrap().parse().unwrap(), line.unwrap().to_owned()));
        }
    }

    pub fn check(&self, domain: &str, ending: Ending) {
        let is_there = |(_, to): &&(usize, String)| to.ends_with(&format!("@{domain}"));
        for key in self.expected.iter().filter(is_there) {
            let (copies, bounced) = (self.found.get(key).copied().unwrap_or(0), self.bounced.contains(key));
            let is_fine = match ending {
                Ending::Delivered => copies == 1 && !bounced,
                Ending::DeliveredAgain => copies >= 1 && !bounced,
                Ending::Discarded => copies == 0 && !bounced,
                Ending::Bounced => copies == 0 && bounced,
            };
            assert!(is_fine, "{key:?}: {copies} copies, bounced: {bounced}, and not {ending:?}");
        }
        let unexpected: Vec<_> = self.found.keys().filter(|key| !self.expected.contains(key)).collect();
        assert!(unexpected.is_empty(), "{unexpected:?}");
    }

    /// The origin's histories say the same: whom each recipient's copy went to, or that it failed.
    pub fn check_histories(&self, origin: &mut Control, domain: &str, host: &str, ending: Ending) {
        let ours = self.letters.iter().filter(|letter| letter.to[0].ends_with(&format!("@{domain}")));
        for letter in ours {
            let Some(id) = self.ids.get(&letter.number) else { continue };
            let events = origin.trace(id);
            let of_kind = |kind: &'static str| {
                let events = events.iter().filter(move |event| event["kind"] == kind);
                events.map(|event| &event["details"])
            };
            let settled: BTreeSet<&str> = if ending == Ending::Bounced {
                of_kind("bounced")
                    .flat_map(|event| event["recipients"].as_array().unwrap())
                    .filter_map(Value::as_str)
                    .collect()
            } else {
                assert!(
                    of_kind("delivered").all(|event| event["to"].as_str().unwrap().starts_with(host)),
                    "not to {host}: {events:#?}"
                );
                of_kind("delivered").map(|event| event["recipient"].as_str().unwrap()).collect()
            };
            let wanted: BTreeSet<&str> = letter.to.iter().map(String::as_str).collect();
            assert_eq!(settled, wanted, "letter {}: {events:#?}", letter.number);
            let reached = of_kind("attempt").filter(|event| event["timing"]["envelope_ms"].is_u64());
            assert!(reached.clone().count() >= 1, "{events:#?}");
            assert!(reached.clone().all(|event| event["address"].is_string()), "{events:#?}");
        }
    }

    /// Copies beyond the first.
    pub fn duplicates(&self) -> usize {
        self.found.values().map(|copies| copies - 1).sum()
    }

    pub fn success_reports(&self) -> usize {
        self.success_reports
    }

    pub fn success_reports_wanted(&self) -> usize {
        self.success_reports_wanted
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} letters to {} recipients, {} delivered, {} bounced, {} duplicates, {} successes reported",
            self.letters.len(),
            self.expected.len(),
            self.found.len(),
            self.bounced.len(),
            self.duplicates(),
            self.success_reports
        )
    }
}

/// Of a kind by its number; http.gate.test is looked at as UTF-8.
fn content(number: usize, domain: &str) -> Vec<u8> {
    // Postfix adds what is missing.
    let mut content = format!(
        "{NUMBER}: {number}\r\nFrom: alice@example.test\r\nDate: Tue, 03 Nov 2026 10:00:00 +0000\r\n\
         Message-ID: <{number}.road@example.test>\r\nSubject: the road\r\n"
    )
    .into_bytes();
    let sample = match number % 5 {
        1 => samples::dots().message,
        2 if domain != "http.gate.test" => samples::eight_bit().message,
        3 if number % 20 == 3 => large(number),
        _ => b"\r\nHello.\r\n".to_vec(),
    };
    content.extend_from_slice(&sample);
    content
}

/// More than a server would keep in memory.
fn large(number: usize) -> Vec<u8> {
    let mut random = Random(number as u64);
    let mut content = b"\r\n".to_vec();
    for line in random.bytes(400_000).chunks(70) {
        content.extend(line.iter().map(|octet| b'.' + octet % 64));
        content.extend_from_slice(b"\r\n");
    }
    content
}
