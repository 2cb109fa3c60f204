//! MAIL: on submission the reverse-path must be one of the account's own addresses (RFC 6409 §6.1).

use mail::{Reply, ReversePath};
use proto::smtp::server::Flavour;
use store::{
    Stores,
    directory::{Resolution, Target},
};

use super::Client;

pub async fn check(stores: &Stores, client: &Client<'_>, reverse_path: &ReversePath) -> Result<(), Reply> {
    if client.flavour != Flavour::Submission {
        return Ok(());
    }
    // RFC 6409 §4.3
    let Some(identity) = client.identity else {
        return Err(Reply::new(530, (5, 7, 0), "authenticate first"));
    };
    let ReversePath::Address(address) = reverse_path else { return Ok(()) };
    if address.to_lookup() == identity.to_lookup() {
        return Ok(());
    }
    match stores.directory.resolve(address).await {
        Ok(Resolution::Targets(targets)) if targets.iter().any(|target| is(target, identity)) => Ok(()),
        Ok(_) => Err(Reply::new(550, (5, 7, 1), "this sender address does not belong to your account")),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            Err(Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later"))
        }
    }
}

fn is(target: &Target, identity: &mail::Address) -> bool {
    match target {
        Target::Account(account) => account.address.to_lookup() == identity.to_lookup(),
        Target::Foreign(_) | Target::Unknown(_) => false,
    }
}
