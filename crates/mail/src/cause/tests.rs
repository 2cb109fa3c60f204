use proptest::prelude::*;

use super::*;

fn cause(noted: &str) -> Cause {
    classify_noted(noted).unwrap().cause
}

/// In the manner of the large providers and of the programs that most hosts run.
#[test]
fn what_hosts_say() {
    for (expected, replies) in [
        (
            Cause::NoSuchUser,
            &[
                "550-5.1.1 The email account that you tried to reach does not exist. Please try\n550-5.1.1 double-checking \
                 the recipient's email address\n550 5.1.1 https://support.example/answer/6596 x - gsmtp",
                "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
                "550 5.4.1 Recipient address rejected: Access denied. [x.prod.protection.example 2026-01-01T00:00:00Z]",
                "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
                "550 5.1.1 <u@x.example>: Recipient address rejected: User unknown in virtual mailbox table",
                "550 5.7.1 <u@x.example>... User unknown",
                "554 delivery error: dd This user doesn't have a x.example account (u@x.example) [0] - mta1",
                "550 Unrouteable address",
                "511 sorry, no mailbox here by that name. (#5.1.1)",
                "550 5.1.1 <u@x.example> User not found",
                "550 5.1.6 recipient no longer valid",
                "550",
            ][..],
        ),
        (
            Cause::MailboxFull,
            &[
                "452-4.2.2 The recipient's inbox is out of storage space. Please direct the\n452 4.2.2 recipient to x",
                "552 5.2.2 <u@x.example>: user is over quota",
                "554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException.MapiExceptionShutoffQuota",
                "552 5.2.2 x",
                "552 x",
            ],
        ),
        (
            Cause::MailboxDisabled,
            &[
                "550-5.2.1 The email account that you tried to reach is inactive. Learn more at x",
                "550 5.2.1 The email account that you tried to reach is disabled.",
                "554 5.7.1 Mailbox is disabled",
            ],
        ),
        (
            Cause::TooBig,
            &[
                "552 5.3.4 Message size exceeds fixed limit",
                "552-5.3.4 Your message exceeded Google's message size limits.",
                "523 5.2.3 x",
                "552 Message exceeds maximum size",
            ],
        ),
        (
            Cause::Spam,
            &[
                "550-5.7.1 Our system has detected that this message is likely unsolicited mail.",
                "554 5.7.1 Message refused: looks like spam",
                "550 High probability of junk",
            ],
        ),
        (
            Cause::Reputation,
            &[
                "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
                "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service \
                 provider since part of their network is on our block list (S3150).",
                "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume or user \
                 complaints - 4.16.55.1",
                "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
            ],
        ),
        (
            Cause::SenderUnproven,
            &[
                "550-5.7.26 Unauthenticated email from x.example is not accepted due to domain's DMARC policy",
                "550 5.7.515 Access denied, sending domain X.EXAMPLE doesn't meet the required authentication level",
                "550 5.7.23 SPF validation failed",
                "450 4.7.25 Client host rejected: cannot find your hostname; no reverse DNS",
                "550 5.7.25 x",
            ],
        ),
        (
            Cause::Greylisted,
            &[
                "450 4.2.0 <u@x.example>: Recipient address rejected: Greylisted, see http://x.example/help",
                "451 4.7.1 Greylisting in action, please come back later",
                "450 come back in five minutes",
            ],
        ),
        (
            Cause::RateLimited,
            &[
                "450-4.2.1 The user you are trying to contact is receiving mail at a rate that",
                "421-4.7.28 Our system has detected an unusual rate of unsolicited mail",
                "451 4.7.500 Server busy. Please try again later",
                "452 4.5.3 Too many recipients",
            ],
        ),
        (
            Cause::NotPermitted,
            &["554 5.7.1 <u@x.example>: Relay access denied", "530 5.7.0 Authentication required"],
        ),
        (Cause::Policy, &["554 5.7.9 Message not accepted for policy reasons.", "550 5.7.1 no"]),
        (Cause::Loop, &["554 5.4.6 Too many hops", "554 5.4.14 Hop count exceeded - possible mail loop"]),
        (
            Cause::NoSuchDomain,
            &["556 5.1.10 null MX", "550 5.1.2 Bad destination system", "521 we take no mail"],
        ),
        (Cause::TlsPolicy, &["451 5.7.3 STARTTLS first", "554 5.7.10 Encryption needed"]),
        (Cause::HostTrouble, &["451 4.3.0 Temporary lookup of local error", "421 bye", "431 4.3.1 x"]),
        (Cause::Unsupported, &["553 5.6.7 x", "555 x"]),
        (Cause::Content, &["550 5.6.0 x", "554 5.6.11 Invalid characters (bare LF)"]),
        (
            Cause::Virus,
            &["552-5.7.0 This message was blocked because its content presents a potential security issue."],
        ),
        (Cause::Expired, &["554 5.4.7 x"]),
        (Cause::Unknown, &["554 no", "571 x", "451 x"]),
    ] {
        for reply in replies {
            assert_eq!(cause(reply), expected, "{reply}");
        }
    }
}

#[test]
fn the_code_says_whether_it_is_for_good() {
    let of = |noted: &str| classify_noted(noted).unwrap().permanent;
    assert!(of("550 5.1.1 x") && of("the host a[192.0.2.1]:25 said: 550 no") && of("550-a\n550 b"));
    assert!(!of("450 4.1.1 user unknown"));
    assert_ne!(cause("450 4.2.0 user unknown"), Cause::NoSuchUser, "it may be known tomorrow");
    assert_eq!(classify(None, "5.1.1".parse().ok(), "").cause, Cause::NoSuchUser);
    assert!(classify(None, "5.1.1".parse().ok(), "").permanent);
    assert_eq!(classify(None, None, "").cause, Cause::Unknown);
}

#[test]
fn a_code_stands_alone_in_a_text() {
    for none in
        ["", "tried 5500 times", "it took 550ms", "250 2.0.0 taken", "port 25", "4505", "in 600 seconds"]
    {
        assert_eq!(classify_noted(none), None, "{none}");
    }
    for some in
        ["x (550 no)", "<550 no>", "said: 550", "\"550 no\"", "(reason: 550 5.1.1 <a@b>... User unknown)"]
    {
        assert!(classify_noted(some).is_some(), "{some}");
    }
}

#[test]
fn only_the_beginning_of_a_text_counts() {
    let text = format!("{} user unknown", "x ".repeat(3000));
    assert_eq!(classify(Some(554), None, &text).cause, Cause::Unknown);
}

proptest! {
    #[test]
    fn any_text_has_a_cause(code in 0u16..700, text: String) {
        let _ = classify(Some(code), None, &text);
        let _ = classify_noted(&text);
        let _ = classify_noted(&format!("{code}-{text}"));
    }
}
