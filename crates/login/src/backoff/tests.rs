use super::*;

const HERE: &str = "192.0.2.7";
const NEIGHBOUR: &str = "192.0.2.200";

struct Guesses {
    backoff: Backoff,
    now: Instant,
}

impl Guesses {
    fn new() -> Self {
        let limits =
            Limits { attempts: 3, attempts_network: 6, attempts_account: 5, window: Duration::from_mins(5) };
        Self { backoff: Backoff::new(limits), now: Instant::now() }
    }

    fn begin(&self, name: &str, ip: &str) -> Result<Attempt, Held> {
        self.backoff.begin(name, ip.parse().unwrap(), self.now)
    }

    /// How many of so many guesses were let through; none is right.
    fn fail(&self, name: &str, ip: &str, times: usize) -> usize {
        (0..times).filter(|_| self.begin(name, ip).is_ok()).count()
    }

    fn succeed(&self, name: &str, ip: &str) -> bool {
        self.begin(name, ip).map(|attempt| self.backoff.succeed(&attempt)).is_ok()
    }
}

#[test]
fn an_account_is_held_for_a_network_and_comes_back_by_and_by() {
    let mut guesses = Guesses::new();
    assert_eq!(guesses.fail("anna", HERE, 10), 3);
    assert_eq!(guesses.fail("anna", NEIGHBOUR, 1), 0, "the same /24");
    assert_eq!(guesses.fail("anna", "198.51.100.1", 1), 1, "another network");
    guesses.now += Duration::from_secs(100);
    assert_eq!(guesses.fail("anna", HERE, 10), 1, "a third of the window gives a third of the guesses");
    guesses.now += Duration::from_secs(301);
    assert_eq!(guesses.fail("anna", HERE, 10), 3);
}

#[test]
fn refusals_come_later_and_later_and_a_hold_is_told_once() {
    let guesses = Guesses::new();
    let delays: Vec<u64> = (0..3).map(|_| guesses.begin("anna", HERE).unwrap().delay.as_secs()).collect();
    assert_eq!(delays, [1, 2, 4]);
    let told: Vec<bool> = (0..3).map(|_| guesses.begin("anna", HERE).unwrap_err().first).collect();
    assert_eq!(told, [true, false, false]);
    assert_eq!([1, 2, 4, 5, 40, 400].map(|failures| delay(failures).as_secs()), [1, 2, 8, 8, 8, 8]);
}

#[test]
fn a_network_is_held_whatever_names_it_tries() {
    let guesses = Guesses::new();
    let through = (0..20).filter(|n| guesses.begin(&format!("user{n}"), HERE).is_ok()).count();
    assert_eq!(through, 6);
    assert_eq!(guesses.begin("anna", NEIGHBOUR).unwrap_err().network.to_string(), "192.0.2.0/24");
    assert_eq!(guesses.fail("anna", "2001:db8::1", 1), 1);
    let through = (0..20).filter(|n| guesses.begin(&format!("user{n}"), "127.0.0.1").is_ok()).count();
    assert_eq!(through, 20, "a web mailer on this host speaks for everybody");
}

#[test]
fn an_account_is_held_for_strangers_and_not_where_it_is_known() {
    let guesses = Guesses::new();
    assert!(guesses.succeed("anna", HERE));
    let through = (1..20).filter(|n| guesses.begin("anna", &format!("2001:db8:0:{n}::1")).is_ok()).count();
    assert_eq!(through, 5, "each from a network of its own");
    assert!(guesses.succeed("anna", NEIGHBOUR), "Anna herself still gets in");
    assert_eq!(guesses.fail("anna", "198.51.100.1", 1), 0);
    assert_eq!(
        guesses.fail("anna", HERE, 10),
        3,
        "and who guesses from there gets no more guesses than elsewhere"
    );
}

#[test]
fn a_success_clears_the_pair_and_what_cannot_be_checked_counts_for_nothing() {
    let guesses = Guesses::new();
    assert_eq!(guesses.fail("anna", HERE, 2), 2);
    assert!(guesses.succeed("anna", HERE));
    assert_eq!(guesses.fail("anna", HERE, 10), 3);
    for _ in 0..50 {
        let attempt = guesses.begin("bob", "198.51.100.9").unwrap();
        guesses.backoff.forget(&attempt);
    }
}

#[test]
fn many_at_a_time_gain_nothing() {
    let guesses = Guesses::new();
    let under_way: Vec<_> = (0..100).filter_map(|_| guesses.begin("anna", HERE).ok()).collect();
    assert_eq!(under_way.len(), 3);
}

#[test]
fn networks_are_what_one_customer_has() {
    for (ip, network) in [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
    ] {
        assert_eq!(Network::of(ip.parse().unwrap()).to_string(), network);
    }
}
