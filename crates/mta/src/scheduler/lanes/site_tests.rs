use std::time::Duration;

use super::*;
use crate::policy::limits::Rate;

const SITE: &str = "mx:mx.far.example";

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(1_000_000_000).plus(Duration::from_secs(seconds))
}

fn id(number: u64) -> EntryId {
    EntryId { queue_id: mail::QueueId::from_u64(number), part: 0 }
}

fn item(number: u64) -> Item {
    Item { id: id(number), priority: MtPriority::NORMAL, entry: None }
}

impl Lanes {
    /// Told now.
    fn at(&mut self, now: Timestamp) -> &mut Self {
        self.handle_now(now);
        self
    }
}

/// Lanes, and the workers that run.
struct Play {
    lanes: Lanes,
    lane: LaneId,
    workers: usize,
    loads: usize,
    told: usize,
}

impl Play {
    fn new() -> Self {
        Self { lanes: Lanes::new(1000), lane: LaneId(SITE.into()), workers: 0, loads: 0, told: 0 }
    }

    /// With `connections_max` connections at most, and so many entries that wait.
    fn with(connections_max: usize, entries: u64) -> Self {
        let mut play = Self::new();
        for number in 0..entries {
            play.lanes.at(at(0)).handle_added(&play.lane, item(number));
        }
        play.run();
        assert_eq!(play.workers, 1, "before anything is known of the site");
        play.rule(0, connections_max, None);
        play
    }

    fn rule(&mut self, place: usize, connections_max: usize, rate: Option<Rate>) -> RulePlace {
        let limits = SiteLimits { connections_max, rate };
        let holds = self.lanes.at(at(0)).handle_rule(&self.lane, RulePlace { version: 0, place }, &limits);
        self.run();
        holds
    }

    fn run(&mut self) {
        while let Some(action) = self.lanes.poll() {
            match action {
                Action::StartWorker(lane) if lane == self.lane => self.workers += 1,
                Action::Load { .. } => self.loads += 1,
                Action::Tell(_) => self.told += 1,
                Action::StartWorker(_) | Action::WakeWorker(_) | Action::Search => {}
            }
        }
    }

    fn take(&mut self, now: Timestamp) -> Option<EntryId> {
        let turn = self.lanes.at(now).take(&self.lane);
        self.run();
        match turn {
            Turn::Item(item) => Some(item.id),
            Turn::Wait | Turn::Leave => None,
        }
    }

    fn leave(&mut self, now: Timestamp) {
        self.lanes.at(now).handle_worker_leaving(&self.lane);
        self.lanes.at(now).handle_worker_gone(&self.lane);
        self.workers -= 1;
        self.run();
    }

    fn reach(&mut self, now: Timestamp) {
        self.lanes.at(now).handle_reached(&self.lane);
        self.run();
    }

    fn serve(&mut self, now: Timestamp, took: u64) {
        self.lanes.at(now).handle_transaction(&self.lane, Duration::from_secs(took));
        self.run();
    }

    /// Each failure in a row makes the wait 100 s longer.
    fn fail(&mut self, now: Timestamp) -> Unreachable {
        let wait = |failures| Duration::from_secs(100 * u64::from(failures));
        let meaning = self.lanes.at(now).handle_unreachable(&self.lane, "no answer", wait);
        self.run();
        meaning
    }

    fn time(&mut self, now: Timestamp) {
        self.lanes.at(now).handle_time();
        self.run();
    }

    fn load(&mut self, now: Timestamp, numbers: std::ops::Range<u64>) {
        self.lanes.at(now).handle_loaded(&self.lane, numbers.map(item).collect(), true, None);
        self.run();
    }
}

#[test]
fn connections_begin_with_two_and_grow_with_each_message_up_to_the_limit() {
    let mut play = Play::with(20, 1000);
    assert_eq!(play.workers, 2);
    for served in 1..=30 {
        play.serve(at(0), 0);
        assert_eq!(play.workers, (2 + served).min(20));
    }
}

#[test]
fn a_slow_site_gets_no_more_connections() {
    let mut play = Play::with(20, 1000);
    for _ in 0..10 {
        play.serve(at(0), 11);
    }
    assert_eq!(play.workers, 2);
}

#[test]
fn a_site_that_has_too_much_gets_half_and_then_slowly_more() {
    let mut play = Play::with(20, 1000);
    (0..18).for_each(|_| play.serve(at(0), 0));
    play.lanes.at(at(10)).handle_strain(&play.lane, "421 busy");
    play.lanes.at(at(11)).handle_strain(&play.lane, "421 busy");
    for _ in 0..10 {
        assert_eq!(play.take(at(12)), None, "half of them leave");
        play.leave(at(12));
    }
    assert!(play.take(at(12)).is_some());
    play.serve(at(20), 0);
    assert_eq!(play.workers, 10, "not at once");
    play.serve(at(45), 0);
    play.serve(at(46), 0);
    assert_eq!(play.workers, 11, "one at a time");
    play.serve(at(80), 0);
    assert_eq!(play.workers, 12);
}

