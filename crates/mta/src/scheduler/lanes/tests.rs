use std::collections::HashSet;

use super::*;

const LATER: Timestamp = Timestamp::from_millis(60_000);
const NOW: Timestamp = Timestamp::from_millis(1000);
/// Of a lane without a site.
const WORKERS: usize = 20;

fn lane(name: &str) -> LaneId {
    LaneId(name.into())
}

fn id(number: u64) -> EntryId {
    EntryId { queue_id: mail::QueueId::from_u64(number), part: 0 }
}

fn item(number: u64) -> Item {
    Item { id: id(number), priority: MtPriority::NORMAL, entry: None }
}

fn next(lanes: &mut Lanes, lane: &LaneId) -> Option<Item> {
    match lanes.take(lane) {
        Turn::Item(item) => Some(item),
        Turn::Wait | Turn::Leave => None,
    }
}

fn time(lanes: &mut Lanes, now: Timestamp) {
    lanes.handle_now(now);
    lanes.handle_time();
}

fn actions(lanes: &mut Lanes) -> Vec<Action> {
    std::iter::from_fn(|| lanes.poll()).collect()
}

#[test]
fn an_added_entry_starts_a_worker_that_takes_it_once() {
    let (mut lanes, local) = (Lanes::new(1000), lane("local"));
    lanes.handle_added(&local, item(1));
    assert_eq!(actions(&mut lanes), [Action::StartWorker(local.clone())]);
    assert_eq!(next(&mut lanes, &local).unwrap().id, id(1));
    assert!(next(&mut lanes, &local).is_none());
    lanes.handle_finished(&local, id(1), None);
    lanes.handle_worker_gone(&local);
    assert!(lanes.by_id.is_empty(), "a lane with nothing to do is forgotten");
}

#[test]
fn an_idle_worker_is_used_before_a_new_one_starts() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_added(&site, item(1));
    actions(&mut lanes);
    lanes.take(&site);
    lanes.handle_finished(&site, id(1), None);
    lanes.handle_worker_idle(&site, true);
    lanes.handle_added(&site, item(2));
    assert_eq!(actions(&mut lanes), [Action::WakeWorker(site.clone())]);
    lanes.handle_added(&site, item(3));
    assert_eq!(actions(&mut lanes), [Action::WakeWorker(site.clone()), Action::StartWorker(site)]);
}

#[test]
fn after_shutdown_no_worker_follows_one_that_left() {
    let (mut lanes, local) = (Lanes::new(1000), lane("local"));
    lanes.handle_added(&local, item(1));
    lanes.take(&local);
    lanes.handle_added(&local, item(2));
    assert_eq!(actions(&mut lanes).len(), 2);
    lanes.handle_shutdown();
    assert!(next(&mut lanes, &local).is_none());
    lanes.handle_worker_gone(&local);
    lanes.handle_finished(&local, id(1), None);
    lanes.handle_worker_gone(&local);
    assert_eq!(actions(&mut lanes), [], "the other entry waits for the next start");
    assert_eq!(lanes.load().1, 0);
}

#[test]
fn a_lane_never_has_more_workers_than_its_limit() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for number in 0..1000 {
        lanes.handle_added(&site, item(number));
    }
    assert_eq!(actions(&mut lanes).len(), WORKERS);
}

#[test]
fn there_are_as_many_workers_as_entries_and_no_more() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for number in 0..3 {
        lanes.handle_added(&site, item(number));
    }
    assert_eq!(actions(&mut lanes).len(), 3);
    for number in 0..3 {
        lanes.take(&site);
        assert_eq!(actions(&mut lanes), [], "the others come for what is left, {number}");
    }
    lanes.handle_kick(&site);
    actions(&mut lanes);
    lanes.handle_loaded(&site, (3..100).map(item).collect(), true, None);
    assert_eq!(actions(&mut lanes).len(), WORKERS - 3, "a load starts all that it needs");
}

#[test]
fn a_worker_that_leaves_is_not_counted_on() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_added(&site, item(1));
    lanes.take(&site);
    lanes.handle_finished(&site, id(1), None);
    assert!(next(&mut lanes, &site).is_none());
    actions(&mut lanes);
    lanes.handle_added(&site, item(2));
    assert_eq!(actions(&mut lanes), [], "it may still wait for more");
    lanes.handle_worker_leaving(&site);
    assert_eq!(actions(&mut lanes), [Action::StartWorker(site.clone())]);
    lanes.handle_worker_gone(&site);
    assert_eq!(actions(&mut lanes), []);
}

