//! One connection of a client: commands, and what is heard of them.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use world::World;

use super::{
    truth::{Place, Truth},
    view::{FlagSet, Heard, Resync, View, may_expunge, number_behind},
};
use crate::{
    server::{PASSWORD, Server},
    wire::Wire,
};

/// A line of an answer; what its literal holds stands apart.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) literal: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) ok: bool,
    /// Without the tag.
    pub(super) text: String,
    pub(super) lines: Vec<Line>,
    pub(super) since: Instant,
}

/// What a program keeps of a mailbox when it is closed.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    pub(super) modseq: u64,
    pub(super) messages: BTreeMap<u32, (FlagSet, u64)>,
}

pub(super) struct Open {
    pub(super) name: String,
    pub(super) validity: u32,
    pub(super) view: View,
    /// All up to it has been heard.
    pub(super) modseq: u64,
}

pub(super) struct Session {
    wire: Wire,
    truth: Arc<Mutex<Truth>>,
    qresync: bool,
    pub(super) names: BTreeMap<String, u32>,
    pub(super) open: Option<Open>,
    /// Places whose flags were heard, in order, for who set some of them.
    pub(super) heard: Vec<(Place, FlagSet)>,
}

pub(super) fn lock(truth: &Mutex<Truth>) -> MutexGuard<'_, Truth> {
    truth.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Logged in; the mailboxes are known by name.
    pub(super) async fn begin(
        world: &World,
        server: &Server,
        truth: Arc<Mutex<Truth>>,
        qresync: bool,
    ) -> io::Result<Self> {
        let mut wire = Wire::new(world.net.connect(server.imap(), None).await?);
        wire.line().await?;
        let account = lock(&truth).account.clone();
        let (names, heard) = (BTreeMap::new(), Vec::new());
        let mut session = Self { wire, truth, qresync, names, open: None, heard };
        session.done(&format!("LOGIN {account} {PASSWORD}")).await?;
        if qresync {
            session.done("ENABLE QRESYNC").await?;
        }
        session.list().await?;
        Ok(session)
    }

    pub(super) fn truth(&self) -> MutexGuard<'_, Truth> {
        lock(&self.truth)
    }

    /// The end of the session if it fails.
    async fn done(&mut self, command: &str) -> io::Result<Answer> {
        let answer = self.command(command).await?;
        if answer.ok { Ok(answer) } else { Err(io::Error::other(answer.text)) }
    }

    pub(super) async fn command(&mut self, command: &str) -> io::Result<Answer> {
        self.say(&format!("t {command}\r\n")).await?;
        self.answer(command).await
    }

    pub(super) async fn say(&mut self, octets: &str) -> io::Result<()> {
        self.wire.say(octets).await
    }

    /// Up to the tagged line.
    pub(super) async fn answer(&mut self, command: &str) -> io::Result<Answer> {
        let (since, mut lines) = (Instant::now(), Vec::new());
        loop {
            let line = self.line().await?;
            if let Some(text) = line.text.strip_prefix("t ") {
                if text.starts_with("BAD") {
                    self.truth().complain(&format!("{command:?} is answered by {text:?}"));
                }
                let ok = text.starts_with("OK");
                return Ok(Answer { ok, text: text.to_owned(), lines, since });
            }
            if line.text.starts_with("* BYE") {
                return Err(io::Error::other(line.text));
            }
            self.hear(&line, command, since);
            lines.push(line);
        }
    }

    /// What comes within that time while nothing is asked.
    pub(super) async fn listen(&mut self, command: &str, lasts: Duration) -> io::Result<()> {
        let (since, until) = (Instant::now(), Instant::now() + lasts);
        while let Ok(line) = tokio::time::timeout_at(until, self.line()).await {
            self.hear(&line?, command, since);
        }
        Ok(())
    }

    async fn line(&mut self) -> io::Result<Line> {
        let mut text = self.wire.line().await?;
        let Some(octets) = literal_octets(&text) else { return Ok(Line { text, literal: None }) };
        let literal = self.wire.octets(octets).await?;
        text.push_str(&self.wire.line().await?);
        Ok(Line { text, literal: Some(literal) })
    }

    fn hear(&mut self, line: &Line, command: &str, since: Instant) {
        let Some(open) = &mut self.open else { return };
        // A resync is told otherwise.
        if command.starts_with("SELECT") {
            return;
        }
        if line.text.contains("[CLOSED]") {
            self.open = None;
            return;
        }
        let (validity, heard) = (open.validity, open.view.hear(&line.text, may_expunge(command)));
        let mut truth = lock(&self.truth);
        match heard {
            Err(wrong) => truth.complain(&format!("{command}: {wrong}")),
            Ok(Heard::Nothing) => {}
            Ok(Heard::Gone(uids)) => uids.iter().for_each(|uid| truth.gone((validity, *uid))),
            Ok(Heard::Told(place)) => {
                let told = open.view.messages.get(place);
                if let Some((uid, flags)) = told.and_then(|told| Some((told.uid?, told.flags.clone()?))) {
                    truth.saw((validity, uid), since);
                    if line.text.contains("FLAGS (") {
                        self.heard.push(((validity, uid), flags));
                    }
                }
            }
        }
    }

    /// Learns the names of the mailboxes.
    pub(super) async fn list(&mut self) -> io::Result<()> {
        let answer = self.done("LIST \"\" \"*\" RETURN (STATUS (UIDVALIDITY))").await?;
        self.names.clear();
        for line in &answer.lines {
            if let Some(rest) = line.text.strip_prefix("* STATUS ")
                && let (Some((name, _)), Some(validity)) =
                    (rest.split_once(' '), number_behind(rest, "UIDVALIDITY "))
            {
                self.names.insert(name.to_owned(), u32::try_from(validity).unwrap_or_default());
            }
        }
        let names = self.names.clone();
        self.truth().listed(&names, answer.since);
        Ok(())
    }

    /// Opens a mailbox, from what is kept of it if that can be; false if it is not there.
    pub(super) async fn select(&mut self, name: &str, cache: Option<&Cache>) -> io::Result<bool> {
        let known = self.names.get(name).copied().unwrap_or_default();
        let cache = cache.filter(|cache| self.qresync && cache.modseq > 0);
        self.open = None;
        let how = cache.map_or_else(String::new, |cache| format!(" (QRESYNC ({known} {}))", cache.modseq));
        let answer = self.command(&format!("SELECT {name}{how}")).await?;
        if !answer.ok {
            return Ok(false);
        }
        let code = |words: &str| answer.lines.iter().find_map(|line| number_behind(&line.text, words));
        let validity = u32::try_from(code("[UIDVALIDITY ").unwrap_or_default()).unwrap_or_default();
        let modseq = code("[HIGHESTMODSEQ ").unwrap_or_default();
        let cache = cache.filter(|_| validity == known);
        let mut view = View { qresync: self.qresync, ..View::default() };
        if let Some(cache) = cache {
            view = self.resync(cache, validity, modseq, &answer)?;
        } else {
            for line in &answer.lines {
                let heard = view.hear(&line.text, true);
                heard.map_err(io::Error::other)?;
            }
        }
        self.truth().opened(name, validity);
        let is_new = cache.is_none() && !view.messages.is_empty();
        self.open = Some(Open { name: name.to_owned(), validity, view, modseq });
        if is_new {
            self.read_anew().await?;
        }
        Ok(true)
    }

    pub(super) async fn read_anew(&mut self) -> io::Result<()> {
        let modseq = if self.qresync { " MODSEQ" } else { "" };
        self.done(&format!("UID FETCH 1:* (FLAGS{modseq})")).await.map(drop)
    }

    fn resync(&mut self, cache: &Cache, validity: u32, modseq: u64, answer: &Answer) -> io::Result<View> {
        let mut resync = Resync::new(cache.messages.clone());
        let mut truth = lock(&self.truth);
        for line in &answer.lines {
            for uid in resync.hear(&line.text) {
                truth.gone((validity, uid));
            }
        }
        let view = resync.end(modseq).map_err(|wrong| {
            truth.complain(&format!("{validity} from {}: {wrong}", cache.modseq));
            io::Error::other(wrong)
        })?;
        for told in &view.messages {
            if let (Some(uid), Some(flags)) = (told.uid, &told.flags) {
                truth.saw((validity, uid), answer.since);
                self.heard.push(((validity, uid), flags.clone()));
            }
        }
        Ok(view)
    }

    /// What a program keeps when it closes the mailbox.
    pub(super) fn cache(&self) -> Option<(u32, Cache)> {
        let open = self.open.as_ref()?;
        let kept = |told: &super::view::Told| Some((told.uid?, (told.flags.clone()?, told.modseq)));
        let messages: BTreeMap<_, _> = open.view.messages.iter().filter_map(kept).collect();
        // Without some of the flags it begins anew.
        let modseq = if messages.len() == open.view.messages.len() { open.modseq } else { 0 };
        Some((open.validity, Cache { modseq, messages }))
    }
}

fn literal_octets(line: &str) -> Option<usize> {
    line.strip_suffix('}')?.rsplit_once('{')?.1.parse().ok()
}
