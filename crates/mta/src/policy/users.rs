//! Who may ask about users; EXPN, which tells who stands behind an address.

use mail::{Address, ForwardPath, Reply};
use proto::smtp::server::Inquiry;
use store::{
    Stores,
    directory::{Resolution, Target},
};

use super::{
    Client,
    verify::{address_in, told},
};
use crate::{Config, config::Audience};

pub async fn expand(stores: &Stores, config: &Config, client: &Client<'_>, inquiry: &Inquiry) -> Reply {
    if !may_ask(config, config.expn, client) {
        return Reply::new(502, (5, 5, 1), "EXPN is not allowed here");
    }
    match resolve(stores, &inquiry.argument).await {
        // RFC 6531 §3.7.4.2
        Some(Ok(Resolution::Targets(targets))) if !inquiry.smtputf8 && targets.iter().any(takes_utf8) => {
            Reply::new(550, (5, 6, 8), "a member's address takes UTF-8 to be told; ask with SMTPUTF8")
        }
        Some(Ok(Resolution::Targets(targets))) => {
            let mut reply = Reply::new(250, (2, 1, 5), "");
            reply.lines = targets
                .iter()
                .map(|target| match target {
                    Target::Account(account) => told(account, inquiry.smtputf8).into(),
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

fn takes_utf8(target: &Target) -> bool {
    match target {
        Target::Account(account) => !account.address.is_ascii(),
        Target::Foreign(address) | Target::Unknown(address) => !address.is_ascii(),
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
    let bare = address_in(argument);
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
