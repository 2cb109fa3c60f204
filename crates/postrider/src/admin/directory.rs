//! Domains, accounts, aliases.

use std::collections::HashMap;

use mail::{Address, Domain, FullName};
use store::{
    StoreError,
    directory::{Account, DirectoryError, make_password},
};
use world::Entropy;

use super::{
    Admin,
    protocol::{
        AccountView, AdminRequest, AdminResponse, AliasView, DomainView, Limit, Secret, TurnDomainView,
    },
};

/// Octets of a password; longer ones only cost hashing time.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Requests about the directory; the error is the answer when one fails.
pub async fn execute(admin: &Admin, request: AdminRequest) -> Result<AdminResponse, DirectoryError> {
    let directory = &admin.stores.directory;
    let now = admin.world.clock.wall();
    Ok(match request {
        AdminRequest::DomainAdd { domain } => {
            directory.add_domain(&parse_domain(&domain)?, now).await?;
            AdminResponse::done(format_args!(
                "{domain} is hosted now; `postrider account add NAME@{domain}` adds an account"
            ))
        }
        AdminRequest::DomainList => AdminResponse::Domains { domains: domains(admin).await? },
        AdminRequest::DomainShow { domain } => show_domain(admin, &parse_domain(&domain)?).await?,
        AdminRequest::DomainRemove { domain } => {
            directory.remove_domain(&parse_domain(&domain)?).await?;
            AdminResponse::done(format_args!("{domain} is no longer hosted"))
        }
        AdminRequest::AccountAdd { address, password, quota_bytes, full_name } => {
            let full_name = parse_full_name(full_name)?;
            add_account(admin, &parse_address(&address)?, password, quota_bytes, full_name).await?
        }
        AdminRequest::AccountList => accounts(admin, directory.accounts().await?).await?,
        AdminRequest::AccountShow { address } => {
            let address = parse_address(&address)?;
            match directory.account(&address).await? {
                Some(account) => accounts(admin, vec![account]).await?,
                None => return Err(DirectoryError::AccountUnknown(address.to_string())),
            }
        }
        AdminRequest::AccountPassword { address, password } => {
            set_password(admin, &parse_address(&address)?, password).await?
        }
        AdminRequest::AccountName { address, full_name } => {
            set_full_name(admin, &parse_address(&address)?, parse_full_name(full_name)?).await?
        }
        AdminRequest::AccountQuota { address, octets, messages } => {
            set_quota(admin, &parse_address(&address)?, octets, messages).await?
        }
        AdminRequest::AccountRemove { address } => {
            directory.remove_account(&parse_address(&address)?).await?;
            AdminResponse::done(format_args!("{address} and its mail are removed"))
        }
        AdminRequest::AccountReindex { address } => reindex(admin, &parse_address(&address)?).await?,
        AdminRequest::TurnDomainAdd { address, domain } => {
            directory.add_turn_domain(&parse_address(&address)?, &parse_domain(&domain)?, now).await?;
            AdminResponse::done(format_args!(
                "mail for {domain} is taken, and waits here until {address} fetches it with ATRN"
            ))
        }
        AdminRequest::TurnDomainList => {
            AdminResponse::TurnDomains { turn_domains: turn_domains(admin).await? }
        }
        AdminRequest::TurnDomainRemove { domain } => {
            directory.remove_turn_domain(&parse_domain(&domain)?).await?;
            AdminResponse::done(format_args!("mail for {domain} is not fetched from here any more"))
        }
        AdminRequest::AliasAdd { address, targets } => {
            let targets: Vec<Address> =
                targets.iter().map(|target| parse_address(target)).collect::<Result<_, _>>()?;
            directory.add_alias(&address, targets, now).await?;
            AdminResponse::done(format_args!("mail to {address} goes there now"))
        }
        AdminRequest::AliasList => aliases(admin).await?,
        AdminRequest::AliasRemove { address } => {
            directory.remove_alias(&address).await?;
            AdminResponse::done(format_args!("{address} is no alias any more"))
        }
        other => AdminResponse::error(format_args!("not a request about the directory: {other:?}")),
    })
}

