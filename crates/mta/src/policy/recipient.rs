//! RCPT: unknown users and domains without a way are refused here, not bounced later.

use mail::{ForwardPath, Reply};

use super::Verdict;
use crate::route::{Destination, Way};

/// Lanes named in one verdict.
const LANES_NAMED_MAX: usize = 5;

pub fn check(path: &ForwardPath, destination: &Destination) -> Verdict {
    let (enhanced, text) = match destination {
        Destination::Ways { ways, .. } if ways.is_empty() => {
            ((5, 1, 1), "there is nobody behind this address")
        }
        Destination::Ways { ways, .. } => {
            return Verdict::pass("recipient", "there is a way")
                .with("recipient", path)
                .with("lane", lanes(ways));
        }
        Destination::UnknownUser => ((5, 1, 1), "there is no such user here"),
        Destination::Expired => ((5, 1, 1), "this return address of forwarded mail has expired"),
        Destination::Loop => ((5, 4, 6), "the aliases of this address lead in a circle"),
        Destination::NoRoute => ((5, 4, 4), "no route leads to this domain"),
        Destination::Refused => ((5, 7, 1), "mail to this address is refused here"),
    };
    Verdict::refuse("recipient", Reply::new(550, enhanced, text)).with("recipient", path)
}

fn lanes(ways: &[Way]) -> String {
    let mut lanes: Vec<&str> = Vec::new();
    for way in ways {
        let lane: &str = &way.lane.0;
        if !lanes.contains(&lane) && lanes.len() < LANES_NAMED_MAX {
            lanes.push(lane);
        }
    }
    lanes.join(",")
}
