//! Receivers of mail that are not Postrider, each with a habit that mail systems have to live with.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use store::memory::Chance;
use tokio::time::Instant;
use world::{BoxStream, Peer as Caller, World};

use crate::{journal::Journal, letter, wire::Wire};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Takes everything.
    Plain,
    /// Wants each sender and recipient to come again after a while.
    Greylists { after: Duration },
    /// Is slow with every reply.
    Tarpits { delay: Duration },
    /// Hangs up with 421 after so many messages.
    ClosesAfter { messages: u32 },
    /// Answers 4xx to one command in so many.
    Storms { one_in: u32 },
    /// Answers 552 to the 101st recipient.
    TakesHundred,
    /// Hangs up in the middle of the content of one message in so many.
    ClosesInContent { one_in: u32 },
    /// Takes one message in so many and hangs up without saying so.
    LosesReply { one_in: u32 },
    /// Announces what it does not know.
    Lies,
    /// Offers STARTTLS and answers the handshake with rubbish.
    BreaksTls,
    /// Refuses recipients for good, one in so many.
    Refuses { one_in: u32 },
    /// Refuses one message in so many for good once it has it all.
    RefusesContent { one_in: u32 },
    /// Is not there.
    Absent,
}

impl Habit {
    /// Its first word.
    pub fn name(&self) -> String {
        let told = format!("{self:?}");
        told.split([' ', '{']).next().unwrap_or_default().to_lowercase()
    }
}

const RECIPIENTS_MAX: usize = 100;

/// A message that a peer took.
#[derive(Clone, Debug)]
pub struct Arrival {
    pub at: Instant,
    pub from: IpAddr,
    pub peer: IpAddr,
    pub sender: String,
    pub recipients: Vec<String>,
    pub read: letter::Read,
    /// What its reply called it, had it been given.
    pub name: String,
}

/// What all peers took.
#[derive(Clone, Debug, Default)]
pub struct Arrivals(Arc<Mutex<Vec<Arrival>>>);

impl Arrivals {
    fn add(&self, arrival: Arrival) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
    }

    /// For the next one; no other has it.
    fn name(&self) -> String {
        format!("P{}", self.0.lock().unwrap_or_else(PoisonError::into_inner).len())
    }

    pub fn all(&self) -> Vec<Arrival> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One peer, at port 25 of its address.
#[derive(Clone, Debug)]
pub struct Peer {
    pub name: Arc<str>,
    pub ip: IpAddr,
    pub habit: Habit,
    pub arrivals: Arrivals,
    pub journal: Journal,
    mind: Arc<Mutex<Mind>>,
}

#[derive(Debug)]
struct Mind {
    chance: Chance,
    seen: BTreeMap<(String, String), Instant>,
}

impl Peer {
    pub fn new(
        name: &str,
        ip: IpAddr,
        habit: Habit,
        arrivals: Arrivals,
        journal: Journal,
        seed: u64,
    ) -> Self {
        let mind = Mind { chance: Chance::new(seed), seen: BTreeMap::new() };
        Self { name: name.into(), ip, habit, arrivals, journal, mind: Arc::new(Mutex::new(mind)) }
    }

    pub async fn serve(self, world: World) -> io::Result<()> {
        if self.habit == Habit::Absent {
            return Ok(());
        }
        let listener = world.net.listen(&world::ListenAddress::Tcp(SocketAddr::new(self.ip, 25))).await?;
        loop {
            let (stream, caller) = listener.accept().await?;
            tokio::spawn(Session::new(self.clone(), stream, caller).run());
        }
    }

    fn one_in(&self, times: u32) -> bool {
        self.mind.lock().unwrap_or_else(PoisonError::into_inner).chance.one_in(times)
    }

    /// Whether this pair was seen long enough ago.
    fn knows(&self, sender: &str, recipient: &str, after: Duration) -> bool {
        let mut mind = self.mind.lock().unwrap_or_else(PoisonError::into_inner);
        let first = mind.seen.entry((sender.to_owned(), recipient.to_owned())).or_insert_with(Instant::now);
        first.elapsed() >= after
    }
}

struct Session {
    peer: Peer,
    caller: IpAddr,
    wire: Wire,
    sender: String,
    recipients: Vec<String>,
    messages: u32,
    /// Of chunks.
    content: Vec<u8>,
}

impl Session {
    fn new(peer: Peer, stream: BoxStream, caller: Caller) -> Self {
        let (sender, recipients, content) = (String::new(), Vec::new(), Vec::new());
        Self { peer, caller: caller.ip(), wire: Wire::new(stream), sender, recipients, messages: 0, content }
    }

    /// Whatever breaks the connection off is the other side's to notice.
    async fn run(mut self) {
        let _ = self.talk().await;
    }

