//! The command line: one file for each family of commands.

mod app_passwords;
mod backups;
mod configuration;
mod directory;
mod history;
mod import_imap;
mod list;
mod location;
mod mail;
mod mailbox;
mod output;
mod queue;
mod rehearse;
mod restore;
mod route;
mod send;
mod session;
mod sites;
mod suppression;
mod tls_reports;
mod transfer;
mod undelete;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, ListenerView},
    },
    bench, serve,
};
pub use location::Location;
pub use output::Output;

/// Postrider, a complete mail system in one binary.
///
/// Without a command it serves; without --config it serves a quick start on this machine only, with its data in
/// ./postrider-data.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, max_term_width = 100)]
struct CommandLine {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Args)]
pub struct Common {
    #[command(flatten)]
    pub location: Location,
    /// Print JSON, for programs
    #[arg(long, global = true, help_heading = location::EVERYWHERE)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the mail system; the same as no command at all
    Serve,
    /// Hosted domains
    #[command(subcommand)]
    Domain(directory::DomainCommand),
    /// Mailboxes and their passwords
    #[command(subcommand)]
    Account(directory::AccountCommand),
    /// Addresses that lead to others
    #[command(subcommand)]
    Alias(directory::AliasCommand),
    /// Mailboxes that people share
    #[command(subcommand)]
    Mailbox(mailbox::MailboxCommand),
    /// Mailing lists and their members
    #[command(subcommand)]
    List(list::ListCommand),
    /// Write a message and hand it to a server
    Send(Box<send::Send>),
    /// Messages to this terminal
    Mail(mail::Mail),
    /// Messages on their way
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Every event of a message, from accept to mailbox or bounce
    Trace(history::Trace),
    /// In one sentence: where a message is, why, what happens next
    Why(history::Why),
    /// Addresses that get no more mail
    #[command(subcommand)]
    Suppression(suppression::SuppressionCommand),
    /// What policy would say to a client, rule by rule, sending nothing
    Session(session::SessionCommand),
    /// Where mail to an address would go: rule, hosts, TLS
    Route(route::RouteCommand),
    /// What would happen to mail with this configuration if hosts were down, greylisted, limited; in seconds
    Rehearse(rehearse::Rehearse),
    /// How mail reached other hosts under TLS, and reports on it
    #[command(subcommand)]
    TlsReports(tls_reports::TlsReportsCommand),
    /// Mail from the files of other programs into an account; what came in once comes in no more
    #[command(subcommand)]
    Import(transfer::ImportCommand),
    /// Mail of an account into files of other programs
    #[command(subcommand)]
    Export(transfer::ExportCommand),
    /// Everything that the store remembers, in files that a later backup only adds to
    Backup(backups::BackupCommand),
    /// A data directory made of a backup, or messages of an account brought back from one
    Restore(Box<restore::Restore>),
    /// Bring back messages that were expunged
    Undelete(undelete::Undelete),
    /// Load generator and sink for measurements
    #[command(subcommand)]
    Bench(BenchCommand),
    /// The configuration: check it, show what is in effect, print the reference
    #[command(subcommand)]
    Config(configuration::ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Send messages as fast as a server takes them
    Load(bench::load::Load),
    /// Accept messages and throw them away
    Sink(bench::sink::Sink),
    /// Put deferred messages into the queue of a server that does not run
    #[command(hide = true)]
    Fill(bench::fill::Fill),
}

/// Runs what the command line says. Exit codes: 0 done, 1 failed, 2 wrong usage.
pub fn run() -> ExitCode {
    let line = CommandLine::parse();
    match dispatch(line) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let message = failure.to_string();
            if !message.is_empty() {
                // Where standard error is closed there is nobody to tell.
                let _ =
                    std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("postrider: {message}\n"));
            }
            ExitCode::from(failure.code())
        }
    }
}

