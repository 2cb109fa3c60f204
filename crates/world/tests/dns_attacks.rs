//! Name servers that mean harm, or know no better: whatever they say ends in an answer, a certain no, or "not now".
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

#[path = "support/scripted_dns.rs"]
mod scripted_dns;

use std::{fs, net::IpAddr, time::Duration};

use scripted_dns::{
    A, Asked, CNAME, DNSKEY, MX, Message, PTR, RRSIG, Said, ScriptedDns, TLSA, TXT, mx, name, own, record,
};
use world::{
    Dns, DnsError, ResolverSettings, SystemDns,
    dns::{Dnssec, NameServer, RECORDS_MAX},
};

/// Longer than any resolver waits.
const LATE: Duration = Duration::from_secs(29);

fn resolver(server: &ScriptedDns) -> SystemDns {
    SystemDns::new(ResolverSettings {
        servers: vec![NameServer(server.address)],
        dnssec: Dnssec::Off,
        timeout: Duration::from_millis(200),
        ..ResolverSettings::default()
    })
}

/// Each kind of question that mail asks; what came of it.
async fn all(dns: &SystemDns, host: &str) -> [Result<usize, DnsError>; 5] {
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    [
        dns.mx(host).await.map(|answer| answer.records.len()),
        dns.addresses(host).await.map(|answer| answer.records.len()),
        dns.txt(host).await.map(|answer| answer.records.len()),
        dns.tlsa(host).await.map(|answer| answer.records.len()),
        dns.pointers(ip).await.map(|answer| answer.records.len()),
    ]
}

async fn assert_all_temporary(server: &ScriptedDns, what: &str) {
    for (number, found) in all(&resolver(server), "a.test").await.into_iter().enumerate() {
        assert!(found.as_ref().is_err_and(DnsError::is_temporary), "{what}, question {number}: {found:?}");
    }
}

/// Only "there is no such name" and "there is no such record" are certain.
#[tokio::test]
async fn which_failures_are_for_good() {
    let [none, absent] = [0, 3].map(|code| ScriptedDns::start(move |asked| asked.code(code)));
    for found in all(&resolver(&none), "a.test").await {
        assert!(matches!(found, Err(DnsError::NoRecords { .. })), "{found:?}");
    }
    for found in all(&resolver(&absent), "a.test").await {
        assert!(matches!(found, Err(DnsError::NoName { .. })), "{found:?}");
    }
    // FORMERR, SERVFAIL, NOTIMP, REFUSED, YXDOMAIN, NOTAUTH, and one that nobody has given a meaning.
    for code in [1, 2, 4, 5, 6, 9, 15] {
        let server = ScriptedDns::start(move |asked| asked.code(code));
        assert_all_temporary(&server, &format!("RCODE {code}")).await;
    }
}

#[tokio::test]
async fn silence_and_what_comes_too_late_are_no_answer() {
    let silent = ScriptedDns::start(|_| Said::nothing());
    assert_all_temporary(&silent, "silence").await;
    let slow = ScriptedDns::start(|asked| Said { after: LATE, ..asked.rdata(&[192, 0, 2, 1]) });
    assert_all_temporary(&slow, "29 seconds").await;
    assert_eq!(slow.answered(), 0, "nobody waited for it");
}

/// Truncated, and nobody there by TCP: what came is not all, and proves nothing.
#[tokio::test]
async fn half_an_answer_is_none() {
    let server = ScriptedDns::start(|asked| {
        if asked.by_tcp {
            return Said::nothing();
        }
        Said::now(Message { truncated: true, ..asked.reply() }.octets())
    });
    assert_all_temporary(&server, "truncated").await;
}

