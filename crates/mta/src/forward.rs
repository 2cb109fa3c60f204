//! Mail that an alias leads abroad goes on under a sender of ours (SRS); what comes back to that finds the first sender.

use mail::{Address, Domain, ForwardPath, ReversePath, Timestamp, srs};
use store::{Directory, StoreError};

use crate::{
    Config,
    route::{self, Destination, Way},
};

/// As [`route::destination`], where senders that we rewrote lead to those they stand for.
pub async fn destination(
    directory: &Directory,
    config: &Config,
    path: &ForwardPath,
    now: Timestamp,
) -> Result<Destination, StoreError> {
    let restored = match path {
        ForwardPath::Address(address) if srs::is_rewritten(address) => {
            restored(directory, config, address, now).await?
        }
        _ => None,
    };
    match restored {
        None => route::destination(directory, &config.routes, path).await,
        Some(Err(_)) => Ok(Destination::Expired),
        Some(Ok(sender)) => {
            let path = ForwardPath::Address(sender);
            Ok(match route::destination(directory, &config.routes, &path).await? {
                // The way back was promised, to whoever brings the bounce.
                Destination::Ways { ways, .. } => {
                    let ways = ways.into_iter().map(|way| Way { forwarded: true, ..way }).collect();
                    Destination::Ways { ways, foreign: false }
                }
                other => other,
            })
        }
    }
}

/// Whom the address stands for, if we made it; an error if too long ago.
async fn restored(
    directory: &Directory,
    config: &Config,
    address: &Address,
    now: Timestamp,
) -> Result<Option<Result<Address, srs::SrsError>>, StoreError> {
    let Some(domain) = address.domain() else { return Ok(None) };
    if !is_ours(directory, config, domain).await? {
        return Ok(None);
    }
    let Some(seal) = directory.seal().await? else { return Ok(None) };
    Ok(match srs::restore(&seal, address, now) {
        Err(srs::SrsError::NotOurs) => None,
        known => Some(known),
    })
}

/// The sender under which a message goes on abroad from `forwarder`, an address of ours. None: its own, because it is null
/// (RFC 5321 §4.5.5), ours, or too long to be rewritten.
pub(crate) async fn sender(
    directory: &Directory,
    config: &Config,
    reverse_path: &ReversePath,
    forwarder: &Address,
    now: Timestamp,
) -> Result<Option<Address>, StoreError> {
    let Some(sender) = reverse_path.address().filter(|_| config.forward.srs) else { return Ok(None) };
    let ours = config.forward.srs_domain.as_ref().or_else(|| forwarder.domain());
    let (Some(theirs), Some(ours)) = (sender.domain(), ours) else { return Ok(None) };
    if is_ours(directory, config, theirs).await? {
        return Ok(None);
    }
    let Some(seal) = directory.seal().await? else { return Ok(None) };
    Ok(srs::rewrite(&seal, sender, ours, now))
}

async fn is_ours(directory: &Directory, config: &Config, domain: &Domain) -> Result<bool, StoreError> {
    let is_srs_domain = |srs_domain: &Domain| srs_domain.to_lookup() == domain.to_lookup();
    Ok(config.forward.srs_domain.as_ref().is_some_and(is_srs_domain) || directory.hosts(domain).await?)
}
