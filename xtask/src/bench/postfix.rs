//! Postfix in its own root. It starts its own processes; the group they are in knows them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::group::{Group, View};
use super::load::wait_for_greeting;
use super::measure::SINK_PORT;
use super::peer::Peer;
use super::scenario::Mode;
use super::{Bench, debian};
use crate::error::{Context, Result};
use crate::shell;

const PORT: u16 = 2701;
const QUEUES: [&str; 8] =
    ["incoming", "active", "deferred", "defer", "hold", "maildrop", "bounce", "corrupt"];

#[derive(Debug)]
pub struct Postfix {
    bench: Bench,
    group: Group,
    log: PathBuf,
}

impl Postfix {
    pub fn new(bench: &Bench) -> Self {
        Self { bench: bench.clone(), group: Group::open("postfix"), log: bench.dir.join("postfix.log") }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.bench.debian_root.join(inside)
    }

    fn inside(&self, program: &str) -> Command {
        debian::inside(&self.bench.debian_root, program)
    }

    fn wipe(&self) -> Result<()> {
        for queue in QUEUES {
            remove_files_below(&self.path("var/spool/postfix").join(queue));
        }
        let mailboxes = self.path("home/vmail");
        if mailboxes.exists() {
            fs::remove_dir_all(&mailboxes).context("cannot remove Postfix's mailboxes")?;
        }
        fs::create_dir_all(self.path("home/vmail/Maildir")).context("cannot make a mailbox for Postfix")?;
        fs::write(self.path("var/log/mail.log"), "").context("cannot empty Postfix's log")?;
        let owner = format!("{0}:{0}", debian::MAIL_UID);
        shell::run(self.inside("chown").args(["-R", &owner, "/home/vmail"]))
    }

    fn configure(&self, mode: Mode) -> Result<()> {
        let settings = mode_settings(mode);
        let words = [("MAIL_UID", debian::MAIL_UID), ("MODE_SETTINGS", settings.as_str())];
        let main = self.bench.template("postfix/main.cf", &words)?;
        let master = self.bench.template("postfix/master.cf", &[("PORT", &PORT.to_string())])?;
        fs::write(self.path("etc/postfix/main.cf"), main).context("cannot write main.cf")?;
        fs::write(self.path("etc/postfix/master.cf"), master).context("cannot write master.cf")?;
        fs::write(self.path("etc/resolv.conf"), "nameserver 127.0.0.1\n").context("cannot write resolv.conf")
    }
}

fn mode_settings(mode: Mode) -> String {
    let mailboxes_for =
        |domain| format!("virtual_mailbox_domains = {domain}\nvirtual_mailbox_maps = static:Maildir/\n");
    match mode {
        Mode::Accept => mailboxes_for("hold.test") + "smtpd_client_restrictions = static:HOLD\n",
        Mode::Deliver => mailboxes_for("bench.test"),
        Mode::Relay => format!("relayhost = [127.0.0.1]:{SINK_PORT}\n"),
    }
}

/// The queue's directories themselves stay: Postfix made them with the owners it wants.
fn remove_files_below(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            remove_files_below(&path);
        } else {
            // Gone already is as good.
            let _ = fs::remove_file(path);
        }
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        self.group.stop();
        // Mail that stays behind only takes space; the next start wipes again.
        let _ = self.wipe();
    }
}

impl Peer for Postfix {
    fn name(&self) -> &'static str {
        "postfix"
    }

    fn port(&self) -> u16 {
        PORT
    }

    fn supports(&self, _mode: Mode) -> bool {
        true
    }

    fn start(&mut self, mode: Mode) -> Result<()> {
        self.stop();
        self.configure(mode)?;
        self.wipe()?;
        shell::capture(self.inside("/usr/sbin/postfix").arg("check"))?;
        let root = self.bench.debian_root.to_string_lossy().into_owned();
        // As the leader of a process group, Postfix's master takes its children along when it is told to end.
        self.group.spawn(&["setsid", "chroot", &root, "/usr/lib/postfix/sbin/master", "-s"], &self.log)?;
        let log = self.path("var/log/mail.log");
        wait_for_greeting(PORT, &mut self.group, &log)
    }

    fn stop(&mut self) {
        self.group.stop();
    }

    fn view(&self) -> View {
        self.group.view()
    }

    fn delivered(&self) -> Result<u64> {
        let new = self.path("home/vmail/Maildir/new");
        Ok(fs::read_dir(new).map_or(0, |entries| entries.count() as u64))
    }

    /// One process each, and no more processes than the configuration allows.
    fn idle_connections(&self) -> u32 {
        200
    }
}