#[test]
fn a_site_that_wants_no_further_connection_keeps_those_it_has() {
    let mut play = Play::with(20, 1000);
    (0..6).for_each(|_| play.serve(at(0), 0));
    (0..5).for_each(|_| play.reach(at(0)));
    assert_eq!(play.workers, 8);
    let taken = play.take(at(1)).unwrap();
    assert_eq!(play.fail(at(1)), Unreachable::Strained);
    play.lanes.at(at(1)).handle_given_back(&play.lane, item(7000));
    assert_eq!(play.take(at(1)), None, "there are more than five");
    assert_eq!(play.lanes.site(&play.lane).unwrap().connections_allowed, 5);
    assert_ne!(taken, id(7000));
}

#[test]
fn a_dead_site_costs_one_probe_and_the_others_are_not_touched() {
    let mut play = Play::with(20, 1000);
    let first = play.take(at(0)).unwrap();
    assert_eq!(play.fail(at(0)), Unreachable::Closed(at(100)));
    play.lanes.at(at(0)).handle_finished(&play.lane, first, Some(at(100)));
    assert_eq!(play.lanes.load().0, 0, "nothing waits in memory");
    while play.workers > 0 {
        assert_eq!(play.take(at(1)), None);
        play.leave(at(1));
    }
    play.lanes.at(at(2)).handle_added(&play.lane, item(5000));
    play.time(at(99));
    assert_eq!((play.workers, play.loads), (0, 0));
    play.time(at(100));
    assert_eq!((play.workers, play.loads), (0, 1));
    play.load(at(100), 0..8);
    assert_eq!(play.workers, 1);
    let probe = play.take(at(100)).unwrap();
    assert_eq!(play.take(at(100)), None, "one alone");
    assert_eq!(play.fail(at(130)), Unreachable::Closed(at(330)));
    play.lanes.at(at(130)).handle_finished(&play.lane, probe, Some(at(330)));
    assert_eq!(play.lanes.deadline(), Some(at(330)).min(play.lanes.deadline()));
}

#[test]
fn what_ran_at_the_same_time_counts_as_one_failure() {
    let mut play = Play::with(20, 10);
    play.take(at(0));
    play.take(at(0));
    assert_eq!(play.fail(at(30)), Unreachable::Closed(at(130)));
    assert_eq!(play.fail(at(31)), Unreachable::Closed(at(130)));
}

#[test]
fn a_probe_that_arrives_opens_the_lane_slowly() {
    let mut play = Play::with(20, 10);
    play.take(at(0));
    play.fail(at(0));
    (0..2).for_each(|_| play.leave(at(0)));
    play.time(at(100));
    play.load(at(100), 0..8);
    play.take(at(100)).unwrap();
    play.reach(at(101));
    assert_eq!(play.workers, 1);
    for served in 1..=4 {
        play.serve(at(101), 0);
        assert_eq!(play.workers, 1 + served);
    }
    assert_eq!(play.lanes.site(&play.lane).unwrap().trouble, None);
}

#[test]
fn a_probe_that_went_another_way_is_followed_by_the_next() {
    let mut play = Play::with(20, 10);
    play.take(at(0));
    play.fail(at(0));
    (0..2).for_each(|_| play.leave(at(0)));
    play.time(at(100));
    play.load(at(100), 0..8);
    let probe = play.take(at(100)).unwrap();
    play.lanes.at(at(100)).handle_finished(&play.lane, probe, None);
    assert!(play.take(at(100)).is_some_and(|next| next != probe));
}

#[test]
fn an_operator_lets_a_probe_go_at_once() {
    let mut play = Play::with(20, 10);
    play.take(at(0));
    play.fail(at(0));
    (0..2).for_each(|_| play.leave(at(0)));
    play.lanes.at(at(5)).handle_kick(&play.lane);
    play.run();
    assert_eq!(play.loads, 1);
    play.load(at(5), 0..8);
    assert_eq!(play.workers, 1);
}

#[test]
fn a_clock_that_is_set_back_keeps_no_site_closed() {
    let mut play = Play::with(20, 10);
    play.time(at(90_000));
    play.take(at(90_000));
    play.fail(at(90_000));
    play.time(at(10));
    play.time(at(110));
    assert_eq!(play.loads, 1);
}

