//! What mail programs do all day, each as one measurement.

use std::thread;
use std::time::{Duration, Instant};

use super::client::{Account, Imap, Pop3};
use super::messages::{ABSENT_WORD, RARE_EVERY, RARE_WORD, Writer};
use super::{MESSAGE_BYTES, Size};
use crate::error::{Context, Result, fail};

const SESSIONS: u32 = 10;
/// After a login, for which one server hashes a password and the other does not.
pub const BREATH: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    FetchFlags,
    FetchEnvelopes,
    FetchBodies,
    Retrieve,
    SearchRare,
    SearchAbsent,
    Append,
    AppendTogether,
    Select,
    SelectAnew,
}

pub const TASKS: [Task; 10] = [
    Task::FetchFlags,
    Task::FetchEnvelopes,
    Task::FetchBodies,
    Task::Retrieve,
    Task::SearchRare,
    Task::SearchAbsent,
    Task::Append,
    Task::AppendTogether,
    Task::Select,
    Task::SelectAnew,
];

/// What one run of a task did.
#[derive(Debug, Clone, Copy)]
pub struct Done {
    pub count: u32,
    pub seconds: f64,
}

impl Task {
    pub fn title(self) -> &'static str {
        match self {
            Self::FetchFlags => "FETCH 1:* (UID FLAGS)",
            Self::FetchEnvelopes => "FETCH 1:* (UID FLAGS ENVELOPE)",
            Self::FetchBodies => "FETCH 1:* BODY.PEEK[]",
            Self::Retrieve => "POP3 RETR of all, pipelined",
            Self::SearchRare => "SEARCH BODY, a word of few",
            Self::SearchAbsent => "SEARCH BODY, a word of none",
            Self::Append => "APPEND, one after the other",
            Self::AppendTogether => "APPEND, 10 sessions at once",
            Self::Select => "SELECT, again and again",
            Self::SelectAnew => "SELECT, new sessions",
        }
    }

    /// Times Dovecot's rate.
    pub fn goal(self) -> f64 {
        match self {
            Self::SearchRare | Self::SearchAbsent | Self::Append | Self::AppendTogether => 2.0,
            _ => 1.0,
        }
    }

    /// Runs it once; logins do not count.
    pub fn run(self, account: &Account, size: Size) -> Result<Done> {
        match self {
            Self::FetchFlags => fetch(account, size, "UID FLAGS", 10),
            Self::FetchEnvelopes => fetch(account, size, "UID FLAGS ENVELOPE", 5),
            Self::FetchBodies => fetch(account, size, "BODY.PEEK[]", 1),
            Self::Retrieve => retrieve(account, size),
            Self::SearchRare => search(account, size, RARE_WORD, size.messages / RARE_EVERY),
            Self::SearchAbsent => search(account, size, ABSENT_WORD, 0),
            Self::Append => append(account, 1, size.appends),
            Self::AppendTogether => append(account, SESSIONS, size.appends),
            Self::Select => select(account, size),
            Self::SelectAnew => select_anew(account, size),
        }
    }

    /// As [`run`](Self::run), untimed, with a look at all that comes.
    pub fn check(self, account: &Account, size: Size) -> Result<()> {
        let (text, mark) = match self {
            Self::FetchFlags => (collect(account, "FETCH 1:* (UID FLAGS)")?, "FLAGS ("),
            Self::FetchEnvelopes => (collect(account, "FETCH 1:* (UID FLAGS ENVELOPE)")?, "ENVELOPE ("),
            Self::FetchBodies => (collect(account, "FETCH 1:* (BODY.PEEK[])")?, "Message-ID: <"),
            Self::Retrieve => {
                let mut text = Vec::new();
                Pop3::log_in(account)?
                    .retrieve_all(size.messages, |octets| text.extend_from_slice(octets))?;
                (text, "Message-ID: <")
            }
            _ => return self.run(account, size).map(drop),
        };
        let found = String::from_utf8_lossy(&text).matches(mark).count();
        if found != size.messages as usize {
            fail!("{}: {found} of {} messages", self.title(), size.messages);
        }
        Ok(())
    }
}

