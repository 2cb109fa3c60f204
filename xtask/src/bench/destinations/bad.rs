//! Sites that are not well.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{Context, Result};

/// How late a slow site answers: within what every client waits for, and longer than one likes.
const REPLY_DELAY: Duration = Duration::from_secs(3);
/// For a thread that serves one connection.
const STACK_BYTES: usize = 64 * 1024;

/// A port that refuses connections.
pub fn closed_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("a port")?;
    Ok(listener.local_addr().context("a port")?.port())
}

/// The system takes its connections, and nobody ever says a word.
#[derive(Debug)]
pub struct SilentPort(TcpListener);

impl SilentPort {
    pub fn open() -> Result<Self> {
        TcpListener::bind("0.0.0.0:0").context("a silent port").map(Self)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().map_or(0, |address| address.port())
    }
}

/// Takes mail, and takes its time.
#[derive(Debug)]
pub struct SlowServer {
    port: u16,
    stopping: Arc<AtomicBool>,
}

impl SlowServer {
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("0.0.0.0:0").context("a slow port")?;
        let port = listener.local_addr().context("a slow port")?.port();
        let stopping = Arc::new(AtomicBool::new(false));
        let stop = stopping.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let serve = move || drop(serve(stream));
                // Without a thread the connection is closed, which a slow site may do too.
                let _ = thread::Builder::new().stack_size(STACK_BYTES).spawn(serve);
            }
        });
        Ok(Self { port, stopping })
    }

    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut in_content) = (String::new(), false);
    answer(&mut reader, "220 slow.test")?;
    while reader.read_line(&mut line)? > 0 {
        let reply = match line.trim_end() {
            "." if in_content => "250 taken",
            _ if in_content => {
                line.clear();
                continue;
            }
            "DATA" => "354 go on",
            "QUIT" => return answer(&mut reader, "221 bye"),
            _ => "250 as you like",
        };
        in_content = reply.starts_with("354");
        answer(&mut reader, reply)?;
        line.clear();
    }
    Ok(())
}

fn answer(reader: &mut BufReader<TcpStream>, reply: &str) -> std::io::Result<()> {
    thread::sleep(REPLY_DELAY);
    write!(reader.get_mut(), "{reply}\r\n")
}
