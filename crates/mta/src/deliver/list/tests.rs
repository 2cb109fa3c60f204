//! Lists as their members, strangers and other hosts meet them.

use std::{collections::BTreeSet, time::Duration};

use mail::{Address, Timestamp};
use store::{
    directory::{ListChange, Member, Posting, Subscription},
    spool::QueueEntry,
};

use crate::{
    route::{Route, Via},
    testing::{Site, Wire, config},
};

const CLUB: &str = "club@here.example";
const POST: &str = "C: Subject: hi\nC: Message-ID: <1@here.example>\nC: \nC: the body\n";

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// What goes abroad is held in the queue, to be looked at.
async fn site() -> Site {
    let held = Route { recipient: "*".parse().unwrap(), via: Via::Hold };
    let site = Site::new(config(vec![held])).await;
    let world = world::World::system();
    for name in ["carol", "owner"] {
        let account = address(&format!("{name}@here.example"));
        let now = world.clock.wall();
        site.stores.directory.add_account(&account, "secret", None, &*world.entropy, now).await.unwrap();
    }
    site
}

async fn list(site: &Site, name: &str, posting: Posting, members: &[&str]) {
    let change = ListChange {
        owners: Some(vec![address("owner@here.example")]),
        posting: Some(posting),
        ..ListChange::default()
    };
    let (directory, now) = (&site.stores.directory, Timestamp::from_millis(1));
    directory.add_list(&address(name), change, now).await.unwrap();
    let members: Vec<Address> = members.iter().map(|member| address(member)).collect();
    directory.subscribe(&address(name), &members, now).await.unwrap();
}

async fn send(wire: &mut Wire, from: &str, to: &str, content: &str, reply: &str) {
    wire.dialog(&format!(
        "C: MAIL FROM:<{from}>\nS: 250\nC: RCPT TO:{to}\nS: 250\nC: DATA\nS: 354\n{content}C: .\nS: {reply}"
    ))
    .await;
}

async fn entries(site: &Site) -> Vec<QueueEntry> {
    site.stores.spool.list(None, 5000).await.unwrap()
}

