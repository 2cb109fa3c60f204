//! `send`: the user agent on the command line.

use std::{io::Read, path::PathBuf};

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mail::{ByMode, DeliverBy, Hold, MailParameters, MtPriority, RcptParameters, Timestamp, TlsDemand};
use world::{ListenAddress, World};

use super::{Common, Output, block_on, directory::PasswordInput};
use crate::{
    Failure,
    admin::{
        Session,
        protocol::{AdminRequest, AdminResponse, Secret},
    },
    agent::{
        self, Login, Receipt, Submission,
        mailbox::Mailbox,
        message::{Draft, Message},
        server::{ServerAddress, Tls, own_name},
    },
    config::{options::Service, types::Span},
};

/// Octets of a body from a file or standard input.
const BODY_BYTES_MAX: u64 = 64 << 20;
/// Messages from this size on show how far they are.
const PROGRESS_BYTES_MIN: u64 = 1 << 20;

#[derive(Debug, Args)]
pub struct Send {
    /// Sender: anna@example.org or "Anna <anna@example.org>"
    #[arg(long, value_name = "ADDRESS")]
    from: Option<Mailbox>,
    /// Recipient (may be given more than once)
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<Mailbox>,
    /// Recipient of a copy
    #[arg(long, value_name = "ADDRESS")]
    cc: Vec<Mailbox>,
    /// Recipient of a copy that the others do not learn of
    #[arg(long, value_name = "ADDRESS")]
    bcc: Vec<Mailbox>,
    #[arg(long, default_value = "")]
    subject: String,
    /// The text itself
    #[arg(long, value_name = "TEXT", conflicts_with = "body_file")]
    body: Option<String>,
    /// File with the text, - for standard input
    #[arg(long, value_name = "FILE")]
    body_file: Option<PathBuf>,
    /// File with the text as HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// File to attach (may be given more than once)
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    #[command(flatten)]
    timing: Timing,
    /// Server, instead of the first one configured
    #[arg(long, value_name = "HOST[:PORT]")]
    server: Option<ServerAddress>,
    /// When TLS begins
    #[arg(long, value_name = "MODE")]
    tls: Option<TlsWord>,
    /// Take any certificate; servers on this machine need not show a valid one anyway
    #[arg(long)]
    insecure: bool,
    /// Under TLS all the way to the recipient, or not at all (REQUIRETLS)
    #[arg(long)]
    require_tls: bool,
    /// Name to log in with; the password comes with --password-stdin or in POSTRIDER_PASSWORD
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    password: PasswordInput,
}

