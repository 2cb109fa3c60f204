use proptest::prelude::*;

use super::*;
use crate::{Timestamp, seal::Seal};

const DAY_MS: i64 = 86_400_000;

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

fn header<'a>(address: &'a Address, title: Option<&'a str>) -> ListHeader<'a> {
    ListHeader { address, title, takes_posts: true, takes_subscriptions: true, one_click: false }
}

#[test]
fn the_fields_of_a_list_replace_those_of_another() {
    let club = address("club@Here.example");
    let message = b"Received: x\r\nList-Id: <other.there.example>\r\nSubject: hi\r\nprecedence: bulk\r\n\
        List-Unsubscribe: <mailto:a@b>,\r\n <https://b/u>\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\nList-Id: body\r\n";
    let out = String::from_utf8(header(&club, Some("The \"club\"")).rewrite(message)).unwrap();
    let expected = "Delivered-To: club@here.example\r\n\
        List-Id: \"The \\\"club\\\"\" <club.here.example>\r\n\
        List-Help: <mailto:club-request@here.example?subject=help>\r\n\
        List-Subscribe: <mailto:club-subscribe@here.example>\r\n\
        List-Post: <mailto:club@here.example>\r\n\
        List-Owner: <mailto:club-owner@here.example>\r\n\
        Precedence: list\r\n\
        List-Unsubscribe: <mailto:club-unsubscribe@here.example>\r\n\
        Received: x\r\nSubject: hi\r\n\r\nList-Id: body\r\n";
    assert_eq!(out, expected);
    assert!(header(&club, None).has_seen(out.as_bytes()));
    assert!(!header(&club, None).has_seen(message));
    assert!(!header(&address("pub@here.example"), None).has_seen(out.as_bytes()));
}

#[test]
fn a_list_without_posts_and_a_name_beyond_ascii() {
    let club = address("club@bücher.example");
    let title = "Grüße ".repeat(16);
    let quiet = ListHeader { takes_posts: false, takes_subscriptions: false, ..header(&club, Some(&title)) };
    let out = String::from_utf8(quiet.rewrite(b"\r\n")).unwrap();
    assert!(out.contains("List-Post: NO\r\n") && !out.contains("List-Subscribe"), "{out}");
    assert!(out.is_ascii() && out.lines().all(|line| line.len() <= 78), "{out}");
    assert!(out.contains("\r\n =?utf-8?B?") && out.contains("<club.xn--bcher-kva.example>"), "{out}");
}

#[test]
fn automatic_messages_are_known() {
    for (value, expected) in [
        ("no", false),
        ("No (really)", false),
        ("auto-replied", true),
        ("auto-generated; x=y", true),
        ("", true),
    ] {
        let message = format!("Auto-Submitted: {value}\r\n\r\n");
        assert_eq!(is_automatic(message.as_bytes()), expected, "{value}");
    }
    assert!(!is_automatic(b"Subject: x\r\n\r\n"));
}

fn verp(member: &str) -> Address {
    return_address(&Seal::new(b"s"), 1, &address("club-bounces@here.example"), member).unwrap()
}

#[test]
fn a_return_address_says_whose_bounce_it_is() {
    let seal = Seal::new(b"s");
    let made = verp("ann+x=y@there.example");
    assert!(made.to_string().starts_with("club-bounces+ann+x=y=there.example="), "{made}");
    let read = Verp::read(&made.local_part().to_uppercase()).unwrap();
    assert_eq!(read.prefixes()[0], "ann+x=y@there.example");
    assert!(read.is_of(&seal, 1, "ann+x=y@there.example"));
    assert!(!read.is_of(&seal, 2, "ann+x=y@there.example"), "another list's");
    assert!(!read.is_of(&seal, 1, "ann+x=y@there.examplf"));
    for bad in ["club-bounces", "club-bounces+", "club-bounces+a=b", "club-bounces+=abcdef"] {
        assert_eq!(Verp::read(bad), None, "{bad}");
    }
}

