//! What mail systems say, and what they mean by it.

use memchr::memmem;

use super::Cause;

/// Octets of a text that are looked at.
const TEXT_BYTES_MAX: usize = 4096;

/// Which replies a phrase counts in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum In {
    Any,
    Temporary,
    Permanent,
}

/// The cause that the first phrase found stands for; `class` is the first digit of the code. Time is bounded by the
/// phrases and [`TEXT_BYTES_MAX`].
pub(super) fn cause(text: &str, class: Option<u16>) -> Option<Cause> {
    let text = normal(text);
    let counts = |within: In| match within {
        In::Any => true,
        In::Temporary => class == Some(4),
        In::Permanent => class == Some(5),
    };
    let mut groups = PHRASES.iter().filter(|(within, _, _)| counts(*within));
    let found = groups.find(|(_, _, phrases)| {
        phrases.iter().any(|phrase| memmem::find(text.as_bytes(), phrase.as_bytes()).is_some())
    });
    found.map(|(_, cause, _)| *cause)
}

/// In lower case, without the codes that begin further lines, white space as one space.
fn normal(text: &str) -> String {
    let text = text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or_default();
    let mut out = String::with_capacity(text.len());
    for line in text.split(['\n', '\r']) {
        let is_code = |code: &str| code.bytes().all(|octet| octet.is_ascii_digit());
        let rest = line.split_at_checked(3).filter(|(code, _)| is_code(code)).map_or(line, |(_, rest)| rest);
        let rest = rest.strip_prefix(['-', ' ']).unwrap_or(rest);
        let rest = crate::EnhancedStatus::parse_prefix(rest).map_or(rest, |(_, rest)| rest);
        for word in rest.split_whitespace() {
            if !out.is_empty() {
                out.push(' ');
            }
            out.extend(word.chars().map(|c| c.to_ascii_lowercase()));
        }
    }
    out
}

