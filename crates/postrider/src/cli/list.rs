//! `list`.

use std::io::BufRead;

use clap::{Args, Subcommand};

use super::{Common, Output, ask, block_on, show};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{
            AdminRequest, AdminResponse, LIST_PAGE_MEMBERS_MAX, ListSettings, ListView, MemberView, Posting,
            Subscription,
        },
    },
};

#[derive(Debug, Subcommand)]
pub enum ListCommand {
    /// Make a list
    Add {
        address: String,
        #[command(flatten)]
        settings: Settings,
        /// A first member; may be given several times
        #[arg(long = "member", value_name = "ADDRESS")]
        members: Vec<String>,
    },
    /// Change a list
    Set {
        address: String,
        #[command(flatten)]
        settings: Settings,
    },
    /// All lists
    List,
    /// One list with its members
    Show { address: String },
    /// Add members, and let mail go on to those who were suspended
    Subscribe {
        address: String,
        #[command(flatten)]
        members: Members,
    },
    /// Take members out
    Unsubscribe {
        address: String,
        #[command(flatten)]
        members: Members,
    },
    /// Remove a list with its members
    Remove { address: String },
}

#[derive(Debug, Args)]
pub struct Settings {
    /// Who gets what is written to ADDRESS-owner, and may always post; may be given several times
    #[arg(long = "owner", value_name = "ADDRESS")]
    owners: Vec<String>,
    /// What people read as the list's name
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Who may write to it: members unless said otherwise
    #[arg(long, value_name = "WHO")]
    posting: Option<Posting>,
    /// Whether one may join by mail: open unless said otherwise
    #[arg(long, value_name = "HOW")]
    subscription: Option<Subscription>,
}

#[derive(Debug, Args)]
pub struct Members {
    #[arg(required_unless_present = "stdin")]
    member: Vec<String>,
    /// Read addresses from standard input, one a line
    #[arg(long)]
    stdin: bool,
}

impl Settings {
    fn request(self) -> ListSettings {
        ListSettings {
            name: self.name,
            owners: Some(self.owners).filter(|owners| !owners.is_empty()),
            posting: self.posting,
            subscription: self.subscription,
        }
    }
}

impl Members {
    fn read(self) -> Result<Vec<String>, Failure> {
        let mut members = self.member;
        if self.stdin {
            for line in std::io::stdin().lock().lines() {
                let line = line.map_err(|error| {
                    Failure::new(format!("addresses cannot be read from standard input: {error}"))
                })?;
                members.extend(Some(line.trim()).filter(|line| !line.is_empty()).map(str::to_owned));
            }
        }
        Ok(members)
    }
}

impl ListCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Add { address, settings, members } => {
                let add = AdminRequest::ListAdd { address: address.clone(), settings: settings.request() };
                let join = |members| AdminRequest::ListSubscribe { address: address.clone(), members };
                change(common, Some(add), &members, join, output)
            }
            Self::Subscribe { address, members } => {
                let join = |members| AdminRequest::ListSubscribe { address: address.clone(), members };
                change(common, None, &members.read()?, join, output)
            }
            Self::Unsubscribe { address, members } => {
                let leave = |members| AdminRequest::ListUnsubscribe { address: address.clone(), members };
                change(common, None, &members.read()?, leave, output)
            }
            Self::Set { address, settings } => {
                ask(common, false, AdminRequest::ListSet { address, settings: settings.request() }, output)
            }
            Self::List => ask(common, false, AdminRequest::ListList, output),
            Self::Show { address } => ask(common, false, AdminRequest::ListShow { address }, output),
            Self::Remove { address } => ask(common, false, AdminRequest::ListRemove { address }, output),
        }
    }
}

/// Changes members page by page, after `first` if there is one, whose answer is shown then. Nothing is begun if one of
/// them is no address.
fn change(
    common: &Common,
    first: Option<AdminRequest>,
    members: &[String],
    request: impl Fn(Vec<String>) -> AdminRequest,
    output: &mut Output,
) -> Result<(), Failure> {
    for member in members {
        member.parse::<mail::Address>().map_err(|error| {
            Failure::new(format!("{member:?} is not an address ({error}); write it like anna@example.org"))
        })?;
    }
    let response = block_on(async {
        let mut session = Session::open(&common.location.data_dir()?, false).await?;
        let response = change_in(&mut session, first, members, request).await;
        session.close().await?;
        response
    })?;
    show(response, output)
}

async fn change_in(
    session: &mut Session,
    first: Option<AdminRequest>,
    members: &[String],
    request: impl Fn(Vec<String>) -> AdminRequest,
) -> Result<AdminResponse, Failure> {
    let mut answer = None;
    if let Some(first) = first {
        match session.ask(first).await? {
            done @ AdminResponse::Done { .. } => answer = Some(done),
            refused => return Ok(refused),
        }
    }
    let mut changed = Vec::new();
    for page in members.chunks(LIST_PAGE_MEMBERS_MAX) {
        match session.ask(request(page.to_vec())).await? {
            AdminResponse::Members { members } => changed.extend(members),
            refused => return Ok(refused),
        }
    }
    Ok(answer.unwrap_or(AdminResponse::Members { members: changed }))
}

pub fn show_lists(lists: &[ListView], output: &mut Output) -> Result<(), Failure> {
    let row = |list: &ListView| {
        vec![
            list.address.clone(),
            list.member_count.to_string(),
            word(&list.posting),
            word(&list.subscription),
            list.owners.join(", "),
        ]
    };
    let nothing = "no lists yet; `postrider list add club@example.org --owner anna@example.org` adds one";
    output.listing(lists, &["LIST", "MEMBERS", "POSTING", "SUBSCRIPTION", "OWNERS"], row, nothing)
}

pub fn show_list(list: &ListView, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(list);
    }
    show_lists(std::slice::from_ref(list), output)?;
    output.line("")?;
    let row = |member: &MemberView| {
        let state = match &member.suspended_at {
            Some(at) => format!("suspended {at}"),
            None if member.bounces > 0 => format!("{} bounces", member.bounces),
            None => String::new(),
        };
        vec![member.address.clone(), member.since.clone(), state]
    };
    let members = list.members.as_deref().unwrap_or_default();
    output.listing(members, &["MEMBER", "SINCE", "STATE"], row, "no members yet")
}

pub fn show_changed(members: &[String], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.value(&members);
    }
    match members {
        [] => output.line("nothing to change"),
        [one] => output.line(format_args!("{one}: done")),
        many => output.line(format_args!("{} members: done", many.len())),
    }
}

fn word(value: &impl clap::ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
