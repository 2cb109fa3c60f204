//! Our own policy, for those who send mail to hosted domains (RFC 8461 §3).

use std::{fmt, time::Duration};

use hyper::{Request, StatusCode, header::HOST};
use mail::Domain;

use crate::{Web, reply::Reply};

/// The host that a domain's policy is fetched from (RFC 8461 §3.3).
const HOST_PREFIX: &str = "mta-sts.";

/// RFC 8461 §3.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Enforce,
    Testing,
    None,
}

/// The same for all hosted domains, as they have the same hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StsPolicy {
    pub mode: Mode,
    /// Host names, or patterns such as `*.example.org`.
    pub mx: Vec<String>,
    pub max_age: Duration,
}

/// As it is served; every line ends with CRLF.
impl fmt::Display for StsPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        };
        write!(f, "version: STSv1\r\nmode: {mode}\r\n")?;
        for mx in &self.mx {
            write!(f, "mx: {mx}\r\n")?;
        }
        write!(f, "max_age: {}\r\n", self.max_age.as_secs())
    }
}

/// For `mta-sts.` before a hosted domain only, and never a redirect (RFC 8461 §3.3).
pub(crate) async fn answer<B>(web: &Web, request: &Request<B>) -> Reply {
    let options = web.options();
    let (Some(policy), Some(domain)) = (&options.mta_sts, policy_domain(request)) else {
        return Reply::not_found();
    };
    match web.stores.directory.hosts(&domain).await {
        Ok(true) => Reply::text(StatusCode::OK, policy.to_string()),
        Ok(false) => Reply::not_found(),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            Reply::later()
        }
    }
}

/// RFC 9112 §3.2: exactly one Host field, which says whom the client means.
fn policy_domain<B>(request: &Request<B>) -> Option<Domain> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let host = host.to_str().ok()?.to_ascii_lowercase();
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        _ => &host,
    };
    name.strip_prefix(HOST_PREFIX)?.parse().ok()
}
