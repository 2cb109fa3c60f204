//! Ways out of the system that are not SMTP: programs, folders, mailboxes for looking at.

use std::{path::PathBuf, time::Duration};

use mail::Address;
use store::spool::LaneId;
use world::http::HttpUrl;

use super::template::Template;

/// How the lanes begin whose deliveries are ours to make, one recipient at a time.
const PIPE_LANES: &str = "pipe:";
const MAILDIR_LANES: &str = "maildir:";
const HTTP_LANES: &str = "http:";
const CAPTURE_LANES: &str = "capture:";

/// A program that is handed each message on standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pipe {
    /// Absolute.
    pub program: PathBuf,
    pub arguments: Vec<Template>,
    pub directory: Option<PathBuf>,
    /// Whose rights it has; none: our own, unless those are root's.
    pub user: Option<String>,
    /// It is killed after so long, with all that it started.
    pub timeout: Duration,
}

/// Folders of the form that qmail made known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maildir {
    /// Absolute.
    pub path: Template,
    pub path_text: String,
    /// Make what is missing; else only who has a folder gets mail.
    pub create: bool,
    /// Whom the folders belong to.
    pub user: Option<String>,
}

/// A web server that each message is posted to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    pub url: HttpUrl,
    /// Read at each use.
    pub secret_file: PathBuf,
    pub format: WebhookFormat,
    /// The whole exchange takes no longer.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The message as it is; the envelope stands in header fields.
    Raw,
    /// An event with the envelope, and the message in base64.
    Json,
}

impl WebhookFormat {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Raw => "message/rfc822",
            Self::Json => "application/json",
        }
    }
}

/// Everything into one mailbox, whomever it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    pub mailbox: Address,
}

impl Pipe {
    pub(super) fn lane(&self) -> LaneId {
        LaneId(format!("{PIPE_LANES}{}", self.program.display()).into())
    }
}

impl Maildir {
    pub(super) fn lane(&self) -> LaneId {
        LaneId(format!("{MAILDIR_LANES}{}", self.path_text).into())
    }
}

impl Webhook {
    pub(super) fn lane(&self) -> LaneId {
        LaneId(format!("{HTTP_LANES}{}", self.url.place()).into())
    }
}

impl Capture {
    pub(super) fn lane(&self) -> LaneId {
        LaneId(format!("{CAPTURE_LANES}{}", self.mailbox.to_lookup()).into())
    }
}

/// A lane of one of these.
pub(crate) fn is_gateway(lane: &LaneId) -> bool {
    [PIPE_LANES, MAILDIR_LANES, HTTP_LANES, CAPTURE_LANES].iter().any(|prefix| lane.0.starts_with(prefix))
}
