//! People who read and change their mail by IMAP, with several programs at a time, while their server crashes.
//!
//! [`truth`](self) keeps what all programs of one account were told: it has to hold, whatever happens. A program believes
//! what it hears of the mailbox it has open ([`view`]); at the end all views are compared with that of a program that
//! knows nothing yet.

pub mod believer;
mod client;
mod finale;
mod session;
mod truth;
pub mod view;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use store::memory::Chance;
use tokio::task::JoinHandle;
use world::World;

pub use client::Client;
pub use finale::finale;

use crate::{
    faults::{Fault, Kind},
    journal::Journal,
    plan::{self, ACCOUNTS, Household, Reader, below, moment},
    server::Server,
};

/// Sessions that a client begins in a row, when connections break.
const TRIES_MAX: u32 = 4;
/// What a broken connection left to be done is over by then.
const PAUSE: Duration = Duration::from_secs(15);
/// Within this time all come that come at all.
const MEETING_MS: u64 = 20_000;

/// Two accounts of different servers, neither that of the reader there.
pub(crate) fn draw(chance: &mut Chance, servers: usize, readers: &[Reader]) -> Vec<Household> {
    let first = below(chance, servers);
    let servers = [first, (first + 1) % servers];
    let household = |(place, server): (usize, usize)| {
        let taken = readers.iter().find(|reader| reader.server == server).map_or(0, |reader| reader.account);
        let mut at: Vec<_> = (0..3 + below(chance, 3)).map(|_| moment(chance)).collect();
        at.sort_unstable();
        Household {
            server,
            account: (taken + 1 + below(chance, ACCOUNTS - 1)) % ACCOUNTS,
            clients: 3 - place,
            at,
            seed: chance.draw(),
        }
    };
    servers.into_iter().enumerate().map(household).collect()
}

/// Some of a run's crashes come while these people are at it.
pub(crate) fn crashes(chance: &mut Chance, households: &[Household], count: usize) -> Vec<Fault> {
    let times: Vec<_> = households
        .iter()
        .flat_map(|household| household.at.iter().map(|at| (household.server, *at)))
        .collect();
    let crash = |_| {
        let (server, at) = plan::pick(chance, &times);
        let at = at + Duration::from_millis(chance.below(2 * MEETING_MS));
        let (steps, down) = (chance.below(150), Duration::from_secs(1 + chance.below(30)));
        Fault { at, kind: Kind::Crash { server, steps, down } }
    };
    (0..count).map(crash).collect()
}

/// The programs of one account, each of which comes back when the faults are over.
pub fn live(
    world: &World,
    server: &Arc<Server>,
    household: &Household,
    journal: &Journal,
) -> Vec<JoinHandle<Client>> {
    let account = plan::account(household.server, household.account);
    let truth = Arc::new(Mutex::new(truth::Truth::of(&account)));
    let client = |number: usize| {
        let (seed, name) = (household.seed ^ (number as u64), format!("{account}.{}", number + 1));
        let client = Client::new(&name, server.clone(), world.clone(), truth.clone(), seed);
        tokio::spawn(attend(client, household.at.clone(), journal.clone()))
    };
    (0..household.clients).map(client).collect()
}

async fn attend(mut client: Client, at: Vec<Duration>, journal: Journal) -> Client {
    for at in at {
        let late = Duration::from_millis(client.chance.below(MEETING_MS));
        tokio::time::sleep((at + late).saturating_sub(journal.elapsed())).await;
        let mut acts = 8 + below(&mut client.chance, 10);
        for _ in 0..TRIES_MAX {
            match client.begin().await {
                Ok(mut session) => {
                    let done = client.work(&mut session, &mut acts, &journal).await;
                    client.close(&mut session);
                    if done.is_ok() {
                        break;
                    }
                }
                Err(error) => journal.note(&client.who, format!("is not let in: {error}")),
            }
            let pause = PAUSE + Duration::from_millis(client.chance.below(MEETING_MS));
            tokio::time::sleep(pause).await;
        }
    }
    client
}
