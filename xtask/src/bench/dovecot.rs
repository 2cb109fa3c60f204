//! Dovecot in the same root as Postfix, with one user, whose mailboxes are Maildirs.

use std::fs;
use std::path::PathBuf;

use super::group::{Group, View};
use super::load::wait_for_greeting;
use super::{Bench, debian};
use crate::error::{Context, Result};
use crate::shell;

pub const IMAP_PORT: u16 = 2705;
pub const POP3_PORT: u16 = 2706;

#[derive(Debug)]
pub struct Dovecot {
    bench: Bench,
    group: Group,
}

impl Dovecot {
    pub fn new(bench: &Bench) -> Self {
        Self { bench: bench.clone(), group: Group::open("dovecot") }
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.bench.debian_root.join(inside)
    }

    fn home(&self) -> PathBuf {
        self.path("home/vmail/dovecot")
    }

    /// Starts with empty mailboxes.
    pub fn start(&mut self) -> Result<()> {
        self.group.stop();
        self.wipe()?;
        let (imap_port, pop3_port) = (IMAP_PORT.to_string(), POP3_PORT.to_string());
        let words = [
            ("MAIL_UID", debian::MAIL_UID),
            ("IMAP_PORT", imap_port.as_str()),
            ("POP3_PORT", pop3_port.as_str()),
        ];
        let configuration = self.bench.template("dovecot/dovecot.conf", &words)?;
        fs::write(self.path("etc/dovecot/dovecot.conf"), configuration)
            .context("cannot write dovecot.conf")?;
        let root = self.bench.debian_root.to_string_lossy().into_owned();
        let output = self.bench.dir.join("dovecot.out");
        self.group.spawn(&["setsid", "chroot", &root, "/usr/sbin/dovecot", "-F"], &output)?;
        let log = self.path("var/log/dovecot.log");
        wait_for_greeting(IMAP_PORT, &mut self.group, &log)
    }

    fn wipe(&self) -> Result<()> {
        let home = self.home();
        if home.exists() {
            fs::remove_dir_all(&home).context("cannot remove Dovecot's mailboxes")?;
        }
        fs::create_dir_all(&home).context("cannot make a home for Dovecot")?;
        let mut give = debian::inside(&self.bench.debian_root, "chown");
        give.args(["-R", &format!("{0}:{0}", debian::MAIL_UID), "/home/vmail/dovecot"]);
        shell::run(&mut give)?;
        fs::write(self.path("var/log/dovecot.log"), "").context("cannot empty Dovecot's log")
    }

    pub fn stop(&mut self) {
        self.group.stop();
    }

    pub fn view(&self) -> View {
        self.group.view()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        self.group.stop();
        // Mail that stays behind only takes space; the next start wipes again.
        let _ = self.wipe();
    }
}
