//! Who may ask about users; EXPN, which tells who stands behind an address.

use mail::{Address, ForwardPath, Reply};
use proto::smtp::server::Inquiry;
use store::{
    Stores,
    directory::{ListAddress, ListRole, Resolution, Target},
};

use super::{
    Client,
    verify::{address_in, told},
};
use crate::{Config, config::Audience};

/// Members of a list that one reply shows.
const EXPANDED_MEMBERS_MAX: usize = 2000;

pub async fn expand(stores: &Stores, config: &Config, client: &Client<'_>, inquiry: &Inquiry) -> Reply {
    if !may_ask(config, config.expn, client) {
        return Reply::new(502, (5, 5, 1), "EXPN is not allowed here");
    }
    match resolve(stores, &inquiry.argument).await {
        Some(Ok(Resolution::Targets(targets))) if lists(&targets).next().is_some() => {
            members(stores, &targets, inquiry.smtputf8).await.unwrap_or_else(|_| unreadable())
        }
        // RFC 6531 §3.7.4.2
        Some(Ok(Resolution::Targets(targets))) if !inquiry.smtputf8 && targets.iter().any(takes_utf8) => {
            utf8_wanted()
        }
        Some(Ok(Resolution::Targets(targets))) => {
            let mut reply = Reply::new(250, (2, 1, 5), "");
            reply.lines = targets
                .iter()
                .map(|target| match target {
                    Target::Account(account) => told(account, inquiry.smtputf8).into(),
                    Target::Foreign(address) | Target::Unknown(address) => format!("<{address}>").into(),
                    Target::List(list) => format!("<{}>", list.address).into(),
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
        Target::List(list) => !list.address.is_ascii(),
    }
}

fn lists(targets: &[Target]) -> impl Iterator<Item = &ListAddress> {
    targets.iter().filter_map(|target| match target {
        Target::List(list) => Some(&**list),
        _ => None,
    })
}

/// RFC 5321 §3.5.2: the members of a list.
async fn members(stores: &Stores, targets: &[Target], smtputf8: bool) -> Result<Reply, store::StoreError> {
    let [Target::List(found)] = targets else {
        return Ok(Reply::new(252, (2, 5, 2), "this leads to a list and to others; ask for the list itself"));
    };
    if found.role != ListRole::Post {
        return Ok(Reply::new(550, (5, 1, 1), "there is no such list here"));
    }
    let list = found.list.id;
    let count = stores.directory.member_count(list).await?;
    if usize::try_from(count).unwrap_or(usize::MAX) > EXPANDED_MEMBERS_MAX {
        return Ok(Reply::new(252, (2, 5, 2), format!("the list has {count} members, too many to show")));
    }
    let members = stores.directory.members(list, None, EXPANDED_MEMBERS_MAX).await?;
    if members.is_empty() {
        return Ok(Reply::new(252, (2, 5, 2), "the list has no members"));
    }
    if !smtputf8 && !members.iter().all(|member| member.address.is_ascii()) {
        return Ok(utf8_wanted());
    }
    let mut reply = Reply::new(250, (2, 1, 5), "");
    reply.lines.clear();
    for member in &members {
        // Those who are accounts here have names.
        let account = stores.directory.account(&member.address).await?;
        let line =
            account.map_or_else(|| format!("<{}>", member.address), |account| told(&account, smtputf8));
        reply.lines.push(line.into());
    }
    Ok(reply)
}

fn utf8_wanted() -> Reply {
    Reply::new(550, (5, 6, 8), "a member's address takes UTF-8 to be told; ask with SMTPUTF8")
}

fn unreadable() -> Reply {
    Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later")
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
