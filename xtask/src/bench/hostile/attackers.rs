//! Clients as they come: they dribble, babble, flood, and do not listen. Whoever is thrown out comes back.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use super::super::scenario::Mode;

/// Between two turns of each attacker; also how long one that was thrown out stays away.
const TURN: Duration = Duration::from_secs(1);
const FLOOD_BYTES: usize = 16 << 10;

/// How a client misbehaves.
#[derive(Debug, Clone, Copy)]
enum Manner {
    /// An octet a second of a command that never ends.
    Slowloris,
    /// An octet a second of content that never ends.
    Drip,
    /// Lines that are no commands.
    Garbage,
    /// Thousands of commands at once.
    Flood,
    /// The same, and the replies are not read.
    Deaf,
}

const MANNERS: [Manner; 5] = [Manner::Slowloris, Manner::Drip, Manner::Garbage, Manner::Flood, Manner::Deaf];

/// All attackers, a thread for each manner.
#[derive(Debug)]
pub struct Storm {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    score: Arc<Score>,
}

#[derive(Debug, Default)]
struct Score {
    ended: AtomicU64,
    bytes: AtomicU64,
}

impl Storm {
    pub fn begin(port: u16, connections: u32) -> Self {
        let (over, score) = (Arc::new(AtomicBool::new(false)), Arc::new(Score::default()));
        let share = connections as usize / MANNERS.len();
        let threads = MANNERS.map(|manner| {
            let (over, score) = (over.clone(), score.clone());
            thread::spawn(move || attack(manner, port, share, &over, &score))
        });
        Self { over, threads: threads.into(), score }
    }

    /// Returns how many connections the server ended, and the octets it was sent.
    pub fn end(self) -> (u64, u64) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        (self.score.ended.load(Ordering::Relaxed), self.score.bytes.load(Ordering::Relaxed))
    }
}

fn attack(manner: Manner, port: u16, connections: usize, over: &AtomicBool, score: &Score) {
    let mut attackers: Vec<Attacker> = (0..connections).map(|seed| Attacker::new(manner, seed)).collect();
    while !over.load(Ordering::Relaxed) {
        let next = Instant::now() + TURN;
        // Spread over the turn, as many strangers are.
        let step = TURN / u32::try_from(connections.max(1)).unwrap_or(u32::MAX);
        for attacker in &mut attackers {
            attacker.turn(port, score);
            thread::sleep(step / 2);
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

struct Attacker {
    manner: Manner,
    /// Strangers: the server's limits of a network hold for them.
    address: SocketAddr,
    stream: Option<TcpStream>,
    random: u64,
}

impl Attacker {
    fn new(manner: Manner, seed: usize) -> Self {
        let [.., high, low] = seed.to_be_bytes();
        let address = SocketAddr::from(([127, 1, high, low.max(1)], 0));
        Self {
            manner,
            address,
            stream: None,
            random: 0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed as u64 + 1),
        }
    }

    fn turn(&mut self, port: u16, score: &Score) {
        let Some(mut stream) = self.stream.take() else {
            self.stream = self.arrive(port);
            return;
        };
        if !matches!(self.manner, Manner::Deaf) && is_over(&mut stream) {
            score.ended.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let said = match self.manner {
            Manner::Slowloris | Manner::Drip => b"x".to_vec(),
            Manner::Garbage => self.garbage(),
            Manner::Flood | Manner::Deaf => flood(),
        };
        match stream.write(&said) {
            Ok(count) => {
                score.bytes.fetch_add(count as u64, Ordering::Relaxed);
                self.stream = Some(stream);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.stream = Some(stream),
            Err(_) => drop(score.ended.fetch_add(1, Ordering::Relaxed)),
        }
    }

    /// Connects, and says what has to come first.
    fn arrive(&self, port: u16) -> Option<TcpStream> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).ok()?;
        socket.bind(&self.address.into()).ok()?;
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).ok()?;
        let mut stream = TcpStream::from(socket);
        stream.set_nonblocking(true).ok()?;
        let recipient = Mode::Accept.recipient();
        let opening = match self.manner {
            Manner::Drip => {
                format!("EHLO drip.test\r\nMAIL FROM:<a@drip.test>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n")
            }
            Manner::Slowloris => "EHLO slow.test\r\nMAIL FROM:<".to_owned(),
            Manner::Garbage | Manner::Flood | Manner::Deaf => "EHLO busy.test\r\n".to_owned(),
        };
        // Talking before one's turn is refused, so whatever needs the session alive waits a moment.
        thread::sleep(Duration::from_millis(1));
        stream.write_all(opening.as_bytes()).ok()?;
        Some(stream)
    }

    fn garbage(&mut self) -> Vec<u8> {
        (0..512)
            .map(|index| {
                self.random ^= self.random << 13;
                self.random ^= self.random >> 7;
                self.random ^= self.random << 17;
                if index % 64 == 63 { b'\n' } else { self.random.to_le_bytes()[0] }
            })
            .collect()
    }
}

fn flood() -> Vec<u8> {
    let commands =
        b"NOOP\r\nRSET\r\nVRFY somebody\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@elsewhere.test>\r\n";
    commands.iter().copied().cycle().take(FLOOD_BYTES / commands.len() * commands.len()).collect()
}

/// Reads what has come; true if the server has hung up.
fn is_over(stream: &mut TcpStream) -> bool {
    let mut sink = [0; 16 << 10];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}
