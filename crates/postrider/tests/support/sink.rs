//! The next hop as a test wants it: an SMTP server that does what a script says and keeps what it is given.

use std::{
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
}

/// What a script is asked: the command line, `connect` for the greeting, or `.` for the end of the content.
/// None leaves the usual answer.
pub type Script = dyn Fn(&str) -> Option<String> + Send + Sync;

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
        shared.connections.lock().unwrap().push(stream.try_clone().unwrap());
        let shared = shared.clone();
        thread::spawn(move || {
            // A client that leaves is none of our concern.
            let _ = Connection { reader: BufReader::new(stream), shared, message: None }.serve();
        });
    }
}

struct Connection {
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
    message: Option<Message>,
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
                let message = Message { from: argument, to: Vec::new(), content: Vec::new(), chunked: false };
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
        let reply = (self.shared.script)(asked).unwrap_or_else(|| usual.to_owned());
        self.reader.get_mut().write_all(format!("{reply}\r\n").as_bytes())?;
        Ok(reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0))
    }

    fn data(&mut self, line: &str) -> io::Result<u16> {
        if self.message.as_ref().is_none_or(|message| message.to.is_empty()) {
            return self.answer(line, "503 5.5.1 no recipients");
        }
        let code = self.answer(line, "354 go on")?;
        if code != 354 {
            return Ok(code);
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
        if reply.starts_with('2') {
            // Before the reply, so that whoever sees the reply finds the message.
            self.shared.messages.lock().unwrap().extend(message);
        }
        self.reader.get_mut().write_all(format!("{reply}\r\n").as_bytes())?;
        Ok(reply.get(..3).and_then(|code| code.parse().ok()).unwrap_or(0))
    }
}