/// As many records as a DNS message holds.
#[tokio::test]
async fn of_thousands_of_records_a_hundred_are_kept_and_the_best_hosts() {
    let server = ScriptedDns::start(|asked| {
        if !asked.by_tcp {
            return Said::now(Message { truncated: true, ..asked.reply() }.octets());
        }
        let count = 3_000_u16;
        asked.records(match asked.kind {
            A => (0..count).map(|n| own(A, &[10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]])).collect(),
            MX => (0..count)
                .map(|n| own(MX, &mx(count - n, &[[1, b'h'], [0xC0, 12]].concat())))
                .chain([own(MX, &mx(0, &name("best.test")))])
                .collect(),
            TXT => (0..count).map(|n| own(TXT, &[&[2][..], &n.to_be_bytes()].concat())).collect(),
            TLSA => (0..count).map(|n| own(TLSA, &[&[3, 1, 1][..], &n.to_be_bytes()].concat())).collect(),
            PTR => (0..count).map(|_| own(PTR, &name("p.test"))).collect(),
            _ => Vec::new(),
        })
    });
    let dns = resolver(&server);
    for found in all(&dns, "a.test").await {
        let count = found.unwrap();
        assert!(count > 0 && count <= RECORDS_MAX, "{count}");
    }
    assert_eq!(dns.mx("a.test").await.unwrap().records[0].exchange, "best.test");
}

fn is_bounded(found: &Result<usize, DnsError>) -> bool {
    found.as_ref().is_ok_and(|count| *count <= RECORDS_MAX) || found.is_err()
}

#[tokio::test]
async fn aliases_in_circles_and_long_chains_end() {
    let to = |asked: &Asked, target: &str| asked.records(vec![own(CNAME, &name(target))]);
    let circle =
        ScriptedDns::start(move |asked| to(asked, if asked.name == "a.test" { "b.test" } else { "a.test" }));
    let itself = ScriptedDns::start(move |asked| to(asked, &asked.name));
    // A new name each time.
    let chain = ScriptedDns::start(move |asked| {
        let step: u32 = asked.name.split('.').next().and_then(|label| label.parse().ok()).unwrap_or_default();
        to(asked, &format!("{}.test", step + 1))
    });
    // All at once, and no end to it.
    let at_once = ScriptedDns::start(|asked| {
        let owner = |n: u32| if n == 0 { name(&asked.name) } else { name(&format!("{n}.test")) };
        asked.records((0..50).map(|n| record(&owner(n), CNAME, &owner(n + 1))).collect())
    });
    for (what, server) in [("circle", circle), ("itself", itself), ("chain", chain), ("at once", at_once)] {
        let found = all(&resolver(&server), "a.test").await;
        for (number, found) in found.iter().enumerate() {
            assert!(found.is_err(), "{what}, question {number}: {found:?}");
        }
        assert!(server.asked() < 200, "{what}: {} questions for six", server.asked());
    }
}

/// MX names an alias of the domain that the MX belongs to.
#[tokio::test]
async fn a_host_that_is_an_alias_of_its_domain_leads_nowhere() {
    let server = ScriptedDns::start(|asked| match (asked.kind, asked.name.as_str()) {
        (MX, "a.test") => asked.rdata(&mx(10, &name("mx.test"))),
        (_, "mx.test") => asked.records(vec![own(CNAME, &name("a.test"))]),
        _ => asked.code(0),
    });
    let dns = resolver(&server);
    assert_eq!(dns.mx("a.test").await.unwrap().records[0].exchange, "mx.test");
    assert!(dns.addresses("mx.test").await.is_err());
    assert!(server.asked() < 20, "{}", server.asked());
}