    async fn talk(&mut self) -> io::Result<()> {
        self.answer("220 ready").await?;
        loop {
            let line = self.wire.line().await?;
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "QUIT" => return self.answer("221 bye").await,
                "DATA" => self.data().await?,
                "BDAT" => self.chunk(&line).await?,
                "STARTTLS" => {
                    self.answer("220 go on").await?;
                    return self.wire.say("this is no TLS\r\n").await;
                }
                _ => self.command(&verb, &line).await?,
            }
        }
    }

    async fn command(&mut self, verb: &str, line: &str) -> io::Result<()> {
        if let Habit::Storms { one_in } = self.peer.habit
            && matches!(verb, "MAIL" | "RCPT")
            && self.peer.one_in(one_in)
        {
            return self.answer("451 4.3.0 not now").await;
        }
        let reply = match verb {
            "EHLO" => self.extensions(),
            "HELO" | "NOOP" => "250 ok",
            "RSET" => {
                self.forget();
                "250 ok"
            }
            "MAIL" => {
                self.forget();
                self.sender = path(line);
                "250 ok"
            }
            "RCPT" => self.recipient(path(line)),
            _ => "500 5.5.1 what?",
        };
        self.answer(reply).await
    }

    fn extensions(&self) -> &'static str {
        match self.peer.habit {
            Habit::Lies => "250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-DSN\r\n250 SMTPUTF8",
            Habit::BreaksTls => "250-peer\r\n250 STARTTLS",
            Habit::Plain | Habit::LosesReply { .. } => {
                "250-peer\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 8BITMIME"
            }
            _ => "250-peer\r\n250 PIPELINING",
        }
    }

    fn recipient(&mut self, recipient: String) -> &'static str {
        match self.peer.habit {
            Habit::Greylists { after } if !self.peer.knows(&self.sender, &recipient, after) => {
                return "451 4.7.1 come again later";
            }
            Habit::TakesHundred if self.recipients.len() >= RECIPIENTS_MAX => {
                return "552 too many recipients";
            }
            Habit::Refuses { one_in } if self.peer.one_in(one_in) => return "550 5.1.1 nobody of that name",
            _ => {}
        }
        self.recipients.push(recipient);
        "250 ok"
    }

    async fn data(&mut self) -> io::Result<()> {
        if self.recipients.is_empty() {
            return self.answer("503 5.5.1 no recipients").await;
        }
        self.answer("354 go on").await?;
        self.maybe_hang_up().await?;
        let content = self.wire.until(b"\r\n.\r\n").await?;
        let content = String::from_utf8_lossy(&content).replace("\r\n..", "\r\n.") + "\r\n";
        self.arrived(&content).await
    }

    /// RFC 3030 §2
    async fn chunk(&mut self, line: &str) -> io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let count = words.next().and_then(|count| count.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        if self.peer.habit == Habit::Lies {
            // It takes the octets for commands, of which it understands none.
            return self.answer("500 5.5.1 what?").await;
        }
        let octets = self.wire.octets(count).await?;
        self.content.extend(octets);
        if self.recipients.is_empty() {
            return self.answer("503 5.5.1 no recipients").await;
        }
        if words.next().is_none_or(|word| !word.eq_ignore_ascii_case("LAST")) {
            return self.answer("250 go on").await;
        }
        let content = std::mem::take(&mut self.content);
        self.arrived(&String::from_utf8_lossy(&content)).await
    }

    async fn maybe_hang_up(&mut self) -> io::Result<()> {
        match self.peer.habit {
            Habit::ClosesInContent { one_in } if self.peer.one_in(one_in) => {
                self.wire.octets(100).await?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ => Ok(()),
        }
    }

    async fn arrived(&mut self, content: &str) -> io::Result<()> {
        let habit = self.peer.habit;
        let refused = matches!(habit, Habit::RefusesContent { one_in } if self.peer.one_in(one_in));
        if refused {
            self.forget();
            return self.answer("554 5.6.0 not this").await;
        }
        let reply_lost = matches!(habit, Habit::LosesReply { one_in } if self.peer.one_in(one_in));
        let arrival = Arrival {
            at: Instant::now(),
            from: self.caller,
            peer: self.peer.ip,
            sender: std::mem::take(&mut self.sender),
            recipients: std::mem::take(&mut self.recipients),
            read: letter::read(content),
            name: self.peer.arrivals.name(),
        };
        let reply = format!("250 2.0.0 accepted as {}", arrival.name);
        let (recipients, lost) =
            (arrival.recipients.join(" "), if reply_lost { ", says nothing" } else { "" });
        let what = format!("takes {} from {} [{recipients}]{lost}", arrival.read, arrival.from);
        self.peer.journal.note(&self.peer.name, what);
        self.peer.arrivals.add(arrival);
        if reply_lost {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.messages += 1;
        self.answer(&reply).await?;
        match habit {
            Habit::ClosesAfter { messages } if self.messages >= messages => {
                self.answer("421 4.3.2 enough").await?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ => Ok(()),
        }
    }

    fn forget(&mut self) {
        self.sender.clear();
        self.recipients.clear();
        self.content.clear();
    }

    async fn answer(&mut self, reply: &str) -> io::Result<()> {
        if let Habit::Tarpits { delay } = self.peer.habit {
            tokio::time::sleep(delay).await;
        }
        self.wire.say(&format!("{reply}\r\n")).await
    }
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    let inside = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(String::new, |(path, _)| path.to_owned())
}
