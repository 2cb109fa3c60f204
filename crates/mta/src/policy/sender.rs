//! On submission the sender must be one of the account's own addresses (RFC 6409 §6.1): the reverse-path at MAIL, and
//! after the content From and Sender.

use mail::{Address, Reply, ReversePath, address_list::OriginatorError};
use proto::smtp::server::Flavour;
use store::{
    StoreError, Stores,
    directory::{Resolution, Target},
};

use super::{Judge, Verdict};
use crate::config::SenderCheck;

const RULE: &str = "sender";

/// MAIL. None where any sender may come.
pub async fn check(judge: &Judge<'_>, reverse_path: &ReversePath) -> Option<Verdict> {
    if judge.client.flavour != Flavour::Submission {
        return None;
    }
    // RFC 6409 §4.3
    let Some(identity) = judge.client.identity else {
        return Some(Verdict::refuse(RULE, Reply::new(530, (5, 7, 0), "authenticate first")));
    };
    let verdict = match reverse_path {
        ReversePath::Address(address) if judge.config.sender_check != SenderCheck::Off => {
            let refusal = "this sender address does not belong to your account";
            must_own(judge.stores, identity, address, refusal).await
        }
        // What a person's program sends as a notification has none.
        _ => Verdict::pass(RULE, "any sender may come"),
    };
    Some(verdict.with("account", identity).with("sender", reverse_path))
}

/// After the content. `originators`: what From and Sender say, both of which must be own, or why that is uncertain.
pub async fn check_header(
    judge: &Judge<'_>,
    originators: &Result<Vec<Address>, OriginatorError>,
) -> Option<Verdict> {
    let identity = judge.client.identity.filter(|_| judge.config.sender_check == SenderCheck::Header)?;
    let originators = match originators {
        Ok(originators) => originators,
        Err(error) => {
            let text = format!("who wrote the message is unclear: {error}");
            return Some(Verdict::refuse(RULE, Reply::new(550, (5, 6, 0), text)));
        }
    };
    for address in originators {
        let refusal = "From or Sender names an address that does not belong to your account";
        let verdict = must_own(judge.stores, identity, address, refusal).await;
        if verdict.refusal().is_some() {
            return Some(verdict.with("account", identity).with("address", address));
        }
    }
    Some(Verdict::pass(RULE, "From and Sender are the account's own").with("account", identity))
}

async fn must_own(stores: &Stores, identity: &Address, address: &Address, refusal: &'static str) -> Verdict {
    match owns(stores, identity, address).await {
        Ok(true) => Verdict::pass(RULE, "the address is the account's own"),
        Ok(false) => Verdict::refuse(RULE, Reply::new(550, (5, 7, 1), refusal)),
        Err(error) => Verdict::refuse(RULE, super::unreadable(&error)),
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
        Target::Foreign(_) | Target::Unknown(_) | Target::List(_) => false,
    }
}
