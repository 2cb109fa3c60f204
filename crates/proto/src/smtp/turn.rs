//! What the commands that ask for waiting mail name: a node for ETRN (RFC 1985 §5.3), domains for ATRN (RFC 2645 §5.2.1).

use std::str::FromStr;

use mail::Domain;

/// Whose mail ETRN asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EtrnTarget {
    /// Mail for this domain.
    Node(Domain),
    /// `@`: for this domain and all below it.
    Below(Domain),
    /// `#`: whatever waits in the queue of this name, which is ours to know. Without control characters.
    Queue(String),
}

/// It does not name what the command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a node, a queue, or domains")]
pub struct NotANode;

impl FromStr for EtrnTarget {
    type Err = NotANode;

    fn from_str(text: &str) -> Result<Self, NotANode> {
        let domain = |name: &str| name.parse().map_err(|_| NotANode);
        match (text.strip_prefix('@'), text.strip_prefix('#')) {
            (Some(name), _) => domain(name).map(Self::Below),
            (_, Some("")) => Err(NotANode),
            (_, Some(name)) => Ok(Self::Queue(name.to_owned())),
            (None, None) => domain(text).map(Self::Node),
        }
    }
}

/// The domains of ATRN, each once; none are all that the client has.
pub fn atrn_domains(argument: &str) -> Result<Vec<Domain>, NotANode> {
    let mut domains: Vec<Domain> = Vec::new();
    if argument.is_empty() {
        return Ok(domains);
    }
    for name in argument.split(',') {
        let domain: Domain = name.trim_matches(' ').parse().map_err(|_| NotANode)?;
        if domains.iter().all(|known| known.to_lookup() != domain.to_lookup()) {
            domains.push(domain);
        }
    }
    Ok(domains)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etrn_names_a_node_a_tree_or_a_queue() {
        let domain: Domain = "sub.example".parse().unwrap();
        assert_eq!("sub.example".parse(), Ok(EtrnTarget::Node(domain.clone())));
        assert_eq!("@sub.example".parse(), Ok(EtrnTarget::Below(domain)));
        assert_eq!("#smtp:relay:25".parse(), Ok(EtrnTarget::Queue("smtp:relay:25".to_owned())));
    }

    /// A140: names that mean something to a database, a directory or a shell are no names here.
    #[test]
    fn what_is_no_node_is_refused() {
        for text in [
            "",
            "@",
            "#",
            "!sub.example",
            "a b.example",
            "' OR 1=1--",
            "*)(uid=*",
            "\\00",
            "%",
            "_",
            "*",
            "a..example",
            "[192.0.2.1]",
            "192.0.2.1",
            "@@example.org",
            "$(id).example",
            "../../etc/passwd",
        ] {
            assert_eq!(text.parse::<EtrnTarget>(), Err(NotANode), "{text:?}");
        }
    }

    #[test]
    fn atrn_names_domains_once_each() {
        assert_eq!(atrn_domains(""), Ok(vec![]));
        let domains = atrn_domains("a.example, B.example,A.EXAMPLE").unwrap();
        assert_eq!(domains.iter().map(Domain::as_str).collect::<Vec<_>>(), ["a.example", "B.example"]);
        for text in [",", "a.example,", "a.example,,b.example", "a.example b.example", "*", "' OR 1=1--"] {
            assert_eq!(atrn_domains(text), Err(NotANode), "{text:?}");
        }
    }
}