/// What the server is asked about when the message goes; it has to know the extension for it.
#[derive(Debug, Args)]
struct Timing {
    /// Not to leave before this time, such as 2026-12-01T10:00:00Z (FUTURERELEASE)
    #[arg(long, value_name = "TIME", conflicts_with = "hold_for")]
    hold_until: Option<Timestamp>,
    /// Not to leave before so long, such as 90m or 2d
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    hold_for: Option<Span>,
    /// To be delivered within this time, such as 15m (DELIVERBY)
    #[arg(long, value_name = "TIME", value_parser = Span::parse)]
    deliver_by: Option<Span>,
    /// What happens if that cannot be
    #[arg(long, value_name = "WHAT", requires = "deliver_by", default_value = "return")]
    if_late: LateWord,
    /// From -9, which can wait, to 9, which cannot (MT-PRIORITY)
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    priority: Option<MtPriority>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LateWord {
    /// The message comes back
    Return,
    /// You are told, and delivery goes on
    Notify,
}

impl Timing {
    fn parameters(&self) -> Result<MailParameters, Failure> {
        let seconds = |span: Span| {
            let seconds =
                i32::try_from(span.0.as_secs()).ok().filter(|seconds| (1..=999_999_999).contains(seconds));
            seconds.ok_or_else(|| {
                Failure::usage(format!(
                    "{span} is no time for a server; at least 1s, at most 31 years, such as 90m"
                ))
            })
        };
        let hold_for = self.hold_for.map(|span| seconds(span).map(i32::unsigned_abs)).transpose()?;
        let mode = match self.if_late {
            LateWord::Return => ByMode::Return,
            LateWord::Notify => ByMode::Notify,
        };
        let deliver_by = self.deliver_by.map(seconds).transpose()?;
        Ok(MailParameters {
            hold: self.hold_until.map(Hold::Until).or(hold_for.map(Hold::For)),
            deliver_by: deliver_by.map(|seconds| DeliverBy { seconds, mode, trace: false }),
            priority: self.priority,
            ..MailParameters::default()
        })
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TlsWord {
    /// Never
    None,
    /// If the server offers STARTTLS, whatever its certificate
    Opportunistic,
    /// With STARTTLS, or not at all
    Starttls,
    /// From the start
    Implicit,
}

impl From<TlsWord> for Tls {
    fn from(word: TlsWord) -> Self {
        match word {
            TlsWord::None => Self::None,
            TlsWord::Opportunistic => Self::Opportunistic,
            TlsWord::Starttls => Self::Starttls,
            TlsWord::Implicit => Self::Implicit,
        }
    }
}

impl Send {
    pub fn run(self, common: &Common, output: &mut Output) -> Result<(), Failure> {
        let world = World::system();
        let recipients: Vec<Mailbox> = [&*self.to, &*self.cc, &*self.bcc].concat();
        if recipients.is_empty() {
            return Err(Failure::usage("name at least one recipient with --to, --cc or --bcc"));
        }
        let login = self.login()?;
        let mut parameters = self.timing.parameters()?;
        if self.require_tls {
            parameters.tls = TlsDemand::Required;
        }
        let (server, tls) = self.server(common)?;
        let verify = !self.insecure;
        let draft = self.draft(common)?;
        let message = Message::build(&draft, &world)?;
        let progress = progress(message.bytes());
        let submission = Submission {
            server,
            tls,
            verify,
            login,
            parameters,
            rcpt: RcptParameters::default(),
            name: own_name(),
            from: draft.from.address,
            recipients: recipients.into_iter().map(|mailbox| mailbox.address).collect(),
        };
        let receipt = block_on(agent::submit(&world, submission, message, &progress));
        progress.finish_and_clear();
        show(&receipt?, output)
    }

    fn login(&self) -> Result<Option<Login>, Failure> {
        let Some(user) = &self.user else { return Ok(None) };
        let from_environment = || std::env::var("POSTRIDER_PASSWORD").ok().map(Secret);
        let password = self.password.read()?.or_else(from_environment);
        let password = password.ok_or_else(|| {
            Failure::usage("--user needs a password: --password-stdin or POSTRIDER_PASSWORD")
        })?;
        Ok(Some(Login { user: user.clone(), password }))
    }

    /// The server named, or the first of the configuration that takes mail: one for submission if there is a login.
    fn server(&self, common: &Common) -> Result<(ServerAddress, Tls), Failure> {
        let chosen = self.tls.map(Tls::from);
        if self.require_tls && chosen == Some(Tls::None) {
            return Err(Failure::usage("--require-tls and --tls none contradict each other"));
        }
        if let Some(server) = &self.server {
            let tls = chosen.unwrap_or_else(|| server.usual_tls());
            return Ok((server.clone(), self.at_least_starttls(tls)));
        }
        let config = common.location.config()?;
        let wanted: &[Service] = match self.user {
            Some(_) => &[Service::Submission, Service::Submissions],
            None => &[Service::Smtp, Service::Submission, Service::Submissions],
        };
        let wanted = if chosen == Some(Tls::Implicit) { &[Service::Submissions][..] } else { wanted };
        let listener = config.listener.iter().find(|listener| wanted.contains(&listener.service));
        let listener = listener.ok_or_else(|| {
            Failure::usage("the configuration has no listener for that; name one with --server")
        })?;
        let usual = if listener.service == Service::Submissions { Tls::Implicit } else { Tls::Opportunistic };
        let address = match &listener.address {
            ListenAddress::Tcp(address) if address.port() == 0 => bound_address(common, listener.service)?,
            address => address.clone(),
        };
        Ok((ServerAddress::of_listener(&address)?, self.at_least_starttls(chosen.unwrap_or(usual))))
    }

    fn at_least_starttls(&self, tls: Tls) -> Tls {
        if self.require_tls && tls == Tls::Opportunistic { Tls::Starttls } else { tls }
    }

    fn draft(self, common: &Common) -> Result<Draft, Failure> {
        let text = match (self.body, &self.body_file) {
            (Some(text), _) => text,
            (None, Some(file)) => read_text(file)?,
            (None, None) => String::new(),
        };
        let from = match (self.from, self.user.as_ref().and_then(|user| user.parse().ok())) {
            (Some(from), _) | (None, Some(from)) => from,
            (None, None) => own_address(common)?,
        };
        Ok(Draft {
            from,
            to: self.to,
            cc: self.cc,
            subject: self.subject,
            text,
            html: self.html.as_deref().map(read_text).transpose()?,
            attachments: self.attach,
        })
    }
}

/// Where the running server serves; asked when the port was left to the system.
fn bound_address(common: &Common, service: Service) -> Result<ListenAddress, Failure> {
    let response = block_on(async {
        let mut session = Session::open(&common.location.data_dir()?, false).await?;
        let response = session.ask(AdminRequest::Status).await;
        session.close().await?;
        response
    })?;
    let AdminResponse::Status { listeners, .. } = response else {
        return Err(Failure::new("the server answered something else; is it of the same version?"));
    };
    let found = listeners.iter().find(|listener| listener.service == service.word());
    found.and_then(|listener| listener.address.parse().ok()).ok_or_else(|| {
        Failure::new(format!("no server runs that serves {service}; start it, or name one with --server"))
    })
}

/// The user of this machine at the configured host.
pub(super) fn own_address(common: &Common) -> Result<Mailbox, Failure> {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "postmaster".to_owned());
    let hostname = common.location.config()?.hostname;
    format!("{user}@{hostname}").parse().map_err(|_| Failure::usage("name a sender with --from"))
}

fn read_text(path: &std::path::Path) -> Result<String, Failure> {
    let unreadable = |error| Failure::new(format!("{} cannot be read: {error}", path.display()));
    let mut source: Box<dyn Read> = if path.as_os_str() == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(unreadable)?)
    };
    let mut octets = Vec::new();
    source.as_mut().take(BODY_BYTES_MAX + 1).read_to_end(&mut octets).map_err(unreadable)?;
    if octets.len() as u64 > BODY_BYTES_MAX {
        return Err(Failure::new(format!("{} is too long for a text; use --attach", path.display())));
    }
    String::from_utf8(octets)
        .map_err(|_| Failure::new(format!("{} is not UTF-8 text; use --attach", path.display())))
}

fn progress(bytes: u64) -> ProgressBar {
    if bytes < PROGRESS_BYTES_MIN {
        return ProgressBar::hidden();
    }
    let template = "sending {bar:30} {bytes}/{total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(bytes).with_style(style)
}

fn show(receipt: &Receipt, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        output.value(receipt)?;
    } else {
        for refused in &receipt.refused {
            output.line(format_args!("{}: {}", refused.recipient, refused.reply))?;
        }
        output.line(&receipt.reply)?;
    }
    match (receipt.refused.is_empty(), receipt.accepted) {
        (true, true) => Ok(()),
        (false, true) => Err(Failure::new("some recipients were refused; the others get the message")),
        (_, false) => Err(Failure::new("the message was not accepted")),
    }
}
