//! RCPT: a mailbox has had one owner since the moment that RRVS names, or the mail is not for whoever has it now
//! (RFC 7293).

use mail::{Address, ForwardPath, RcptParameters, Reply, ValidSince};
use store::{StoreError, Stores};

use super::{Judge, Verdict, unreadable};

/// What keeps a message from a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// The account or alias is younger.
    Mailbox,
    /// So is the domain.
    Domain,
    /// Nobody can tell.
    Unknown,
}

impl Doubt {
    /// What RFC 7293 registered for it.
    pub fn status(self) -> (u8, u16, u16) {
        match self {
            Self::Mailbox => (5, 7, 17),
            Self::Domain => (5, 7, 18),
            Self::Unknown => (5, 7, 19),
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Self::Mailbox => "the mailbox has changed hands since",
            Self::Domain => "the domain has changed hands since",
            Self::Unknown => "whether the mailbox has changed hands cannot be told",
        }
    }
}

pub(super) async fn check(judge: &Judge<'_>, path: &ForwardPath, rcpt: &RcptParameters) -> Option<Verdict> {
    let demand = rcpt.valid_since?;
    let checked = match path {
        ForwardPath::Address(address) => doubt(judge.stores, address, demand).await,
        // Whoever reads its mail now; nobody owns it.
        ForwardPath::Postmaster => Ok((!demand.or_continue).then_some(Doubt::Unknown)),
    };
    let verdict = match checked {
        Ok(None) => Verdict::pass("ownership", "the mailbox is not ours, or as old as it has to be"),
        Ok(Some(doubt)) => Verdict::refuse("ownership", Reply::new(550, doubt.status(), doubt.words())),
        Err(error) => Verdict::refuse("ownership", unreadable(&error)),
    };
    Some(verdict.with("recipient", path).with("since", demand))
}

/// None for addresses that are not ours: whoever has them is to judge.
pub async fn doubt(
    stores: &Stores,
    address: &Address,
    demand: ValidSince,
) -> Result<Option<Doubt>, StoreError> {
    let Some(tenure) = stores.directory.tenure(address).await? else { return Ok(None) };
    Ok(match tenure.owner {
        _ if tenure.domain > demand.since => Some(Doubt::Domain),
        Some(owner) if owner > demand.since => Some(Doubt::Mailbox),
        None if !demand.or_continue => Some(Doubt::Unknown),
        Some(_) | None => None,
    })
}
