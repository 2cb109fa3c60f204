//! A mailbox of a hundred thousand messages, and what a client that shows its first page waits for.

use std::thread;
use std::time::Instant;

use super::client::{Account, Imap};
use super::messages::Writer;
use super::table::{Goal, Measured};
use super::tasks::BREATH;
use super::{LOADED_AT_ONCE, Size};
use crate::bench::report::median;
use crate::error::{Context, Result};

const SMALL: u32 = 1000;
const SMALL_BYTES: usize = 700;
const TRIES: usize = 15;

/// Milliseconds, and one ratio.
pub fn measure(account: &Account, size: Size) -> Result<Vec<Measured>> {
    let mut session = Imap::log_in(account)?;
    for (mailbox, messages) in [("Small", SMALL), ("Large", size.large)] {
        session.command(&format!("CREATE {mailbox}"))?;
        let mut writer = Writer::new();
        for _ in 0..messages / LOADED_AT_ONCE {
            session.append(mailbox, &writer.messages(LOADED_AT_ONCE, SMALL_BYTES))?;
        }
    }
    let small = milliseconds(account, None, "SELECT Small")?;
    let select = milliseconds(account, None, "SELECT Large")?;
    let first_page = "UID SEARCH RETURN (PARTIAL -1:-50) UNSEEN";
    let search = milliseconds(account, Some("SELECT Large"), first_page)?;
    let sorted_page = "UID SORT RETURN (PARTIAL 1:50) (REVERSE DATE) UTF-8 ALL";
    let sort = milliseconds(account, Some("SELECT Large"), sorted_page)?;
    let of = |what: &str, value, unit, goal| Measured {
        what: format!("{} messages: {what}", size.large),
        unit,
        value,
        goal,
    };
    Ok(vec![
        of("SELECT, new sessions", select, "ms", Goal::Below(50.0)),
        of("SELECT to that of 1,000", select / small, "times", Goal::None),
        of(first_page, search, "ms", Goal::Below(200.0)),
        of(sorted_page, sort, "ms", Goal::Below(200.0)),
    ])
}

/// The median of several sessions, each new; `before` is not counted.
fn milliseconds(account: &Account, before: Option<&str>, words: &str) -> Result<f64> {
    let mut all = Vec::with_capacity(TRIES);
    for _ in 0..TRIES {
        let mut session = Imap::log_in(account)?;
        if let Some(before) = before {
            session.command(before)?;
        }
        thread::sleep(BREATH);
        let started = Instant::now();
        session.command(words)?;
        all.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    median(all).context("nothing was measured")
}
