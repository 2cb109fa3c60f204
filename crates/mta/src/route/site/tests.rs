use std::collections::{BTreeSet, HashMap};

use world::SystemEntropy;

use super::*;
use crate::testing::Names;

async fn site(names: &Names, address: &str) -> Result<Site, NoSite> {
    let own = OwnHosts { names: ["mx.here.example".to_owned()].into(), addresses: BTreeSet::new() };
    Site::of(names, &own, &address.parse().unwrap()).await
}

fn hosts(site: &Site) -> Vec<&str> {
    site.hosts().iter().map(|host| &*host.exchange).collect()
}

fn status(found: Result<Site, NoSite>) -> String {
    found.unwrap_err().status().to_string()
}

#[tokio::test]
async fn hosts_stand_by_preference() {
    let names = Names::new("a.example MX 20 second.example 10 first.example 20 other.example");
    let found = site(&names, "u@A.example").await.unwrap();
    assert_eq!(hosts(&found), ["first.example", "other.example", "second.example"]);
    assert!(!found.implicit && !found.secure);
    let order = found.in_order(&SystemEntropy);
    assert_eq!(order[0], ["first.example"]);
    assert_eq!(order[1].len(), 2);
}

/// RFC 5321 §5.1: the load is spread over hosts of one preference.
#[tokio::test]
async fn equal_hosts_take_turns_by_chance() {
    let names = Names::new("a.example MX 10 x.example 10 y.example 10 z.example");
    let found = site(&names, "u@a.example").await.unwrap();
    let mut first: HashMap<String, u32> = HashMap::new();
    for _ in 0..3000 {
        *first.entry(found.in_order(&SystemEntropy)[0][0].clone()).or_default() += 1;
    }
    assert_eq!(first.len(), 3);
    assert!(first.values().all(|count| (820..1180).contains(count)), "{first:?}");
}

#[tokio::test]
async fn without_mx_the_domain_is_its_own_host() {
    let names = Names::new("a.example A 192.0.2.1\nempty.example MX").secure();
    let found = site(&names, "u@a.example").await.unwrap();
    assert_eq!(hosts(&found), ["a.example"]);
    assert!(found.implicit && found.secure);
    assert_eq!(status(site(&names, "u@empty.example").await), "5.4.4");
}

#[tokio::test]
async fn what_fails_and_what_waits() {
    let names = Names::new("a.example FAILS\nb.example A 192.0.2.1");
    assert_eq!(status(site(&names, "u@a.example").await), "4.4.3");
    assert_eq!(names.asked(), ["MX a.example"], "no address stands in for an MX that cannot be had");
    assert_eq!(status(site(&names, "u@nowhere.example").await), "5.1.2");
}

/// RFC 7505
#[tokio::test]
async fn a_null_mx_takes_no_mail_and_is_nothing_among_others() {
    let names = Names::new("a.example MX 0 .\na.example A 192.0.2.1\nb.example MX 0 . 10 mx.b.example");
    assert_eq!(status(site(&names, "u@a.example").await), "5.1.10");
    assert_eq!(names.asked(), ["MX a.example"]);
    assert_eq!(hosts(&site(&names, "u@b.example").await.unwrap()), ["mx.b.example"]);
}

#[tokio::test]
async fn where_we_stand_only_better_hosts_may_have_it() {
    let names = Names::new(
        "a.example MX 10 x.example 20 mx.here.example 20 same.example 30 y.example
         b.example MX 10 mx.here.example 20 y.example
         mx.here.example A 192.0.2.25",
    );
    assert_eq!(hosts(&site(&names, "u@a.example").await.unwrap()), ["x.example"]);
    assert_eq!(status(site(&names, "u@b.example").await), "5.4.6");
    assert_eq!(status(site(&names, "u@mx.here.example").await), "5.4.6");
}

#[tokio::test]
async fn a_literal_is_its_own_host() {
    let found = site(&Names::default(), "u@[192.0.2.7]").await.unwrap();
    assert_eq!(hosts(&found), ["[192.0.2.7]"]);
    assert_eq!(&*found.lane().0, "mx:[192.0.2.7]");
    assert_eq!(status(site(&Names::default(), "u@[x400:c=us]").await), "5.4.4");
}

#[tokio::test]
async fn domains_with_the_same_hosts_are_one_site() {
    let names = Names::new(
        "a.example MX 10 x.example 20 y.example
         b.example MX 5 x.example 7 y.example
         c.example MX 10 x.example",
    );
    let mut lanes = Vec::new();
    for address in ["u@a.example", "u@b.example", "u@c.example"] {
        lanes.push(site(&names, address).await.unwrap().lane().0.to_string());
    }
    assert_eq!(lanes[0], lanes[1]);
    assert!(lanes[0].starts_with("mx:x.example+"), "{}", lanes[0]);
    assert_eq!(lanes[2], "mx:x.example");
}

#[tokio::test]
async fn an_address_written_as_mx_is_no_host() {
    let names = Names::new(
        "a.example MX 10 192.0.2.1\na.example A 192.0.2.1\nb.example MX 5 192.0.2.1 10 mx.b.example",
    );
    assert_eq!(status(site(&names, "u@a.example").await), "5.4.4");
    assert_eq!(names.asked(), ["MX a.example"]);
    assert_eq!(hosts(&site(&names, "u@b.example").await.unwrap()), ["mx.b.example"]);
}
