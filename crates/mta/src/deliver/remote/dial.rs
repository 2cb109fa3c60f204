//! Reaching one of a host's addresses.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use world::BoxStream;

use super::{next_hop::NextHop, trail::Trail};
use crate::{Mta, outcome::Trouble, route::NextHost};

/// How long one address may take to answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 8305 §5: what the next address waits for the one before it.
const STAGGER: Duration = Duration::from_millis(250);

/// The first address that answers; the next is tried beside one that keeps us waiting. Takes out of `addresses` the one
/// that answered and those that failed.
///
/// Two sockets at once are two connections, so that the site's limit has to have room for the second.
pub(super) async fn first(
    mta: &Arc<Mta>,
    hop: &NextHop,
    host: &str,
    addresses: &mut Vec<SocketAddr>,
    trail: &mut Trail,
) -> Result<(BoxStream, SocketAddr), Trouble> {
    let clock = &mta.world.clock;
    let mut waiting = std::mem::take(addresses).into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut asked = Vec::new();
    let mut last = Trouble::new((4, 4, 1), format!("{host} has no address left to try"));
    loop {
        let spare = if asked.is_empty() { None } else { mta.dispatcher.spare_socket(mta, &hop.lane) };
        if (asked.is_empty() || spare.is_some())
            && let Some(address) = waiting.next()
        {
            asked.push(address);
            let began = clock.now();
            under_way.push(async move {
                let connected = one(mta, hop, host, address).await;
                drop(spare);
                (address, began, connected)
            });
        }
        let until = clock.now() + STAGGER;
        let has_more = waiting.len() > 0;
        tokio::select! {
            biased;
            Some((address, began, result)) = under_way.next() => {
                asked.retain(|other| *other != address);
                match result {
                    Ok(stream) => {
                        // Those that are slower may still be of use if this one does not want us.
                        addresses.extend(asked.into_iter().chain(waiting));
                        return Ok((stream, address));
                    }
                    Err(trouble) => {
                        trail.unreached(host, Some(address), &trouble.reason, began);
                        last = trouble;
                    }
                }
            }
            () = clock.sleep_until(until), if has_more => {}
            else => return Err(last),
        }
    }
}

pub(super) async fn one(
    mta: &Mta,
    hop: &NextHop,
    host: &str,
    address: SocketAddr,
) -> Result<BoxStream, Trouble> {
    let clock = &mta.world.clock;
    let source = hop.limits.source.towards(address.ip());
    tokio::select! {
        biased;
        connected = mta.world.net.connect(address, source) => {
            connected.map_err(|error| {
                let from = source.map(|source| format!(" from {source}")).unwrap_or_default();
                unreachable(host, address, &format!("{error}{from}"))
            })
        }
        () = clock.sleep_until(clock.now() + CONNECT_TIMEOUT) => {
            Err(unreachable(host, address, "no answer in time"))
        }
    }
}

/// A server on this machine.
pub(super) async fn socket(mta: &Mta, host: &NextHost, path: &Path) -> Result<BoxStream, Trouble> {
    let clock = &mta.world.clock;
    let unreachable =
        |reason: &str| Trouble::new((4, 4, 1), format!("{} cannot be reached: {reason}", host.host));
    tokio::select! {
        biased;
        connected = mta.world.net.connect_unix(path) => connected.map_err(|error| unreachable(&error.to_string())),
        () = clock.sleep_until(clock.now() + CONNECT_TIMEOUT) => Err(unreachable("no answer in time")),
    }
}

/// It hung up on us before it let us in.
pub(super) fn lost(host: &str, address: Option<SocketAddr>) -> Trouble {
    const REASON: &str = "it closed the connection";
    match address {
        Some(address) => unreachable(host, address, REASON),
        None => Trouble::new((4, 4, 1), format!("{host} cannot be reached: {REASON}")),
    }
}

fn unreachable(host: &str, address: SocketAddr, reason: &str) -> Trouble {
    Trouble::new((4, 4, 1), format!("{host} at {address} cannot be reached: {reason}"))
}
