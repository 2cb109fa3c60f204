//! `suppression`: addresses that get no more mail from senders that heed the list.

use clap::Subcommand;

use super::{Common, Output, block_on};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, SuppressionAction, SuppressionView},
    },
    config::types::Span,
};

#[derive(Debug, Subcommand)]
pub enum SuppressionCommand {
    /// Addresses that are suppressed, and those whose failures are counted
    List {
        /// The most that are shown
        #[arg(long, value_name = "COUNT", default_value_t = 1000)]
        limit: usize,
        /// Begin after this address
        #[arg(long, value_name = "ADDRESS")]
        after: Option<String>,
    },
    /// What is known against one address
    Show { address: String },
    /// Suppress an address
    Add {
        address: String,
        /// Why, for whoever looks at the list
        #[arg(long)]
        reason: Option<String>,
        /// Only for so long, such as 30d
        #[arg(long = "for", value_name = "TIME", value_parser = Span::parse)]
        duration: Option<Span>,
    },
    /// Let mail go to an address again, and forget its failures
    Remove { address: String },
}

impl SuppressionCommand {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let data_dir = common.location.data_dir()?;
        let (action, limit) = self.action();
        block_on(async {
            let mut session = Session::open(&data_dir, false).await?;
            let response = ask(&mut session, action, limit).await;
            session.close().await?;
            show(response?, limit, output)
        })
    }

    fn action(self) -> (SuppressionAction, usize) {
        match self {
            Self::List { limit, after } => (SuppressionAction::List { after }, limit),
            Self::Show { address } => (SuppressionAction::Show { address }, 1),
            Self::Add { address, reason, duration } => {
                let seconds = duration.map(|duration| duration.0.as_secs());
                (SuppressionAction::Add { address, reason, seconds }, 1)
            }
            Self::Remove { address } => (SuppressionAction::Remove { address }, 1),
        }
    }
}

/// As many pages as the limit asks for.
async fn ask(
    session: &mut Session,
    action: SuppressionAction,
    limit: usize,
) -> Result<AdminResponse, Failure> {
    let mut response = session.ask(AdminRequest::Suppression { action }).await?;
    while let AdminResponse::Suppressions { suppressions, next } = &mut response {
        let Some(after) = next.take().filter(|_| suppressions.len() < limit) else { break };
        let action = SuppressionAction::List { after: Some(after) };
        let further = session.ask(AdminRequest::Suppression { action }).await?;
        if let AdminResponse::Suppressions { suppressions: mut page, next: further } = further {
            suppressions.append(&mut page);
            *next = further;
        }
    }
    Ok(response)
}

fn show(response: AdminResponse, limit: usize, output: &mut Output) -> Result<(), Failure> {
    let AdminResponse::Suppressions { mut suppressions, .. } = response else {
        return super::show(response, output);
    };
    let is_cut = suppressions.len() > limit;
    suppressions.truncate(limit);
    show_page(&suppressions, output)?;
    match suppressions.last().filter(|_| is_cut && !output.is_json()) {
        Some(last) => output.line(format_args!("more follow: --after {}", last.address)),
        None => Ok(()),
    }
}

pub fn show_page(suppressions: &[SuppressionView], output: &mut Output) -> Result<(), Failure> {
    let row = |found: &SuppressionView| {
        vec![
            found.address.clone(),
            found.state.clone(),
            found.cause.to_string(),
            found.failures.to_string(),
            found.last_at.clone(),
            found.expires_at.clone().unwrap_or_else(|| "never".to_owned()),
            found.detail.clone().unwrap_or_default(),
        ]
    };
    let heading = ["ADDRESS", "STATE", "CAUSE", "FAILURES", "LAST", "EXPIRES", "DETAIL"];
    output.listing(suppressions, &heading, row, "no address is suppressed")
}
