//! Reports on TLS.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsReportsAction {
    List,
    Show {
        domain: String,
    },
    /// What others report on us.
    Received,
    SendNow {
        today: bool,
        dry_run: bool,
    },
}

/// What sessions with the hosts of one domain came to on one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsDayView {
    pub day: String,
    pub domain: String,
    pub sessions: u64,
    pub failures: u64,
    /// How far the report on it has got.
    pub report: String,
    /// Where one domain is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<Vec<TlsPolicyView>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsPolicyView {
    /// `tlsa`, `sts` or `no-policy-found`.
    pub policy: String,
    /// Whose it is.
    pub domain: String,
    pub strings: Vec<String>,
    pub mx_hosts: Vec<String>,
    pub successes: u64,
    pub failures: u64,
    pub kinds: Vec<TlsFailureView>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TlsFailureView {
    /// As RFC 8460 §4.3 calls it.
    pub result: String,
    pub host: Option<String>,
    pub ip: Option<String>,
    pub reason: Option<String>,
    pub count: u64,
}

/// A report of others on how their mail reached us. Nobody vouches for who sent it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsReceivedView {
    pub received_at: String,
    pub organization: String,
    pub from: String,
    pub until: String,
    pub policies: Vec<TlsPolicyView>,
    /// As it was sent.
    pub report: serde_json::Value,
}

/// A report that was sent, or would be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TlsReportView {
    pub day: String,
    pub domain: String,
    /// What became of it.
    pub outcome: String,
    /// As it would be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
}
