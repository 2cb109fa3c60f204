//! One program of one person: sessions one after the other, what it keeps between them, and what it does at random.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use store::memory::Chance;
use world::World;

use super::{
    session::{Answer, Cache, Session},
    truth::{Content, Place, Truth, is_passing},
    view::{number_behind, numbers},
};
use crate::{
    journal::Journal,
    letter,
    plan::{below, pick},
    server::Server,
};

/// Mailboxes that the clients of an account share, besides those that come and go.
pub(super) const KEPT: [&str; 4] = ["INBOX", "Archive", "Old", "Older"];
const PASSING: [&str; 2] = ["Tmp1", "Tmp2"];
/// Bodies that one look at a mailbox fetches.
const BODIES_MAX: usize = 12;
/// Messages that one command is about.
const MEANT_MAX: usize = 3;
/// A command is not waited for once in so many.
const LEAVES_ONE_IN: u32 = 30;

/// What a client knows of the keyword that it alone sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    Is(bool),
    /// Nobody told, since that session.
    Unknown(u32),
}

#[derive(Debug)]
pub struct Client {
    pub(super) who: Arc<str>,
    pub(super) server: Arc<Server>,
    pub(super) world: World,
    pub(super) truth: Arc<Mutex<Truth>>,
    pub(super) chance: Chance,
    qresync: bool,
    keyword: String,
    caches: BTreeMap<u32, Cache>,
    own: BTreeMap<Place, Own>,
    sessions: u32,
    letters: u32,
}

impl Client {
    pub(super) fn new(
        name: &str,
        server: Arc<Server>,
        world: World,
        truth: Arc<Mutex<Truth>>,
        seed: u64,
    ) -> Self {
        let mut chance = Chance::new(seed);
        Self {
            who: format!("imap {name}").into(),
            server,
            world,
            truth,
            qresync: chance.below(3) > 0,
            chance,
            keyword: format!("k{}", name.replace(|letter: char| !letter.is_ascii_alphanumeric(), "")),
            caches: BTreeMap::new(),
            own: BTreeMap::new(),
            sessions: 0,
            letters: 0,
        }
    }

    pub(super) async fn begin(&mut self) -> io::Result<Session> {
        self.sessions += 1;
        Session::begin(&self.world, &self.server, self.truth.clone(), self.qresync).await
    }

    /// As a program that knows nothing yet.
    pub(super) async fn begin_anew(&self) -> io::Result<Session> {
        Session::begin(&self.world, &self.server, self.truth.clone(), false).await
    }

    /// Does so much, or less if the connection breaks.
    pub(super) async fn work(
        &mut self,
        session: &mut Session,
        acts: &mut usize,
        journal: &Journal,
    ) -> io::Result<()> {
        while *acts > 0 {
            *acts -= 1;
            let pause = Duration::from_millis(self.chance.below(3000));
            tokio::time::sleep(pause).await;
            let did = self.act(session).await;
            self.settle(session);
            let did = did.inspect_err(|error| journal.note(&self.who, error.to_string()))?;
            journal.note(&self.who, did);
        }
        Ok(())
    }

    /// Opens a mailbox and looks at what it has not seen yet.
    pub(super) async fn open(&mut self, session: &mut Session, name: &str) -> io::Result<bool> {
        self.close(session);
        let cache = session.names.get(name).and_then(|validity| self.caches.get(validity)).cloned();
        let opened = session.select(name, cache.as_ref()).await?;
        if opened && cache.is_some() && self.chance.one_in(2) {
            self.reread(session).await?;
        }
        self.look(session).await?;
        self.settle(session);
        Ok(opened)
    }

    /// What the resync came to is what it is: the view finds any difference itself.
    async fn reread(&mut self, session: &mut Session) -> io::Result<()> {
        if session.open.as_ref().is_some_and(|open| !open.view.messages.is_empty()) {
            session.read_anew().await?;
        }
        Ok(())
    }