#[test]
fn what_came_before_a_worker_began_to_wait_wakes_it() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_added(&site, item(1));
    lanes.take(&site);
    lanes.handle_finished(&site, id(1), None);
    assert!(next(&mut lanes, &site).is_none());
    lanes.handle_added(&site, item(2));
    actions(&mut lanes);
    lanes.handle_worker_idle(&site, true);
    assert_eq!(actions(&mut lanes), [Action::WakeWorker(site)]);
}

#[test]
fn what_does_not_fit_the_window_is_loaded_when_there_is_room() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for number in 0..=(WINDOW_MAX as u64) {
        lanes.handle_added(&site, item(number));
    }
    let loads = |lanes: &mut Lanes| -> Vec<usize> {
        actions(lanes)
            .into_iter()
            .filter_map(|action| match action {
                Action::Load { limit, .. } => Some(limit),
                _ => None,
            })
            .collect()
    };
    assert!(loads(&mut lanes).is_empty());
    for number in 0..WINDOW_MAX as u64 {
        assert_eq!(next(&mut lanes, &site).unwrap().id, id(number));
        lanes.handle_finished(&site, id(number), None);
    }
    assert_eq!(loads(&mut lanes).len(), 1);
    lanes.handle_loaded(&site, vec![item(WINDOW_MAX as u64)], true, None);
    assert_eq!(next(&mut lanes, &site).unwrap().id, id(WINDOW_MAX as u64));
    assert!(loads(&mut lanes).is_empty());
}

#[test]
fn an_entry_under_delivery_is_not_taken_again_by_a_load() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_added(&site, item(1));
    lanes.take(&site);
    lanes.handle_kick(&site);
    lanes.handle_loaded(&site, vec![item(1), item(2)], true, None);
    assert_eq!(next(&mut lanes, &site).unwrap().id, id(2));
    assert!(next(&mut lanes, &site).is_none());
}

#[test]
fn an_overflow_during_a_load_is_not_forgotten() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_kick(&site);
    assert!(matches!(actions(&mut lanes)[..], [Action::Load { .. }]));
    lanes.handle_kick(&site);
    assert_eq!(actions(&mut lanes), [], "one load at a time");
    lanes.handle_loaded(&site, vec![], true, None);
    assert!(matches!(actions(&mut lanes)[..], [Action::Load { .. }]));
}

#[test]
fn a_deferred_entry_is_loaded_at_its_time_and_not_before() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_stored(&site, LATER);
    assert_eq!(lanes.deadline(), Some(LATER));
    time(&mut lanes, NOW);
    assert_eq!(actions(&mut lanes), []);
    time(&mut lanes, LATER);
    assert!(matches!(actions(&mut lanes)[..], [Action::Load { .. }]));
    assert_eq!(lanes.deadline(), None);
}

#[test]
fn an_earlier_due_time_moves_the_wake_up_forward() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_deferred(&site, LATER);
    let sooner = Timestamp::from_millis(30_000);
    lanes.handle_deferred(&site, sooner);
    lanes.handle_deferred(&site, LATER);
    assert_eq!(lanes.deadline(), Some(sooner));
    time(&mut lanes, LATER);
    assert_eq!(lanes.deadline(), None);
}

fn urgent(number: u64) -> Item {
    Item { priority: MtPriority::new(9).unwrap(), ..item(number) }
}

#[test]
fn the_higher_priority_leaves_first_and_the_rest_in_order() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for (number, level) in [(1, 0), (2, -4), (3, 4), (4, 0), (5, 9), (6, 4)] {
        lanes.handle_added(&site, Item { priority: MtPriority::new(level).unwrap(), ..item(number) });
    }
    let order: Vec<_> = std::iter::from_fn(|| next(&mut lanes, &site)).map(|item| item.id).collect();
    assert_eq!(order, [5, 3, 6, 1, 4, 2].map(id));
}

/// RFC 6710 §5: a flood of +9 does not keep the others from their turn.
#[test]
fn a_flood_of_urgent_entries_starves_nobody() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    lanes.handle_added(&site, item(1));
    lanes.handle_added(&site, item(2));
    let mut taken = Vec::new();
    for number in 100..200 {
        lanes.handle_added(&site, urgent(number));
        lanes.handle_added(&site, urgent(number + 1000));
        taken.push(next(&mut lanes, &site).unwrap().id);
    }
    let turn = |number| taken.iter().position(|taken| *taken == id(number));
    let longest = ready::FAVOURED_MAX as usize;
    assert_eq!((turn(1), turn(2)), (Some(longest), Some(2 * longest + 1)));
}