#[test]
fn what_does_not_fit_is_cut_and_still_known() {
    let seal = Seal::new(b"s");
    for member in
        ["a.long.name.of.somebody@department.of.records.example", &format!("{}@x.example", "u=".repeat(30))]
    {
        let made = verp(member);
        assert_eq!(made.local_part().len(), 64);
        let read = Verp::read(made.local_part()).unwrap();
        assert!(read.prefixes().iter().any(|prefix| member.starts_with(prefix.as_str())), "{read:?}");
        assert!(read.is_of(&seal, 1, member));
    }
}

#[test]
fn a_token_stands_for_its_wish_list_address_and_time() {
    let seal = Seal::new(b"s");
    let at = |days: i64| Timestamp::from_millis(days * DAY_MS);
    let ann = address("Ann.Lee@bücher.example");
    let made = token(&seal, 7, Wish::Unsubscribe, &ann, at(20_003));
    assert!(made.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit()), "{made}");
    assert_eq!(read_token(&seal, 7, &made.to_uppercase(), at(20_002)), Ok((Wish::Unsubscribe, ann)));
    assert_eq!(read_token(&seal, 7, &made, at(20_004)), Err(TokenError::Expired));
    assert_eq!(read_token(&seal, 8, &made, at(20_002)), Err(TokenError::NotOurs));
    for cut in 0..made.len() {
        assert_eq!(read_token(&seal, 7, &made[..cut], at(20_002)), Err(TokenError::NotOurs), "{cut}");
    }
    let other_wish = format!("s{}", &made[1..]);
    assert_eq!(read_token(&seal, 7, &other_wish, at(20_002)), Err(TokenError::NotOurs));
}

#[test]
fn commands_are_found_in_subject_and_text() {
    let asked = |message: &str| command(message.as_bytes());
    assert_eq!(asked("Subject: Subscribe\r\n\r\nplease"), Command::Subscribe);
    assert_eq!(asked("Subject: Re: Aw: confirm ABC\r\n\r\n"), Command::Confirm("abc".to_owned()));
    assert_eq!(asked("Subject: hello\r\n\r\n\r\n unsubscribe\r\n"), Command::Unsubscribe);
    for other in ["", "Subject: confirm\r\n\r\n", "Subject: what\r\n\r\nis this?", "\r\nhelp"] {
        assert_eq!(asked(other), Command::Help, "{other}");
    }
}

#[test]
fn an_answer_is_marked_as_automatic() {
    let (from, to) = (address("club-request@here.example"), address("ann@there.example"));
    let paragraphs = ["word ".repeat(40), "done".to_owned()];
    let answer = Answer {
        from: &from,
        to: &to,
        subject: "confirm x",
        paragraphs: &paragraphs,
        id: "1@here.example".to_owned(),
        at: Timestamp::from_millis(0),
        original: b"Message-ID: <q@there.example>\r\n\r\n",
    };
    let text = String::from_utf8(answer.write()).unwrap();
    assert!(text.contains("\r\nAuto-Submitted: auto-replied\r\n"), "{text}");
    assert!(text.contains("\r\nIn-Reply-To: <q@there.example>\r\n"), "{text}");
    assert!(is_automatic(text.as_bytes()));
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
}

proptest! {
    #[test]
    fn reading_never_panics(octets: Vec<u8>, text: String) {
        let _ = command(&octets);
        let _ = is_automatic(&octets);
        let _ = Verp::read(&text).map(|verp| verp.prefixes());
        let _ = read_token(&Seal::new(b"s"), 1, &text, Timestamp::from_millis(0));
    }

    #[test]
    fn every_member_has_a_return_address(user in "[a-z0-9._=+-]{1,60}", host in "[a-z]{1,30}\\.example") {
        let member = format!("{user}@{host}");
        let made = verp(&member);
        prop_assert!(Verp::read(made.local_part()).unwrap().is_of(&Seal::new(b"s"), 1, &member));
    }
}
