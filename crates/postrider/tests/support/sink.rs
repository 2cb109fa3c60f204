//! The next hop as a test wants it: an SMTP server that does what a script says and keeps what it is given.

use std::{
    collections::BTreeSet,
    io::{self, BufRead, BufReader, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// A message it answered with 250.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What stood after `MAIL FROM:` and `RCPT TO:`, parameters included.
    pub from: String,
    pub to: Vec<String>,
    pub content: Vec<u8>,
    /// By BDAT rather than DATA.
    pub chunked: bool,
    /// Which connection it came over, counted from 0.
    pub connection: usize,
}

/// What a script is asked: the command line, `connect` for the greeting, or `.` for the end of the content.
/// None leaves the usual answer.
pub type Script = dyn Fn(&str) -> Option<String> + Send + Sync;

/// In place of a reply: the connection ends without a word.
pub const HANG_UP: &str = "(hangs up)";
/// In place of the reply to the content: the message is kept, and the reply lost.
pub const LOSE_REPLY: &str = "(takes it and hangs up)";

/// In place of 354: the connection ends after so many octets of content.
pub fn hang_up_after(octets: usize) -> String {
    format!("354 {HANG_UP} {octets}")
}

#[derive(Debug)]
pub struct Sink {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    script: Box<Script>,
    extensions: Vec<&'static str>,
    stopping: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
    messages: Mutex<Vec<Message>>,
    commands: Mutex<Vec<String>>,
    /// Connections that ended with QUIT.
    left: Mutex<BTreeSet<usize>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}

impl Sink {
    pub fn start(
        port: u16,
        extensions: &[&'static str],
        script: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self::start_on([127, 0, 0, 1], port, extensions, script)
    }

    /// The same on another loopback address.
    pub fn start_on(
        ip: impl Into<IpAddr>,
        port: u16,
        extensions: &[&'static str],
        script: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        let address = SocketAddr::new(ip.into(), port);
        let listener = TcpListener::bind(address).unwrap();
        let shared = Arc::new(Shared {
            script: Box::new(script),
            extensions: extensions.to_vec(),
            stopping: AtomicBool::new(false),
            connections: Mutex::default(),
            messages: Mutex::default(),
            commands: Mutex::default(),
            left: Mutex::default(),
        });
        let acceptor = thread::spawn({
            let shared = shared.clone();
            move || accept(&listener, &shared)
        });
        Self { address, shared, acceptor: Some(acceptor) }
    }

    pub fn messages(&self) -> Vec<Message> {
        self.shared.messages.lock().unwrap().clone()
    }

    /// Connections that their client ended with QUIT.
    pub fn left(&self) -> BTreeSet<usize> {
        self.shared.left.lock().unwrap().clone()
    }

    /// Every command line of every connection, in the order they came.
    pub fn commands(&self) -> Vec<String> {
        self.shared.commands.lock().unwrap().clone()
    }
}

/// Goes down: nobody listens, and open connections end.
impl Drop for Sink {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
        for connection in self.shared.connections.lock().unwrap().drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let mut connections = shared.connections.lock().unwrap();
        let number = connections.len();
        connections.push(stream.try_clone().unwrap());
        drop(connections);
        let shared = shared.clone();
        thread::spawn(move || {
            // A client that leaves is none of our concern.
            let _ = Connection { reader: BufReader::new(stream), shared, message: None, number }.serve();
        });
    }
}

struct Connection {
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
    message: Option<Message>,
    number: usize,
}

impl Connection {
    fn serve(mut self) -> io::Result<()> {
        self.answer("connect", "220 sink.test ESMTP")?;
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_owned();
            self.shared.commands.lock().unwrap().push(line.clone());
            if !self.command(&line)? {
                return self.reader.get_ref().shutdown(Shutdown::Both);
            }
        }
    }

    /// Answers, and tells whether the connection goes on.
    fn command(&mut self, line: &str) -> io::Result<bool> {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let argument = line.split_once(':').map_or("", |(_, argument)| argument).to_owned();
        let code = match verb.as_str() {
            "EHLO" => self.answer(line, &self.greeting())?,
            "MAIL" => {
                let code = self.answer(line, "250 2.1.0 sender")?;
                let message = Message {
                    from: argument,
                    to: Vec::new(),
                    content: Vec::new(),
                    chunked: false,
                    connection: self.number,
                };
                self.message = (code < 300).then_some(message);
                code
            }
            "RCPT" => {
                let code = self.answer(line, "250 2.1.5 recipient")?;
                self.message
                    .iter_mut()
                    .filter(|_| code < 300)
                    .for_each(|message| message.to.push(argument.clone()));
                code
            }
            "DATA" => self.data(line)?,
            "BDAT" => self.chunk(line)?,
            "RSET" => {
                self.message = None;
                self.answer(line, "250 2.0.0 reset")?
            }
            "QUIT" => {
                self.shared.left.lock().unwrap().insert(self.number);
                self.answer(line, "221 2.0.0 bye")?;
                return Ok(false);
            }
            _ => self.answer(line, "250 2.0.0 as you like")?,
        };
        Ok(code != 421)
    }

    fn greeting(&self) -> String {
        let extensions = self.shared.extensions.iter().map(|extension| format!("250-{extension}\r\n"));
        format!("250-sink.test\r\n{}250 HELP", extensions.collect::<String>())
    }

    /// Says what the script wants said, else the usual; the code.
    fn answer(&mut self, asked: &str, usual: &str) -> io::Result<u16> {
        self.say(asked, usual).map(|(code, _)| code)
    }

    fn say(&mut self, asked: &str, usual: &str) -> io::Result<(u16, String)> {
        let reply = (self.shared.script)(asked).unwrap_or_else(|| usual.to_owned());
        if reply == HANG_UP {
            self.hang_up()?;
        }
        self.reader.get_mut().write_all(format!("{reply}\r\n").as_bytes())?;
        let code = reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0);
        Ok((code, reply))
    }

    fn hang_up(&self) -> io::Result<u16> {
        self.reader.get_ref().shutdown(Shutdown::Both)?;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn data(&mut self, line: &str) -> io::Result<u16> {
        if self.message.as_ref().is_none_or(|message| message.to.is_empty()) {
            return self.answer(line, "503 5.5.1 no recipients");
        }
        let (code, said) = self.say(line, "354 go on")?;
        if code != 354 {
            return Ok(code);
        }
        if let Some((_, octets)) = said.split_once(HANG_UP) {
            let octets = octets.trim().parse().unwrap();
            io::copy(&mut (&mut self.reader).take(octets), &mut io::sink())?;
            return self.hang_up();
        }
        let mut content = Vec::new();
        loop {
            let start = content.len();
            if self.reader.read_until(b'\n', &mut content)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if content[start..] == *b".\r\n" {
                content.truncate(start);
                break;
            }
            if content[start] == b'.' {
                content.remove(start);
            }
        }
        self.keep(&content);
        self.end()
    }

    fn chunk(&mut self, line: &str) -> io::Result<u16> {
        let size: u64 = line.split(' ').nth(1).and_then(|size| size.parse().ok()).unwrap_or(0);
        let mut chunk = Vec::new();
        (&mut self.reader).take(size).read_to_end(&mut chunk)?;
        self.keep(&chunk);
        self.message.iter_mut().for_each(|message| message.chunked = true);
        if line.to_ascii_uppercase().ends_with(" LAST") {
            self.end()
        } else {
            self.answer(line, "250 2.0.0 chunk")
        }
    }

    fn keep(&mut self, content: &[u8]) {
        self.message.iter_mut().for_each(|message| message.content.extend_from_slice(content));
    }

    fn end(&mut self) -> io::Result<u16> {
        let message = self.message.take();
        let reply = (self.shared.script)(".").unwrap_or_else(|| "250 2.0.0 taken".to_owned());
        if reply.starts_with('2') || reply == LOSE_REPLY {
            // Before the reply, so that whoever sees the reply finds the message.
            self.shared.messages.lock().unwrap().extend(message);
        }
        if reply == LOSE_REPLY || reply == HANG_UP {
            return self.hang_up();
        }
        self.reader.get_mut().write_all(format!("{reply}\r\n").as_bytes())?;
        Ok(reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0))
    }
}
