//! Postrider as a user would run it: a configuration file, a domain, an account.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::Bench;
use super::group::{Group, View};
use super::load::wait_for_greeting;
use super::measure::SINK_PORT;
use super::peer::Peer;
use super::scenario::Mode;
use crate::error::{Context, Result, fail};
use crate::shell;

const SMTP_PORT: u16 = 2702;
pub const POP3_PORT: u16 = 2703;
pub const IMAP_PORT: u16 = 2704;
pub const ACCOUNT: &str = "user@bench.test";
pub const PASSWORD: &str = "benchmark";

#[derive(Debug)]
pub struct Postrider {
    bench: Bench,
    group: Group,
    program: PathBuf,
    config: PathBuf,
    data: PathBuf,
    log: PathBuf,
}

impl Postrider {
    pub fn new(bench: &Bench, program: &Path) -> Result<Self> {
        let dir = bench.dir.join("postrider");
        fs::create_dir_all(&dir).context(dir.display())?;
        Ok(Self {
            bench: bench.clone(),
            group: Group::open("postrider"),
            program: program.canonicalize().context(program.display())?,
            config: dir.join("postrider.toml"),
            data: dir.join("data"),
            log: dir.join("postrider.log"),
        })
    }

    fn wipe(&self) -> Result<()> {
        if self.data.exists() {
            fs::remove_dir_all(&self.data).context(self.data.display())?;
        }
        fs::create_dir_all(&self.data).context(self.data.display())?;
        fs::write(&self.log, "").context(self.log.display())
    }

    fn configure(&self, routes: String) -> Result<()> {
        let words = [
            ("DATA_DIR", self.data.to_string_lossy().into_owned()),
            ("SMTP_PORT", SMTP_PORT.to_string()),
            ("POP3_PORT", POP3_PORT.to_string()),
            ("IMAP_PORT", IMAP_PORT.to_string()),
            ("ROUTE", routes),
        ];
        let words: Vec<(&str, &str)> = words.iter().map(|(word, value)| (*word, value.as_str())).collect();
        let text = self.bench.template("postrider.toml", &words)?;
        fs::write(&self.config, text).context(self.config.display())
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).arg("--config").arg(&self.config);
        command
    }

    fn serve(&mut self) -> Result<()> {
        let program = self.program.to_string_lossy().into_owned();
        let config = self.config.to_string_lossy().into_owned();
        // As with Postfix and Dovecot: where sessions share the processor, each has one of its own.
        let command = ["setsid", program.as_str(), "serve", "--config", config.as_str()];
        self.group.spawn(&command, &self.log)?;
        wait_for_greeting(SMTP_PORT, &mut self.group, &self.log)
    }

    fn add_account(&self) -> Result<()> {
        shell::capture(&mut self.command(&["domain", "add", "bench.test"]))?;
        let mut add = self.command(&["account", "add", ACCOUNT, "--password-stdin"]);
        let mut child =
            add.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("postrider account add")?;
        let mut input = child.stdin.take().context("postrider account add takes no password")?;
        writeln!(input, "{PASSWORD}").context("postrider account add")?;
        drop(input);
        if !child.wait().context("postrider account add")?.success() {
            fail!("postrider account add failed");
        }
        Ok(())
    }
}

impl Drop for Postrider {
    fn drop(&mut self) {
        self.group.stop();
        // Mail that stays behind only takes space; the next start wipes again.
        let _ = fs::remove_dir_all(&self.data);
    }
}

fn route(mode: Mode) -> String {
    match mode {
        Mode::Accept => "\n[[route]]\nrecipient = \"*@hold.test\"\nvia = \"hold\"\n".to_owned(),
        Mode::Deliver => String::new(),
        Mode::Relay => format!(
            "\n[[route]]\nrecipient = \"*\"\nvia = \"smtp\"\nhost = \"127.0.0.1\"\nport = {SINK_PORT}\ntls = \"none\"\n"
        ),
    }
}

impl Peer for Postrider {
    fn name(&self) -> &'static str {
        "postrider"
    }

    fn port(&self) -> u16 {
        SMTP_PORT
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    fn start(&mut self, mode: Mode) -> Result<()> {
        self.stop();
        self.wipe()?;
        self.configure(route(mode))?;
        if mode == Mode::Deliver {
            self.add_account()?;
        }
        self.serve()
    }

    fn takes_routes(&self) -> bool {
        true
    }

    fn start_with_routes(&mut self, routes: &str) -> Result<()> {
        self.stop();
        self.wipe()?;
        self.configure(routes.to_owned())?;
        self.serve()
    }

    fn sink(&self, port: u16, messages: Option<u32>) -> Result<Child> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM"]).arg(&self.program);
        command.args(["bench", "sink", "--listen", &format!("0.0.0.0:{port}")]);
        if let Some(messages) = messages {
            command.args(["--max-messages", &messages.to_string()]);
        }
        command.stdout(Stdio::null()).spawn().context("the sink")
    }

    fn stop(&mut self) {
        self.group.stop();
    }

    fn view(&self) -> View {
        self.group.view()
    }

    fn delivered(&self) -> Result<u64> {
        pop3_count().context("cannot count the mailbox over POP3")
    }

    fn idle_connections(&self) -> u32 {
        10_000
    }
}

/// RFC 1939 §5: STAT answers `+OK count octets`.
fn pop3_count() -> Result<u64> {
    let stream = TcpStream::connect(("127.0.0.1", POP3_PORT)).context("connect")?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).context("timeout")?;
    let mut reader = BufReader::new(stream.try_clone().context("clone")?);
    let mut writer = stream;
    let mut answer = String::new();
    reader.read_line(&mut answer).context("greeting")?;
    for command in [format!("USER {ACCOUNT}"), format!("PASS {PASSWORD}"), "STAT".to_owned()] {
        write!(writer, "{command}\r\n").context(&command)?;
        answer.clear();
        reader.read_line(&mut answer).context(&command)?;
        if !answer.starts_with("+OK") {
            fail!("{command}: {}", answer.trim());
        }
    }
    let count = answer.split_whitespace().nth(1).and_then(|count| count.parse().ok());
    let _ = writer.write_all(b"QUIT\r\n");
    count.context("STAT gave no count")
}