#[test]
fn senders_are_told_while_the_site_is_out_of_reach_and_no_longer() {
    let mut play = Play::with(20, 10);
    play.take(at(0));
    play.fail(at(0));
    play.lanes.at(at(0)).handle_tell_at(&play.lane, at(400));
    play.time(at(1));
    assert_eq!(play.told, 1, "who waited before");
    play.lanes.at(at(2)).handle_told(&play.lane, Some(at(500)));
    play.time(at(499));
    assert_eq!(play.told, 1);
    play.time(at(500));
    assert_eq!(play.told, 2);
    play.lanes.at(at(501)).handle_told(&play.lane, Some(at(600)));
    play.reach(at(550));
    play.time(at(600));
    assert_eq!(play.told, 2);
}

#[test]
fn messages_go_at_the_pace_that_the_rule_sets() {
    let mut play = Play::with(20, 100);
    play.lanes = Lanes::new(1000);
    play.workers = 0;
    for number in 0..100 {
        play.lanes.at(at(0)).handle_added(&play.lane, item(number));
    }
    play.run();
    play.rule(0, 20, Some(Rate::new(6, Duration::from_mins(1))));
    let mut taken = 0;
    for second in 0..60 {
        play.time(at(second));
        while play.take(at(second)).is_some() {
            taken += 1;
        }
    }
    assert_eq!(taken, 6);
    assert!(play.workers <= 2, "nobody is started for what may not go yet: {}", play.workers);
}

#[test]
fn of_several_rules_for_one_site_the_first_holds() {
    let mut play = Play::with(20, 100);
    let version = 1;
    let rule = |place| RulePlace { version, place };
    let limits = |connections_max| SiteLimits { connections_max, rate: None };
    assert_eq!(play.lanes.at(at(0)).handle_rule(&play.lane, rule(3), &limits(9)), rule(3));
    assert_eq!(play.lanes.at(at(0)).handle_rule(&play.lane, rule(1), &limits(1)), rule(1));
    assert_eq!(play.lanes.at(at(0)).handle_rule(&play.lane, rule(3), &limits(9)), rule(1));
    assert_eq!(play.lanes.site(&play.lane).unwrap().connections_max, Some(1));
    let reloaded = RulePlace { version: 2, place: 5 };
    assert_eq!(play.lanes.at(at(0)).handle_rule(&play.lane, reloaded, &limits(7)), reloaded);
}

#[test]
fn racing_sockets_count() {
    let mut play = Play::with(3, 100);
    assert!(play.lanes.claim_spare(&play.lane));
    assert!(!play.lanes.claim_spare(&play.lane), "two workers and a second socket are three");
    play.serve(at(0), 0);
    assert_eq!(play.workers, 2);
    play.lanes.at(at(0)).handle_spare_closed(&play.lane);
    play.run();
    assert_eq!(play.workers, 3);
}

/// Many lanes, few connections: each gets its share, and nobody who has nothing to do keeps one.
#[test]
fn lanes_share_what_there_is() {
    let mut lanes = Lanes::new(10);
    let lane = |number: u64| LaneId(format!("smtp:host{number}:25").into());
    let rule = RulePlace { version: 0, place: 0 };
    let limits = SiteLimits { connections_max: 20, rate: None };
    let mut workers: HashMap<LaneId, usize> = HashMap::new();
    let mut start = |lanes: &mut Lanes| {
        while let Some(action) = lanes.poll() {
            if let Action::StartWorker(lane) = action {
                *workers.entry(lane).or_default() += 1;
            }
        }
        workers.clone()
    };
    for number in 0..100 {
        lanes.at(at(0)).handle_added(&lane(0), item(number));
    }
    lanes.at(at(0)).handle_rule(&lane(0), rule, &limits);
    (0..20).for_each(|_| lanes.at(at(0)).handle_transaction(&lane(0), Duration::ZERO));
    assert_eq!(start(&mut lanes)[&lane(0)], 10, "alone it has them all");
    for number in 1..5 {
        lanes.at(at(0)).handle_added(&lane(number), item(1000 + number));
    }
    for _ in 0..10 {
        if matches!(lanes.at(at(1)).take(&lane(0)), Turn::Leave) {
            lanes.at(at(1)).handle_worker_leaving(&lane(0));
            lanes.at(at(1)).handle_worker_gone(&lane(0));
        }
    }
    let workers = start(&mut lanes);
    assert!((1..5).all(|number| workers[&lane(number)] == 1), "{workers:?}");
    assert!(matches!(lanes.at(at(2)).take(&lane(0)), Turn::Item(_)), "it has its share");
}
