//! What stands behind the path in MAIL and RCPT (RFC 5321 §4.1.1.11).

use mail::{Body, MailParameters, OriginalRecipient, RcptParameters, xtext};

use super::server::Extensions;

/// RFC 3461 §4.4: octets of an ENVID, encoded.
const ENVID_BYTES_MAX: usize = 100;
/// RFC 3461 §4.2: octets of an ORCPT, encoded, with its type.
const ORCPT_BYTES_MAX: usize = 500;

/// Which parameters count. All off: the client said HELO.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// SIZE and BODY, which are always announced to EHLO.
    pub esmtp: bool,
    pub binary_mime: bool,
    pub smtputf8: bool,
    pub dsn: bool,
    pub auth: bool,
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
    /// All that a server with these extensions announces.
    pub fn announced(extensions: Extensions, auth: bool) -> Self {
        Self {
            esmtp: true,
            binary_mime: extensions.binary_mime && extensions.chunking,
            smtputf8: extensions.smtputf8,
            dsn: extensions.dsn,
            auth,
        }
    }
}

/// Reads the parameters of MAIL.
pub fn parse_mail(parameters: &str, accepted: Accepted) -> Result<MailParameters, ParameterError> {
    let mut mail = MailParameters::default();
    let mut seen = Seen::default();
    for parameter in Parameter::all(parameters) {
        let Parameter { keyword, value } = parameter?;
        let is = |name: &str| keyword.eq_ignore_ascii_case(name);
        if accepted.esmtp && is("SIZE") {
            seen.once("SIZE")?;
            mail.size = Some(value.and_then(number).ok_or(ParameterError::Value("SIZE"))?);
        } else if accepted.esmtp && is("BODY") {
            seen.once("BODY")?;
            mail.body = body(value, accepted).ok_or(ParameterError::Value("BODY"))?;
        } else if accepted.smtputf8 && is("SMTPUTF8") {
            seen.once("SMTPUTF8")?;
            mail.smtputf8 = value.is_none();
            value.map_or(Ok(()), |_| Err(ParameterError::Value("SMTPUTF8")))?;
        } else if accepted.dsn && is("RET") {
            seen.once("RET")?;
            mail.ret = Some(parsed(value).ok_or(ParameterError::Value("RET"))?);
        } else if accepted.dsn && is("ENVID") {
            seen.once("ENVID")?;
            mail.envid = Some(envid(value).ok_or(ParameterError::Value("ENVID"))?);
        } else if accepted.auth && is("AUTH") {
            seen.once("AUTH")?;
            // RFC 4954 §5: we trust nobody to name another's identity, so it counts as `<>`.
            let mailbox = value.filter(|value| !value.is_empty()).map(xtext::decode);
            mailbox
                .is_some_and(|mailbox| mailbox.is_ok())
                .then_some(())
                .ok_or(ParameterError::Value("AUTH"))?;
        } else {
            return Err(ParameterError::Unknown);
        }
    }
    Ok(mail)
}

/// Reads the parameters of RCPT.
pub fn parse_rcpt(parameters: &str, accepted: Accepted) -> Result<RcptParameters, ParameterError> {
    let mut rcpt = RcptParameters::default();
    let mut seen = Seen::default();
    for parameter in Parameter::all(parameters) {
        let Parameter { keyword, value } = parameter?;
        if accepted.dsn && keyword.eq_ignore_ascii_case("NOTIFY") {
            seen.once("NOTIFY")?;
            rcpt.notify = Some(parsed(value).ok_or(ParameterError::Value("NOTIFY"))?);
        } else if accepted.dsn && keyword.eq_ignore_ascii_case("ORCPT") {
            seen.once("ORCPT")?;
            rcpt.orcpt = Some(orcpt(value).ok_or(ParameterError::Value("ORCPT"))?);
        } else {
            return Err(ParameterError::Unknown);
        }
    }
    Ok(rcpt)
}

/// Digits only, as SIZE and BDAT want them. `None` beyond 64 bits too.
pub(super) fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
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

