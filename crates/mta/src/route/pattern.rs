//! Which addresses a route is for.

use mail::Address;

/// `*`, `*@domain`, `*@*.domain`, `user@domain` or `domain`, in any case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecipientPattern {
    local_part: Option<String>,
    domain: DomainPattern,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum DomainPattern {
    Any,
    Exact(String),
    /// Any domain below this one.
    Below(String),
}

impl RecipientPattern {
    /// Every address.
    pub const ANY: Self = Self { local_part: None, domain: DomainPattern::Any };

    /// It names no domain.
    pub fn is_of_any_domain(&self) -> bool {
        self.domain == DomainPattern::Any
    }

    pub fn matches(&self, address: &Address) -> bool {
        let local_part_fits =
            self.local_part.as_ref().is_none_or(|wanted| address.local_part().to_lowercase() == *wanted);
        let domain = address.domain().map(mail::Domain::to_lookup);
        local_part_fits
            && match (&self.domain, domain) {
                (DomainPattern::Any, _) => true,
                (DomainPattern::Exact(wanted), Some(domain)) => domain == *wanted,
                (DomainPattern::Below(parent), Some(domain)) => {
                    domain.strip_suffix(parent.as_str()).is_some_and(|rest| rest.ends_with('.'))
                }
                (_, None) => false,
            }
    }
}

impl std::str::FromStr for RecipientPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (local_part, domain) = match text.rsplit_once('@') {
            Some((local_part, domain)) => (local_part, domain),
            None => ("*", text),
        };
        let local_part = (local_part != "*").then(|| local_part.to_lowercase());
        let lookup = |name: &str| {
            name.parse::<mail::Domain>().map(|domain| domain.to_lookup()).map_err(|error| {
                format!("{text:?} is not a recipient pattern ({error}): write \"*\", \"*@example.org\", \"*@*.example.org\" or \"user@example.org\"")
            })
        };
        let domain = match (domain, domain.strip_prefix("*.")) {
            ("*", _) => DomainPattern::Any,
            (_, Some(parent)) => DomainPattern::Below(lookup(parent)?),
            (exact, None) => DomainPattern::Exact(lookup(exact)?),
        };
        Ok(Self { local_part, domain })
    }
}

#[cfg(test)]
mod tests {
    use super::RecipientPattern;

    fn matches(pattern: &str, address: &str) -> bool {
        pattern.parse::<RecipientPattern>().unwrap().matches(&address.parse().unwrap())
    }

    #[test]
    fn patterns_match_what_they_say() {
        assert!(matches("*", "a@b.example"));
        assert!(matches("*@b.example", "a@B.Example"));
        assert!(matches("b.example", "a@b.example"));
        assert!(!matches("*@b.example", "a@sub.b.example"));
        assert!(matches("*@*.b.example", "a@sub.b.example"));
        assert!(!matches("*@*.b.example", "a@b.example"));
        assert!(!matches("*@*.b.example", "a@xb.example"));
        assert!(matches("Joe@b.example", "joe@b.example"));
        assert!(!matches("joe@b.example", "jim@b.example"));
    }

    #[test]
    fn a_bad_pattern_says_how_to_write_one() {
        let error = "*@b..example".parse::<RecipientPattern>().unwrap_err();
        assert!(error.contains("\"*@example.org\""), "{error}");
    }
}
