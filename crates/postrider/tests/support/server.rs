//! A Postrider of its own: data directory, ports, domain, accounts. It ends with the test.

use std::{
    env,
    fmt::Write,
    fs,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
};

use tempfile::TempDir;

use super::{
    ports::Ports,
    tools::{self, Done},
    wait_for,
    wire::{Pop3, Smtp, expect},
};

/// The hosted domain, and the password of every account.
pub const DOMAIN: &str = "example.test";
pub const PASSWORD: &str = "correct horse battery staple";
pub const ALICE: &str = "alice@example.test";
pub const BOB: &str = "bob@example.test";

const SERVICES: [&str; 7] = ["smtp", "submission", "submissions", "pop3", "pop3s", "imap", "imaps"];

#[derive(Debug)]
pub struct Server {
    directory: TempDir,
    ports: Ports,
    child: Option<Child>,
    /// What it takes for the system's root certificates.
    roots: Option<PathBuf>,
}

/// The program under test: `POSTRIDER_BINARY`, or the one cargo just built.
pub fn binary() -> PathBuf {
    env::var_os("POSTRIDER_BINARY").map_or_else(|| env!("CARGO_BIN_EXE_postrider").into(), PathBuf::from)
}

impl Server {
    /// Serves `example.test` with alice and bob. `more` is added to the configuration.
    pub fn start(more: &str) -> Self {
        let mut server = Self::prepare(more, Path::new("data"));
        // The domain without a server, the accounts through its control socket.
        server.cli_ok(&["domain", "add", DOMAIN]);
        server.launch();
        server.add_account(ALICE);
        server.add_account(BOB);
        server
    }

    /// Like [`start`](Self::start); the services named ask clients for a certificate.
    pub fn start_with(more: &str, asking: &[&str]) -> Self {
        let mut server = Self::prepare("", Path::new("data"));
        let mut config = fs::read_to_string(server.config()).unwrap();
        for service in asking {
            let line = format!("service = \"{service}\"\n");
            config = config.replace(&line, &format!("{line}client_certificates = \"optional\"\n"));
        }
        fs::write(server.config(), config + more).unwrap();
        server.populate();
        server.launch();
        server
    }

    /// As `start`, trusting the certificates of this PEM file and no others.
    pub fn start_trusting(roots: &Path, more: &str) -> Self {
        let mut server = Self::prepare(more, Path::new("data"));
        server.roots = Some(roots.to_owned());
        server.cli_ok(&["domain", "add", DOMAIN]);
        server.launch();
        server.add_account(ALICE);
        server.add_account(BOB);
        server
    }

    /// Trusts the certificates of this PEM file and no others, from its next start on.
    pub fn trust(&mut self, roots: &Path) {
        self.roots = Some(roots.to_owned());
    }

    /// With nothing but the configuration that is written for it; empty, and not running.
    pub fn configured(write: impl FnOnce(&Self) -> String) -> Self {
        let server =
            Self { directory: TempDir::new().unwrap(), ports: Ports::take(), child: None, roots: None };
        fs::write(server.config(), write(&server)).unwrap();
        server
    }

    /// Configured, empty, and not running.
    pub fn prepare(more: &str, data_dir: &Path) -> Self {
        let server =
            Self { directory: TempDir::new().unwrap(), ports: Ports::take(), child: None, roots: None };
        let mut config = format!("hostname = \"mx.{DOMAIN}\"\ndata_dir = \"{}\"\n", data_dir.display());
        for (service, port) in SERVICES.iter().zip(0..) {
            let port = server.ports.nth(port);
            writeln!(config, "[[listener]]\nservice = \"{service}\"\naddress = \"127.0.0.1:{port}\"")
                .unwrap();
        }
        config.push_str(more);
        fs::write(server.config(), config).unwrap();
        server
    }

    pub fn populate(&self) {
        self.cli_ok(&["domain", "add", DOMAIN]);
        self.add_account(ALICE);
        self.add_account(BOB);
    }

    pub fn add_account(&self, address: &str) {
        let done = self
            .cli_with(&["account", "add", address, "--password-stdin"], format!("{PASSWORD}\n").as_bytes());
        done.ok("account add");
    }

    /// Starts, and does not wait.
    pub fn begin(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let log = OpenOptions::new().append(true).create(true).open(self.log()).unwrap();
        let mut command = Command::new(binary());
        command.arg("serve").arg("--config").arg(self.config()).current_dir(self.path());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        command.envs(self.roots.iter().map(|roots| ("SSL_CERT_FILE", roots)));
        self.child = Some(command.spawn().unwrap());
    }

