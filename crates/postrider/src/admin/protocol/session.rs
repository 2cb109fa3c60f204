//! What policy would say to a client.

use std::{collections::BTreeMap, net::IpAddr};

use serde::{Deserialize, Serialize};

/// A client as it would show itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VisitorView {
    pub from_ip: IpAddr,
    /// The account it is logged in as.
    pub login: Option<String>,
    pub helo: Option<String>,
    pub mail_from: Option<String>,
    pub recipients: Vec<String>,
}

/// What policy says in one phase, rule by rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseView {
    /// `connect`, `helo`, `mail` or `rcpt`.
    pub phase: String,
    pub said: Option<String>,
    pub rules: Vec<RuleView>,
    /// The reply that refuses it.
    pub refused: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleView {
    pub rule: String,
    pub inputs: BTreeMap<String, String>,
    /// Why it lets pass, or `refused: ` and the reply.
    pub outcome: String,
}
