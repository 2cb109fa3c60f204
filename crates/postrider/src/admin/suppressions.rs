//! The suppression list.

use mail::{cause::Cause, text};
use store::{
    directory::DirectoryError,
    suppressions::{Source, Suppression},
};

use super::{
    Admin,
    directory::parse_address,
    protocol::{AdminResponse, SUPPRESSION_PAGE_MAX, SuppressionAction, SuppressionView},
};

/// Octets kept of a reason.
const REASON_BYTES_MAX: usize = 200;

/// The error is the answer when it fails.
pub async fn execute(admin: &Admin, action: SuppressionAction) -> Result<AdminResponse, DirectoryError> {
    let (list, now) = (&admin.stores.suppressions, admin.world.clock.wall());
    Ok(match action {
        SuppressionAction::List { after } => {
            let after = after.as_deref().map(parse_address).transpose()?.map(|after| after.to_lookup());
            let page = list.list(after.as_deref(), SUPPRESSION_PAGE_MAX).await?;
            let next = page.last().filter(|_| page.len() >= SUPPRESSION_PAGE_MAX);
            let next = next.map(|last| last.address.clone());
            AdminResponse::Suppressions {
                suppressions: page.iter().map(|found| view(found, now)).collect(),
                next,
            }
        }
        SuppressionAction::Show { address } => match list.get(&parse_address(&address)?).await? {
            Some(found) => AdminResponse::Suppressions { suppressions: vec![view(&found, now)], next: None },
            None => unknown(&address),
        },
        SuppressionAction::Add { address, reason, seconds } => {
            let address = parse_address(&address)?;
            let expires_at = seconds.map(|seconds| now.plus(std::time::Duration::from_secs(seconds)));
            list.put(&Suppression {
                address: address.to_lookup(),
                active: true,
                since: now,
                last_at: now,
                expires_at,
                cause: Cause::Operator,
                source: Source::Operator,
                failures: 0,
                detail: reason.map(|reason| text::clean_within(reason.as_bytes(), REASON_BYTES_MAX)),
                message: None,
            })
            .await?;
            AdminResponse::done(format_args!(
                "{address} is suppressed for the senders that [suppression] names"
            ))
        }
        SuppressionAction::Remove { address } => {
            if !list.remove(&parse_address(&address)?).await? {
                return Ok(unknown(&address));
            }
            AdminResponse::done(format_args!("{address} gets mail again"))
        }
    })
}

fn unknown(address: &str) -> AdminResponse {
    AdminResponse::error(format_args!(
        "nothing is known against {address}; `postrider suppression list` shows all there is"
    ))
}

fn view(found: &Suppression, now: mail::Timestamp) -> SuppressionView {
    let state = match (found.is_expired(now), found.active) {
        (true, _) => "expired",
        (false, true) => "suppressed",
        (false, false) => "counting",
    };
    SuppressionView {
        address: found.address.clone(),
        state: state.to_owned(),
        cause: found.cause,
        source: found.source,
        failures: found.failures,
        since: found.since.rfc3339(),
        last_at: found.last_at.rfc3339(),
        expires_at: found.expires_at.map(mail::Timestamp::rfc3339),
        detail: found.detail.clone(),
        message: found.message.map(|id| id.to_string()),
    }
}
