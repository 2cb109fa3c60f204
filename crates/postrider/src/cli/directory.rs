//! `domain`, `account`, `alias`.

use std::io::Read;

use clap::{Args, Subcommand};

use super::{Output, app_passwords::AppPasswordCommand, output::octets};
use crate::{
    Failure,
    admin::protocol::{AccountView, AdminRequest, AliasView, DomainView, Limit, Secret, TurnDomainView},
    config::types::Size,
};

/// Octets read from standard input when a password is expected.
const PASSWORD_INPUT_BYTES_MAX: u64 = 4096;

#[derive(Debug, Subcommand)]
pub enum DomainCommand {
    /// Host a domain: its addresses are delivered here
    Add { domain: String },
    /// All hosted domains
    List,
    /// One hosted domain
    Show { domain: String },
    /// Stop hosting a domain that has no accounts, aliases or lists left
    Remove { domain: String },
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account; without --password-stdin a password is made and printed once
    Add {
        address: String,
        #[command(flatten)]
        password: PasswordInput,
        /// The most its mail may take, such as "2 GiB"
        #[arg(long, value_name = "SIZE", value_parser = Size::parse)]
        quota: Option<Size>,
        /// Full name, which VRFY and EXPN tell: "Anna Example"
        #[arg(long, value_name = "NAME", value_parser = full_name)]
        name: Option<String>,
    },
    /// All accounts
    List,
    /// One account
    Show { address: String },
    /// Set a new password; without --password-stdin one is made and printed once
    Passwd {
        address: String,
        #[command(flatten)]
        password: PasswordInput,
    },
    /// Set the full name; without one, take it away
    SetName {
        address: String,
        #[arg(value_parser = full_name)]
        name: Option<String>,
    },
    /// Set what its mailboxes may hold; what is not named stays as it is
    #[command(group = clap::ArgGroup::new("quota").required(true).multiple(true))]
    SetQuota {
        address: String,
        /// Octets, such as "2 GiB"; "none" for no limit
        #[arg(long, value_name = "SIZE", value_parser = size_limit, group = "quota")]
        size: Option<Limit>,
        /// Messages; "none" for no limit
        #[arg(long, value_name = "COUNT", value_parser = count_limit, group = "quota")]
        messages: Option<Limit>,
    },
    /// Passwords for one program each, beside the account's own
    #[command(subcommand)]
    AppPassword(AppPasswordCommand),
    /// Remove an account with all its mail
    Remove { address: String },
    /// Make the index anew that searches in its mail ask; they find the same meanwhile
    Reindex { address: String },
    /// Domains whose mail waits here until an account fetches it with ATRN (service odmr) or TURN
    #[command(subcommand)]
    TurnDomain(TurnDomainCommand),
}

#[derive(Debug, Subcommand)]
pub enum TurnDomainCommand {
    /// Take mail for a domain that is not hosted, and keep it for this account
    Add { address: String, domain: String },
    /// All such domains and who fetches their mail
    List,
    /// Take no more mail for the domain; what waits goes where the routes lead
    Remove { domain: String },
}

#[derive(Debug, Args)]
pub struct PasswordInput {
    /// Read the password from standard input, one line
    #[arg(long)]
    password_stdin: bool,
}

#[derive(Debug, Subcommand)]
pub enum AliasCommand {
    /// Let an address (or @DOMAIN for all others of a domain) lead to other addresses
    Add {
        address: String,
        #[arg(required = true)]
        target: Vec<String>,
    },
    /// All aliases
    List,
    /// Remove an alias
    Remove { address: String },
}

impl DomainCommand {
    /// Whether it makes sense before the server ever ran.
    pub fn creates(&self) -> bool {
        matches!(self, Self::Add { .. })
    }

    pub fn request(self) -> AdminRequest {
        match self {
            Self::Add { domain } => AdminRequest::DomainAdd { domain },
            Self::List => AdminRequest::DomainList,
            Self::Show { domain } => AdminRequest::DomainShow { domain },
            Self::Remove { domain } => AdminRequest::DomainRemove { domain },
        }
    }
}

impl AccountCommand {
    pub fn creates(&self) -> bool {
        matches!(self, Self::Add { .. })
    }

    pub fn request(self) -> Result<AdminRequest, Failure> {
        Ok(match self {
            Self::Add { address, password, quota, name } => AdminRequest::AccountAdd {
                address,
                password: password.read()?,
                quota_bytes: quota.map(|quota| quota.0),
                full_name: name,
            },
            Self::List => AdminRequest::AccountList,
            Self::Show { address } => AdminRequest::AccountShow { address },
            Self::Passwd { address, password } => {
                AdminRequest::AccountPassword { address, password: password.read()? }
            }
            Self::SetName { address, name } => AdminRequest::AccountName { address, full_name: name },
            Self::SetQuota { address, size, messages } => {
                AdminRequest::AccountQuota { address, octets: size, messages }
            }
            Self::AppPassword(command) => command.request(),
            Self::Remove { address } => AdminRequest::AccountRemove { address },
            Self::Reindex { address } => AdminRequest::AccountReindex { address },
            Self::TurnDomain(command) => command.request(),
        })
    }
}