fn dispatch(line: CommandLine) -> Result<(), Failure> {
    let CommandLine { common, command } = line;
    let mut output = Output::new(common.json);
    match command {
        None | Some(Command::Serve) => serve::run(&common.location),
        Some(Command::Domain(command)) => ask(&common, command.creates(), command.request(), &mut output),
        Some(Command::Account(command)) => ask(&common, command.creates(), command.request()?, &mut output),
        Some(Command::Alias(command)) => ask(&common, command.creates(), command.request(), &mut output),
        Some(Command::Mailbox(command)) => ask(&common, false, command.request(), &mut output),
        Some(Command::List(command)) => command.run(&common, &mut output),
        Some(Command::Queue(command)) => command.run(&common, &mut output),
        Some(Command::Trace(command)) => command.run(&common, &mut output),
        Some(Command::Import(command)) => command.run(&common, &mut output),
        Some(Command::Export(command)) => command.run(&common, &mut output),
        Some(Command::Backup(command)) => command.run(&common, &mut output),
        Some(Command::Restore(command)) => command.run(&common, &mut output),
        Some(Command::Undelete(command)) => ask(&common, false, command.request(), &mut output),
        Some(Command::Why(command)) => ask(&common, false, command.request(), &mut output),
        Some(Command::TlsReports(command)) => ask(&common, false, command.request(), &mut output),
        Some(Command::Suppression(command)) => command.run(&common, &mut output),
        Some(Command::Session(command)) => {
            let config = common.location.config()?;
            ask_in(Session::open_configured(&config), command.request(), &mut output)
        }
        Some(Command::Route(command)) => {
            let config = common.location.config()?;
            ask_in(Session::open_configured(&config), command.request(), &mut output)
        }
        Some(Command::Rehearse(command)) => command.run(&common, &mut output),
        Some(Command::Send(command)) => command.run(&common, &mut output),
        Some(Command::Mail(command)) => command.run(&common, &mut output),
        Some(Command::Bench(BenchCommand::Load(load))) => on_all_cores(load.run(&mut output)),
        Some(Command::Bench(BenchCommand::Sink(sink))) => on_all_cores(sink.run(&mut output)),
        Some(Command::Bench(BenchCommand::Fill(fill))) => on_all_cores(fill.run(&common, &mut output)),
        Some(Command::Config(command)) => command.run(&common, &mut output),
    }
}

/// One request, its response shown.
pub fn ask(common: &Common, create: bool, request: AdminRequest, output: &mut Output) -> Result<(), Failure> {
    let data_dir = common.location.data_dir()?;
    ask_in(Session::open(&data_dir, create), request, output)
}

fn ask_in(
    session: impl Future<Output = Result<Session, Failure>>,
    request: AdminRequest,
    output: &mut Output,
) -> Result<(), Failure> {
    let response = block_on(async {
        let mut session = session.await?;
        let response = session.ask(request).await;
        session.close().await?;
        response
    })?;
    show(response, output)
}

fn show(response: AdminResponse, output: &mut Output) -> Result<(), Failure> {
    match response {
        AdminResponse::Error { message } => Err(Failure::new(message)),
        AdminResponse::Done { message } => output.done(&message),
        AdminResponse::Status { listeners, .. } => {
            let row = |listener: &ListenerView| vec![listener.service.clone(), listener.address.clone()];
            output.listing(&listeners, &["SERVICE", "ADDRESS"], row, "no server runs")
        }
        AdminResponse::Domains { domains } => directory::show_domains(&domains, output),
        AdminResponse::Accounts { accounts } => directory::show_accounts(&accounts, output),
        AdminResponse::AppPasswords { app_passwords } => app_passwords::show(&app_passwords, output),
        AdminResponse::TurnDomains { turn_domains } => directory::show_turn_domains(&turn_domains, output),
        AdminResponse::Aliases { aliases } => directory::show_aliases(&aliases, output),
        AdminResponse::Password { address, password, message } => {
            directory::show_password(&address, password, &message, output)
        }
        AdminResponse::Lists { lists } => list::show_lists(&lists, output),
        AdminResponse::List(found) => list::show_list(&found, output),
        AdminResponse::Members { members } => list::show_changed(&members, output),
        AdminResponse::Queue(page) => queue::show_entries(&page.entries, output),
        AdminResponse::Sites { sites } => sites::show(&sites, output),
        AdminResponse::Histories { histories } => history::show(&histories, output),
        AdminResponse::Suppressions { suppressions, .. } => {
            suppression::show_page(&suppressions, &mut *output)
        }
        AdminResponse::Mailboxes { mailboxes } => output.value(&mailboxes),
        AdminResponse::Imported { added, .. } => output.value(&added),
        // Requests that lead to these are asked elsewhere.
        AdminResponse::Contents { .. }
        | AdminResponse::Known { .. }
        | AdminResponse::SnapshotTaken { .. }
        | AdminResponse::Octets { .. }
        | AdminResponse::Parts { .. } => Ok(()),
        AdminResponse::Exported { messages } => output.value(&messages),
        AdminResponse::Expunged { messages, total } => undelete::show(&messages, total, output),
        AdminResponse::Shares { shares } => mailbox::show_shares(&shares, output),
        AdminResponse::Session { phases } => session::show(&phases, output),
        AdminResponse::TlsDays { days } => tls_reports::show_days(&days, output),
        AdminResponse::TlsReceived { reports } => tls_reports::show_received(&reports, output),
        AdminResponse::TlsReports { reports } => tls_reports::show_reports(&reports, output),
        AdminResponse::Route(route) => route::show(&route, output),
        AdminResponse::Why { sentence } => history::show_why(&sentence, output),
        AdminResponse::Message { notice } => output.value(&notice),
    }
}

/// Runs a short command's work on this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_on(tokio::runtime::Builder::new_current_thread(), work)
}

/// Runs work that is worth all processors.
pub fn on_all_cores<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_on(tokio::runtime::Builder::new_multi_thread(), work)
}

fn run_on<T>(
    mut runtime: tokio::runtime::Builder,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let runtime = runtime
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(work)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
