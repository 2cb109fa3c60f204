//! On submission the sender must be one of the account's own addresses (RFC 6409 §6.1): the reverse-path at MAIL, and
//! after the content From and Sender.

use mail::{Address, Reply, ReversePath, address_list::OriginatorError};
use proto::smtp::server::Flavour;
use store::{
    StoreError, Stores,
    directory::{Resolution, Target},
};

use super::Client;
use crate::config::SenderCheck;

/// MAIL.
pub async fn check(
    stores: &Stores,
    rule: SenderCheck,
    client: &Client<'_>,
    reverse_path: &ReversePath,
) -> Result<(), Reply> {
    if client.flavour != Flavour::Submission {
        return Ok(());
    }
    // RFC 6409 §4.3
    let Some(identity) = client.identity else {
        return Err(Reply::new(530, (5, 7, 0), "authenticate first"));
    };
    match reverse_path {
        ReversePath::Address(address) if rule != SenderCheck::Off => {
            must_own(stores, identity, address, "this sender address does not belong to your account").await
        }
        // What a person's program sends as a notification has none.
        _ => Ok(()),
    }
}

/// After the content. `originators`: what From and Sender say, both of which must be own, or why that is uncertain.
pub async fn check_header(
    stores: &Stores,
    client: &Client<'_>,
    originators: &Result<Vec<Address>, OriginatorError>,
) -> Result<(), Reply> {
    let Some(identity) = client.identity else { return Ok(()) };
    let originators = match originators {
        Ok(originators) => originators,
        Err(error) => {
            return Err(Reply::new(550, (5, 6, 0), format!("who wrote the message is unclear: {error}")));
        }
    };
    for address in originators {
        let text = "From or Sender names an address that does not belong to your account";
        must_own(stores, identity, address, text).await?;
    }
    Ok(())
}

async fn must_own(
    stores: &Stores,
    identity: &Address,
    address: &Address,
    refusal: &'static str,
) -> Result<(), Reply> {
    match owns(stores, identity, address).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(Reply::new(550, (5, 7, 1), refusal)),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            Err(Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later"))
        }
    }
}

/// Whether mail to the address reaches the account: its own address, one with a detail, an alias that leads to it.
async fn owns(stores: &Stores, identity: &Address, address: &Address) -> Result<bool, StoreError> {
    if address.to_lookup() == identity.to_lookup() {
        return Ok(true);
    }
    Ok(match stores.directory.resolve(address).await? {
        Resolution::Targets(targets) => targets.iter().any(|target| is(target, identity)),
        Resolution::NotHosted | Resolution::UnknownUser | Resolution::Loop => false,
    })
}

fn is(target: &Target, identity: &Address) -> bool {
    match target {
        Target::Account(account) => account.address.to_lookup() == identity.to_lookup(),
        Target::Foreign(_) | Target::Unknown(_) => false,
    }
}
