//! Which extensions a command makes use of.

use super::{
    super::command::{
        Command, Fetch, FetchItem, ListReturn, Search, SearchKey, SearchReturn, StatusItem, WhichDate,
    },
    Extension,
};

/// Each at least once.
pub(super) fn needed(command: &Command) -> Vec<Extension> {
    match command {
        Command::GetAcl(_)
        | Command::SetAcl { .. }
        | Command::DeleteAcl { .. }
        | Command::ListRights { .. }
        | Command::MyRights(_) => vec![Extension::Acl],
        Command::GetQuota(_) | Command::GetQuotaRoot(_) | Command::SetQuota { .. } => vec![Extension::Quota],
        Command::GetMetadata(_) | Command::SetMetadata { .. } => vec![Extension::Metadata],
        Command::GenUrlAuth(_) | Command::ResetKey { .. } | Command::UrlFetch(_) => vec![Extension::UrlAuth],
        Command::Notify(_) => vec![Extension::Notify],
        Command::Compress => vec![Extension::Compress],
        Command::Unauthenticate => vec![Extension::Unauthenticate],
        Command::Create { uses, .. } if !uses.is_empty() => vec![Extension::CreateSpecialUse],
        Command::Select(select) => {
            let condstore = (select.condstore || select.qresync.is_some()).then_some(Extension::CondStore);
            condstore.into_iter().chain(select.qresync.as_ref().map(|_| Extension::QResync)).collect()
        }
        Command::List(list) => of_list(&list.returned),
        Command::Status { items, .. } => items.iter().copied().filter_map(of_status_item).collect(),
        Command::Store { store, .. } => {
            store.unchanged_since.map(|_| Extension::CondStore).into_iter().collect()
        }
        Command::Fetch { fetch, .. } => of_fetch(fetch),
        Command::Search { search, .. } => of_search(search),
        Command::Sort { sort, .. } => {
            let mut needed = vec![Extension::Sort];
            needed.extend(sort.returned.map(|_| Extension::ESort));
            needed.extend(of_return(sort.returned));
            needed.extend(of_keys(&sort.keys));
            needed
        }
        Command::Thread { thread, .. } => {
            let mut needed = of_keys(&thread.keys);
            needed.push(Extension::Thread);
            needed
        }
        _ => Vec::new(),
    }
}

fn of_list(returned: &ListReturn) -> Vec<Extension> {
    let mut needed: Vec<Extension> = returned.status.iter().copied().filter_map(of_status_item).collect();
    needed.extend(returned.my_rights.then_some(Extension::ListMyRights));
    needed.extend((!returned.metadata.is_empty()).then_some(Extension::ListMetadata));
    needed
}

fn of_status_item(item: StatusItem) -> Option<Extension> {
    match item {
        StatusItem::HighestModSeq => Some(Extension::CondStore),
        StatusItem::MailboxId => Some(Extension::ObjectId),
        StatusItem::DeletedStorage => Some(Extension::Quota),
        _ => None,
    }
}

fn of_fetch(fetch: &Fetch) -> Vec<Extension> {
    let of_item = |item: &FetchItem| match item {
        FetchItem::ModSeq => Some(Extension::CondStore),
        FetchItem::EmailId | FetchItem::ThreadId => Some(Extension::ObjectId),
        FetchItem::SaveDate => Some(Extension::SaveDate),
        FetchItem::Preview { .. } => Some(Extension::Preview),
        _ => None,
    };
    let mut needed: Vec<Extension> = fetch.items.iter().filter_map(of_item).collect();
    needed.extend(fetch.modifiers.changed_since.map(|_| Extension::CondStore));
    needed.extend(fetch.modifiers.vanished.then_some(Extension::QResync));
    needed.extend(fetch.modifiers.partial.map(|_| Extension::Partial));
    needed
}

fn of_search(search: &Search) -> Vec<Extension> {
    let mut needed = of_keys(&search.keys);
    needed.extend(of_return(search.returned));
    needed
}

fn of_return(returned: Option<SearchReturn>) -> Option<Extension> {
    returned.and_then(|returned| returned.partial).map(|_| Extension::Partial)
}

fn of_keys(keys: &[SearchKey]) -> Vec<Extension> {
    let (mut needed, mut keys) = (Vec::new(), keys.iter().collect::<Vec<_>>());
    while let Some(key) = keys.pop() {
        match key {
            SearchKey::Not(key) => keys.push(key),
            SearchKey::Or(either) => keys.extend([&either.0, &either.1]),
            SearchKey::And(all) => keys.extend(all),
            SearchKey::ModSeq(_) => needed.push(Extension::CondStore),
            SearchKey::Older(_) | SearchKey::Younger(_) => needed.push(Extension::Within),
            SearchKey::EmailId(_) | SearchKey::ThreadId(_) => needed.push(Extension::ObjectId),
            SearchKey::SaveDateSupported
            | SearchKey::Before(WhichDate::Saved, _)
            | SearchKey::On(WhichDate::Saved, _)
            | SearchKey::Since(WhichDate::Saved, _) => needed.push(Extension::SaveDate),
            _ => {}
        }
    }
    needed
}
