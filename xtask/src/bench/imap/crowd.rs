//! Sessions that wait: what each costs in memory.

use std::thread;
use std::time::Duration;

use super::client::{Account, Imap};
use crate::bench::group::View;
use crate::error::{Context, Result};

const SETTLE: Duration = Duration::from_secs(3);

/// KiB a session, the mailbox selected, in IDLE. Shared pages count once, so that processes are not counted for what
/// they share.
pub fn idle_kib(account: &Account, view: &View, sessions: u32) -> Result<f64> {
    // The first ones take up what the server had from the system before, and gave back to its own heap.
    let first = crowd(account, sessions / 2)?;
    thread::sleep(SETTLE);
    let before = view.memory().pss_kib;
    let others = crowd(account, sessions - sessions / 2)?;
    thread::sleep(SETTLE);
    let after = view.memory().pss_kib;
    let growth = after.saturating_sub(before) as f64 / others.len() as f64;
    drop((first, others));
    Ok(growth)
}

fn crowd(account: &Account, sessions: u32) -> Result<Vec<Imap>> {
    (0..sessions)
        .map(|index| waiting(account).context(format!("idle session {} of {sessions}", index + 1)))
        .collect()
}

fn waiting(account: &Account) -> Result<Imap> {
    let mut session = Imap::log_in(account)?;
    session.command("SELECT INBOX")?;
    session.idle()?;
    Ok(session)
}
