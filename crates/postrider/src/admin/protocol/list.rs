//! Mailing lists, as they are set and shown.

use serde::{Deserialize, Serialize};

/// What is none stays as it is, or is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListSettings {
    pub name: Option<String>,
    pub owners: Option<Vec<String>>,
    pub posting: Option<Posting>,
    pub subscription: Option<Subscription>,
}

/// Who may write to a list; owners always may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Posting {
    Anyone,
    Members,
    Owners,
}

/// Who may join a list by mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Subscription {
    /// Everybody who confirms
    Open,
    /// Nobody: members are added by command
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    pub address: String,
    pub name: Option<String>,
    pub owners: Vec<String>,
    pub posting: Posting,
    pub subscription: Subscription,
    pub member_count: u64,
    /// Where one list is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Vec<MemberView>>,
    pub created_at: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    pub address: String,
    pub since: String,
    pub bounces: u32,
    pub suspended_at: Option<String>,
}