/// Forged answers come first; the true one counts.
#[tokio::test]
async fn answers_to_questions_that_were_not_asked_are_dropped() {
    let forged = [10, 66, 66, 66];
    let server = ScriptedDns::start(move |asked| {
        let lie = |message: Message| Message { records: vec![own(A, &forged)], ..message }.octets();
        let other_name = [&name("evil.test")[..], &[0, 1, 0, 1]].concat();
        let mut messages =
            vec![lie(Message { id: asked.id.wrapping_add(1), ..asked.reply() }), vec![0; 3], Vec::new()];
        if asked.name == "other.test" {
            messages.push(lie(Message { question: other_name, ..asked.reply() }));
        } else if asked.kind == A {
            messages.extend(asked.rdata(&[192, 0, 2, 7]).messages);
        } else {
            messages.extend(asked.code(0).messages);
        }
        Said { messages, ..Said::default() }
    });
    let dns = resolver(&server);
    let found = dns.addresses("a.test").await.unwrap();
    assert_eq!(found.records, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    let found = dns.addresses("other.test").await;
    assert!(found.as_ref().is_err_and(DnsError::is_temporary), "{found:?}");
}

#[tokio::test]
async fn an_answer_from_another_port_is_none() {
    let server = ScriptedDns::start(|asked| {
        if asked.by_tcp {
            return Said::nothing();
        }
        Said { from_elsewhere: true, ..asked.rdata(&[10, 66, 66, 66]) }
    });
    let found = resolver(&server).addresses("a.test").await;
    assert!(found.as_ref().is_err_and(DnsError::is_temporary), "{found:?}");
}

/// Each question has its own case (0x20); who answers in another did not see it.
#[tokio::test]
async fn an_answer_in_the_wrong_case_is_not_believed() {
    let server = ScriptedDns::start(|asked| {
        if asked.by_tcp {
            return Said::nothing();
        }
        let long = [name(&asked.name), asked.kind.to_be_bytes().to_vec(), vec![0, 1]].concat();
        Said::now(
            Message { question: long, records: vec![own(A, &[10, 66, 66, 66])], ..asked.reply() }.octets(),
        )
    });
    let host = format!("{}.test", "abcdefghijklmnopqrstuvwxyz".repeat(2));
    let found = resolver(&server).addresses(&host).await;
    assert!(found.as_ref().is_err_and(DnsError::is_temporary), "{found:?}");
}

/// A record about another name beside the answer is nobody's business.
#[tokio::test]
async fn records_that_were_not_asked_for_are_not_kept() {
    let server = ScriptedDns::start(|asked| match (asked.name.as_str(), asked.kind) {
        ("a.test", A) => {
            asked.records(vec![own(A, &[192, 0, 2, 7]), record(&name("bank.test"), A, &[10, 66, 66, 66])])
        }
        _ => asked.code(3),
    });
    let dns = resolver(&server);
    assert_eq!(dns.addresses("a.test").await.unwrap().records, ["192.0.2.7".parse::<IpAddr>().unwrap()]);
    assert!(matches!(dns.addresses("bank.test").await, Err(DnsError::NoName { .. })));
    let server =
        ScriptedDns::start(|asked| asked.records(vec![record(&name("bank.test"), asked.kind, &[9; 4])]));
    let found = resolver(&server).addresses("a.test").await;
    assert!(matches!(found, Err(DnsError::Temporary { .. })), "no proof that there are none: {found:?}");
}

/// Data shorter or longer than its type, names that point into themselves, counts that lie.
#[tokio::test]
async fn malformed_messages_are_no_answers_and_do_no_harm() {
    let rdata: Vec<Vec<u8>> = [0, 1, 2, 3, 5, 17, 20, 300].map(|len| vec![0xFF; len]).into();
    let names: Vec<Vec<u8>> =
        [&[0xC0, 12][..], &[0xC0, 0xFF], &[0x40, b'a'], &[0x80, b'a', 0], &[63], &[0xC0]]
            .map(<[u8]>::to_vec)
            .into();
    // A name of more than 255 octets, and one that points at itself.
    let long = [&[63], &[b'x'; 63][..]].concat().repeat(5);
    let mut bodies: Vec<Vec<u8>> = rdata.into_iter().chain(names).chain([long]).collect();
    bodies.extend((0..4).map(|len| [mx(10, &[]), vec![0xC0; len]].concat()));
    for body in bodies {
        let said = body.clone();
        let server = ScriptedDns::start(move |asked| asked.rdata(&said));
        for (number, found) in all(&resolver(&server), "a.test").await.into_iter().enumerate() {
            assert!(is_bounded(&found), "{body:?}, question {number}: {found:?}");
        }
    }
    let twisted: [fn(&Asked) -> Vec<u8>; 6] = [
        |asked| Message { questions: 0, ..asked.reply() }.octets(),
        |asked| Message { questions: 9, ..asked.reply() }.octets(),
        |asked| Message { more_records: 9, ..asked.reply() }.octets(),
        |asked| Message { question: Vec::new(), ..asked.reply() }.octets(),
        // Its own name is a circle.
        |asked| {
            Message {
                records: vec![record(&[0xC0, 29], A, &[10, 0, 0, 1])],
                question: vec![0xC0, 12, 0, 1, 0, 1],
                ..asked.reply()
            }
            .octets()
        },
        |asked| [asked.reply().octets(), vec![0xFF; 400]].concat(),
    ];
    for (number, twist) in twisted.into_iter().enumerate() {
        let server = ScriptedDns::start(move |asked| Said::now(twist(asked)));
        let found = resolver(&server).addresses("a.test").await;
        // Octets behind an otherwise good "no records" change nothing.
        let fine = found.as_ref().is_err_and(|error| error.is_temporary() || number == 5);
        assert!(fine, "{number}: {found:?}");
    }
}

/// TLSA data of every length is kept as it is, to be found unusable, or not at all.
#[tokio::test]
async fn tlsa_records_of_any_length() {
    for len in [0, 1, 2, 3, 20, 3 + 32, 60_000] {
        let server = ScriptedDns::start(move |asked| {
            if asked.by_tcp || len < 1000 {
                asked.rdata(&vec![3; len])
            } else {
                Said::now(Message { truncated: true, ..asked.reply() }.octets())
            }
        });
        let found = resolver(&server).tlsa("_25._tcp.a.test").await;
        match found {
            Ok(found) => assert_eq!(found.records[0].data.len(), len - 3),
            Err(error) => assert!(len <= 3, "{len}: {error}"),
        }
    }
}

/// A key of the zone, `n` apart from the others and with the same tag: its 16-bit words are swapped (RFC 4034 App. B).
fn key(n: u8) -> Vec<u8> {
    let mut rdata = vec![1, 1, 3, 13];
    let mut words: Vec<[u8; 2]> = (0..32).map(|word| [word, 7]).collect();
    words.swap(usize::from(n) % 32, usize::from(n) / 32 % 32);
    rdata.extend(words.concat());
    rdata
}

/// RFC 4034 App. B
fn tag(key: &[u8]) -> u16 {
    let sum: u32 =
        key.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
    u16::try_from((sum + (sum >> 16)) & 0xFFFF).unwrap()
}

/// Many keys of one tag, each to be tried with each of many signatures: the work ends long before it is done.
#[tokio::test]
async fn many_keys_and_signatures_cost_little() {
    let count = 200;
    let server = ScriptedDns::start(move |asked| {
        if !asked.by_tcp {
            return Said::now(Message { truncated: true, ..asked.reply() }.octets());
        }
        let signature = |kind: u16, n: u8| {
            let mut rdata = kind.to_be_bytes().to_vec();
            rdata.extend([13, 0, 0, 0, 0, 60, 0xFF, 0xFF, 0xFF, 0x7F, 0, 0, 0, 1]);
            rdata.extend(tag(&key(0)).to_be_bytes());
            rdata.push(0);
            rdata.extend([n; 64]);
            rdata
        };
        let mut records: Vec<_> = match asked.kind {
            DNSKEY => (0..count).map(|n| own(DNSKEY, &key(n))).collect(),
            A => vec![own(A, &[192, 0, 2, 1])],
            _ => Vec::new(),
        };
        records.extend((0..count).map(|n| own(RRSIG, &signature(asked.kind, n))));
        asked.records(records)
    });
    let folder = tempfile::tempdir().unwrap();
    let anchor = folder.path().join("anchor.key");
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &key(0)[4..]);
    fs::write(&anchor, format!(". 60 IN DNSKEY 257 3 13 {encoded}\n")).unwrap();
    let dns = SystemDns::new(ResolverSettings {
        servers: vec![NameServer(server.address)],
        dnssec: Dnssec::Validate,
        trust_anchor: Some(anchor),
        ..ResolverSettings::default()
    });
    let found = dns.addresses("a.test").await;
    let Err(DnsError::Temporary { reason, .. }) = &found else { panic!("{found:?}") };
    assert!(!reason.contains("in time"), "it was found wrong, not given up: {reason}");
}
