//! Makes a failing run small: the shortest prefix of its messages and the fewest faults that still fail.

use std::collections::BTreeSet;

use crate::plan::{Cut, Plan};

/// Runs that a search may take.
const RUNS_MAX: usize = 150;

/// What to leave in. `fails` plays a plan; the whole plan is known to fail.
pub fn shrink(plan: &Plan, mut fails: impl FnMut(&Plan) -> bool) -> Cut {
    let mut runs = 0;
    let mut still_fails = |cut: &Cut| {
        runs += 1;
        runs <= RUNS_MAX && fails(&plan.clone().cut(cut))
    };
    let messages = shortest_prefix(plan, &mut still_fails);
    let mut faults: Vec<usize> = plan.faults.iter().map(|(number, _)| *number).collect();
    let cut = |faults: &[usize], messages| Cut {
        messages: Some(messages),
        faults: Some(faults.iter().copied().collect::<BTreeSet<_>>()),
    };
    // Ever smaller pieces are left out, as long as it fails without them.
    let mut piece = faults.len().div_ceil(2);
    while piece > 0 {
        let mut at = 0;
        while at < faults.len() {
            let mut fewer = faults.clone();
            fewer.drain(at..(at + piece).min(faults.len()));
            if still_fails(&cut(&fewer, messages)) { faults = fewer } else { at += piece }
        }
        piece = if piece == 1 { 0 } else { piece.div_ceil(2) };
    }
    let messages = shortest_prefix(&plan.clone().cut(&cut(&faults, messages)), &mut |shorter| {
        still_fails(&cut(&faults, shorter.messages.unwrap_or_default()))
    });
    cut(&faults, messages)
}

/// Halves what is known to fail and what is known to pass, as if more messages never mended anything.
fn shortest_prefix(plan: &Plan, still_fails: &mut impl FnMut(&Cut) -> bool) -> usize {
    let (mut passes, mut fails) = (0, plan.messages.len());
    while fails - passes > 1 {
        let half = usize::midpoint(passes, fails);
        let cut = Cut { messages: Some(half), faults: None };
        if still_fails(&cut) { fails = half } else { passes = half }
    }
    fails
}

/// The command that plays it again.
pub fn command(plan: &Plan, cut: &Cut) -> String {
    let size = plan.size;
    let mut command = format!(
        "cargo run --profile sim -p sim -- replay {} --servers {} --messages {} --faults {}",
        plan.seed, size.servers, size.messages, size.faults
    );
    if let Some(first) = cut.messages {
        command.extend([" --first ", &first.to_string()]);
    }
    if let Some(faults) = &cut.faults {
        let numbers: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let numbers = if numbers.is_empty() { "none".to_owned() } else { numbers.join(",") };
        command.extend([" --only ", &numbers]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Size;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let plan = Plan::new(1, Size { servers: 3, messages: 100, faults: 20 });
        let fails = |plan: &Plan| {
            let has = |wanted| plan.faults.iter().any(|(number, _)| *number == wanted);
            plan.messages.len() >= 37 && has(4) && has(17)
        };
        let cut = shrink(&plan, fails);
        assert_eq!(cut, Cut { messages: Some(37), faults: Some([4, 17].into()) });
        assert!(
            command(&plan, &cut)
                .ends_with("replay 1 --servers 3 --messages 100 --faults 20 --first 37 --only 4,17")
        );
    }
}
