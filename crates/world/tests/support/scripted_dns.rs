//! A name server that says what a test wants, octet by octet, by UDP and TCP on one port.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

pub const A: u16 = 1;
pub const CNAME: u16 = 5;
pub const PTR: u16 = 12;
pub const MX: u16 = 15;
pub const TXT: u16 = 16;
pub const DNSKEY: u16 = 48;
pub const RRSIG: u16 = 46;
pub const TLSA: u16 = 52;
/// Where the question's name stands in a message (RFC 1035 §4.1.4).
const QUESTION: [u8; 2] = [0xC0, 12];

/// One question, as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub id: u16,
    /// Lower case, without the dot at the end.
    pub name: String,
    pub kind: u16,
    pub by_tcp: bool,
    /// Name, type and class, in the case they came in.
    question: Vec<u8>,
}

/// What is said to a question: messages, one after another, after a while. None: silence; by TCP the connection is closed.
#[derive(Clone, Debug, Default)]
pub struct Said {
    pub after: Duration,
    pub messages: Vec<Vec<u8>>,
    /// By UDP from another port than the one that was asked.
    pub from_elsewhere: bool,
}

impl Said {
    pub fn now(message: Vec<u8>) -> Self {
        Self { messages: vec![message], ..Self::default() }
    }

    pub fn nothing() -> Self {
        Self::default()
    }
}

/// A message, before it is written.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: u16,
    pub code: u8,
    pub truncated: bool,
    /// As the header counts them.
    pub questions: u16,
    pub question: Vec<u8>,
    /// Added to the true number of records in the header.
    pub more_records: u16,
    pub records: Vec<Vec<u8>>,
}

impl Message {
    pub fn octets(&self) -> Vec<u8> {
        let mut out = self.id.to_be_bytes().to_vec();
        out.extend([0x84 | u8::from(self.truncated) << 1, 0x80 | self.code]);
        let records = u16::try_from(self.records.len()).unwrap() + self.more_records;
        for count in [self.questions, records, 0, 0] {
            out.extend(count.to_be_bytes());
        }
        out.extend(&self.question);
        out.extend(self.records.concat());
        out
    }
}

impl Asked {
    pub fn reply(&self) -> Message {
        Message {
            id: self.id,
            code: 0,
            truncated: false,
            questions: 1,
            question: self.question.clone(),
            more_records: 0,
            records: Vec::new(),
        }
    }

    pub fn code(&self, code: u8) -> Said {
        Said::now(Message { code, ..self.reply() }.octets())
    }

    pub fn records(&self, records: Vec<Vec<u8>>) -> Said {
        Said::now(Message { records, ..self.reply() }.octets())
    }

    /// One record of the type that was asked for.
    pub fn rdata(&self, rdata: &[u8]) -> Said {
        self.records(vec![record(&QUESTION, self.kind, rdata)])
    }
}

/// A record of the question's own name.
pub fn own(kind: u16, rdata: &[u8]) -> Vec<u8> {
    record(&QUESTION, kind, rdata)
}

/// `owner` is a name in wire form; the TTL is a minute.
pub fn record(owner: &[u8], kind: u16, rdata: &[u8]) -> Vec<u8> {
    let mut out = owner.to_vec();
    out.extend(kind.to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 60]);
    out.extend(u16::try_from(rdata.len()).unwrap().to_be_bytes());
    out.extend(rdata);
    out
}

pub fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend(label.as_bytes());
    }
    out.push(0);
    out
}

pub fn mx(preference: u16, exchange: &[u8]) -> Vec<u8> {
    [&preference.to_be_bytes(), exchange].concat()
}

/// Ends with the process; nobody listens any more once it is dropped.
#[derive(Debug)]
pub struct ScriptedDns {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

type Script = Arc<dyn Fn(&Asked) -> Said + Send + Sync>;

impl ScriptedDns {
    pub fn start(script: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let (tcp, udp) = sockets();
        let address = udp.local_addr().unwrap();
        let counts = Counts::default();
        let (asked, answered) = (counts.asked.clone(), counts.answered.clone());
        let script: Script = Arc::new(script);
        let (by_udp, counts_udp) = (script.clone(), counts.clone());
        thread::spawn(move || serve_udp(&udp, &by_udp, &counts_udp));
        thread::spawn(move || {
            for stream in tcp.incoming().flatten() {
                let (script, counts) = (script.clone(), counts.clone());
                thread::spawn(move || serve_tcp(stream, &script, &counts));
            }
        });
        Self { address, asked, answered }
    }

    /// Questions that came.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Messages that left.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }
}

#[derive(Clone, Default)]
struct Counts {
    asked: Arc<AtomicUsize>,
    answered: Arc<AtomicUsize>,
}

/// Both on the same port.
fn sockets() -> (TcpListener, UdpSocket) {
    for _ in 0..100 {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()) {
            return (tcp, udp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

fn serve_udp(socket: &UdpSocket, script: &Script, counts: &Counts) {
    let mut buffer = [0; 4096];
    while let Ok((len, client)) = socket.recv_from(&mut buffer) {
        let Some(asked) = read(&buffer[..len], false) else { continue };
        counts.asked.fetch_add(1, Ordering::SeqCst);
        let (said, counts) = (script(&asked), counts.clone());
        let from = if said.from_elsewhere {
            UdpSocket::bind("127.0.0.1:0").unwrap()
        } else {
            socket.try_clone().unwrap()
        };
        thread::spawn(move || {
            thread::sleep(said.after);
            for message in &said.messages {
                let _ = from.send_to(message, client);
                counts.answered.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
}

fn serve_tcp(mut stream: TcpStream, script: &Script, counts: &Counts) {
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut message).is_err() {
            return;
        }
        let Some(asked) = read(&message, true) else { return };
        counts.asked.fetch_add(1, Ordering::SeqCst);
        let said = script(&asked);
        thread::sleep(said.after);
        if said.messages.is_empty() {
            return;
        }
        for message in &said.messages {
            let length = u16::try_from(message.len()).unwrap();
            if stream.write_all(&[&length.to_be_bytes()[..], message].concat()).is_err() {
                return;
            }
            counts.answered.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn read(message: &[u8], by_tcp: bool) -> Option<Asked> {
    let id = u16::from_be_bytes([*message.first()?, *message.get(1)?]);
    let mut at = 12;
    let mut labels = Vec::new();
    while let Some(len) = message.get(at).copied().filter(|len| *len > 0) {
        let label = message.get(at + 1..at + 1 + usize::from(len))?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + usize::from(len);
    }
    let kind = u16::from_be_bytes([*message.get(at + 1)?, *message.get(at + 2)?]);
    let question = message.get(12..at + 5)?.to_vec();
    Some(Asked { id, name: labels.join("."), kind, by_tcp, question })
}