/// Each parameter stands once (RFC 3461 §4.5 says so for its own; the others mean nothing twice).
#[derive(Default)]
struct Seen(smallvec::SmallVec<[&'static str; 6]>);

impl Seen {
    fn once(&mut self, name: &'static str) -> Result<(), ParameterError> {
        if self.0.contains(&name) {
            return Err(ParameterError::Value(name));
        }
        self.0.push(name);
        Ok(())
    }
}

fn parsed<T: std::str::FromStr>(value: Option<&str>) -> Option<T> {
    value?.parse().ok()
}

fn body(value: Option<&str>, accepted: Accepted) -> Option<Body> {
    parsed(value).filter(|body| *body != Body::BinaryMime || accepted.binary_mime)
}

fn envid(value: Option<&str>) -> Option<String> {
    let value = value.filter(|value| !value.is_empty() && value.len() <= ENVID_BYTES_MAX)?;
    xtext::decode(value).ok().filter(|envid| envid.is_ascii())
}

fn orcpt(value: Option<&str>) -> Option<OriginalRecipient> {
    let fits = value.is_some_and(|value| value.len() <= ORCPT_BYTES_MAX);
    parsed::<OriginalRecipient>(value).filter(|orcpt| fits && (orcpt.is_utf8() || orcpt.address.is_ascii()))
}

#[cfg(test)]
mod tests {
    use mail::{Notify, Return};

    use super::*;

    const ALL: Accepted = Accepted { esmtp: true, binary_mime: true, smtputf8: true, dsn: true, auth: true };

    #[test]
    fn mail_parameters() {
        let mail =
            parse_mail(" size=1000 Body=8bitmime SMTPUTF8  RET=hdrs ENVID=QQ+2B314159 AUTH=<>", ALL).unwrap();
        let expected = MailParameters {
            size: Some(1000),
            body: Body::EightBitMime,
            smtputf8: true,
            ret: Some(Return::Headers),
            envid: Some("QQ+314159".to_owned()),
        };
        assert_eq!(mail, expected);
        assert_eq!(parse_mail("", ALL), Ok(MailParameters::default()));
        assert_eq!(parse_mail(" AUTH=e+3Dmc2@example.com", ALL), Ok(MailParameters::default()));
    }

    #[test]
    fn rcpt_parameters() {
        let rcpt = parse_rcpt(" NOTIFY=success,FAILURE,Delay ORCPT=rfc822;a+2Bb@c", ALL).unwrap();
        assert_eq!(rcpt.notify, Some(Notify { success: true, failure: true, delay: true }));
        let orcpt = rcpt.orcpt.unwrap();
        assert_eq!((orcpt.address_type.as_str(), orcpt.address.as_str()), ("rfc822", "a+b@c"));
        let never = parse_rcpt(" NOTIFY=NEVER", ALL).unwrap();
        assert_eq!(never.notify, Some(Notify { success: false, failure: false, delay: false }));
        assert!(parse_rcpt(" ORCPT=utf-8;δοκιμή@παράδειγμα.example", ALL).is_ok());
    }

    #[test]
    fn bad_values_of_known_parameters() {
        for bad in [
            "SIZE",
            "SIZE=",
            "SIZE=abc",
            "SIZE=-1",
            "SIZE=+1",
            "SIZE=18446744073709551616",
            "SIZE=1 size=1",
            "BODY",
            "BODY=9BIT",
            "RET=ALL",
            "RET",
            "ENVID=",
            "ENVID=+2b",
            "ENVID=+00",
            "ENVID=+2",
            "ENVID=é",
            "SMTPUTF8=1",
            "RET=FULL RET=FULL",
            "AUTH",
            "AUTH=",
            "AUTH=+0A",
            "AUTH=a=b",
        ] {
            assert!(matches!(parse_mail(bad, ALL), Err(ParameterError::Value(_))), "{bad:?}");
        }
        let long = format!("ENVID={}", "x".repeat(101));
        assert_eq!(parse_mail(&long, ALL), Err(ParameterError::Value("ENVID")));
        for bad in [
            "NOTIFY=",
            "NOTIFY",
            "NOTIFY=FOO",
            "NOTIFY=NEVER,SUCCESS",
            "NOTIFY=SUCCESS,",
            "ORCPT=rfc822",
            "ORCPT=rfc822;",
            "ORCPT=;a@b",
            "ORCPT=rfc822;a+00",
            "ORCPT=rfc822;é@b",
            "NOTIFY=NEVER NOTIFY=NEVER",
        ] {
            assert!(matches!(parse_rcpt(bad, ALL), Err(ParameterError::Value(_))), "{bad:?}");
        }
    }

    #[test]
    fn parameters_that_were_not_announced() {
        for unknown in [
            "FOO=bar",
            "FOO",
            "=",
            "-A=1",
            "TRANSID=<x@y>",
            "MTRK=x",
            "SUBMITTER=x@y",
            "ALT-ADDRESS=x",
            "S\u{131}ZE=1",
        ] {
            assert_eq!(parse_mail(unknown, ALL), Err(ParameterError::Unknown), "{unknown:?}");
        }
        let plain = Accepted::default();
        for off in ["SIZE=5", "BODY=7BIT", "SMTPUTF8", "RET=FULL", "ENVID=x", "AUTH=<>"] {
            assert_eq!(parse_mail(off, plain), Err(ParameterError::Unknown), "{off:?}");
        }
        assert_eq!(parse_rcpt("NOTIFY=NEVER", plain), Err(ParameterError::Unknown));
        assert_eq!(parse_rcpt("SMTPUTF8", ALL), Err(ParameterError::Unknown));
        let no_binary = Accepted { binary_mime: false, ..ALL };
        assert_eq!(parse_mail("BODY=BINARYMIME", no_binary), Err(ParameterError::Value("BODY")));
    }
}