    /// Starts, and waits for the greeting.
    pub fn launch(&mut self) {
        self.begin();
        wait_for("the greeting", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none(), "the server ended at its start: {ended:?}\n{}", self.logged());
            let mut smtp = Smtp::dial(self.port("smtp")).ok()?;
            expect(&smtp.reply().ok()?, 220).ok()
        });
    }

    /// SIGTERM; has to end by itself, without an error.
    pub fn stop(&mut self) {
        let child = self.child.as_mut().expect("it runs");
        let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = wait_for("the server's end", || child.try_wait().unwrap());
        self.child = None;
        assert!(status.success(), "after SIGTERM: {status}\n{}", self.logged());
    }

    /// Sends a signal by its name, `HUP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.as_ref().expect("it runs").id();
        assert!(Command::new("kill").args([format!("-{name}"), id.to_string()]).status().unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap()
    }

    /// Of the process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// None while it runs.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("postrider.toml")
    }

    fn log(&self) -> PathBuf {
        self.path().join("log")
    }

    pub fn logged(&self) -> String {
        let log = fs::read(self.log()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(8_000)..]).into_owned()
    }

    pub fn port(&self, service: &str) -> u16 {
        let nth = SERVICES.iter().position(|name| *name == service).unwrap();
        self.ports.nth(nth.try_into().unwrap())
    }

    /// A port that the test may listen on.
    pub fn spare_port(&self) -> u16 {
        self.ports.nth(7)
    }

    pub fn cli(&self, arguments: &[&str]) -> Done {
        self.cli_with(arguments, b"")
    }

    pub fn cli_with(&self, arguments: &[&str], input: &[u8]) -> Done {
        let mut command = Command::new(binary());
        command.args(arguments).arg("--config").arg(self.config()).current_dir(self.path());
        tools::run(&mut command, input)
    }

    pub fn cli_ok(&self, arguments: &[&str]) -> String {
        String::from_utf8(self.cli(arguments).ok(&arguments.join(" "))).unwrap()
    }

    pub fn cli_json(&self, arguments: &[&str]) -> serde_json::Value {
        let said = self.cli_ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?} --json: {error}\n{said}"))
    }

    pub fn smtp(&self) -> Smtp {
        Smtp::connect(self.port("smtp")).unwrap()
    }

    pub fn pop3(&self, user: &str) -> Pop3 {
        Pop3::login(self.port("pop3"), user, PASSWORD).unwrap()
    }

    /// Waits until the mailbox holds so many messages, and reads them, the oldest first.
    pub fn mailbox(&self, user: &str, count: usize) -> Vec<Vec<u8>> {
        let mut pop3 = self.mailbox_count(user, count);
        let messages = pop3.messages().unwrap();
        leave(pop3).unwrap();
        messages
    }

    /// A session on the mailbox, which holds so many messages.
    pub fn mailbox_count(&self, user: &str, count: usize) -> Pop3 {
        wait_for(&format!("{count} messages for {user}"), || {
            let mut pop3 = self.pop3(user);
            let there = pop3.count().unwrap();
            assert!(there <= count, "{user} has {there} messages, more than {count}");
            if there == count {
                return Some(pop3);
            }
            leave(pop3).unwrap();
            None
        })
    }

    /// Deletes what the mailbox holds.
    pub fn empty_mailbox(&self, user: &str) {
        let mut pop3 = self.pop3(user);
        for number in 1..=pop3.count().unwrap() {
            pop3.command(&format!("DELE {number}")).unwrap();
        }
        leave(pop3).unwrap();
    }

    /// An ordinary message still goes through, from the wire to the mailbox. Leaves the mailbox empty.
    pub fn still_serves(&mut self, marker: &str) {
        assert!(self.ended().is_none(), "the server ended: {:?}\n{}", self.ended(), self.logged());
        self.empty_mailbox(BOB);
        let message = format!("Subject: {marker}\r\n\r\nstill here\r\n");
        let reply = self.smtp().deliver("a@client.test", &[BOB], message.as_bytes()).unwrap();
        assert_eq!(reply.code, 250, "{reply}");
        let stored = self.mailbox(BOB, 1).remove(0);
        assert!(stored.ends_with(message.as_bytes()));
        self.empty_mailbox(BOB);
    }

    /// The most memory the process had resident.
    pub fn resident_peak_mib(&self) -> u64 {
        let id = self.child.as_ref().expect("it runs").id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }
}

/// QUIT, so that deletions happen and the maildrop is free when this returns.
fn leave(mut pop3: Pop3) -> io::Result<()> {
    pop3.command("QUIT").map(drop)
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- the end of the server's log\n{}\n---", self.logged());
        }
    }
}