/// In lower case. The first group that has a phrase in the text decides, so what is more particular stands first.
const PHRASES: &[(In, Cause, &[&str])] = &[
    (In::Any, Cause::Greylisted, &["greylist", "graylist", "grey-list", "gray-list", "grey listed"]),
    (
        In::Any,
        Cause::SenderUnproven,
        &[
            "dmarc",
            "dkim",
            "spf check",
            "spf fail",
            "spf validation",
            "spf=fail",
            "unauthenticated email",
            "unauthenticated mail",
            "meet the required authentication",
            "does not pass authentication",
            "authentication checks",
            "ptr record",
            "reverse dns",
            "reverse hostname",
            "reverse lookup",
            "sender address rejected: domain not found",
            "sender domain must exist",
            "sender verify failed",
            "sender verification failed",
            "senders domain does not exist",
        ],
    ),
    (
        In::Any,
        Cause::Reputation,
        &[
            "spamhaus",
            "spamcop",
            "barracudacentral",
            "sorbs.net",
            "blacklist",
            "blocklist",
            "block list",
            "black list",
            "blocked using",
            " rbl",
            "dnsbl",
            "bad reputation",
            "poor reputation",
            "low reputation",
            "reputation of",
            "ip address has been blocked",
            "banned sending ip",
            "your ip is blocked",
            "your network is on our",
            "client host rejected",
            "[ts0",
            "[tss0",
        ],
    ),
    (
        In::Any,
        Cause::RateLimited,
        &[
            "rate limit",
            "ratelimit",
            "too many messages",
            "too many connections",
            "too many concurrent",
            "too many recipients",
            "too many invalid recipients",
            "too much mail",
            "unusual rate",
            "receiving mail at a rate",
            "receiving mail too quickly",
            "exceeded the maximum number",
            "sending limit",
            "throttl",
            "unexpected volume",
            "excessive volume",
            "slow down",
            "message rate",
            "connection rate",
            "server busy",
        ],
    ),
    (
        In::Any,
        Cause::MailboxFull,
        &[
            "mailbox full",
            "mailbox is full",
            "mailbox for user is full",
            "over quota",
            "overquota",
            "quota exceeded",
            "exceeded quota",
            "exceeds quota",
            "exceed the quota",
            "quota full",
            "quotaexceeded",
            "out of storage",
            "storage limit",
            "insufficient mailbox",
            "mailbox size limit",
            "inbox is full",
            "inbox full",
            "mailfolder is full",
            "not enough space for this user",
        ],
    ),
    (
        In::Any,
        Cause::TooBig,
        &[
            "message too large",
            "message too big",
            "message is too large",
            "message size exceeds",
            "message file too big",
            "exceeds size limit",
            "exceeds maximum size",
            "exceeds fixed maximum",
            "exceeds the maximum message size",
            "size limit exceeded",
            "exceeded your message size",
            "exceeded google's message size",
        ],
    ),
    (
        In::Permanent,
        Cause::MailboxDisabled,
        &[
            "account is disabled",
            "account disabled",
            "account has been disabled",
            "account that you tried to reach is disabled",
            "account is inactive",
            "account that you tried to reach is inactive",
            "mailbox disabled",
            "mailbox is disabled",
            "mailbox is inactive",
            "mailbox inactive",
            "user disabled",
            "user is suspended",
            "account suspended",
            "account is suspended",
            "account has been suspended",
            "not accepting messages",
            "not accepting mail",
            "address no longer accepts mail",
        ],
    ),
    (
        In::Permanent,
        Cause::NoSuchUser,
        &[
            "no such user",
            "no such mailbox",
            "no such recipient",
            "no such account",
            "no such address",
            "no such person",
            "no mailbox here by that name",
            "no mailbox by that name",
            "no mailbox found",
            "user unknown",
            "unknown user",
            "unknown recipient",
            "recipient unknown",
            "unknown local part",
            "unknown address",
            "unknown mailbox",
            "unknown account",
            "user not found",
            "user doesn't exist",
            "user does not exist",
            "user doesn't have",
            "user doesn't have a",
            "recipient not found",
            "recipientnotfound",
            "recipnotfound",
            "recipient does not exist",
            "mailbox not found",
            "mailbox unavailable",
            "mailbox does not exist",
            "mailbox doesn't exist",
            "account that you tried to reach does not exist",
            "account does not exist",
            "account doesn't exist",
            "address does not exist",
            "address doesn't exist",
            "address not found",
            "address unknown",
            "invalid mailbox",
            "invalid recipient",
            "invalid user",
            "not a valid mailbox",
            "not a valid user",
            "is not a known user",
            "not our customer",
            "not listed in domino",
            "recipient address rejected: access denied",
            "unrouteable address",
            "undeliverable address",
            "no longer valid",
            "does not have an account",
            "there is nobody behind this address",
        ],
    ),
    (
        In::Permanent,
        Cause::NoSuchDomain,
        &[
            "domain does not exist",
            "domain not found",
            "no such domain",
            "unknown domain",
            "host not found",
            "host or domain name not found",
            "does not accept mail",
            "null mx",
            "nullmx",
        ],
    ),
    (
        In::Any,
        Cause::NotPermitted,
        &[
            "relay access denied",
            "relaying denied",
            "relaying not allowed",
            "relay not permitted",
            "unable to relay",
            "not permitted to relay",
            "relaying is not allowed",
            "does not relay",
            "authentication required",
            "authentication is required",
            "must authenticate",
            "must issue a starttls",
        ],
    ),
    (
        In::Any,
        Cause::Virus,
        &[
            "virus",
            "malware",
            "infected",
            "potential security issue",
            "security risk",
            "prohibited attachment",
        ],
    ),
    (
        In::Any,
        Cause::Spam,
        &[
            "spam",
            "unsolicited",
            "junk mail",
            "bulk mail",
            "suspicious",
            "looks like phishing",
            "phishing",
            "content rejected",
            "message content rejected",
            "rejected due to content",
            "high probability",
        ],
    ),
    (
        In::Any,
        Cause::Loop,
        &["mail loop", "routing loop", "too many hops", "hop count", "mail forwarding loop"],
    ),
    (
        In::Any,
        Cause::TlsPolicy,
        &["must use tls", "tls required", "requires tls", "encryption required", "starttls first"],
    ),
    (
        In::Any,
        Cause::Dns,
        &["dns error", "dns failure", "name server", "nameserver", "temporary lookup failure", "mx record"],
    ),
    (
        In::Any,
        Cause::Unreachable,
        &[
            "connection timed out",
            "connection refused",
            "connection reset",
            "no route to host",
            "network is unreachable",
            "network unreachable",
            "host unreachable",
            "could not connect",
        ],
    ),
    (
        In::Any,
        Cause::Content,
        &[
            "bare lf",
            "bare line feed",
            "missing header",
            "rfc 5322",
            "rfc5322",
            "malformed",
            "invalid header",
        ],
    ),
    (
        In::Any,
        Cause::HostTrouble,
        &[
            "out of disk",
            "disk full",
            "insufficient system",
            "insufficient resources",
            "internal error",
            "system error",
            "local error",
            "configuration error",
            "temporarily unavailable",
            "temporary failure",
            "service unavailable",
            "service not available",
            "try again later",
            "try later",
        ],
    ),
    (In::Temporary, Cause::RateLimited, &["temporarily deferred", "temporarily rejected", "deferred due to"]),
    (
        In::Any,
        Cause::Policy,
        &["policy", "not allowed to send", "access denied", "not authorized", "administratively prohibited"],
    ),
];