/// What is left in the queue once nothing is on its way here: what is held.
async fn held(site: &Site) -> Vec<QueueEntry> {
    loop {
        let entries = entries(site).await;
        if entries.iter().all(|entry| entry.status == store::spool::EntryStatus::Held) {
            return entries;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn count(site: &Site, name: &str) -> usize {
    let account = site.stores.directory.account(&address(name)).await.unwrap().unwrap();
    site.stores.mailboxes.messages(account.inbox, store::mailbox::Uid(1), 100).await.unwrap().len()
}

async fn member(site: &Site, name: &str) -> Option<Member> {
    let list = site.stores.directory.list(&address(CLUB)).await.unwrap().unwrap();
    site.stores.directory.member(list.id, &address(name)).await.unwrap()
}

fn header(message: &str, name: &str) -> Vec<String> {
    let values = mail::header::values(message.as_bytes(), name);
    values.map(|value| String::from_utf8(value).unwrap()).collect()
}

#[tokio::test]
async fn members_get_a_copy_under_the_lists_sender_and_the_author_is_one_of_them() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &["bob@here.example", "ann@there.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    let content = format!("C: List-Id: <other.there.example>\nC: From: bob\n{POST}");
    send(&mut wire, "bob@here.example", "<Club@here.example>", &content, "250").await;
    let mail = site.mail("bob@here.example", 1).await;
    let return_path = header(&mail, "Return-Path").remove(0);
    assert!(return_path.starts_with("<club-bounces+bob=here.example="), "{return_path}");
    assert_eq!(header(&mail, "List-Id"), ["<club.here.example>"]);
    assert_eq!(header(&mail, "List-Unsubscribe"), ["<mailto:club-unsubscribe@here.example>"]);
    assert_eq!(header(&mail, "From"), ["bob"]);
    assert!(mail.ends_with("Subject: hi\r\nMessage-ID: <1@here.example>\r\n\r\nthe body\r\n"), "{mail}");
    let held = held(&site).await;
    assert_eq!(held.len(), 1);
    let sender = held[0].reverse_path.to_string();
    assert!(sender.starts_with("club-bounces+ann=there.example="), "{sender}");
    assert_eq!(held[0].recipients[0].address, address("ann@there.example"));
}

#[tokio::test]
async fn who_may_not_post_is_refused_at_rcpt() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &["bob@here.example"]).await;
    list(&site, "news@here.example", Posting::Owners, &["bob@here.example"]).await;
    list(&site, "open@here.example", Posting::Anyone, &["bob@here.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    wire.dialog(
        "C: MAIL FROM:<ann@there.example>
         S: 250
         C: RCPT TO:<club@here.example>
         S: 550 5.7.2 only members
         C: RCPT TO:<news@here.example>
         S: 550 5.7.2 only its owners
         C: RCPT TO:<open@here.example>
         S: 250
         C: RCPT TO:<club-bounces@here.example>
         S: 550 5.7.2
         C: RCPT TO:<club-nothing@here.example>
         S: 550 5.1.1
         C: RSET
         S: 250
         C: MAIL FROM:<BOB@here.example>
         S: 250
         C: RCPT TO:<club@here.example>
         S: 250
         C: RCPT TO:<news@here.example>
         S: 550 5.7.2
         C: RSET
         S: 250
         C: MAIL FROM:<owner@here.example>
         S: 250
         C: RCPT TO:<club@here.example>
         S: 250
         C: RCPT TO:<news@here.example>
         S: 250
         C: RSET
         S: 250
         C: MAIL FROM:<>
         S: 250
         C: RCPT TO:<open@here.example>
         S: 550 5.7.2
         C: RCPT TO:<open-request@here.example>
         S: 550 5.7.2
         C: RCPT TO:<open-owner@here.example>
         S: 250",
    )
    .await;
}

#[tokio::test]
async fn automatic_messages_go_to_no_list() {
    let site = site().await;
    list(&site, CLUB, Posting::Anyone, &["bob@here.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    let automatic = format!("C: Auto-Submitted: auto-replied\n{POST}");
    send(&mut wire, "ann@there.example", "<club@here.example>", &automatic, "550 5.7.2").await;
    // Among other recipients it cannot be refused, and fails for the list.
    wire.dialog("C: MAIL FROM:<carol@here.example>\nS: 250\nC: RCPT TO:<bob@here.example>\nS: 250").await;
    wire.dialog(&format!("C: RCPT TO:<club@here.example>\nS: 250\nC: DATA\nS: 354\n{automatic}C: .\nS: 250"))
        .await;
    let report = site.mail("carol@here.example", 1).await;
    let words = report.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("Status: 5.7.2") && words.contains("lists take no automatic messages"),
        "{report}"
    );
    held(&site).await;
    assert_eq!(count(&site, "bob@here.example").await, 1, "as the recipient he is");
}

#[tokio::test]
async fn delivery_to_the_list_is_told_and_nothing_asked_is_inherited() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &["carol@here.example", "bob@here.example", "ann@there.example"])
        .await;
    let mut wire = site.connect("192.0.2.1").await;
    let to = "<club@here.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;klub@there.example";
    wire.dialog(&format!(
        "C: MAIL FROM:<bob@here.example> ENVID=Q1 RET=FULL\nS: 250\nC: RCPT TO:{to}\nS: 250\nC: DATA\nS: 354\n{POST}C: .\nS: 250"
    ))
    .await;
    site.mail("carol@here.example", 1).await;
    site.mail("bob@here.example", 2).await;
    let held = held(&site).await;
    assert_eq!(count(&site, "bob@here.example").await, 2, "his copy and one report");
    let account = site.stores.directory.account(&address("bob@here.example")).await.unwrap().unwrap();
    let messages = site.stores.mailboxes.messages(account.inbox, store::mailbox::Uid(1), 9).await.unwrap();
    let mut report = None;
    for message in messages {
        let octets = site.stores.mailboxes.read(&message.record, 0..u64::MAX).await.unwrap();
        let text = String::from_utf8(octets.to_vec()).unwrap();
        report = report.or_else(|| text.contains("Action: delivered").then_some(text));
    }
    let report = report.unwrap();
    assert!(report.contains("Final-Recipient: rfc822; club@here.example"), "{report}");
    assert!(report.contains("a mailing list") && report.contains("Original-Envelope-Id: Q1"), "{report}");
    let [copy] = &held[..] else { panic!("{held:?}") };
    assert_eq!((copy.mail.envid.as_deref(), copy.mail.ret), (None, Some(mail::Return::Headers)));
    let rcpt = &copy.recipients[0].rcpt;
    assert_eq!(rcpt.notify.unwrap().to_string(), "FAILURE");
    assert_eq!(rcpt.orcpt.as_ref().unwrap().address, "ann@there.example");
}

#[tokio::test]
async fn lists_within_each_other_end_where_a_message_has_been() {
    let site = site().await;
    list(
        &site,
        CLUB,
        Posting::Members,
        &["bob@here.example", "other@here.example", "club-owner@here.example"],
    )
    .await;
    list(&site, "other@here.example", Posting::Owners, &["carol@here.example", "club@here.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    send(&mut wire, "bob@here.example", "<club@here.example>", POST, "250").await;
    let mail = site.mail("carol@here.example", 1).await;
    assert_eq!(header(&mail, "List-Id"), ["<other.here.example>"]);
    assert_eq!(header(&mail, "Delivered-To").len(), 3, "{mail}");
    site.mail("owner@here.example", 1).await;
    assert_eq!(held(&site).await.len(), 0);
    assert_eq!(count(&site, "bob@here.example").await, 1);
    assert_eq!(count(&site, "carol@here.example").await, 1);
    // The way back ended as a bounce of the other list's member.
    let other = site.stores.directory.list(&address("other@here.example")).await.unwrap().unwrap();
    let club = site.stores.directory.member(other.id, &address(CLUB)).await.unwrap().unwrap();
    assert_eq!(club.bounces, 1);
}

#[tokio::test]
async fn bounces_suspend_a_member_and_its_owner_is_told() {
    let site = site().await;
    let gone = "gone@here.example";
    list(&site, CLUB, Posting::Members, &["bob@here.example", gone]).await;
    let mut wire = site.connect("192.0.2.1").await;
    for n in 1..=Member::BOUNCES_MAX {
        send(&mut wire, "bob@here.example", "<club@here.example>", POST, "250").await;
        site.mail("bob@here.example", n as usize).await;
        held(&site).await;
        assert_eq!(member(&site, gone).await.unwrap().bounces, n);
    }
    assert!(member(&site, gone).await.unwrap().suspended_at.is_some());
    let told = site.mail("owner@here.example", 1).await;
    assert!(told.contains("Subject: club: a member is suspended\r\n"), "{told}");
    assert!(told.contains(gone) && told.contains("status 5.1.1"), "{told}");
    send(&mut wire, "bob@here.example", "<club@here.example>", POST, "250").await;
    site.mail("bob@here.example", Member::BOUNCES_MAX as usize + 1).await;
    held(&site).await;
    assert_eq!(member(&site, gone).await.unwrap().bounces, Member::BOUNCES_MAX, "it got nothing more");
    assert_eq!(count(&site, "owner@here.example").await, 1, "told once");
}

#[tokio::test]
async fn only_what_is_a_bounce_and_ours_counts() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &["ann@there.example", "bob@here.example"]).await;
    let mut wire = site.connect("192.0.2.1").await;
    send(&mut wire, "bob@here.example", "<club@here.example>", POST, "250").await;
    let return_address = held(&site).await[0].reverse_path.to_string();
    let ann = "ann@there.example";
    let mut bounce = async |to: &str, content: &str| {
        send(&mut wire, "", &format!("<{to}>"), content, "250").await;
        held(&site).await;
        member(&site, ann).await.unwrap().bounces
    };
    let report = |action: &str| {
        format!(
            "C: Content-Type: multipart/report; boundary=b\nC: \nC: --b\nC: Content-Type: message/delivery-status\nC: \n\
             C: Reporting-MTA: dns; x\nC: \nC: Action: {action}\nC: Status: 4.0.0\nC: --b--\n"
        )
    };
    assert_eq!(bounce(&return_address, &report("delayed")).await, 0);
    assert_eq!(bounce(&return_address, "C: Auto-Submitted: auto-replied\nC: \nC: I am away\n").await, 0);
    let forged = return_address.replace("ann=", "bob=");
    assert_eq!(bounce(&forged, &report("failed")).await, 0);
    assert_eq!(member(&site, "bob@here.example").await.unwrap().bounces, 0);
    assert_eq!(bounce("club-bounces@here.example", &report("failed")).await, 0);
    assert_eq!(bounce(&return_address.to_uppercase(), &report("failed")).await, 1);
    assert_eq!(
        bounce(&return_address, "C: Subject: failure notice\nC: \nC: Hi. This is a mailer\n").await,
        2
    );
}

#[tokio::test]
async fn joining_and_leaving_by_mail_takes_a_confirmation() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &[]).await;
    let (carol, mut wire) = ("carol@here.example", site.connect("192.0.2.1").await);
    send(&mut wire, carol, "<club-subscribe@here.example>", "C: Subject: hello\nC: \n", "250").await;
    let asked = site.mail(carol, 1).await;
    assert_eq!(header(&asked, "From"), ["<club-request@here.example>"]);
    assert!(mail::list::is_automatic(asked.as_bytes()));
    assert_eq!(member(&site, carol).await, None, "not before it is confirmed");
    let subject = header(&asked, "Subject").remove(0);
    let wrong = format!("C: Subject: {}\nC: \n", subject.replace("confirm s", "confirm u"));
    send(&mut wire, carol, "<club-request@here.example>", &wrong, "250").await;
    assert!(site.mail(carol, 2).await.contains("Your confirmation does not count"));
    // From another address of hers.
    let reply = format!("C: Subject: Re: {subject}\nC: \n");
    send(&mut wire, "bob@here.example", "<club-request@here.example>", &reply, "250").await;
    assert!(site.mail(carol, 3).await.contains("Subject: club: Welcome\r\n"));
    assert!(member(&site, carol).await.is_some());
    send(&mut wire, carol, "<club-request@here.example>", "C: Subject: unsubscribe\nC: \n", "250").await;
    let asked = site.mail(carol, 4).await;
    let reply = format!("C: Subject: AW: {}\nC: \n", header(&asked, "Subject").remove(0));
    send(&mut wire, carol, "<club-request@here.example>", &reply, "250").await;
    assert!(site.mail(carol, 5).await.contains("Subject: club: Goodbye\r\n"));
    assert_eq!(member(&site, carol).await, None);
}

