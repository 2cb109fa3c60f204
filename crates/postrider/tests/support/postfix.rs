//! Postfix itself: `master` and its daemons, from the package that `cargo xtask test` only unpacks. Configuration, queue,
//! mailboxes, log and port are its own; nothing of the host's is read or written.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    env, fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use crate::support::{
    ports::Ports,
    tools, wait_for,
    wire::{Smtp, dot_stuffed, expect},
};

/// Accounts that every Debian has stand in for `postfix` and `postdrop`, which only an installation would make.
const OWNER: &str = "mail";
const MAIN: &str = "compatibility_level = 3.6
import_environment = LD_LIBRARY_PATH MAIL_CONFIG LANG=C
mail_owner = mail
setgid_group = games
shlib_directory = no
myhostname = postfix.far.test
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
mydestination =
alias_maps =
alias_database =
enable_original_recipient = no
virtual_minimum_uid = 1
queue_run_delay = 1s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
";
const MASTER: &str = "
cleanup   unix       n - n -     0 cleanup
qmgr      unix       n - n 300   1 qmgr
rewrite   unix       - - n -     - trivial-rewrite
bounce    unix       - - n -     0 bounce
defer     unix       - - n -     0 bounce
trace     unix       - - n -     0 bounce
smtp      unix       - - n -     - smtp
error     unix       - - n -     - error
retry     unix       - - n -     - error
virtual   unix       - n n -     - virtual
anvil     unix       - - n -     1 anvil
scache    unix       - - n -     1 scache
proxymap  unix       - - n -     - proxymap
tlsmgr    unix       - - n 1000? 1 tlsmgr
postlog   unix-dgram n - n -     1 postlogd
";
const QUEUES: [&str; 14] = [
    "pid", "public", "private", "incoming", "active", "deferred", "defer", "bounce", "hold", "corrupt",
    "flush", "trace", "saved", "maildrop",
];

/// Ends with the test.
#[derive(Debug)]
pub struct Postfix {
    folder: TempDir,
    ports: Ports,
    master: Child,
}

impl Postfix {
    /// With these lines in its `main.cf`. None after saying that `test` is skipped.
    pub fn start(test: &str, settings: &str) -> Option<Self> {
        let root = find(test)?;
        let (folder, ports) = (TempDir::new().unwrap(), Ports::take());
        lay_out(folder.path(), &root, ports.nth(0), settings);
        let log = fs::File::create(folder.path().join("started")).unwrap();
        // It must not outlive a test that is killed. Its daemons leave when it is gone.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL"])
            .arg(root.join("usr/lib/postfix/sbin/master"))
            .args(["-d", "-c"]);
        command.arg(folder.path().join("etc")).env("LD_LIBRARY_PATH", root.join("usr/lib/postfix"));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).process_group(0);
        let mut postfix = Self { folder, ports, master: command.spawn().unwrap() };
        wait_for("Postfix's greeting", || {
            let ended = postfix.master.try_wait().unwrap();
            assert!(ended.is_none(), "Postfix ended at its start: {ended:?}");
            Smtp::connect(postfix.port()).ok()
        });
        Some(postfix)
    }

    pub fn port(&self) -> u16 {
        self.ports.nth(0)
    }

    /// Gives it a message, with parameters for MAIL.
    pub fn hand_over(&self, from: &str, to: &[&str], parameters: &str, message: &[u8]) {
        let mut smtp = Smtp::connect(self.port()).unwrap();
        smtp.dialog(&format!("C: MAIL FROM:<{from}> {parameters}\nS: 250"));
        for to in to {
            smtp.dialog(&format!("C: RCPT TO:<{to}>\nS: 250"));
        }
        smtp.dialog("C: DATA\nS: 354");
        smtp.write(&dot_stuffed(message)).unwrap();
        expect(&smtp.reply().unwrap(), 250).unwrap();
    }

    /// Waits until the Maildir `name` has so many messages, and takes them out.
    pub fn take(&self, name: &str, count: usize) -> Vec<Vec<u8>> {
        let new = self.folder.path().join("mail").join(name).join("new");
        let paths = wait_for(&format!("{count} messages for {name}"), || {
            let paths: Vec<PathBuf> = fs::read_dir(&new).ok()?.map(|entry| entry.unwrap().path()).collect();
            assert!(paths.len() <= count, "{name} has {} messages, more than {count}", paths.len());
            (paths.len() == count).then_some(paths)
        });
        let take = |path: &PathBuf| {
            let message = fs::read(path).unwrap();
            fs::remove_file(path).unwrap();
            message
        };
        paths.iter().map(take).collect()
    }

    /// Its log, once that has a line with all of these in it.
    pub fn logs(&self, wanted: &[&str]) -> String {
        wait_for(&format!("{wanted:?} in Postfix's log"), || {
            Some(self.log())
                .filter(|log| log.lines().any(|line| wanted.iter().all(|word| line.contains(word))))
        })
    }

    fn log(&self) -> String {
        ["started", "log"].map(|name| read(&self.folder.path().join(name))).concat()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        let group = format!("-{}", self.master.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.master.wait();
        if std::thread::panicking() {
            eprintln!("--- Postfix's log\n{}\n---", self.log());
        }
    }
}

/// Where the package is unpacked.
fn find(test: &str) -> Option<PathBuf> {
    let program = tools::find_postfix("smtp-sink", test)?;
    let root = program.parent().unwrap().canonicalize().unwrap();
    if !root.join("usr/lib/postfix/sbin/master").is_file() {
        return tools::skip(test, "there is no unpacked Postfix");
    }
    if tools::run(Command::new("id").arg("-u"), b"").stdout.trim_ascii() != b"0" {
        return tools::skip(test, "Postfix only runs as root");
    }
    Some(root)
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

fn lay_out(folder: &Path, root: &Path, port: u16, settings: &str) {
    // Its daemons are not root and have to find their files.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
    let queues = QUEUES.map(|queue| folder.join("queue").join(queue));
    let owned: Vec<PathBuf> =
        queues.into_iter().chain(["data", "mail"].map(|name| folder.join(name))).collect();
    for path in owned.iter().chain([&folder.join("etc")]) {
        fs::create_dir_all(path).unwrap();
    }
    tools::run(Command::new("chown").arg(OWNER).args(&owned), b"").ok("chown");
    tools::run(Command::new("chown").arg("root").arg(&owned[0]), b"").ok("chown");
    let at = folder.display();
    let places = format!(
        "queue_directory = {at}/queue\ndata_directory = {at}/data\nmeta_directory = {at}/etc\n\
         daemon_directory = {0}/usr/lib/postfix/sbin\ncommand_directory = {0}/usr/sbin\n\
         maillog_file = {at}/log\nmaillog_file_prefixes = {1}\nvirtual_mailbox_base = {at}/mail\n\
         virtual_uid_maps = static:{2}\nvirtual_gid_maps = static:{2}\n",
        root.display(),
        env::temp_dir().display(),
        String::from_utf8(tools::run(Command::new("id").args(["-u", OWNER]), b"").ok("id")).unwrap().trim(),
    );
    fs::write(folder.join("etc/main.cf"), format!("{MAIN}{places}{settings}\n")).unwrap();
    let master = format!("127.0.0.1:{port} inet n - n - - smtpd{MASTER}");
    fs::write(folder.join("etc/master.cf"), master).unwrap();
}