impl TurnDomainCommand {
    fn request(self) -> AdminRequest {
        match self {
            Self::Add { address, domain } => AdminRequest::TurnDomainAdd { address, domain },
            Self::List => AdminRequest::TurnDomainList,
            Self::Remove { domain } => AdminRequest::TurnDomainRemove { domain },
        }
    }
}

impl AliasCommand {
    pub fn creates(&self) -> bool {
        matches!(self, Self::Add { .. })
    }

    pub fn request(self) -> AdminRequest {
        match self {
            Self::Add { address, target } => AdminRequest::AliasAdd { address, targets: target },
            Self::List => AdminRequest::AliasList,
            Self::Remove { address } => AdminRequest::AliasRemove { address },
        }
    }
}

impl PasswordInput {
    pub fn read(&self) -> Result<Option<Secret>, Failure> {
        if !self.password_stdin {
            return Ok(None);
        }
        let mut text = String::new();
        std::io::stdin().take(PASSWORD_INPUT_BYTES_MAX).read_to_string(&mut text).map_err(|error| {
            Failure::new(format!("the password cannot be read from standard input: {error}"))
        })?;
        let password = text.lines().next().unwrap_or_default();
        if password.is_empty() {
            return Err(Failure::usage("--password-stdin found no password on standard input"));
        }
        Ok(Some(Secret(password.to_owned())))
    }
}

/// As the directory will keep it.
fn full_name(text: &str) -> Result<String, mail::FullNameError> {
    text.parse::<mail::FullName>().map(|name| name.to_string())
}

fn size_limit(text: &str) -> Result<Limit, String> {
    if text == "none" { Ok(Limit::None) } else { Size::parse(text).map(|size| Limit::AtMost(size.0)) }
}

fn count_limit(text: &str) -> Result<Limit, String> {
    match text {
        "none" => Ok(Limit::None),
        count => count.parse().map(Limit::AtMost).map_err(|_| format!("{text:?} is no count")),
    }
}

pub fn show_domains(domains: &[DomainView], output: &mut Output) -> Result<(), Failure> {
    let row = |domain: &DomainView| {
        vec![
            domain.name.clone(),
            domain.accounts.to_string(),
            domain.aliases.to_string(),
            domain.lists.to_string(),
            domain.created_at.clone(),
        ]
    };
    let nothing = "no domains yet; `postrider domain add example.org` adds one";
    output.listing(domains, &["DOMAIN", "ACCOUNTS", "ALIASES", "LISTS", "SINCE"], row, nothing)
}

pub fn show_accounts(accounts: &[AccountView], output: &mut Output) -> Result<(), Failure> {
    let row = |account: &AccountView| {
        vec![
            account.address.clone(),
            account.messages.to_string(),
            octets(account.bytes),
            quota(account),
            account.indexed_messages.to_string(),
            account.created_at.clone(),
            account.full_name.clone().unwrap_or_default(),
        ]
    };
    let nothing = "no accounts yet; `postrider account add anna@example.org` adds one";
    output.listing(
        accounts,
        &["ADDRESS", "MESSAGES", "SIZE", "QUOTA", "INDEXED", "SINCE", "NAME"],
        row,
        nothing,
    )
}

fn quota(account: &AccountView) -> String {
    let size = account.quota_bytes.map(octets);
    let messages = account.quota_messages.map(|count| format!("{count} messages"));
    match (size, messages) {
        (Some(size), Some(messages)) => format!("{size}, {messages}"),
        (size, messages) => size.or(messages).unwrap_or_else(|| "none".to_owned()),
    }
}

pub fn show_turn_domains(domains: &[TurnDomainView], output: &mut Output) -> Result<(), Failure> {
    let row = |domain: &TurnDomainView| {
        vec![domain.domain.clone(), domain.account.clone(), domain.created_at.clone()]
    };
    let nothing = "no mail is fetched from here; `postrider account turn-domain add anna@example.org example.net` \
                   lets an account fetch a domain's";
    output.listing(domains, &["DOMAIN", "FETCHED BY", "SINCE"], row, nothing)
}

pub fn show_aliases(aliases: &[AliasView], output: &mut Output) -> Result<(), Failure> {
    let row = |alias: &AliasView| vec![alias.address.clone(), alias.targets.join(", ")];
    let nothing = "no aliases yet; `postrider alias add info@example.org anna@example.org` adds one";
    output.listing(aliases, &["ALIAS", "LEADS TO"], row, nothing)
}

/// A password that was made is shown here and never again.
pub fn show_password(
    address: &str,
    password: Option<Secret>,
    message: &str,
    output: &mut Output,
) -> Result<(), Failure> {
    let password = password.map(|Secret(password)| password);
    if output.is_json() {
        return output
            .value(&serde_json::json!({ "address": address, "password": password, "message": message }));
    }
    output.line(message)?;
    match password {
        Some(password) => output.line(format_args!("password: {password}   (shown only now)")),
        None => Ok(()),
    }
}