fn opened(account: &Account) -> Result<Imap> {
    let mut session = Imap::log_in(account)?;
    session.command("SELECT INBOX")?;
    thread::sleep(BREATH);
    Ok(session)
}

fn collect(account: &Account, words: &str) -> Result<Vec<u8>> {
    opened(account)?.collect(words)
}

fn timed(count: u32, work: impl FnOnce() -> Result<()>) -> Result<Done> {
    let started = Instant::now();
    work()?;
    Ok(Done { count, seconds: started.elapsed().as_secs_f64() })
}

fn fetch(account: &Account, size: Size, items: &str, times: u32) -> Result<Done> {
    let mut session = opened(account)?;
    let words = format!("FETCH 1:* ({items})");
    timed(size.messages * times, || (0..times).try_for_each(|_| session.command(&words).map(drop)))
}

fn retrieve(account: &Account, size: Size) -> Result<Done> {
    let session = Pop3::log_in(account)?;
    thread::sleep(BREATH);
    timed(size.messages, || session.retrieve_all(size.messages, |_| ()).map(drop))
}

fn search(account: &Account, size: Size, word: &str, expected: u32) -> Result<Done> {
    let mut session = opened(account)?;
    let mut found = Vec::new();
    let done = timed(size.messages, || {
        found = session.collect(&format!("SEARCH BODY {word}"))?;
        Ok(())
    })?;
    let text = String::from_utf8_lossy(&found);
    let line = text.lines().find(|line| line.starts_with("* SEARCH")).unwrap_or_default();
    let numbers = line.split_whitespace().skip(2).count();
    if numbers != expected as usize {
        fail!("SEARCH BODY {word} found {numbers} messages, not {expected}");
    }
    Ok(done)
}

/// Into a mailbox that is empty before and gone after; each message has its OK before the session sends the next.
fn append(account: &Account, sessions: u32, count: u32) -> Result<Done> {
    let mut owner = Imap::log_in(account)?;
    owner.command("CREATE Appended")?;
    let share = count / sessions;
    let shares = (0..sessions).map(|_| Imap::log_in(account)).collect::<Result<Vec<_>>>()?;
    let messages = Writer::new().messages(share, MESSAGE_BYTES);
    let send = |mut session: Imap| {
        messages.iter().try_for_each(|message| session.append("Appended", std::slice::from_ref(message)))
    };
    thread::sleep(BREATH);
    let done = timed(share * sessions, || {
        thread::scope(|scope| {
            let threads: Vec<_> =
                shares.into_iter().map(|session| scope.spawn(move || send(session))).collect();
            threads.into_iter().try_for_each(|thread| thread.join().ok().context("a session broke off")?)
        })
    })?;
    let said = owner.collect("STATUS Appended (MESSAGES)")?;
    if !String::from_utf8_lossy(&said).contains(&format!("MESSAGES {}", done.count)) {
        fail!("APPEND: {}", String::from_utf8_lossy(&said));
    }
    owner.command("DELETE Appended")?;
    Ok(done)
}

fn select(account: &Account, size: Size) -> Result<Done> {
    let mut session = opened(account)?;
    timed(size.selects, || (0..size.selects).try_for_each(|_| session.command("SELECT INBOX").map(drop)))
}

/// Each is the first of its session.
fn select_anew(account: &Account, size: Size) -> Result<Done> {
    let count = size.selects.min(20);
    let mut seconds = 0.0;
    for _ in 0..count {
        let mut session = Imap::log_in(account)?;
        thread::sleep(BREATH);
        seconds += timed(1, || session.command("SELECT INBOX").map(drop))?.seconds;
    }
    Ok(Done { count, seconds })
}
