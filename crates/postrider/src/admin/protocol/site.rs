//! Where mail goes: routes, sites, and what they may get of us.

use serde::{Deserialize, Serialize};

/// A lane that leads to other hosts, or looks for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SiteView {
    pub lane: String,
    /// `open`, `closed` (it cannot be reached), `probing`, `asleep` (nothing is due), or `unknown` without a server.
    pub state: String,
    /// Entries in the queue, those on their way included.
    pub waiting: u64,
    pub in_delivery: usize,
    /// Those being made or closed included.
    pub connections: usize,
    /// How many it may have now, and at most; none until a rule was found for it.
    pub connections_allowed: Option<usize>,
    pub connections_max: Option<usize>,
    /// Since when it cannot be reached, and when it is tried next.
    pub closed_since: Option<String>,
    pub next_probe_at: Option<String>,
    pub last_error: Option<String>,
    pub last_error_at: Option<String>,
}

/// The limits that hold for mail to an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LimitsView {
    /// The `[[destination]]` that decides, or `[delivery]`.
    pub rule: String,
    pub connections_max: usize,
    pub messages_per_connection_max: u32,
    pub recipients_per_message_max: usize,
    /// Messages: `100/1m`.
    pub rate: Option<String>,
    pub source_addresses: Vec<String>,
}

/// Where mail to an address goes, and what decided it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteView {
    pub address: String,
    /// `delivered here`, `relayed`, `refused: …`
    pub verdict: String,
    /// The route that refuses it.
    pub rule: Option<String>,
    /// More than one if an alias has several targets.
    pub ways: Vec<WayView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayView {
    pub address: String,
    pub lane: String,
    /// The `[[route]]` that decides; none for mailboxes here.
    pub rule: Option<String>,
    pub tls: Option<String>,
    /// In the order of preference.
    pub hosts: Vec<HostView>,
    /// DNSSEC proves that these are the hosts.
    pub proven: bool,
    /// What the domain says over HTTPS, and how long that holds.
    pub mta_sts: Option<StsView>,
    /// Why there are none.
    pub trouble: Option<String>,
    /// Where it goes to other hosts.
    #[serde(default)]
    pub limits: Option<LimitsView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StsView {
    pub domain: String,
    /// Of the record that announced it.
    pub id: String,
    pub mode: String,
    pub hosts: Vec<String>,
    pub fetched_at: String,
    pub expires_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    pub host: String,
    pub preference: Option<u16>,
    pub port: u16,
    pub addresses: Vec<String>,
    /// Which policy of transport security would hold, or why no mail would go there.
    pub policy: Option<String>,
    pub trouble: Option<String>,
}
