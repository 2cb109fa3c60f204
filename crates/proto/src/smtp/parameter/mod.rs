//! What stands behind the path in MAIL and RCPT (RFC 5321 §4.1.1.11).

mod value;

use mail::{Hold, MailParameters, RcptParameters, TlsDemand};

use super::server::Extensions;
pub(super) use value::number;

/// Which parameters count. All off: the client said HELO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// SIZE and BODY, which are always announced to EHLO.
    pub esmtp: bool,
    pub binary_mime: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub auth: bool,
    pub deliver_by: bool,
    pub mt_priority: bool,
    pub future_release: bool,
    pub require_tls: bool,
    pub rrvs: bool,
    pub solicit: bool,
    pub tracking: bool,
}

/// What is wrong with the parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParameterError {
    /// Not one that we announced.
    Unknown,
    /// Its value breaks the grammar, or it stands there twice.
    Value(&'static str),
}

impl Accepted {
    /// All that a server with these extensions announces, but for REQUIRETLS, which needs TLS, and NO-SOLICITING, which
    /// needs classes.
    pub fn announced(extensions: Extensions, auth: bool) -> Self {
        Self {
            esmtp: true,
            binary_mime: extensions.binary_mime && extensions.chunking,
            smtputf8: extensions.smtputf8,
            dsn: extensions.dsn,
            auth,
            deliver_by: extensions.deliver_by.is_some(),
            mt_priority: extensions.mt_priority,
            future_release: extensions.future_release.is_some(),
            require_tls: false,
            rrvs: extensions.rrvs,
            solicit: false,
            tracking: extensions.tracking && extensions.dsn,
        }
    }
}

/// Reads the parameters of MAIL.
pub fn parse_mail(parameters: &str, accepted: Accepted) -> Result<MailParameters, ParameterError> {
    let mut mail = MailParameters::default();
    read(parameters, &accepted.of_mail(), |name, value| set_mail(&mut mail, name, value, accepted))?;
    // RFC 3885 §3: the trail is asked for by ENVID.
    if mail.tracking.is_some() && mail.envid.is_none() {
        return Err(ParameterError::Value("MTRK, which needs ENVID"));
    }
    Ok(mail)
}

/// Reads the parameters of RCPT.
pub fn parse_rcpt(parameters: &str, accepted: Accepted) -> Result<RcptParameters, ParameterError> {
    let mut rcpt = RcptParameters::default();
    read(parameters, &accepted.of_rcpt(), |name, value| set_rcpt(&mut rcpt, name, value))?;
    Ok(rcpt)
}

/// A parameter's keyword, and whether it counts.
type Known = (&'static str, bool);

impl Accepted {
    fn of_mail(self) -> impl AsRef<[Known]> {
        [
            ("SIZE", self.esmtp),
            ("BODY", self.esmtp),
            ("SMTPUTF8", self.smtputf8),
            ("RET", self.dsn),
            ("ENVID", self.dsn),
            ("AUTH", self.auth),
            ("BY", self.deliver_by),
            ("MT-PRIORITY", self.mt_priority),
            ("HOLDFOR", self.future_release),
            ("HOLDUNTIL", self.future_release),
            ("REQUIRETLS", self.require_tls),
            ("SOLICIT", self.solicit),
            ("MTRK", self.tracking),
        ]
    }

    fn of_rcpt(self) -> impl AsRef<[Known]> {
        [("NOTIFY", self.dsn), ("ORCPT", self.dsn), ("RRVS", self.rrvs)]
    }
}

/// `None`: not a value of this parameter.
fn set_mail(mail: &mut MailParameters, name: &str, value: Option<&str>, accepted: Accepted) -> Option<()> {
    match name {
        "SIZE" => mail.size = Some(number(value?)?),
        "BODY" => mail.body = value::body(value?, accepted)?,
        "SMTPUTF8" => mail.smtputf8 = value::flag(value)?,
        "RET" => mail.ret = Some(value?.parse().ok()?),
        "ENVID" => mail.envid = Some(value::envid(value?)?),
        // RFC 4954 §5: we trust nobody to name another's identity, so it counts as `<>`.
        "AUTH" => value::mailbox(value?)?,
        "BY" => mail.deliver_by = Some(value?.parse().ok()?),
        "MT-PRIORITY" => mail.priority = Some(value?.parse().ok()?),
        // RFC 4865 §5: one of them, not both.
        "HOLDFOR" | "HOLDUNTIL" if mail.hold.is_some() => return None,
        "HOLDFOR" => mail.hold = Some(Hold::parse_for(value?).ok()?),
        "HOLDUNTIL" => mail.hold = Some(Hold::parse_until(value?).ok()?),
        "REQUIRETLS" => mail.tls = value::flag(value).map(|_| TlsDemand::Required)?,
        "SOLICIT" => mail.solicit = Some(value?.parse().ok()?),
        "MTRK" => mail.tracking = Some(value?.parse().ok()?),
        _ => return None,
    }
    Some(())
}

/// `None`: not a value of this parameter.
fn set_rcpt(rcpt: &mut RcptParameters, name: &str, value: Option<&str>) -> Option<()> {
    match name {
        "NOTIFY" => rcpt.notify = Some(value?.parse().ok()?),
        "ORCPT" => rcpt.orcpt = Some(value::orcpt(value?)?),
        "RRVS" => rcpt.valid_since = Some(value?.parse().ok()?),
        _ => return None,
    }
    Some(())
}

/// Hands each parameter to `set`. Each stands once (RFC 3461 §4.5 says so for its own; the others mean nothing twice).
fn read(
    parameters: &str,
    known: &impl AsRef<[Known]>,
    mut set: impl FnMut(&'static str, Option<&str>) -> Option<()>,
) -> Result<(), ParameterError> {
    let mut seen = smallvec::SmallVec::<[&str; 8]>::new();
    for parameter in Parameter::all(parameters) {
        let Parameter { keyword, value } = parameter?;
        let is_this = |(name, counts): &&Known| *counts && keyword.eq_ignore_ascii_case(name);
        let (name, _) = known.as_ref().iter().find(is_this).ok_or(ParameterError::Unknown)?;
        if seen.contains(name) {
            return Err(ParameterError::Value(name));
        }
        seen.push(name);
        set(name, value).ok_or(ParameterError::Value(name))?;
    }
    Ok(())
}

struct Parameter<'a> {
    keyword: &'a str,
    value: Option<&'a str>,
}

impl<'a> Parameter<'a> {
    fn all(parameters: &'a str) -> impl Iterator<Item = Result<Self, ParameterError>> {
        parameters.split(' ').filter(|word| !word.is_empty()).map(Self::parse)
    }

    fn parse(word: &'a str) -> Result<Self, ParameterError> {
        let (keyword, value) = match word.split_once('=') {
            Some((keyword, value)) => (keyword, Some(value)),
            None => (word, None),
        };
        let named = keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
            && keyword.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
        if named { Ok(Self { keyword, value }) } else { Err(ParameterError::Unknown) }
    }
}

#[cfg(test)]
mod tests;