    /// Keeps what is known of the mailbox that is open.
    pub(super) fn close(&mut self, session: &mut Session) {
        self.caches.extend(session.cache());
        session.open = None;
    }

    /// Fetches bodies: of those that nobody fetched, and of one more.
    pub(super) async fn look(&mut self, session: &mut Session) -> io::Result<()> {
        let Some(open) = &session.open else { return Ok(()) };
        let validity = open.validity;
        let uids: Vec<u32> = open.view.uids().collect();
        let mut wanted: Vec<u32> = {
            let truth = session.truth();
            uids.iter()
                .copied()
                .filter(|uid| truth.content((validity, *uid)).is_none())
                .take(BODIES_MAX)
                .collect()
        };
        if !uids.is_empty() && self.chance.one_in(2) {
            wanted.push(pick(&mut self.chance, &uids));
        }
        self.fetch(session, &wanted).await
    }

    pub(super) async fn fetch(&self, session: &mut Session, wanted: &[u32]) -> io::Result<()> {
        let Some(open) = session.open.as_ref().filter(|_| !wanted.is_empty()) else { return Ok(()) };
        let (validity, is_inbox) = (open.validity, open.name == "INBOX");
        let account = session.truth().account.clone();
        let answer = session.command(&format!("UID FETCH {} (BODY.PEEK[])", set(wanted))).await?;
        for line in &answer.lines {
            let uid = number_behind(&line.text, "UID ").and_then(|uid| u32::try_from(uid).ok());
            if let (Some(uid), Some(octets)) = (uid, &line.literal) {
                let queue_id = if is_inbox { self.server.queue_id_of(&account, uid).await } else { None };
                session.truth().fetched((validity, uid), octets, queue_id, answer.since);
            }
        }
        Ok(())
    }

    /// Its own keyword is as it set it.
    pub(super) fn settle(&mut self, session: &mut Session) {
        for (place, flags) in std::mem::take(&mut session.heard) {
            let is_set = flags.contains(&self.keyword);
            match self.own.get(&place) {
                Some(Own::Is(was)) if *was != is_set => {
                    let keyword = &self.keyword;
                    let what = format!(
                        "{keyword} of UID {} of {}: {was} was stored, {is_set} is there",
                        place.1, place.0
                    );
                    session.truth().complain(&what);
                }
                Some(Own::Unknown(since)) if *since == self.sessions => continue,
                _ => {}
            }
            self.own.insert(place, Own::Is(is_set));
        }
    }

    /// Known messages of the open mailbox, a few by chance; those that may be deleted only, if that is wanted.
    fn mean(&mut self, session: &Session, only_passing: bool) -> Vec<(u32, Content)> {
        let Some(open) = &session.open else { return Vec::new() };
        let truth = session.truth();
        let known = open.view.uids().filter_map(|uid| Some((uid, truth.content((open.validity, uid))?)));
        let mut known: Vec<_> = known.filter(|(_, content)| !only_passing || !content.is_kept()).collect();
        drop(truth);
        while known.len() > MEANT_MAX || (known.len() > 1 && self.chance.one_in(3)) {
            known.swap_remove(below(&mut self.chance, known.len()));
        }
        known.sort_unstable();
        known
    }

    /// Says it and hears the answer; now and then hangs up instead, in the middle or behind it.
    async fn ask(&mut self, session: &mut Session, command: &str) -> io::Result<Answer> {
        if self.chance.one_in(LEAVES_ONE_IN) {
            let text = format!("t {command}\r\n");
            let end = if self.chance.one_in(2) { text.len() } else { below(&mut self.chance, text.len()) };
            session.say(text.get(..end).unwrap_or(&text)).await?;
            return Err(io::Error::other(format!(
                "hangs up after {:?}",
                text.get(..end.min(60)).unwrap_or(&text)
            )));
        }
        session.command(command).await
    }

