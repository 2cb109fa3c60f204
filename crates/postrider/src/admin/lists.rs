//! Mailing lists.

use mail::Address;
use store::{
    StoreError,
    directory::{self, DirectoryError, ListChange, MailingList},
};

use super::{
    Admin,
    directory::parse_address,
    protocol::{
        AdminRequest, AdminResponse, LIST_PAGE_MEMBERS_MAX, ListSettings, ListView, MemberView, Posting,
        Subscription,
    },
};

/// Requests about lists; the error is the answer when one fails.
pub async fn execute(admin: &Admin, request: AdminRequest) -> Result<AdminResponse, DirectoryError> {
    let directory = &admin.stores.directory;
    let now = admin.world.clock.wall();
    Ok(match request {
        AdminRequest::ListAdd { address, settings } => {
            directory.add_list(&parse_address(&address)?, change(settings)?, now).await?;
            AdminResponse::done(format_args!(
                "{address} is a list now; `postrider list subscribe {address} MEMBER` adds members"
            ))
        }
        AdminRequest::ListSet { address, settings } => {
            directory.change_list(&parse_address(&address)?, change(settings)?).await?;
            AdminResponse::done(format_args!("the list {address} is changed"))
        }
        AdminRequest::ListList => {
            let mut lists = Vec::new();
            for list in directory.lists().await? {
                lists.push(view(admin, list).await?);
            }
            AdminResponse::Lists { lists }
        }
        AdminRequest::ListShow { address } => show(admin, &parse_address(&address)?).await?,
        AdminRequest::ListSubscribe { address, members } => {
            let joined = directory.subscribe(&parse_address(&address)?, &parse_all(&members)?, now).await?;
            AdminResponse::Members { members: written(&joined) }
        }
        AdminRequest::ListUnsubscribe { address, members } => {
            let left = directory.unsubscribe(&parse_address(&address)?, &parse_all(&members)?).await?;
            AdminResponse::Members { members: written(&left) }
        }
        AdminRequest::ListRemove { address } => {
            directory.remove_list(&parse_address(&address)?).await?;
            AdminResponse::done(format_args!("{address} is no list any more"))
        }
        other => AdminResponse::error(format_args!("not a request about lists: {other:?}")),
    })
}

fn change(settings: ListSettings) -> Result<ListChange, DirectoryError> {
    let owners = settings.owners.map(|owners| owners.iter().map(|owner| parse_address(owner)).collect());
    Ok(ListChange {
        title: settings.name,
        owners: owners.transpose()?,
        posting: settings.posting.map(|posting| match posting {
            Posting::Anyone => directory::Posting::Anyone,
            Posting::Members => directory::Posting::Members,
            Posting::Owners => directory::Posting::Owners,
        }),
        subscription: settings.subscription.map(|subscription| match subscription {
            Subscription::Open => directory::Subscription::Open,
            Subscription::Closed => directory::Subscription::Closed,
        }),
    })
}

fn parse_all(members: &[String]) -> Result<Vec<Address>, DirectoryError> {
    if members.len() > LIST_PAGE_MEMBERS_MAX {
        let message = format!("a request has at most {LIST_PAGE_MEMBERS_MAX} members");
        return Err(DirectoryError::Invalid(message));
    }
    members.iter().map(|member| parse_address(member)).collect()
}

fn written(addresses: &[Address]) -> Vec<String> {
    addresses.iter().map(Address::to_string).collect()
}

async fn show(admin: &Admin, address: &Address) -> Result<AdminResponse, DirectoryError> {
    let Some(list) = admin.stores.directory.list(address).await? else {
        return Err(DirectoryError::ListUnknown(address.to_string()));
    };
    let id = list.id;
    let mut view = view(admin, list).await?;
    let mut members: Vec<MemberView> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = admin.stores.directory.members(id, after.as_deref(), LIST_PAGE_MEMBERS_MAX).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.address.to_lookup());
        members.extend(page.into_iter().map(|member| MemberView {
            address: member.address.to_string(),
            since: member.since.rfc3339(),
            bounces: member.bounces,
            suspended_at: member.suspended_at.map(mail::Timestamp::rfc3339),
        }));
    }
    view.members = Some(members);
    Ok(AdminResponse::List(view))
}

async fn view(admin: &Admin, list: MailingList) -> Result<ListView, StoreError> {
    Ok(ListView {
        address: list.address.to_string(),
        name: list.title,
        owners: written(&list.owners),
        posting: match list.posting {
            directory::Posting::Anyone => Posting::Anyone,
            directory::Posting::Members => Posting::Members,
            directory::Posting::Owners => Posting::Owners,
        },
        subscription: match list.subscription {
            directory::Subscription::Open => Subscription::Open,
            directory::Subscription::Closed => Subscription::Closed,
        },
        member_count: admin.stores.directory.member_count(list.id).await?,
        members: None,
        created_at: list.created_at.rfc3339(),
    })
}
