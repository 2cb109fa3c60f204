//! People who fetch their mail by POP3 while all this happens, and delete some of it.

use std::{collections::BTreeMap, sync::Arc};

use store::memory::Chance;
use world::World;

use crate::{
    journal::Journal,
    letter::{self, Read},
    plan::{self, ACCOUNTS, Reader, below, moment},
    server::{PASSWORD, Server},
    wire::Wire,
};

/// Messages that one session fetches.
const FETCHES_MAX: usize = 8;

/// What became of one message of a mailbox, as its reader knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was never to be deleted.
    Kept,
    /// QUIT was said after DELE, and no answer came.
    Perhaps,
    /// QUIT was answered with +OK.
    Deleted,
}

/// A message as it was fetched, by its UID.
#[derive(Clone, Debug)]
pub struct Fetched {
    pub queue_id: Option<mail::QueueId>,
    pub read: Read,
    pub fate: Fate,
}

/// All that one reader saw.
#[derive(Debug)]
pub struct Seen {
    pub account: String,
    pub messages: BTreeMap<u32, Fetched>,
    pub wrong: Vec<String>,
}

/// One session after the other.
pub async fn read_mail(world: World, server: Arc<Server>, reader: Reader, journal: Journal) -> Seen {
    let account = plan::account(reader.server, reader.account);
    let who: Arc<str> = format!("reader {account}").into();
    let mut chance = Chance::new(reader.seed);
    let mut seen = Seen { account, messages: BTreeMap::new(), wrong: Vec::new() };
    for at in reader.at {
        tokio::time::sleep(at.saturating_sub(journal.elapsed())).await;
        let mut session =
            Session { server: &server, seen: &mut seen, chance: &mut chance, marked: Vec::new() };
        let said = session.run(&world).await;
        let marked = session.marked.len();
        let said = said.map_or_else(|error| error.to_string(), str::to_owned);
        journal.note(&who, format!("{said}, {marked} to be deleted, {} known", seen.messages.len()));
    }
    seen
}

struct Session<'a> {
    server: &'a Server,
    seen: &'a mut Seen,
    chance: &'a mut Chance,
    marked: Vec<u32>,
}

impl Session<'_> {
    async fn run(&mut self, world: &World) -> std::io::Result<&'static str> {
        let mut wire = Wire::new(world.net.connect(self.server.pop3(), None).await?);
        wire.line().await?;
        for command in [format!("USER {}", self.seen.account), format!("PASS {PASSWORD}")] {
            if !ask(&mut wire, &command).await? {
                return Ok("is not let in");
            }
        }
        for (number, uid) in self.list(&mut wire).await? {
            self.fetch(&mut wire, number, uid).await?;
        }
        if self.chance.one_in(5) {
            return Ok("hangs up");
        }
        wire.say("QUIT\r\n").await?;
        self.settle(Fate::Perhaps);
        if wire.line().await?.starts_with("+OK") {
            self.settle(Fate::Deleted);
            return Ok("is done");
        }
        Ok("is told that not all of it could be deleted")
    }

    /// Numbers and UIDs; what was deleted for certain must not be there.
    async fn list(&mut self, wire: &mut Wire) -> std::io::Result<Vec<(u32, u32)>> {
        if !ask(wire, "UIDL").await? {
            return Ok(Vec::new());
        }
        let mut listed = Vec::new();
        loop {
            let line = wire.line().await?;
            if line == "." {
                break;
            }
            let parsed = line.split_once(' ').and_then(|(number, id)| {
                let (_, uid) = id.split_once('.')?;
                Some((number.parse().ok()?, uid.parse().ok()?))
            });
            listed.push(parsed.ok_or(std::io::ErrorKind::InvalidData)?);
        }
        for (uid, fetched) in &self.seen.messages {
            let is_listed = listed.iter().any(|(_, listed)| listed == uid);
            let (account, read) = (&self.seen.account, &fetched.read);
            match fetched.fate {
                Fate::Deleted if is_listed => {
                    self.seen.wrong.push(format!("{account}: {read} is back as {uid}"));
                }
                Fate::Kept if !is_listed => {
                    self.seen.wrong.push(format!("{account}: {read} is gone, it was {uid}"));
                }
                _ => {}
            }
        }
        // The latest ones, as somebody who keeps mail does not fetch it again.
        Ok(listed.split_off(listed.len().saturating_sub(FETCHES_MAX)))
    }

    async fn fetch(&mut self, wire: &mut Wire, number: u32, uid: u32) -> std::io::Result<()> {
        if !ask(wire, &format!("RETR {number}")).await? {
            return Ok(());
        }
        let content = wire.until(b"\r\n.\r\n").await?;
        let content = String::from_utf8_lossy(&content).replace("\r\n..", "\r\n.") + "\r\n";
        let read = letter::read(&content);
        if !self.seen.messages.contains_key(&uid) {
            let queue_id = self.server.queue_id_of(&self.seen.account, uid).await;
            let fetched = Fetched { queue_id, read: read.clone(), fate: Fate::Kept };
            self.seen.messages.insert(uid, fetched);
        }
        if let Some(before) = self.seen.messages.get(&uid)
            && before.read != read
        {
            let account = &self.seen.account;
            self.seen.wrong.push(format!("{account}: {uid} was {}, and is {read}", before.read));
        }
        if self.chance.one_in(2) && ask(wire, &format!("DELE {number}")).await? {
            self.marked.push(uid);
        }
        Ok(())
    }

    fn settle(&mut self, fate: Fate) {
        for uid in &self.marked {
            if let Some(fetched) = self.seen.messages.get_mut(uid) {
                fetched.fate = fate;
            }
        }
    }
}

async fn ask(wire: &mut Wire, command: &str) -> std::io::Result<bool> {
    wire.say(&format!("{command}\r\n")).await?;
    Ok(wire.line().await?.starts_with("+OK"))
}

/// Each server has one account whose mail is fetched.
pub(crate) fn draw(chance: &mut Chance, servers: usize) -> Vec<Reader> {
    let reader = |server| {
        let mut at: Vec<_> = (0..4 + below(chance, 5)).map(|_| moment(chance)).collect();
        at.sort_unstable();
        Reader { server, account: below(chance, ACCOUNTS), at, seed: chance.draw() }
    };
    (0..servers).map(reader).collect()
}
