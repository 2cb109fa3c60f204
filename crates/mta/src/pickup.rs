//! Mail that waits until its customer fetches it with ATRN or TURN (RFC 2645): who has which lane in hand.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mail::{Address, Domain, Reply};
use store::{StoreError, spool::LaneId};

use crate::{Mta, etrn::FOREVER, route};

/// Customers served at once.
const CALLS_MAX: usize = 200;

/// The lanes in hand: whoever has one is alone with its entries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pickups(Arc<Mutex<InHand>>);

#[derive(Debug, Default)]
struct InHand {
    lanes: HashSet<LaneId>,
    calls: usize,
}

/// Lanes in the hand of one; given back when dropped.
#[derive(Debug)]
pub(crate) struct Claim {
    pickups: Pickups,
    pub(crate) lanes: Vec<LaneId>,
    is_call: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// Somebody else has one of the lanes.
    Lane,
    /// Too many customers call.
    Calls,
}

impl Pickups {
    /// For a customer that calls: all of the lanes, or none.
    pub(crate) fn claim_call(&self, lanes: Vec<LaneId>) -> Result<Claim, Busy> {
        let mut in_hand = self.in_hand();
        if in_hand.calls >= CALLS_MAX {
            return Err(Busy::Calls);
        }
        in_hand.take(&lanes)?;
        in_hand.calls += 1;
        drop(in_hand);
        Ok(Claim { pickups: self.clone(), lanes, is_call: true })
    }

    /// For our own look at what waits too long.
    pub(crate) fn claim(&self, lane: &LaneId) -> Result<Claim, Busy> {
        let lanes = vec![lane.clone()];
        self.in_hand().take(&lanes)?;
        Ok(Claim { pickups: self.clone(), lanes, is_call: false })
    }

    fn in_hand(&self) -> MutexGuard<'_, InHand> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl InHand {
    fn take(&mut self, lanes: &[LaneId]) -> Result<(), Busy> {
        if lanes.iter().any(|lane| self.lanes.contains(lane)) {
            return Err(Busy::Lane);
        }
        self.lanes.extend(lanes.iter().cloned());
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut in_hand = self.pickups.in_hand();
        for lane in &self.lanes {
            in_hand.lanes.remove(lane);
        }
        in_hand.calls = in_hand.calls.saturating_sub(usize::from(self.is_call));
    }
}

/// The lanes of these domains for the account that fetches them, or of all that it fetches if none are named. Refused
/// with the codes of RFC 2645 §7.
pub(crate) async fn call(mta: &Mta, identity: &Address, domains: &[Domain]) -> Result<Claim, Reply> {
    let lanes = lanes_of(mta, identity, domains).await.map_err(|error| unreadable(&error))??;
    let claim = mta.pickups.claim_call(lanes).map_err(|busy| match busy {
        Busy::Lane => Reply::new(451, (4, 3, 2), "this mail is being handed over already; try again later"),
        Busy::Calls => Reply::new(451, (4, 3, 2), "too many customers call now; try again later"),
    })?;
    for lane in &claim.lanes {
        let first = mta.stores.spool.due(lane, None, FOREVER, 1).await;
        if !first.map_err(|error| unreadable(&error))?.is_empty() {
            return Ok(claim);
        }
    }
    Err(Reply::new(453, (4, 2, 0), "you have no mail"))
}

async fn lanes_of(
    mta: &Mta,
    identity: &Address,
    domains: &[Domain],
) -> Result<Result<Vec<LaneId>, Reply>, StoreError> {
    let directory = &mta.stores.directory;
    let owned = match directory.account(identity).await? {
        Some(account) => directory.turn_domains_of(&account).await?,
        None => Vec::new(),
    };
    let owns = |domain: &Domain| owned.iter().any(|owned| owned.to_lookup() == domain.to_lookup());
    // The same words for a domain of somebody else and for one that nobody has.
    if owned.is_empty() || !domains.iter().all(owns) {
        return Ok(Err(Reply::new(450, (4, 7, 1), "refused: this is not mail for your account to fetch")));
    }
    let wanted = if domains.is_empty() { &owned[..] } else { domains };
    Ok(Ok(wanted.iter().map(route::pickup_lane).collect()))
}

fn unreadable(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory or the queue cannot be read");
    Reply::new(451, (4, 3, 0), "your mail cannot be looked up now; try again later")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(name: &str) -> LaneId {
        LaneId(name.into())
    }

    #[test]
    fn a_lane_is_in_one_hand_at_a_time() {
        let pickups = Pickups::default();
        let (a, b) = (lane("odmr:a.example"), lane("odmr:b.example"));
        let claim = pickups.claim_call(vec![a.clone(), b.clone()]).unwrap();
        assert_eq!(pickups.claim_call(vec![lane("odmr:c.example"), b.clone()]).unwrap_err(), Busy::Lane);
        assert_eq!(pickups.claim(&a).unwrap_err(), Busy::Lane);
        assert!(pickups.claim(&lane("odmr:c.example")).is_ok(), "all or none: it was not taken");
        drop(claim);
        assert!(pickups.claim_call(vec![b]).is_ok());
        assert!(pickups.claim(&a).is_ok());
    }

    #[test]
    fn only_so_many_call_at_once() {
        let pickups = Pickups::default();
        let call = |number: usize| pickups.claim_call(vec![lane(&format!("odmr:{number}.example"))]);
        let mut claims: Vec<_> = (0..CALLS_MAX).map(|number| call(number).unwrap()).collect();
        assert_eq!(call(CALLS_MAX).unwrap_err(), Busy::Calls);
        assert!(pickups.claim(&lane("odmr:late.example")).is_ok(), "our own look is no call");
        claims.pop();
        assert!(call(CALLS_MAX).is_ok());
    }
}