    async fn act(&mut self, session: &mut Session) -> io::Result<String> {
        if session.open.is_none() {
            let all: Vec<&str> = KEPT.into_iter().chain(PASSING).collect();
            let there: Vec<&str> =
                all.iter().copied().filter(|name| session.names.contains_key(*name)).collect();
            // What it knows of may be gone, and what it does not know of may be there.
            let names = if self.chance.one_in(8) { all } else { there };
            let name = pick(&mut self.chance, &names);
            let opened = self.open(session, name).await?;
            return Ok(format!("opens {name}: {opened}"));
        }
        match self.chance.below(32) {
            0..=6 => self.append(session).await,
            7..=9 => self.flag(session).await,
            10..=12 => self.mark(session).await,
            13..=14 => self.delete(session).await,
            15..=16 => self.expunge(session).await,
            17..=18 => self.transfer(session, false).await,
            19..=23 => self.transfer(session, true).await,
            24..=25 => self.arrange(session).await,
            26..=27 => self.idle(session).await,
            28..=29 => {
                self.close(session);
                Ok("closes".to_owned())
            }
            30 => Err(io::Error::other("hangs up")),
            _ => {
                self.ask(session, "NOOP").await?;
                self.look(session).await?;
                Ok("NOOP".to_owned())
            }
        }
    }

    async fn append(&mut self, session: &mut Session) -> io::Result<String> {
        let count = if self.chance.one_in(4) { 2 } else { 1 };
        let letters: Vec<String> = (0..count).map(|_| self.write()).collect();
        let contents: Vec<_> = letters.iter().map(|letter| Content::of(letter.as_bytes())).collect();
        let name = self.target(&contents, &["INBOX", "Archive", "Old", "Tmp1", "Tmp2"]);
        session.truth().appending(&letters);
        let flags = pick(&mut self.chance, &["", "(\\Flagged) ", "(\\Seen) "]);
        let parts: Vec<_> =
            letters.iter().map(|letter| format!("{flags}{{{}+}}\r\n{letter}", letter.len())).collect();
        let answer = self.ask(session, &format!("APPEND {name} {}", parts.join(" "))).await?;
        if let Some((_, code)) = answer.text.split_once("[APPENDUID ").filter(|_| answer.ok) {
            let code = code.split(']').next().unwrap_or_default();
            let (validity, uids) = code.split_once(' ').unwrap_or_default();
            let (validity, uids) = (validity.parse().unwrap_or_default(), numbers(uids));
            let mut truth = session.truth();
            if uids.len() != contents.len() {
                truth.complain(&format!("APPEND of {count}: {}", answer.text));
            }
            uids.iter().zip(&contents).for_each(|(uid, content)| truth.is_at(*content, (validity, *uid)));
        }
        Ok(format!("APPEND {count} to {name}: {}", answer.text))
    }

    fn write(&mut self) -> String {
        self.letters += 1;
        let tag = format!("{}n{}", self.keyword, self.letters);
        let lines = 1 + below(&mut self.chance, 20);
        letter::write(&tag, "me@sim.example", "me@sim.example", lines)
    }

