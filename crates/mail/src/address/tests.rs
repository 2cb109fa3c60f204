use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

fn address(text: &str) -> Address {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refused(text: &str) -> AddressError {
    text.parse::<Address>().map(|address| address.to_string()).expect_err(text)
}

fn domain(text: &str) -> Result<Domain, AddressError> {
    text.parse()
}

fn forward(text: &str) -> Result<(String, &str), AddressError> {
    ForwardPath::parse_prefix(text).map(|(path, rest)| (path.to_string(), rest))
}

fn reverse(text: &str) -> Result<(String, &str), AddressError> {
    ReversePath::parse_prefix(text).map(|(path, rest)| (path.to_string(), rest))
}

#[test]
fn the_sender_of_qmails_double_bounces_is_no_address() {
    assert!("#@[]".parse::<Address>().is_err());
}

#[test]
fn quoted_strings_hold_what_they_mean() {
    let cases = [
        (r#""a b"@x.example"#, "a b", r#""a b"@x.example"#),
        (r#""a@b"@x.example"#, "a@b", r#""a@b"@x.example"#),
        (r#""a,b"@x.example"#, "a,b", r#""a,b"@x.example"#),
        (r#""a\"b"@x.example"#, "a\"b", r#""a\"b"@x.example"#),
        (r#""a\\b"@x.example"#, "a\\b", r#""a\\b"@x.example"#),
        (r#""<>"@x.example"#, "<>", r#""<>"@x.example"#),
        (r#""joe"@x.example"#, "joe", "joe@x.example"),
        (r#""j\oe"@x.example"#, "joe", "joe@x.example"),
        (r#""a\ b"@x.example"#, "a b", r#""a b"@x.example"#),
        (r#"""@x.example"#, "", r#"""@x.example"#),
        (r#"" "@x.example"#, " ", r#"" "@x.example"#),
        (r#""a..b"@x.example"#, "a..b", r#""a..b"@x.example"#),
        (r#"".a"@x.example"#, ".a", r#"".a"@x.example"#),
    ];
    for (written, local_part, minimal) in cases {
        let address = address(written);
        assert_eq!(address.local_part(), local_part, "{written}");
        assert_eq!(address.to_string(), minimal, "{written}");
    }
}

#[test]
fn every_atext_character_is_literal() {
    let address = address("Joe!#$%&'*+-/=?^_`{|}~.Smith@x.example");
    assert_eq!(address.local_part(), "Joe!#$%&'*+-/=?^_`{|}~.Smith");
    assert_eq!(address.to_string(), "Joe!#$%&'*+-/=?^_`{|}~.Smith@x.example");
}

#[test]
fn bad_local_parts_are_refused() {
    for bad in [
        "a..b@x",
        ".a@x",
        "a.@x",
        "a b@x",
        "just\"not\"right@x",
        "@x",
        " a@x",
        "a @x",
        "a(c)@x",
        "a\\ b@x",
        "\"a\"b@x",
        "\"a@x",
        "\"a\\@x",
        "\"a\"\"b\"@x",
        "a\0b@x",
        "\"a\0b\"@x",
        "\"a\r\nb\"@x",
        "\"a\\\tb\"@x",
        "\"\\ü\"@x",
        "a\u{85}b@x",
        "\"a\x7fb\"@x",
        "<a>@x",
        "a,b@x",
        "a:b@x",
        "a;b@x",
        "[a]@x",
    ] {
        assert_eq!(refused(bad), AddressError::LocalPart, "{bad:?}");
    }
    assert_eq!(refused(""), AddressError::Empty);
    assert_eq!(refused("postmaster"), AddressError::NoAt);
    assert_eq!(Address::new("a\rb", domain("x").unwrap()), Err(AddressError::LocalPart));
}

#[test]
fn bad_domains_are_refused() {
    for bad in [
        "u@-a.example",
        "u@a-.example",
        "u@a_b.example",
        "u@a..b",
        "u@",
        "u@.a",
        "u@a.",
        "u@example.com.",
        "u@a b",
        "u@a@b",
        "u@192.0.2.1",
        "u@a.1",
        "u@a\0",
        "u@a\r",
        "u@a ",
        "u@a>",
        "u@a[",
        "u@(c)a",
        "u@\"a\"",
    ] {
        assert_eq!(refused(bad), AddressError::Domain, "{bad:?}");
    }
}

#[test]
fn domains_may_be_short_and_start_with_digits() {
    for good in [
        "a",
        "localhost",
        "3com.example",
        "1.2.3.a",
        "a--b.example",
        "xn--bcher-kva.example",
        "4.3.2.1.in-addr",
    ] {
        assert_eq!(domain(good).map(String::from).as_deref(), Ok(good));
    }
}

#[test]
fn lengths_are_limited() {
    let local_part = |len: usize| "a".repeat(len);
    address(&format!("{}@x", local_part(64)));
    assert_eq!(refused(&format!("{}@x", local_part(65))), AddressError::LocalPartTooLong);
    // The quotes and escapes that it cannot do without count.
    address(&format!("\"{} \"@x", local_part(61)));
    assert_eq!(refused(&format!("\"{} \"@x", local_part(62))), AddressError::LocalPartTooLong);

    let name = |len: usize| format!("{}{}", "a.".repeat(len / 2), "b".repeat(len % 2));
    assert!(domain(&name(255)).is_ok());
    assert_eq!(domain(&"a.".repeat(128)), Err(AddressError::DomainTooLong));
    assert!(domain(&format!("{}.b", local_part(63))).is_ok());
    assert_eq!(domain(&format!("{}.b", local_part(64))), Err(AddressError::Domain));

    // RFC 5321 §4.5.3.1.3: 256 octets with brackets.
    assert_eq!(forward(&format!("<a@{}>", name(251))).unwrap().0.len(), 253);
    let longest = format!("<ab@{}>", name(251));
    assert_eq!(longest.len(), 256);
    assert!(forward(&longest).is_ok());
    assert_eq!(forward(&format!("<abc@{}>", name(251))), Err(AddressError::PathTooLong));
    assert_eq!(forward(&format!("<@{}:ab@{}>", name(99), name(251))), Ok((format!("ab@{}", name(251)), "")));
}

#[test]
fn address_literals() {
    let literal = |text: &str| address(text).host().to_string();
    assert_eq!(literal("u@[192.0.2.1]"), "[192.0.2.1]");
    assert_eq!(literal("u@[192.000.002.001]"), "[192.0.2.1]");
    assert_eq!(literal("u@[IPv6:2001:DB8::1]"), "[IPv6:2001:db8::1]");
    assert_eq!(literal("u@[ipv6:::1]"), "[IPv6:::1]");
    assert_eq!(literal("u@[IPv6:::ffff:192.0.2.1]"), "[IPv6:::ffff:192.0.2.1]");
    assert_eq!(literal("u@[IPv6:1:2:3:4:5:6:7:8]"), "[IPv6:1:2:3:4:5:6:7:8]");
    assert_eq!(address("u@[foo:bar!x]").host(), &Host::GeneralLiteral("foo:bar!x".to_owned()));
    assert_eq!(literal("u@[foo:bar!x]"), "[foo:bar!x]");
    for bad in [
        "u@[256.0.0.1]",
        "u@[1.2.3]",
        "u@[1.2.3.4.5]",
        "u@[0001.2.3.4]",
        "u@[1.2.3.]",
        "u@[+1.2.3.4]",
        "u@[]",
        "u@[",
        "u@[1.2.3.4",
        "u@[IPv6:1::2::3]",
        "u@[IPv6:12345::]",
        "u@[IPv6:]",
        "u@[IPv6:fe80::1%eth0]",
        "u@[2001:db8::1]x",
        "u@[IPv6:1:2:3:4:5:6:7::]",
        "u@[IPv6:[::1]]",
        "u@[foo:]",
        "u@[foo-:x]",
        "u@[:x]",
        "u@[foo:b r]",
        "u@[foo:ü]",
        "u@[foo:b\0]",
        "u@[foo:b[r]",
        "u@[foo:b\\r]",
        "u@[ 1.2.3.4]",
    ] {
        assert!(bad.parse::<Address>().is_err(), "{bad:?}");
    }
}

#[test]
fn utf8_addresses() {
    let address = address("δοκιμή@παράδειγμα.example");
    assert_eq!(address.local_part(), "δοκιμή");
    assert!(!address.is_ascii());
    assert_eq!(address.domain().unwrap().to_lookup(), "xn--hxajbheg2az3al.example");
    assert_eq!(address.to_string(), "δοκιμή@παράδειγμα.example");
    assert!(self::address("a@xn--hxajbheg2az3al.example").is_ascii());
    assert!(!self::address("a@bücher.example").is_ascii());
    assert_eq!(self::address("\"ü ü\"@x").to_string(), "\"ü ü\"@x");
}

#[test]
fn one_lookup_form_for_one_name() {
    let forms = [
        "bücher.example",
        "Bücher.EXAMPLE",
        "BÜCHER.example",
        "bu\u{308}cher.example",
        "XN--bcher-KVA.example",
    ];
    for form in forms {
        assert_eq!(domain(form).unwrap().to_lookup(), "xn--bcher-kva.example", "{form}");
    }
    // What only looks like an A-label has one form too, beside labels that are mapped (found by fuzzing).
    assert_eq!(domain("b\u{fc}cher.XN--d2W4").unwrap().to_lookup(), "xn--bcher-kva.xn--d2w4");
}

#[test]
fn what_only_mapping_makes_a_label_is_refused() {
    for bad in [
        "ａdmin.example",
        "a。b",
        "a．b",
        "a\u{ad}b.example",
        "a\u{200b}b.example",
        "\u{feff}a.example",
        "-ü.example",
        "ü-.example",
        "xn--ü.example",
        "ü_.example",
        "ü .example",
        "a\u{202e}b.example",
        "ﬁsh.example",
        "℀.example",
        "a\u{85}.example",
        "\u{308}a.example",
    ] {
        assert_eq!(domain(bad), Err(AddressError::Domain), "{bad:?}");
    }
    // Its A-label is too long for a label of the DNS.
    assert_eq!(domain(&"ü".repeat(31)).map(|_| ()), Ok(()));
    assert_eq!(domain(&format!("{}ä", "a".repeat(61))), Err(AddressError::Domain));
}

#[test]
fn domains_ignore_ascii_case() {
    assert_eq!(address("u@EXAMPLE.com"), address("u@example.COM"));
    assert_ne!(address("U@example.com"), address("u@example.com"));
    assert_eq!(HashSet::from([domain("A.b").unwrap(), domain("a.B").unwrap()]).len(), 1);
    assert_eq!(address("u@EXAMPLE.com").to_string(), "u@EXAMPLE.com");
}

#[test]
fn lookup_forms() {
    let lookup = |text: &str| address(text).to_lookup();
    assert_eq!(lookup("Joe.Smith@Example.COM"), "joe.smith@example.com");
    assert_eq!(lookup("\"joe\"@x"), "joe@x");
    assert_eq!(lookup("\"A B\"@X"), "a b@x");
    assert_eq!(lookup("u@[IPv6:2001:DB8::1]"), "u@[IPv6:2001:db8::1]");
    // Composed and decomposed are one; letters that merely look alike are not.
    assert_eq!(lookup("JOSÉ@x"), lookup("jose\u{301}@x"));
    assert_ne!(lookup("аlice@x"), lookup("alice@x"));
    assert_ne!(lookup("İ@x"), lookup("i@x"));
}

#[test]
fn paths_and_what_follows() {
    assert_eq!(forward("<a@b.example>"), Ok(("a@b.example".into(), "")));
    assert_eq!(forward("<a@b.example> NOTIFY=NEVER"), Ok(("a@b.example".into(), " NOTIFY=NEVER")));
    assert_eq!(reverse("<> SIZE=5"), Ok((String::new(), " SIZE=5")));
    assert_eq!(reverse("<\"a>b\"@c>SIZE=5"), Ok(("\"a>b\"@c".into(), "SIZE=5")));
    assert_eq!(reverse("<a@b>c@d>"), Ok(("a@b".into(), "c@d>")));
    assert!(ReversePath::parse_prefix("<>").unwrap().0.is_null());
}

#[test]
fn postmaster_needs_no_domain() {
    for form in ["<postmaster>", "<Postmaster>", "<POSTMASTER>"] {
        assert_eq!(ForwardPath::parse_prefix(form), Ok((ForwardPath::Postmaster, "")));
        assert_eq!(ReversePath::parse_prefix(form), Err(AddressError::NoAt));
    }
    assert_eq!(forward("<postmaster@x> A=B"), Ok(("postmaster@x".into(), " A=B")));
    assert_eq!(forward("<postmaster> A=B"), Ok(("postmaster".into(), " A=B")));
}

#[test]
fn source_routes_are_dropped() {
    assert_eq!(forward("<@a.example,@b.example:u@c.example>"), Ok(("u@c.example".into(), "")));
    assert_eq!(reverse("<@a.example:\"u:v\"@c.example>"), Ok(("\"u:v\"@c.example".into(), "")));
    for bad in [
        "<@b>",
        "<@a,:u@b>",
        "<@a,b:u@c>",
        "<@:u@b>",
        "<@a:@b:u@c>",
        "<@a@b:u@c>",
        "<@[1.2.3.4]:u@b>",
        "<@a, @b:u@c>",
    ] {
        assert_eq!(forward(bad), Err(AddressError::SourceRoute), "{bad}");
    }
    assert_eq!(forward("<@a:postmaster>"), Err(AddressError::NoAt));
}

#[test]
fn bad_paths_are_refused() {
    let cases = [
        ("", AddressError::Brackets),
        ("a@b", AddressError::Brackets),
        ("<a@b", AddressError::Brackets),
        (" <a@b>", AddressError::Brackets),
        ("<>", AddressError::Empty),
        ("<", AddressError::Empty),
        ("< a@b>", AddressError::LocalPart),
        ("< >", AddressError::LocalPart),
        ("<a@b >", AddressError::Domain),
        ("<<a@b>>", AddressError::LocalPart),
        ("<a@b@c>", AddressError::Domain),
        ("<a@[1.2.3.4>", AddressError::Literal),
        ("<#@[]>", AddressError::Literal),
        ("<;for i in 0 1;do touch x;>", AddressError::LocalPart),
    ];
    for (text, error) in cases {
        assert_eq!(forward(text), Err(error), "{text}");
    }
}

#[test]
fn serde_keeps_what_is_written() {
    let address = address("\"a b\"@X.example");
    let stored = postcard::to_allocvec(&address).unwrap();
    assert_eq!(postcard::from_bytes::<Address>(&stored).unwrap(), address);
}

/// Texts that are addresses, or nearly.
fn address_like() -> impl Strategy<Value = String> {
    let local_part = prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{0,12}",
        "\"([ !#-\\[\\]-~]|\\\\[ -~]){0,10}\"",
        "[aé\u{4e2d}Σİ\u{301}.]{1,6}",
    ];
    let host = prop_oneof![
        "[a-zA-Z0-9-]{1,6}(\\.[a-zA-Z0-9-]{1,6}){0,3}",
        "[aüßÜς\u{308}\u{5d0}\u{661}\u{4e2d}。-]{1,6}\\.ex",
        "\\[[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\]",
        "\\[IPv6:[0-9a-f:.]{2,20}\\]",
        "\\[[a-z-]{1,4}:[!-~]{0,6}\\]",
    ];
    (local_part, host).prop_map(|(local_part, host)| format!("{local_part}@{host}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn display_and_parse_are_inverse(text in address_like()) {
        if let Ok(address) = text.parse::<Address>() {
            let written = address.to_string();
            prop_assert!(written.len() <= text.len() || address.domain().is_none());
            prop_assert_eq!(written.parse(), Ok(address.clone()));
            let path = format!("<{written}> X");
            prop_assert_eq!(ForwardPath::parse_prefix(&path), Ok((ForwardPath::Address(address.clone()), " X")));
            prop_assert_eq!(ReversePath::parse_prefix(&path), Ok((ReversePath::Address(address), " X")));
        }
    }

    #[test]
    fn any_local_part_round_trips(value in "\\PC{0,40}") {
        if let Ok(address) = Address::new(&value, domain("x.example").unwrap()) {
            prop_assert_eq!(address.local_part(), value);
            prop_assert_eq!(address.to_string().parse(), Ok(address));
        }
    }

    #[test]
    fn lookup_forms_are_final(text in address_like()) {
        if let Ok(address) = text.parse::<Address>() {
            let lookup = address.to_lookup();
            let (local_part, host) = lookup.rsplit_once('@').unwrap();
            if let Ok(host) = host.parse::<Domain>() {
                prop_assert!(host.as_str().is_ascii());
                let again = Address::new(local_part, host).map(|address| address.to_lookup());
                prop_assert!(again.is_err() || again == Ok(lookup.clone()), "{:?} {}", again, lookup);
            }
        }
    }

    #[test]
    fn parsing_never_panics(text: String, bytes in prop::collection::vec("[<>@:,.\\[\\]\"\\\\ aü\r\n\0-]", 0..40)) {
        for text in [text, bytes.concat()] {
            let _ = text.parse::<Address>();
            let _ = domain(&text).map(|domain| domain.to_lookup());
            let _ = forward(&text);
            let _ = reverse(&text);
        }
    }
}
