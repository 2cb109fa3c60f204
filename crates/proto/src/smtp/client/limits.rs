//! What a server announced of its limits (RFC 9422), and what a session has used up of them.

use std::collections::HashSet;

use mail::ForwardPath;

/// RFC 9422 §4: the limits that we keep to. Others, and values that are none, are passed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// MAILMAX: MAIL commands in one session.
    pub transactions_max: Option<u32>,
    /// RCPTMAX: RCPT commands in one transaction.
    pub recipients_max: Option<u32>,
    /// RCPTDOMAINMAX: domains of all recipients in one session.
    pub domains_max: Option<u32>,
}

impl Limits {
    /// Reads one word behind the keyword, `RCPTMAX=100`.
    pub(super) fn add(&mut self, word: &str) {
        let Some((name, value)) = word.split_once('=') else { return };
        let Some(value) = number(value) else { return };
        match name.to_ascii_uppercase().as_str() {
            "MAILMAX" => self.transactions_max = Some(value),
            "RCPTMAX" => self.recipients_max = Some(value),
            "RCPTDOMAINMAX" => self.domains_max = Some(value),
            _ => {}
        }
    }
}

/// RFC 9422 §4.1: up to six digits, the first of them not 0.
fn number(text: &str) -> Option<u32> {
    let well_formed =
        text.len() <= 6 && !text.starts_with('0') && text.bytes().all(|octet| octet.is_ascii_digit());
    well_formed.then(|| text.parse().ok()).flatten()
}

/// Of one session.
#[derive(Debug, Default)]
pub(super) struct Usage {
    transactions: u32,
    domains: HashSet<String>,
}

impl Usage {
    pub(super) fn begin_transaction(&mut self) {
        self.transactions = self.transactions.saturating_add(1);
    }

    /// No further transaction is allowed.
    pub(super) fn is_spent(&self, limits: &Limits) -> bool {
        limits.transactions_max.is_some_and(|most| self.transactions >= most)
    }

    /// Counts the recipient's domain; false if it would be one too many, and is not counted.
    pub(super) fn admits(&mut self, limits: &Limits, recipient: &ForwardPath) -> bool {
        let (Some(most), ForwardPath::Address(address)) = (limits.domains_max, recipient) else {
            return true;
        };
        let lookup = address.to_lookup();
        let domain = lookup.rsplit_once('@').map_or(lookup.as_str(), |(_, domain)| domain);
        let has_room = self.domains.len() < usize::try_from(most).unwrap_or(usize::MAX);
        self.domains.contains(domain) || (has_room && self.domains.insert(domain.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_limit_is_passed_over() {
        let mut limits = Limits::default();
        for word in [
            "RCPTMAX=0",
            "MAILMAX=abc",
            "RCPTDOMAINMAX=",
            "RCPTMAX",
            "RCPTMAX=1000000",
            "RCPTMAX=+5",
            "X=1",
            "=",
        ] {
            limits.add(word);
        }
        assert_eq!(limits, Limits::default());
        for word in ["rcptmax=100", "MAILMAX=50", "RCPTDOMAINMAX=1", "MAILMAX=01"] {
            limits.add(word);
        }
        let expected = Limits { transactions_max: Some(50), recipients_max: Some(100), domains_max: Some(1) };
        assert_eq!(limits, expected);
    }

    #[test]
    fn domains_count_once_a_session() {
        let limits = Limits { domains_max: Some(1), ..Limits::default() };
        let mut usage = Usage::default();
        let mut admits =
            |address: &str| usage.admits(&limits, &ForwardPath::Address(address.parse().unwrap()));
        assert!(admits("a@One.example") && admits("b@one.example"));
        assert!(!admits("a@two.example") && admits("c@one.example"));
        assert!(usage.admits(&limits, &ForwardPath::Postmaster));
    }
}