/// The same where the window is full and others wait in the store, which this plays.
#[test]
fn a_flood_does_not_keep_what_is_in_the_store_from_being_loaded() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for number in 0..(WINDOW_MAX as u64) {
        lanes.handle_added(&site, urgent(number));
    }
    lanes.handle_added(&site, item(5000));
    actions(&mut lanes);
    let mut stored = vec![item(5000)];
    for number in 6000..6000 + 4 * WINDOW_MAX as u64 {
        let before = lanes.load().0;
        lanes.handle_added(&site, urgent(number));
        if lanes.load().0 == before {
            stored.push(urgent(number));
        }
        let taken = next(&mut lanes, &site).unwrap().id;
        lanes.handle_finished(&site, taken, None);
        if taken == id(5000) {
            return;
        }
        if actions(&mut lanes).iter().any(|action| matches!(action, Action::Load { .. })) {
            lanes.handle_loaded(&site, std::mem::take(&mut stored), true, None);
        }
    }
    panic!("the entry in the store starves");
}

#[test]
fn urgent_entries_pass_by_a_full_window_up_to_a_bound() {
    let (mut lanes, site) = (Lanes::new(1000), lane("discard"));
    for number in 0..=(WINDOW_MAX as u64) {
        lanes.handle_added(&site, item(number));
    }
    lanes.handle_added(&site, urgent(9000));
    assert_eq!(next(&mut lanes, &site).unwrap().id, id(9000));
    for number in 0..2 * JUMPS_MAX as u64 {
        lanes.handle_added(&site, urgent(10_000 + number));
    }
    assert_eq!(lanes.load().0, WINDOW_MAX + JUMPS_MAX - 1);
    lanes.handle_added(&site, item(20_000));
    assert_eq!(lanes.load().0, WINDOW_MAX + JUMPS_MAX - 1, "behind those in the store");
}

/// C183: what is awake and what sleeps is bounded, whatever the number of lanes, and each gets its turn.
#[test]
fn more_lanes_than_may_be_awake_take_turns() {
    let mut lanes = Lanes::new(1000);
    lanes.handle_now(NOW);
    lanes.handle_start();
    assert_eq!(actions(&mut lanes), [Action::Search]);
    let count = 2 * ACTIVE_MAX + 10;
    for number in 0..count {
        lanes.handle_stored(&lane(&format!("mx:{number}")), NOW);
    }
    lanes.handle_searched();
    assert_eq!((lanes.by_id.len(), lanes.deadline()), (ACTIVE_MAX, None), "there is nothing to wait for");
    let mut loaded = HashSet::new();
    while let Some(action) = lanes.poll() {
        let Action::Load { lane, .. } = action else { panic!("{action:?}") };
        lanes.handle_loaded(&lane, Vec::new(), true, None);
        assert!(loaded.insert(lane) && lanes.by_id.len() <= ACTIVE_MAX);
    }
    assert_eq!((loaded.len(), lanes.by_id.len()), (count, 0));
}

#[test]
fn a_new_entry_of_a_lane_that_may_not_wake_stays_in_the_store() {
    let mut lanes = Lanes::new(1000);
    for number in 0..ACTIVE_MAX {
        lanes.handle_kick(&lane(&format!("mx:{number}")));
    }
    actions(&mut lanes);
    let late = lane("mx:late");
    lanes.handle_added(&late, item(1));
    assert_eq!(actions(&mut lanes), []);
    lanes.handle_loaded(&lane("mx:7"), Vec::new(), true, None);
    assert!(matches!(&actions(&mut lanes)[..], [Action::Load { lane, .. }] if *lane == late));
}

#[test]
fn sleepers_that_were_not_kept_are_searched_for_in_time() {
    let mut lanes = Lanes { sleepers: Sleepers::with_room(2), ..Lanes::new(1000) };
    for (name, due) in [("a", 30), ("b", 10), ("c", 20)] {
        lanes.handle_deferred(&lane(name), Timestamp::from_millis(due));
    }
    assert_eq!(lanes.deadline(), Some(Timestamp::from_millis(10)));
    time(&mut lanes, Timestamp::from_millis(25));
    assert_eq!(actions(&mut lanes).len(), 2, "b and c are loaded");
    assert_eq!(lanes.deadline(), Some(Timestamp::from_millis(30)));
    time(&mut lanes, Timestamp::from_millis(30));
    assert_eq!((actions(&mut lanes), lanes.deadline()), (vec![Action::Search], None));
    lanes.handle_now(Timestamp::from_millis(31));
    lanes.handle_stored(&lane("a"), Timestamp::from_millis(30));
    assert!(matches!(actions(&mut lanes)[..], [Action::Load { .. }]));
    lanes.handle_searched();
    assert_eq!((actions(&mut lanes), lanes.deadline()), (Vec::new(), None));
}