    /// What nobody may delete is not put where all goes at once.
    fn target(&mut self, contents: &[Content], among: &[&'static str]) -> &'static str {
        let is_kept = contents.iter().any(|content| content.is_kept());
        let names: Vec<&'static str> =
            among.iter().copied().filter(|name| !(is_kept && is_passing(name))).collect();
        pick(&mut self.chance, &names)
    }

    /// Sets or clears its keyword, sometimes only where nothing changed.
    async fn mark(&mut self, session: &mut Session) -> io::Result<String> {
        let meant = self.mean(session, false);
        let Some(open) = session.open.as_ref().filter(|_| !meant.is_empty()) else {
            return Ok("nothing".to_owned());
        };
        let (validity, is_set) = (open.validity, self.chance.one_in(2));
        let places: Vec<Place> = meant.iter().map(|(uid, _)| (validity, *uid)).collect();
        let before: Vec<_> = places.iter().map(|place| self.own.get(place).copied()).collect();
        let unknown = Own::Unknown(self.sessions);
        self.own.extend(places.iter().map(|place| (*place, unknown)));
        let condition = match self.chance.below(3) {
            0 if self.qresync => format!("(UNCHANGEDSINCE {}) ", open.modseq),
            _ => String::new(),
        };
        let keyword = self.keyword.clone();
        let answer = self.store(session, &meant, &condition, is_set, &keyword).await?;
        if answer.ok {
            let modified = modified(&answer);
            for (place, before) in places.iter().zip(before) {
                let now =
                    if modified.contains(&place.1) { before.unwrap_or(unknown) } else { Own::Is(is_set) };
                self.own.insert(*place, now);
            }
            // What was heard on the way is older.
            session.heard.clear();
        }
        Ok(format!("marks {is_set} {condition}{:?} of {validity}: {}", uids(&meant), answer.text))
    }

    /// Changes a flag that others change too.
    async fn flag(&mut self, session: &mut Session) -> io::Result<String> {
        let meant = self.mean(session, false);
        if meant.is_empty() {
            return Ok("nothing".to_owned());
        }
        let (flag, is_set) =
            (pick(&mut self.chance, &["\\Seen", "\\Flagged", "$Junk"]), self.chance.one_in(2));
        let answer = self.store(session, &meant, "", is_set, flag).await?;
        Ok(format!("stores {flag} {is_set} {:?}: {}", uids(&meant), answer.text))
    }

    async fn delete(&mut self, session: &mut Session) -> io::Result<String> {
        let meant = self.mean(session, true);
        let Some(open) = session.open.as_ref().filter(|_| !meant.is_empty()) else {
            return Ok("nothing".to_owned());
        };
        let places: Vec<Place> = meant.iter().map(|(uid, _)| (open.validity, *uid)).collect();
        session.truth().leaving(&places);
        let answer = self.store(session, &meant, "", true, "\\Deleted").await?;
        Ok(format!("deletes {:?}: {}", uids(&meant), answer.text))
    }

    async fn store(
        &mut self,
        session: &mut Session,
        meant: &[(u32, Content)],
        condition: &str,
        is_set: bool,
        flag: &str,
    ) -> io::Result<Answer> {
        let (silent, sign) = (self.chance.one_in(2), if is_set { "+" } else { "-" });
        let (how, uids) = (if silent { ".SILENT" } else { "" }, uids(meant));
        let command = format!("UID STORE {} {condition}{sign}FLAGS{how} ({flag})", set(&uids));
        let answer = self.ask(session, &command).await?;
        if let Some(open) = session.open.as_mut().filter(|_| silent) {
            let modified = modified(&answer);
            let heard = |uid: &u32| {
                let of = format!("UID {uid} ");
                answer.lines.iter().any(|line| line.text.contains(&of) && line.text.contains("FLAGS ("))
            };
            for uid in uids.iter().filter(|uid| !modified.contains(uid) && !heard(uid)) {
                let Some(place) = open.view.place_of(*uid) else { continue };
                if answer.ok {
                    open.view.assume(place, flag, is_set);
                } else if let Some(told) = open.view.messages.get_mut(place) {
                    told.flags = None;
                }
            }
        }
        Ok(answer)
    }

    async fn expunge(&mut self, session: &mut Session) -> io::Result<String> {
        let meant = uids(&self.mean(session, true));
        let by_uid = !meant.is_empty() && self.chance.one_in(2);
        let command = if by_uid { format!("UID EXPUNGE {}", set(&meant)) } else { "EXPUNGE".to_owned() };
        let answer = self.ask(session, &command).await?;
        note_modseq(session, &answer);
        Ok(format!("{command}: {}", answer.text))
    }

    async fn transfer(&mut self, session: &mut Session, moves: bool) -> io::Result<String> {
        let meant = self.mean(session, false);
        let Some(open) = session.open.as_ref().filter(|_| !meant.is_empty()) else {
            return Ok("nothing".to_owned());
        };
        let contents: Vec<_> = meant.iter().map(|(_, content)| *content).collect();
        let from = open.validity;
        let name = self.target(&contents, &["Archive", "Old", "Older", "Tmp1", "Tmp2"]);
        let places: Vec<Place> = meant.iter().map(|(uid, _)| (from, *uid)).collect();
        if moves {
            session.truth().leaving(&places);
        } else {
            session.truth().copying(&contents);
        }
        let verb = if moves { "MOVE" } else { "COPY" };
        let command = format!("UID {verb} {} {name}", set(&uids(&meant)));
        let answer = self.ask(session, &command).await?;
        let texts = answer.lines.iter().map(|line| line.text.as_str()).chain([answer.text.as_str()]);
        let code = texts.filter_map(|text| text.split_once("[COPYUID ")).map(|(_, code)| code).next();
        if let Some(code) = code.filter(|_| answer.ok) {
            let words: Vec<&str> = code.split(']').next().unwrap_or_default().split(' ').collect();
            let [to, olds, news] = words[..] else { return Err(io::Error::other(code.to_owned())) };
            let (to, pairs) = (to.parse().unwrap_or_default(), numbers(olds).into_iter().zip(numbers(news)));
            pairs.for_each(|(old, new)| session.truth().transferred((from, old), (to, new), moves));
        }
        note_modseq(session, &answer);
        Ok(format!("{command}: {} {}", code.unwrap_or_default(), answer.text))
    }

    /// Makes, renames or deletes a mailbox.
    async fn arrange(&mut self, session: &mut Session) -> io::Result<String> {
        let (passing, other) = (pick(&mut self.chance, &PASSING), pick(&mut self.chance, &PASSING));
        let has_old = ["Old", "Older"].iter().any(|name| session.names.contains_key(*name));
        let command = match self.chance.below(8) {
            _ if !has_old => "CREATE Old".to_owned(),
            0..=2 => format!("CREATE {passing}"),
            3 => "CREATE Old".to_owned(),
            4 => format!("RENAME {passing} {other}"),
            5 => pick(&mut self.chance, &["RENAME Old Older", "RENAME Older Old"]).to_owned(),
            _ => format!("DELETE {passing}"),
        };
        let answer = self.ask(session, &command).await?;
        session.list().await?;
        Ok(format!("{command}: {}", answer.text))
    }

    async fn idle(&mut self, session: &mut Session) -> io::Result<String> {
        session.say("t IDLE\r\n").await?;
        let lasts = Duration::from_secs(1 + self.chance.below(20));
        session.listen("IDLE", lasts).await?;
        session.say("DONE\r\n").await?;
        let answer = session.answer("IDLE").await?;
        self.look(session).await?;
        Ok(format!("IDLE for {lasts:?}: {}", answer.text))
    }
}

/// RFC 7162 §3.2.7, §3.2.8: all up to it was told.
fn note_modseq(session: &mut Session, answer: &Answer) {
    let code = number_behind(&answer.text, "[HIGHESTMODSEQ ");
    if let (Some(open), Some(modseq)) = (&mut session.open, code) {
        open.modseq = open.modseq.max(modseq);
    }
}

fn modified(answer: &Answer) -> Vec<u32> {
    let code =
        answer.text.split_once("[MODIFIED ").map(|(_, code)| code.split(']').next().unwrap_or_default());
    code.map(numbers).unwrap_or_default()
}

fn uids(meant: &[(u32, Content)]) -> Vec<u32> {
    meant.iter().map(|(uid, _)| *uid).collect()
}

fn set(uids: &[u32]) -> String {
    uids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