#[tokio::test]
async fn a_closed_list_and_floods_get_no_members() {
    let site = site().await;
    list(&site, CLUB, Posting::Members, &[]).await;
    let closed = ListChange { subscription: Some(Subscription::Closed), ..ListChange::default() };
    site.stores.directory.change_list(&address(CLUB), closed).await.unwrap();
    let (carol, mut wire) = ("carol@here.example", site.connect("192.0.2.1").await);
    for _ in 0..15 {
        send(&mut wire, carol, "<club-subscribe@here.example>", "C: \n", "250").await;
        held(&site).await;
    }
    assert!(site.mail(carol, 1).await.contains("You cannot join by mail"));
    assert_eq!(count(&site, carol).await, 10, "RFC 3834 §2");
}

#[tokio::test]
async fn a_long_list_is_served_page_by_page_each_member_once() {
    let site = site().await;
    list(&site, CLUB, Posting::Anyone, &[]).await;
    let all: Vec<Address> = (0..1201).map(|n| address(&format!("m{n}@there.example"))).collect();
    for page in all.chunks(500) {
        let joined = site.stores.directory.subscribe(&address(CLUB), page, Timestamp::from_millis(1)).await;
        assert_eq!(joined.unwrap().len(), page.len());
    }
    let mut wire = site.connect("192.0.2.1").await;
    send(&mut wire, "bob@here.example", "<club@here.example>", POST, "250").await;
    let held = held(&site).await;
    assert_eq!(held.len(), 1201);
    let senders: BTreeSet<String> = held.iter().map(|entry| entry.reverse_path.to_string()).collect();
    let members: BTreeSet<String> =
        held.iter().map(|entry| entry.recipients[0].address.to_string()).collect();
    assert_eq!((senders.len(), members.len()), (1201, 1201));
    assert!(held.iter().all(|entry| entry.blob == held[0].blob), "one body for all");
    for page in all.chunks(500) {
        let left = site.stores.directory.unsubscribe(&address(CLUB), page).await.unwrap();
        assert_eq!(left.len(), page.len());
    }
    let list = site.stores.directory.list(&address(CLUB)).await.unwrap().unwrap();
    assert_eq!(site.stores.directory.member_count(list.id).await.unwrap(), 0);
}
