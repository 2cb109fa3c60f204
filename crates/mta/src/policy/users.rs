//! VRFY and EXPN: who may ask about users, and what they are told.

use mail::{Address, ForwardPath, Reply};
use store::{
    Stores,
    directory::{Resolution, Target},
};

use super::Client;
use crate::{Config, config::Audience};

/// RFC 5321 §7.3: who may not ask is told nothing, in the same words for every argument.
pub async fn verify(stores: &Stores, config: &Config, client: &Client<'_>, argument: &str) -> Reply {
    if !may_ask(config, config.vrfy, client) {
        return Reply::new(
            252,
            (2, 5, 2),
            "cannot verify the user, but will take the message and attempt delivery",
        );
    }
    match resolve(stores, argument).await {
        Some(Ok(Resolution::Targets(targets))) => match &targets[..] {
            [Target::Account(account)] => Reply::new(250, (2, 1, 5), format!("<{}>", account.address)),
            _ => Reply::new(252, (2, 5, 2), "this is an alias or a list; EXPN tells its members"),
        },
        Some(Ok(Resolution::UnknownUser | Resolution::Loop)) => {
            Reply::new(550, (5, 1, 1), "there is no such user here")
        }
        Some(Ok(Resolution::NotHosted)) => {
            Reply::new(252, (2, 5, 2), "the domain is not ours; cannot verify")
        }
        Some(Err(_)) => Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later"),
        None => Reply::new(553, (5, 1, 3), "that is not an address"),
    }
}

pub async fn expand(stores: &Stores, config: &Config, client: &Client<'_>, argument: &str) -> Reply {
    if !may_ask(config, config.expn, client) {
        return Reply::new(502, (5, 5, 1), "EXPN is not allowed here");
    }
    match resolve(stores, argument).await {
        Some(Ok(Resolution::Targets(targets))) => {
            let mut reply = Reply::new(250, (2, 1, 5), "");
            reply.lines = targets
                .iter()
                .map(|target| match target {
                    Target::Account(account) => format!("<{}>", account.address).into(),
                    Target::Foreign(address) | Target::Unknown(address) => format!("<{address}>").into(),
                })
                .collect();
            reply
        }
        Some(Ok(_)) => Reply::new(550, (5, 1, 1), "there is no such list here"),
        Some(Err(_)) => Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later"),
        None => Reply::new(553, (5, 1, 3), "that is not an address"),
    }
}

/// True if the keyword is worth announcing to this client.
pub fn may_ask(config: &Config, audience: Audience, client: &Client<'_>) -> bool {
    match audience {
        Audience::Anyone => true,
        Audience::Authenticated => client.may_relay(config),
        Audience::Never => false,
    }
}

async fn resolve(stores: &Stores, argument: &str) -> Option<Result<Resolution, store::StoreError>> {
    let bare = argument.trim().trim_start_matches('<').trim_end_matches('>');
    if let Ok((ForwardPath::Postmaster, _)) = ForwardPath::parse_prefix(&format!("<{bare}>")) {
        return Some(stores.directory.resolve_postmaster().await);
    }
    if let Ok(address) = bare.parse::<Address>() {
        return Some(stores.directory.resolve(&address).await);
    }
    resolve_bare(stores, bare).await
}

/// A name without a domain is looked for in every domain we host; the first that knows it answers.
async fn resolve_bare(stores: &Stores, name: &str) -> Option<Result<Resolution, store::StoreError>> {
    format!("{name}@example").parse::<Address>().ok()?;
    let domains = match stores.directory.domains().await {
        Ok(domains) => domains,
        Err(error) => return Some(Err(error)),
    };
    for domain in domains {
        if let Ok(address) = format!("{name}@{}", domain.name).parse::<Address>() {
            match stores.directory.resolve(&address).await {
                Ok(Resolution::UnknownUser | Resolution::NotHosted) => {}
                found => return Some(found),
            }
        }
    }
    Some(Ok(Resolution::UnknownUser))
}
