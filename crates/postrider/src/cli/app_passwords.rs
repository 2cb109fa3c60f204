//! `account app-password`.

use clap::{Subcommand, ValueEnum};
use store::directory::Service;

use super::Output;
use crate::{
    Failure,
    admin::protocol::{AdminRequest, AppPasswordAction, AppPasswordView},
};

#[derive(Debug, Subcommand)]
pub enum AppPasswordCommand {
    /// Make a password for one program; it is printed once
    Add {
        address: String,
        /// What to call it; without, it gets a number
        #[arg(long, value_name = "LABEL")]
        name: Option<String>,
        /// What it is good for; without, for all
        #[arg(long, value_name = "SERVICE", value_enum, value_delimiter = ',')]
        scope: Vec<Scope>,
    },
    /// The app passwords of an account, and when each was used last
    List { address: String },
    /// Remove an app password; whoever has it is out
    Remove { address: String, name: String },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Scope {
    Submission,
    Pop3,
    Imap,
    Odmr,
}

impl AppPasswordCommand {
    pub fn request(self) -> AdminRequest {
        let (address, action) = match self {
            Self::Add { address, name, scope } => {
                let given = scope.into_iter().map(Service::from).collect::<Vec<_>>();
                let services = if given.is_empty() { Service::ALL.to_vec() } else { given };
                (address, AppPasswordAction::Add { name, services })
            }
            Self::List { address } => (address, AppPasswordAction::List),
            Self::Remove { address, name } => (address, AppPasswordAction::Remove { name }),
        };
        AdminRequest::AppPassword { address, action }
    }
}

impl From<Scope> for Service {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Submission => Self::Submission,
            Scope::Pop3 => Self::Pop3,
            Scope::Imap => Self::Imap,
            Scope::Odmr => Self::Odmr,
        }
    }
}

pub fn show(passwords: &[AppPasswordView], output: &mut Output) -> Result<(), Failure> {
    let row = |password: &AppPasswordView| {
        vec![
            password.name.clone(),
            password.services.join(", "),
            password.created_at.clone(),
            password.last_used_at.clone().unwrap_or_else(|| "never".to_owned()),
        ]
    };
    let nothing = "no app passwords; `postrider account app-password add ADDRESS` makes one";
    output.listing(passwords, &["NAME", "FOR", "SINCE", "LAST USED"], row, nothing)
}