async fn domains(admin: &Admin) -> Result<Vec<DomainView>, StoreError> {
    let directory = &admin.stores.directory;
    let mut accounts: HashMap<String, usize> = HashMap::new();
    for account in directory.accounts().await? {
        *accounts.entry(domain_of(&account.address.to_lookup())).or_default() += 1;
    }
    let mut aliases: HashMap<String, usize> = HashMap::new();
    for alias in directory.aliases().await? {
        *aliases.entry(domain_of(&alias.address)).or_default() += 1;
    }
    let mut lists: HashMap<String, usize> = HashMap::new();
    for list in directory.lists().await? {
        *lists.entry(domain_of(&list.address.to_lookup())).or_default() += 1;
    }
    let view = |domain: store::directory::DomainRecord| DomainView {
        accounts: accounts.get(&domain.name.to_lowercase()).copied().unwrap_or_default(),
        aliases: aliases.get(&domain.name.to_lowercase()).copied().unwrap_or_default(),
        lists: lists.get(&domain.name.to_lowercase()).copied().unwrap_or_default(),
        created_at: domain.created_at.rfc3339(),
        name: domain.name,
    };
    Ok(directory.domains().await?.into_iter().map(view).collect())
}

fn domain_of(lookup: &str) -> String {
    lookup.rsplit_once('@').map_or(lookup, |(_, domain)| domain).to_lowercase()
}

async fn show_domain(admin: &Admin, domain: &Domain) -> Result<AdminResponse, DirectoryError> {
    let wanted = domain.to_lookup();
    let is_wanted = |view: &DomainView| {
        view.name == wanted || view.name.parse::<Domain>().is_ok_and(|name| name.to_lookup() == wanted)
    };
    match domains(admin).await?.into_iter().find(is_wanted) {
        Some(found) => Ok(AdminResponse::Domains { domains: vec![found] }),
        None => Err(DirectoryError::DomainUnknown(domain.as_str().to_owned())),
    }
}

async fn add_account(
    admin: &Admin,
    address: &Address,
    password: Option<Secret>,
    quota_bytes: Option<u64>,
    full_name: Option<FullName>,
) -> Result<AdminResponse, DirectoryError> {
    let (password, told) = password_or_made(&*admin.world.entropy, password)?;
    let (entropy, now) = (&*admin.world.entropy, admin.world.clock.wall());
    let directory = &admin.stores.directory;
    directory.add_account(address, &password, quota_bytes, entropy, now).await?;
    if full_name.is_some() {
        directory.set_full_name(address, full_name).await?;
    }
    Ok(AdminResponse::Password {
        address: address.to_string(),
        password: told,
        message: format!("{address} has a mailbox now"),
    })
}

async fn set_password(
    admin: &Admin,
    address: &Address,
    password: Option<Secret>,
) -> Result<AdminResponse, DirectoryError> {
    let (password, told) = password_or_made(&*admin.world.entropy, password)?;
    admin.stores.directory.set_password(address, &password, &*admin.world.entropy).await?;
    Ok(AdminResponse::Password {
        address: address.to_string(),
        password: told,
        message: format!("{address} has a new password"),
    })
}

async fn set_full_name(
    admin: &Admin,
    address: &Address,
    full_name: Option<FullName>,
) -> Result<AdminResponse, DirectoryError> {
    let message = match &full_name {
        Some(full_name) => format!("{address} is {full_name} now"),
        None => format!("{address} has no full name any more"),
    };
    admin.stores.directory.set_full_name(address, full_name).await?;
    Ok(AdminResponse::done(message))
}

async fn set_quota(
    admin: &Admin,
    address: &Address,
    octets: Option<Limit>,
    messages: Option<Limit>,
) -> Result<AdminResponse, DirectoryError> {
    let directory = &admin.stores.directory;
    let account = directory.account(address).await?;
    let mut quota = account.ok_or_else(|| DirectoryError::AccountUnknown(address.to_string()))?.quota();
    quota.octets = octets.map_or(quota.octets, Limit::value);
    quota.messages = messages.map_or(quota.messages, Limit::value);
    directory.set_quota(address, quota).await?;
    Ok(AdminResponse::done(format_args!("{address} has a new quota; what is there already stays")))
}

