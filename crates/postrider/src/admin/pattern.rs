//! How a selector names addresses: whole, by domain, or with `*` for any run of characters.

use mail::{Address, Domain};

/// A pattern, ready to be held against many addresses. Case does not count, and names are compared in their lookup form, so
/// that U-labels and A-labels are the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

/// What the index can be asked for in a pattern's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Indexed<T> {
    One(T),
    /// Every address of a domain, or with [`Pattern::of_domain`] every domain below.
    Under(Domain),
    /// Only a look at each tells.
    No,
}

impl Pattern {
    /// `a@b.example`, `@b.example`, `*@b.example`, or anything with `*`.
    pub fn of_address(text: &str) -> (Self, Indexed<Address>) {
        if let Some(domain) = text.strip_prefix("*@").or(text.strip_prefix('@')).and_then(domain) {
            return (Self(format!("*@{}", domain.to_lookup())), Indexed::Under(domain));
        }
        match text.parse::<Address>() {
            Ok(address) if !text.contains('*') => (Self(address.to_lookup()), Indexed::One(address)),
            _ => (Self(text.to_lowercase()), Indexed::No),
        }
    }

    /// `b.example`, `*.b.example` for what is below, or anything with `*`.
    pub fn of_domain(text: &str) -> (Self, Indexed<Domain>) {
        if let Some(below) = text.strip_prefix("*.").and_then(domain) {
            return (Self(format!("*.{}", below.to_lookup())), Indexed::Under(below));
        }
        match domain(text) {
            Some(domain) => (Self(domain.to_lookup()), Indexed::One(domain)),
            None => (Self(text.to_lowercase()), Indexed::No),
        }
    }

    pub fn matches_address(&self, address: &Address) -> bool {
        glob(&self.0, &address.to_lookup()) || glob(&self.0, &address.to_string().to_lowercase())
    }

    pub fn matches_domain(&self, domain: &Domain) -> bool {
        glob(&self.0, &domain.to_lookup()) || glob(&self.0, &domain.as_str().to_lowercase())
    }
}

fn domain(text: &str) -> Option<Domain> {
    text.parse().ok().filter(|_| !text.contains('*'))
}

/// Whether `text` is what `pattern` says, `*` standing for any run of characters. Linear in pattern times text.
fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in
            [("*", ""), ("*", "a"), ("*@b.c", "a@b.c"), ("a*c*e", "abcde"), ("abc", "abc"), ("", "")]
        {
            assert!(glob(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("*@b", "a@bc"), ("a*b*c", "acb"), ("ab*ba", "aba")] {
            assert!(!glob(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn one_address_in_all_its_spellings() {
        let address: Address = "Ann@xn--bcher-kva.example".parse().unwrap();
        for pattern in ["ann@BÜCHER.example", "@bücher.example", "*@xn--bcher-kva.example", "a*@*kva.example"]
        {
            assert!(Pattern::of_address(pattern).0.matches_address(&address), "{pattern}");
        }
        for pattern in ["ann@bücher.test", "@cher.example", "bob@*", "*@*.bücher.example"] {
            assert!(!Pattern::of_address(pattern).0.matches_address(&address), "{pattern}");
        }
    }

    #[test]
    fn what_the_index_can_answer_is_told() {
        let domain = |name: &str| name.parse::<Domain>().unwrap();
        assert_eq!(Pattern::of_address("@b.example").1, Indexed::Under(domain("b.example")));
        assert_eq!(Pattern::of_address("a@b.example").1, Indexed::One("a@b.example".parse().unwrap()));
        assert_eq!(Pattern::of_address("a*@b.example").1, Indexed::No);
        assert_eq!(Pattern::of_domain("*.b.example").1, Indexed::Under(domain("b.example")));
        assert_eq!(Pattern::of_domain("B.example").1, Indexed::One(domain("B.example")));
        assert_eq!(Pattern::of_domain("b*.example").1, Indexed::No);
    }
}
