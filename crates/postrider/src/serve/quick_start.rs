//! The first minutes: a domain, two accounts, a welcome message, and what to try next.

use std::{fmt::Write, path::Path};

use mail::Address;
use store::directory::{DirectoryError, make_password};

use crate::{
    Failure,
    admin::Admin,
    agent,
    cli::{Location, Output},
};

const DOMAIN: &str = "localhost";
const ACCOUNTS: [&str; 2] = ["alice@localhost", "bob@localhost"];

/// Makes what a first run needs, and tells what there is.
pub async fn welcome(admin: &Admin, location: &Location, data_dir: &Path) -> Result<(), Failure> {
    let first_run = admin.stores.directory.accounts().await?.is_empty();
    let passwords = if first_run { seed(admin).await.map_err(Failure::new)? } else { Vec::new() };
    let text = banner(admin, location, data_dir, &passwords);
    if first_run {
        greet(admin).await;
    }
    // Nobody may be reading; the server serves all the same.
    let _ = Output::new(false).line(text);
    Ok(())
}

/// The domain, the accounts, and their passwords.
async fn seed(admin: &Admin) -> Result<Vec<String>, DirectoryError> {
    let invalid = |error: mail::AddressError| DirectoryError::Invalid(error.to_string());
    let (directory, entropy, now) =
        (&admin.stores.directory, &*admin.world.entropy, admin.world.clock.wall());
    let domain = DOMAIN.parse().map_err(invalid)?;
    // It is there already if the very first start broke off half way.
    if !directory.hosts(&domain).await? {
        directory.add_domain(&domain, now).await?;
    }
    let mut passwords = Vec::new();
    for account in ACCOUNTS {
        let address: Address = account.parse().map_err(invalid)?;
        let password = make_password(entropy);
        directory.add_account(&address, &password, None, entropy, now).await?;
        passwords.push(password);
    }
    Ok(passwords)
}

/// A first message over our own SMTP, so that there is something to read.
async fn greet(admin: &Admin) {
    let Some(server) = listener(admin, "smtp") else { return };
    if let Err(error) = agent::send_welcome(&admin.world, server, &ACCOUNTS).await {
        tracing::warn!(%error, "the welcome message was not sent");
    }
}

fn listener<'a>(admin: &'a Admin, service: &str) -> Option<&'a str> {
    admin
        .listeners
        .iter()
        .find(|listener| listener.service == service)
        .map(|listener| listener.address.as_str())
}

fn banner(admin: &Admin, location: &Location, data_dir: &Path, passwords: &[String]) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "postrider".to_owned());
    let here = location.data.as_ref().map_or_else(String::new, |data| format!(" --data {}", data.display()));
    let mut text = format!(
        "Postrider {} serves this machine only (quick start; --config FILE for more).\n\n",
        env!("CARGO_PKG_VERSION")
    );
    for listener in &admin.listeners {
        let note = tls_note(&listener.service);
        let _ = writeln!(text, "  {:12} {}{note}", listener.service, listener.address);
    }
    text.push_str("  The web pages come in a later release.\n\n");
    text.push_str(&accounts(passwords, &program, &here));
    let password = passwords.first().map_or("PASSWORD", String::as_str);
    let (smtp, imap) =
        (listener(admin, "smtp").unwrap_or_default(), listener(admin, "imap").unwrap_or_default());
    let _ = write!(
        text,
        "\nTry next, in another terminal:\n\
         \n  {program} send{here} --to alice@localhost --subject Hello --body 'It works'\
         \n  swaks --server {smtp} --from bob@localhost --to alice@localhost\
         \n  curl -u alice@localhost:{password} imap://{imap}/'INBOX;MAILINDEX=1'\
         \n  {program} trace{here} alice@localhost\n\
         \nEverything is kept in {}. Ctrl-C stops.\n",
        data_dir.canonicalize().unwrap_or_else(|_| data_dir.to_owned()).display()
    );
    text
}

fn tls_note(service: &str) -> &'static str {
    if service.ends_with('s') { "  (TLS from the start)" } else { "" }
}

fn accounts(passwords: &[String], program: &str, here: &str) -> String {
    if passwords.is_empty() {
        return format!(
            "  The accounts are there already; `{program} account list{here}` shows them,\n  \
             `{program} account passwd{here} alice@localhost` sets a new password.\n"
        );
    }
    let mut text = String::new();
    for (account, password) in ACCOUNTS.iter().zip(passwords) {
        let _ = writeln!(text, "  {account:16} password {password}");
    }
    text.push_str("  The passwords are shown only now.\n");
    text
}