/// The password to set, and what to tell about it if it was made here.
fn password_or_made(
    entropy: &dyn Entropy,
    password: Option<Secret>,
) -> Result<(String, Option<Secret>), DirectoryError> {
    match password {
        None => {
            let made = make_password(entropy);
            Ok((made.clone(), Some(Secret(made))))
        }
        Some(Secret(given)) if given.is_empty() => {
            Err(DirectoryError::Invalid("the password is empty".to_owned()))
        }
        Some(Secret(given)) if given.len() > PASSWORD_BYTES_MAX => {
            Err(DirectoryError::Invalid(format!("the password is longer than {PASSWORD_BYTES_MAX} octets")))
        }
        // RFC 4616 §2: NUL parts the fields of PLAIN.
        Some(Secret(given)) if given.contains(['\0', '\r', '\n']) => {
            Err(DirectoryError::Invalid("the password must be one line without NUL".to_owned()))
        }
        Some(Secret(given)) => Ok((given, None)),
    }
}

async fn accounts(admin: &Admin, accounts: Vec<Account>) -> Result<AdminResponse, DirectoryError> {
    let mut views = Vec::with_capacity(accounts.len());
    for account in accounts {
        let (messages, bytes) = admin.stores.mailboxes.usage(account.id).await?;
        let blocks = admin.stores.search_index.blocks(account.id).await?;
        views.push(AccountView {
            address: account.address.to_string(),
            full_name: account.full_name.map(|name| name.to_string()),
            messages,
            bytes,
            quota_bytes: account.quota_bytes,
            quota_messages: account.quota_messages,
            indexed_messages: blocks.iter().map(|block| u64::from(block.record.messages)).sum(),
            index_bytes: blocks.iter().map(|block| block.record.octets()).sum(),
            created_at: account.created_at.rfc3339(),
        });
    }
    Ok(AdminResponse::Accounts { accounts: views })
}

async fn reindex(admin: &Admin, address: &Address) -> Result<AdminResponse, DirectoryError> {
    let account = admin.stores.directory.account(address).await?;
    let account = account.ok_or_else(|| DirectoryError::AccountUnknown(address.to_string()))?.id;
    let index = &admin.stores.search_index;
    let revision = index.revision(account).await?;
    index.drop_blocks(account, revision).await?;
    index.want(account);
    Ok(AdminResponse::done(format_args!("the server makes the search index of {address} anew")))
}

async fn turn_domains(admin: &Admin) -> Result<Vec<TurnDomainView>, StoreError> {
    let view = |record: store::directory::TurnDomain| TurnDomainView {
        domain: record.name,
        account: record.address.to_string(),
        created_at: record.created_at.rfc3339(),
    };
    Ok(admin.stores.directory.turn_domains().await?.into_iter().map(view).collect())
}

async fn aliases(admin: &Admin) -> Result<AdminResponse, DirectoryError> {
    let aliases = admin.stores.directory.aliases().await?.into_iter().map(|alias| AliasView {
        address: alias.address,
        targets: alias.targets.iter().map(Address::to_string).collect(),
        created_at: alias.created_at.rfc3339(),
    });
    Ok(AdminResponse::Aliases { aliases: aliases.collect() })
}

pub(super) fn parse_address(text: &str) -> Result<Address, DirectoryError> {
    text.parse().map_err(|error| {
        DirectoryError::Invalid(format!(
            "{text:?} is not an address ({error}); write it like anna@example.org"
        ))
    })
}

fn parse_full_name(text: Option<String>) -> Result<Option<FullName>, DirectoryError> {
    text.map(|text| {
        text.parse().map_err(|error: mail::FullNameError| DirectoryError::Invalid(error.to_string()))
    })
    .transpose()
}

fn parse_domain(text: &str) -> Result<Domain, DirectoryError> {
    text.parse()
        .map_err(|_| DirectoryError::Invalid(format!("{text:?} is not a domain; write it like example.org")))
}
