//! The load: Postfix's `smtp-source` sends, its `smtp-sink` receives. Both run inside the benchmark's Debian root.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::group::{Group, View};
use super::scenario::Mode;
use super::{Bench, tail};
use crate::error::{Context, Result, fail};

const SOURCE_PATIENCE: Duration = Duration::from_mins(3);

#[derive(Debug, Clone, Copy)]
pub struct Volley {
    pub port: u16,
    pub mode: Mode,
    pub sessions: u32,
    pub messages: u32,
    pub bytes: u32,
}

#[derive(Debug)]
pub struct LoadTool {
    bench: Bench,
    group: Group,
    log: PathBuf,
}

impl LoadTool {
    pub fn new(bench: &Bench) -> Result<Self> {
        let log = bench.dir.join("smtp-source.log");
        File::create(&log).context(log.display())?;
        Ok(Self { bench: bench.clone(), group: Group::open("load"), log })
    }

    pub fn view(&self) -> View {
        self.group.view()
    }

    /// Sends many messages per connection and returns how long it took until the last reply.
    pub fn send(&mut self, volley: Volley) -> Result<Duration> {
        let root = self.bench.debian_root.to_string_lossy().into_owned();
        let command = [
            "chroot".to_owned(),
            root,
            "/usr/sbin/smtp-source".to_owned(),
            "-d".to_owned(),
            format!("-s{}", volley.sessions),
            format!("-m{}", volley.messages.max(volley.sessions)),
            format!("-l{}", volley.bytes),
            "-fsender@example.test".to_owned(),
            format!("-t{}", volley.mode.recipient()),
            format!("127.0.0.1:{}", volley.port),
        ];
        let started = Instant::now();
        let child = self.group.spawn(&command, &self.log)?;
        let status = loop {
            if let Some(status) = child.try_wait().context("smtp-source")? {
                break Some(status);
            }
            if started.elapsed() > SOURCE_PATIENCE {
                break None;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        let took = started.elapsed();
        self.group.stop();
        match status {
            Some(status) if status.success() => Ok(took),
            Some(status) => fail!("smtp-source ended with {status}:\n{}", tail(&self.log)),
            None => fail!("smtp-source was not done after {} s", SOURCE_PATIENCE.as_secs()),
        }
    }
}

/// `smtp-sink`, which reports its counts on standard output.
#[derive(Debug)]
pub struct Sink {
    bench: Bench,
    group: Group,
    port: u16,
    output: PathBuf,
    counts: bool,
}

impl Sink {
    pub fn new(bench: &Bench, name: &str, port: u16) -> Self {
        let output = bench.dir.join(format!("{name}.out"));
        Self { bench: bench.clone(), group: Group::open(name), port, output, counts: true }
    }

    /// Writing its counts out costs the sink a good part of its speed.
    pub fn without_counts(self) -> Self {
        Self { counts: false, ..self }
    }

    pub fn start(&mut self) -> Result<()> {
        self.stop();
        File::create(&self.output).context(self.output.display())?;
        let root = self.bench.debian_root.to_string_lossy().into_owned();
        let address = format!("127.0.0.1:{}", self.port);
        // It refuses to run as root; changing the user here, before the request to end with us, keeps that request.
        let become_nobody =
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--pdeathsig", "TERM"];
        let mut command = vec!["chroot", root.as_str()];
        command.extend(become_nobody);
        command.push("/usr/sbin/smtp-sink");
        command.extend(self.counts.then_some("-c"));
        command.extend([&address, "1024"]);
        self.group.spawn(&command, &self.output)?;
        wait_for_greeting(self.port, &mut self.group, &self.output)
    }

    pub fn stop(&mut self) {
        self.group.stop();
        let _ = fs::remove_file(&self.output);
    }

    pub fn view(&self) -> View {
        self.group.view()
    }

    /// Messages taken since the start: the last complete `mesg=N` of the output.
    pub fn count(&self) -> u64 {
        let mut end = Vec::new();
        let read = File::open(&self.output).and_then(|mut file| {
            let length = file.seek(SeekFrom::End(0))?;
            file.seek(SeekFrom::Start(length.saturating_sub(512)))?;
            file.read_to_end(&mut end)
        });
        if read.is_err() {
            return 0;
        }
        last_count(&String::from_utf8_lossy(&end))
    }
}

fn last_count(text: &str) -> u64 {
    // What follows the last carriage return may be cut off in the middle of a number.
    let complete = text.rsplit_once(['\r', '\n']).map_or("", |(complete, _)| complete);
    let number = complete.rsplit_once("mesg=").map_or("", |(_, rest)| rest);
    number
        .split(|letter: char| !letter.is_ascii_digit())
        .next()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}

pub fn wait_for_greeting(port: u16, group: &mut Group, log: &std::path::Path) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline && group.alive() {
        if greets(port) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    fail!("nothing answered on port {port}:\n{}", tail(log))
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut first = [0; 1];
    stream.set_read_timeout(Some(Duration::from_secs(3))).is_ok() && stream.read_exact(&mut first).is_ok()
}

#[cfg(test)]
mod tests {
    use super::last_count;

    #[test]
    fn reads_the_last_complete_count() {
        assert_eq!(last_count("\rsess=1 quit=0 mesg=12\rsess=1 quit=0 mesg=13\rsess=1 quit=0 mesg=1"), 13);
        assert_eq!(last_count("sess=1 quit=0 mesg=7   \r"), 7);
        assert_eq!(last_count("sess=1 qu"), 0);
    }
}
