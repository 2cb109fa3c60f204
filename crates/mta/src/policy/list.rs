//! Lists: who may write to one, and to the addresses that come with it.

use mail::{Address, Reply, ReversePath};
use store::{
    Directory, StoreError,
    directory::{ListAddress, ListRole, MailingList, Posting},
};

use super::{Header, Judge, Verdict, unreadable};
use crate::{
    accept::AcceptedRecipient,
    route::{LIST_LANE, Way},
};

const RULE: &str = "list";

/// RCPT. None: it is about no list.
pub async fn check(
    judge: &Judge<'_>,
    ways: &[Way],
    reverse_path: &ReversePath,
) -> Result<Option<Verdict>, Reply> {
    let directory = &judge.stores.directory;
    let mut verdict = None;
    for way in ways.iter().filter(|way| *way.lane.0 == *LIST_LANE) {
        let found = directory.list_address(&way.address).await.map_err(|error| unreadable(&error))?;
        let Some(found) = found else { continue };
        let judged = judged(directory, &found, reverse_path).await.map_err(|error| unreadable(&error))?;
        let judged = match judged {
            Ok(why) => Verdict::pass(RULE, why),
            Err(text) => Verdict::refuse(RULE, Reply::new(550, (5, 7, 2), text)),
        };
        let judged = judged.with("list", &found.list.address).with("sender", reverse_path);
        if judged.refusal().is_some() {
            return Ok(Some(judged));
        }
        verdict = Some(judged);
    }
    Ok(verdict)
}

/// Why it is taken, or why not.
async fn judged(
    directory: &Directory,
    found: &ListAddress,
    reverse_path: &ReversePath,
) -> Result<Result<&'static str, &'static str>, StoreError> {
    Ok(match (found.role, reverse_path) {
        (ListRole::Bounces, ReversePath::Null) => Ok("it is a report"),
        (ListRole::Bounces, _) => Err("this address takes delivery reports only"),
        // RFC 3834 §4: a report or an automatic answer is nothing for all members.
        (_, ReversePath::Null) => Err("lists take no mail from the null sender"),
        (ListRole::Post, ReversePath::Address(sender)) => may_post(directory, &found.list, sender).await?,
        (_, ReversePath::Address(_)) => Ok("everybody may ask"),
    })
}

async fn may_post(
    directory: &Directory,
    list: &MailingList,
    sender: &Address,
) -> Result<Result<&'static str, &'static str>, StoreError> {
    Ok(match list.posting {
        Posting::Anyone => Ok("everybody may write to it"),
        _ if list.is_owner(sender) => Ok("the sender owns it"),
        Posting::Members if directory.member(list.id, sender).await?.is_some() => {
            Ok("the sender is a member")
        }
        Posting::Members => {
            Err("only members may write to this list, from the address that they are members with")
        }
        Posting::Owners => Err("only its owners may write to this list"),
    })
}

/// After the content. RFC 3834 §5: an automatic message is nothing for a list, nor for its commands. Among other
/// recipients it fails at the list alone.
pub fn check_header(header: &Header<'_>, recipients: &[AcceptedRecipient]) -> Option<Verdict> {
    let is_for_people = |way: &Way| {
        let role = ListRole::of(way.address.local_part()).map(|(_, role)| role);
        *way.lane.0 == *LIST_LANE && role != Some(ListRole::Bounces)
    };
    let all =
        !recipients.is_empty() && recipients.iter().all(|recipient| recipient.ways.iter().all(is_for_people));
    (header.automatic && all).then(|| {
        let reply = Reply::new(550, (5, 7, 2), "lists take no automatic messages");
        Verdict::refuse(RULE, reply).with("auto-submitted", "yes")
    })
}
