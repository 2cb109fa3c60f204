//! Dialogs that read like the wire: `S: ` goes in, `C: ` must come out, both with CRLF added; `E: ` is an event that must
//! be told in that turn. `S+ ` ends without CRLF. Lines `S: ` that follow each other arrive together.

mod conformance;
mod conversation;
mod deliveries;
mod handshakes;
mod limits;
mod promises;
mod time;

use mail::{Body, ForwardPath, MailParameters, RcptParameters, Recipient, ReversePath};

use super::*;

/// A client and a driver that sends what is in its list, then quits.
struct Session {
    client: Client,
    now: Instant,
    transactions: VecDeque<Transaction>,
    /// Pieces of content, the same for every transaction.
    content: Vec<&'static str>,
    next_piece: usize,
    closed: bool,
    /// A transaction was given and is not done.
    sending: bool,
}

fn config() -> Config {
    Config { tls: TlsPolicy::None, ..Config::new("c.example") }
}

fn transaction(recipients: &[&str]) -> Transaction {
    let recipients = recipients.iter().map(|address| Recipient {
        forward_path: ForwardPath::Address(address.parse().unwrap()),
        rcpt: RcptParameters::default(),
    });
    Transaction {
        reverse_path: ReversePath::Address("a@c.example".parse().unwrap()),
        mail: MailParameters::default(),
        recipients: recipients.collect(),
        body_bytes: 7,
    }
}

impl Session {
    fn new(config: Config, transactions: impl IntoIterator<Item = Transaction>) -> Self {
        Self {
            client: Client::new(config, false),
            now: Instant::now(),
            transactions: transactions.into_iter().collect(),
            content: vec!["x\r\n.", "y"],
            next_piece: 0,
            closed: false,
            sending: false,
        }
    }

    /// Runs until the machine wants input or is closed; returns what it wrote, and adds what it told.
    fn run_raw(&mut self, told: &mut Vec<String>) -> Vec<u8> {
        let mut wire = Vec::new();
        loop {
            match self.client.poll(self.now) {
                Step::Write(octets) => wire.extend(octets),
                Step::NeedInput => return wire,
                Step::StartTls => self.client.handle_tls_established(),
                Step::Close => {
                    self.closed = true;
                    return wire;
                }
                Step::Event(Event::Ready) => {
                    assert!(!self.sending, "ready before the transaction was done");
                    match self.transactions.pop_front() {
                        Some(transaction) => self.client.send(transaction),
                        None => self.client.quit(),
                    }
                    self.sending = true;
                }
                Step::Event(Event::WantContent) => self.give_content(),
                Step::Event(event) => {
                    self.sending &= !matches!(event, Event::TransactionDone(_));
                    told.push(describe(&event));
                }
            }
        }
    }

    /// As lines of a dialog.
    fn run(&mut self) -> String {
        let mut told = Vec::new();
        let wire = String::from_utf8(self.run_raw(&mut told)).unwrap();
        let mut said: String = told.iter().flat_map(|event| ["E: ", event, "\n"]).collect();
        said.extend(wire.split_inclusive("\r\n").flat_map(|line| ["C: ", line]));
        said.replace("\r\n", "\n")
    }

    fn give_content(&mut self) {
        if let Some(piece) = self.content.get(self.next_piece) {
            self.next_piece += 1;
            self.client.push_content(piece.as_bytes());
        } else {
            self.next_piece = 0;
            self.client.end_content();
        }
    }

    fn hear(&mut self, octets: &[u8]) -> String {
        self.client.push(octets);
        self.run()
    }
}

fn describe(event: &Event) -> String {
    match event {
        Event::Recipient { index, outcome } => match outcome {
            RecipientOutcome::Refused { reply, temporary } => {
                format!("{index} refused {}: {reply}", if *temporary { "for now" } else { "for good" })
            }
            RecipientOutcome::TooMany(None) => format!("{index} too many"),
            RecipientOutcome::TooMany(Some(reply)) => format!("{index} too many: {reply}"),
            RecipientOutcome::OtherSession => format!("{index} in another session"),
            RecipientOutcome::Final(reply) => format!("{index} final: {reply}"),
        },
        Event::TransactionDone(Outcome::Replied(reply)) => format!("done: {reply}"),
        Event::TransactionDone(Outcome::Refused { stage, reply, temporary }) => {
            format!("done: {stage:?} refused {}: {reply}", if *temporary { "for now" } else { "for good" })
        }
        Event::TransactionDone(outcome) => format!("done: {outcome:?}"),
        Event::Failed(Failure { stage, cause, temporary }) => {
            format!("failed at {stage:?} {}: {cause}", if *temporary { "for now" } else { "for good" })
        }
        Event::Ready | Event::WantContent => unreachable!(),
    }
}

/// Runs a dialog as it stands, and with every turn of the server octet by octet; returns whether the client left.
fn dialog(session: impl Fn() -> Session, script: &str) -> bool {
    let lines: Vec<&str> = script.lines().map(str::trim_start).filter(|line| !line.is_empty()).collect();
    let mut turns: Vec<(String, String)> = vec![(String::new(), String::new())];
    for line in lines {
        let last = turns.last_mut().unwrap();
        match line
            .strip_prefix("S: ")
            .map(|text| format!("{text}\r\n"))
            .or(line.strip_prefix("S+ ").map(Into::into))
        {
            Some(text) if last.1.is_empty() => last.0.push_str(&text),
            Some(text) => turns.push((text, String::new())),
            None => last.1.extend([line, "\n"]),
        }
    }
    let mut closed = [false; 2];
    for (closed, piece) in closed.iter_mut().zip([usize::MAX, 1]) {
        let mut session = session();
        assert_eq!(session.run(), "");
        for (server, client) in &turns {
            let said: String = server.as_bytes().chunks(piece).map(|piece| session.hear(piece)).collect();
            let sorted = |said: &str| {
                let (mut events, wire): (Vec<_>, Vec<_>) =
                    said.lines().map(str::to_owned).partition(|l| l.starts_with('E'));
                events.extend(wire);
                events
            };
            assert_eq!(sorted(&said), sorted(client), "after {server:?} in pieces of {piece}");
        }
        *closed = session.closed;
    }
    assert_eq!(closed[0], closed[1]);
    closed[0]
}

proptest::proptest! {
    /// Whatever a server says, the client comes to rest, and leaves when the server does.
    #[test]
    fn no_server_can_hurt(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "220 x\r\n", "250-x\r\n", "250 PIPELINING\r\n", "250 x\r\n", "354 go\r\n", "421 bye\r\n", "452 many\r\n",
            "550 5.1.1 no\r\n", "250 STARTTLS\r\n", "334 !\r\n", "\r\n", "\n", "x", "250", " ", "250 CHUNKING\r\n",
        ]), 0..30),
        chunking: bool,
        lmtp: bool,
        together: bool,
    ) {
        let config = Config { tls: TlsPolicy::Opportunistic, chunking, lmtp, ..config() };
        let message = transaction(&["b@d.example", "c@d.example"]);
        let mut session = Session::new(config, [message.clone(), message]);
        session.run();
        let stream = if together { vec![words.concat()] } else { words.into_iter().map(Into::into).collect() };
        for said in stream {
            session.hear(said.as_bytes());
        }
        session.client.push_end();
        session.run();
        proptest::prop_assert!(session.closed);
    }
}
