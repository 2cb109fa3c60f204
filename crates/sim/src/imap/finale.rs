//! When the faults are over: the clients meet once more, and their views are compared with that of a new one.

use std::{collections::BTreeMap, io};

use super::{
    client::{Client, KEPT},
    session::Session,
    truth::{Content, Place},
};
use crate::{journal::Journal, reader::Seen};

/// What each client does in each mailbox.
const ACTS: usize = 5;

/// What they saw of INBOX, and all that was wrong.
pub async fn finale(mut clients: Vec<Client>, journal: &Journal) -> Seen {
    let truth = clients.first().map(|client| client.truth.clone()).unwrap_or_default();
    for name in ["INBOX", "Archive"] {
        let met = meet(&mut clients, name, journal).await;
        if let Err(error) = met {
            super::session::lock(&truth).complain(&format!("the clients cannot meet in {name}: {error}"));
        }
    }
    if let Some(client) = clients.first_mut()
        && let Err(error) = audit(client).await
    {
        super::session::lock(&truth).complain(&format!("the last look fails: {error}"));
    }
    super::session::lock(&truth).inbox()
}

/// All change one mailbox at once; then all know it as it is.
async fn meet(clients: &mut Vec<Client>, name: &'static str, journal: &Journal) -> io::Result<()> {
    let mut members = Vec::new();
    for client in clients.drain(..) {
        members.push(tokio::spawn(attend(client, name, journal.clone())));
    }
    let mut sessions = Vec::new();
    for member in members {
        let (client, session) = member.await.map_err(io::Error::other)?;
        sessions.push(session);
        clients.push(client);
    }
    let mut views = Vec::new();
    for (client, session) in clients.iter_mut().zip(sessions) {
        let mut session = session?;
        if session.open.as_ref().is_none_or(|open| open.name != name) {
            client.open(&mut session, name).await?;
        }
        views.push(session);
    }
    for (client, session) in clients.iter_mut().zip(&mut views) {
        session.command("NOOP").await?;
        client.settle(session);
    }
    let Some(client) = clients.first_mut() else { return Ok(()) };
    let mut fresh = client.begin_anew().await?;
    fresh.select(name, None).await?;
    let Some(anew) = fresh.open.as_ref() else { return Err(io::Error::other("it is not there")) };
    for (client, session) in clients.iter_mut().zip(&mut views) {
        let agrees = session.open.as_ref().map_or(Ok(()), |open| open.view.agrees(&anew.view));
        if let Err(wrong) = agrees {
            let who = client.who.clone();
            session.truth().complain(&format!("{who} and a new client differ in {name}: {wrong}"));
        }
        client.close(session);
    }
    Ok(())
}

async fn attend(mut client: Client, name: &'static str, journal: Journal) -> (Client, io::Result<Session>) {
    let session = join_in(&mut client, name, &journal).await;
    (client, session)
}

async fn join_in(client: &mut Client, name: &str, journal: &Journal) -> io::Result<Session> {
    let mut session = client.begin().await?;
    client.open(&mut session, name).await?;
    if client.work(&mut session, &mut ACTS.clone(), journal).await.is_ok() {
        return Ok(session);
    }
    client.close(&mut session);
    // What a broken connection left to be done is over by then.
    tokio::time::sleep(super::PAUSE).await;
    client.begin().await
}

/// Everything there is, as a new client sees it.
async fn audit(client: &mut Client) -> io::Result<()> {
    let mut session = client.begin_anew().await?;
    let mut there: BTreeMap<Place, Content> = BTreeMap::new();
    let ours = |name: &&String| KEPT.contains(&name.as_str()) || super::truth::is_passing(name);
    let names: Vec<String> = session.names.keys().filter(ours).cloned().collect();
    for name in names {
        session.select(&name, None).await?;
        let Some(open) = &session.open else { continue };
        let (validity, uids) = (open.validity, open.view.uids().collect::<Vec<_>>());
        client.fetch(&mut session, &uids).await?;
        let truth = session.truth();
        there.extend(uids.iter().filter_map(|uid| {
            let place = (validity, *uid);
            Some((place, truth.content(place)?))
        }));
    }
    session.truth().audit(&there);
    Ok(())
}
