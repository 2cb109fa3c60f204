//! VRFY: who is meant by an address, a user name, a full name or a part of one (RFC 5321 §3.5.1).

use std::borrow::Cow;

use mail::{Address, ForwardPath, Reply, name_and_address};
use proto::smtp::server::Inquiry;
use store::{
    StoreError, Stores,
    directory::{Account, Resolution, Target},
};

use super::{Client, users::may_ask};
use crate::Config;

/// Possibilities named for an ambiguous name.
const POSSIBILITIES_MAX: usize = 20;

/// What an argument stands for.
enum Found {
    Account(Box<Account>),
    /// More than one; there may be others.
    Accounts(Vec<Account>),
    /// An alias or a list.
    Several,
    Nobody,
    NotHosted,
}

/// RFC 5321 §7.3: who may not ask is told nothing, in the same words for every argument.
pub async fn verify(stores: &Stores, config: &Config, client: &Client<'_>, inquiry: &Inquiry) -> Reply {
    if !may_ask(config, config.vrfy, client) {
        return Reply::new(
            252,
            (2, 5, 2),
            "cannot verify the user, but will take the message and attempt delivery",
        );
    }
    match find(stores, &inquiry.argument).await {
        // RFC 6531 §3.7.4.2
        Ok(Found::Account(account)) if !inquiry.smtputf8 && !account.address.is_ascii() => {
            Reply::new(252, (2, 6, 8), "the address takes UTF-8 to be told; ask with SMTPUTF8")
        }
        Ok(Found::Account(account)) => Reply::new(250, (2, 1, 5), told(&account, inquiry.smtputf8)),
        Ok(Found::Accounts(accounts)) => ambiguous(&accounts, inquiry.smtputf8),
        Ok(Found::Several) => {
            Reply::new(252, (2, 5, 2), "this is an alias or a list; EXPN tells its members")
        }
        Ok(Found::Nobody) => Reply::new(550, (5, 1, 1), "there is no such user here"),
        Ok(Found::NotHosted) => Reply::new(252, (2, 5, 2), "the domain is not ours; cannot verify"),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later")
        }
    }
}

/// The mailbox with its full name; the name is left out where the client could not read it.
pub(super) fn told(account: &Account, smtputf8: bool) -> String {
    let name = account.full_name.as_ref().filter(|name| smtputf8 || name.as_str().is_ascii());
    name_and_address(name, &account.address)
}

fn ambiguous(accounts: &[Account], smtputf8: bool) -> Reply {
    let mut reply = Reply::new(553, (5, 1, 4), "the name is ambiguous; possibilities are");
    let readable = accounts.iter().filter(|account| smtputf8 || account.address.is_ascii());
    let shown = readable.take(POSSIBILITIES_MAX).map(|account| Cow::Owned(told(account, smtputf8)));
    reply.lines.extend(shown);
    if reply.lines.len() <= accounts.len() {
        reply.lines.push("and others; ask for more of the name".into());
    }
    reply
}

async fn find(stores: &Stores, argument: &str) -> Result<Found, StoreError> {
    let bare = address_in(argument);
    if let Ok((ForwardPath::Postmaster, _)) = ForwardPath::parse_prefix(&format!("<{bare}>")) {
        return Ok(found(stores.directory.resolve_postmaster().await?));
    }
    if let Ok(address) = bare.parse::<Address>() {
        return Ok(found(stores.directory.resolve(&address).await?));
    }
    let by_user = find_user(stores, bare).await?;
    if matches!(by_user, Found::Account(_) | Found::Accounts(_)) {
        return Ok(by_user);
    }
    let by_name = stores.directory.accounts_by_name(argument, POSSIBILITIES_MAX + 1).await?;
    Ok(among(by_name).unwrap_or(by_user))
}

/// What stands between angle brackets, or all of it.
pub(super) fn address_in(argument: &str) -> &str {
    let argument = argument.trim();
    let inside = argument.strip_suffix('>').and_then(|rest| rest.rsplit_once('<'));
    inside.map_or(argument, |(_, address)| address.trim())
}

/// A user name without a domain, in every domain we host.
async fn find_user(stores: &Stores, name: &str) -> Result<Found, StoreError> {
    let mut accounts: Vec<Account> = Vec::new();
    let mut otherwise = Found::Nobody;
    if format!("{name}@example").parse::<Address>().is_err() {
        return Ok(otherwise);
    }
    for domain in stores.directory.domains().await? {
        let Ok(address) = format!("{name}@{}", domain.name).parse::<Address>() else { continue };
        match found(stores.directory.resolve(&address).await?) {
            Found::Account(account) if accounts.iter().all(|other| other.id != account.id) => {
                accounts.push(*account);
            }
            Found::Several => otherwise = Found::Several,
            _ => {}
        }
        if accounts.len() > POSSIBILITIES_MAX {
            break;
        }
    }
    Ok(among(accounts).unwrap_or(otherwise))
}

fn among(mut accounts: Vec<Account>) -> Option<Found> {
    match accounts.len() {
        0 => None,
        1 => accounts.pop().map(|account| Found::Account(Box::new(account))),
        _ => Some(Found::Accounts(accounts)),
    }
}

fn found(resolution: Resolution) -> Found {
    match resolution {
        Resolution::Targets(mut targets) => match (targets.pop(), targets.is_empty()) {
            (Some(Target::Account(account)), true) => Found::Account(account),
            _ => Found::Several,
        },
        Resolution::UnknownUser | Resolution::Loop => Found::Nobody,
        Resolution::NotHosted => Found::NotHosted,
    }
}
