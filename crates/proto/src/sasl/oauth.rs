//! OAUTHBEARER (RFC 7628), and XOAUTH2, its forerunner that many programs still speak: a token in place of a password.

use std::fmt;

use super::{PART_BYTES_MAX, scram::saslname};

/// RFC 7628 §3.1: `kvsep`
const SEPARATOR: char = '\u{1}';

/// How a token comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenForm {
    OAuthBearer,
    XOAuth2,
}

/// What a client shows. The token shows in no `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken {
    pub form: TokenForm,
    /// Whom to act as; empty leaves it to the token. At most 255 octets, no NUL.
    pub authorization_id: String,
    /// Letters, digits and punctuation of RFC 6750 §2.1. Empty: the client only asks where to get one.
    pub token: String,
}

/// What a client whose token was refused is told, so that it gets a better one (RFC 7628 §3.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenHint {
    /// The scope that a token must have.
    pub scope: Option<String>,
    /// URL of the issuer's metadata.
    pub metadata: Option<String>,
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken")
            .field("form", &self.form)
            .field("authorization_id", &self.authorization_id)
            .finish_non_exhaustive()
    }
}

impl BearerToken {
    /// `None`: the message breaks the grammar.
    pub(super) fn parse(form: TokenForm, message: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(message).ok()?;
        let (authorization_id, pairs) = match form {
            TokenForm::OAuthBearer => parse_gs2(text)?,
            TokenForm::XOAuth2 => {
                let (user, pairs) = text.strip_prefix("user=")?.split_once(SEPARATOR)?;
                (user.to_owned(), pairs)
            }
        };
        // A separator ends each pair, and one more ends the message.
        let pairs = pairs.strip_suffix(SEPARATOR)?;
        if !(pairs.is_empty() || pairs.ends_with(SEPARATOR)) {
            return None;
        }
        let mut token = None;
        for pair in pairs.split_terminator(SEPARATOR) {
            let (key, value) = pair.split_once('=')?;
            // RFC 7628 §3.1: what else there is may be passed over.
            if key == "auth" && token.replace(parse_bearer(value)?).is_some() {
                return None;
            }
        }
        let fits = authorization_id.len() <= PART_BYTES_MAX && !authorization_id.contains('\0');
        fits.then(|| Self { form, authorization_id, token: token.unwrap_or_default() })
    }
}

/// The gs2 header (RFC 5801 §4) without channel binding, and what follows it.
fn parse_gs2(text: &str) -> Option<(String, &str)> {
    let mut parts = text.splitn(3, ',');
    let (flag, authorization_id, rest) = (parts.next()?, parts.next()?, parts.next()?);
    if !matches!(flag, "n" | "y") {
        return None;
    }
    let authorization_id = match authorization_id {
        "" => String::new(),
        named => saslname(named.strip_prefix("a=")?)?,
    };
    Some((authorization_id, rest.strip_prefix(SEPARATOR)?))
}

fn parse_bearer(value: &str) -> Option<String> {
    if value.is_empty() {
        return Some(String::new());
    }
    let (scheme, token) = value.split_once(' ')?;
    // RFC 6750 §2.1: b64token
    let is_token = |octet: u8| octet.is_ascii_alphanumeric() || b"-._~+/=".contains(&octet);
    let token = token.trim_matches(' ');
    (scheme.eq_ignore_ascii_case("bearer") && token.bytes().all(is_token)).then(|| token.to_owned())
}

impl TokenHint {
    /// The challenge that tells of the refusal.
    pub(super) fn challenge(&self, form: TokenForm) -> Vec<u8> {
        let (status, metadata) = match form {
            TokenForm::OAuthBearer => ("invalid_token", self.metadata.as_deref()),
            TokenForm::XOAuth2 => ("401", None),
        };
        let mut members = vec![format!("\"status\":\"{status}\"")];
        if form == TokenForm::XOAuth2 {
            members.push("\"schemes\":\"bearer\"".to_owned());
        }
        for (name, value) in [("scope", self.scope.as_deref()), ("openid-configuration", metadata)] {
            // What would need escapes is no scope and no URL.
            members
                .extend(value.filter(|value| is_plain(value)).map(|value| format!("\"{name}\":\"{value}\"")));
        }
        format!("{{{}}}", members.join(",")).into_bytes()
    }
}

fn is_plain(value: &str) -> bool {
    value.bytes().all(|octet| (octet.is_ascii_graphic() || octet == b' ') && !matches!(octet, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sasl::{ChannelBinding, Mechanism, SaslServer, SaslStep};

    fn read(form: TokenForm, message: &str) -> Option<(String, String)> {
        let read = BearerToken::parse(form, message.replace('^', "\u{1}").as_bytes())?;
        Some((read.authorization_id, read.token))
    }

    fn client_message(form: TokenForm) -> Vec<u8> {
        let start = match form {
            TokenForm::OAuthBearer => "n,a=a@b.example,^",
            TokenForm::XOAuth2 => "user=a@b.example^",
        };
        format!("{start}auth=Bearer x^^").replace('^', "\u{1}").into_bytes()
    }

    fn token(authorization_id: &str, token: &str) -> (String, String) {
        (authorization_id.to_owned(), token.to_owned())
    }

    #[test]
    fn oauthbearer_messages() {
        let read = |message| read(TokenForm::OAuthBearer, message);
        // RFC 7628 §4.1
        assert_eq!(
            read(
                "n,a=user@example.com,^host=server.example.com^port=143^auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==^^"
            ),
            Some(token("user@example.com", "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="))
        );
        assert_eq!(read("n,,^auth=bearer a.b-c^^"), Some(token("", "a.b-c")));
        assert_eq!(read("n,a=a=2Cb=3Dc,^auth=Bearer x^^"), Some(token("a,b=c", "x")));
        // RFC 7628 §4.3: to be told where to go.
        assert_eq!(read("n,,^auth=^^"), Some(token("", "")));
        assert_eq!(read("n,,^^"), Some(token("", "")));
        for bad in [
            "",
            "^",
            "n,,",
            "n,,^",
            "n,,auth=Bearer x^^",
            "p=tls-exporter,,^auth=Bearer x^^",
            "n,b=x,^auth=Bearer x^^",
            "n,,^auth=Basic eDp5^^",
            "n,,^auth=Bearer^^",
            "n,,^auth=Bearer a b^^",
            "n,,^auth=Bearer x^",
            "n,,^auth=Bearer x^auth=Bearer y^^",
            "n,,^auth^^",
            "n,a=,^auth=Bearer x^^",
            "n,a=x=2,^auth=Bearer x^^",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        assert_eq!(BearerToken::parse(TokenForm::OAuthBearer, b"n,,\x01auth=Bearer \xff\x01\x01"), None);
    }

    #[test]
    fn xoauth2_messages() {
        let read = |message| read(TokenForm::XOAuth2, message);
        assert_eq!(read("user=a@b.example^auth=Bearer ya29.x_y^^"), Some(token("a@b.example", "ya29.x_y")));
        for bad in [
            "",
            "user=a@b.example",
            "user=a@b.example^^^x",
            "a@b.example^auth=Bearer x^^",
            "user=a\0b^auth=Bearer x^^",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
        let long = format!("user={}^auth=Bearer x^^", "a".repeat(256));
        assert_eq!(read(&long), None);
    }

    #[test]
    fn a_refused_client_is_told_why_and_says_one_thing_more() {
        let hint = TokenHint {
            scope: Some("mail \"x\"".to_owned()),
            metadata: Some("https://issuer.example/.well-known/openid-configuration".to_owned()),
        };
        for (mechanism, form, told) in [
            (
                Mechanism::OAuthBearer,
                TokenForm::OAuthBearer,
                r#"{"status":"invalid_token","openid-configuration":"https://issuer.example/.well-known/openid-configuration"}"#,
            ),
            (Mechanism::XOAuth2, TokenForm::XOAuth2, r#"{"status":"401","schemes":"bearer"}"#),
        ] {
            // "AQ==" on the wire, or nothing.
            for answer in [&b"\x01"[..], b""] {
                let message = client_message(form);
                let (mut server, step) =
                    SaslServer::start(mechanism, Some(&message), &ChannelBinding::default());
                let SaslStep::Token(shown) = step else { panic!("{step:?}") };
                assert_eq!((shown.authorization_id.as_str(), shown.token.as_str()), ("a@b.example", "x"));
                assert!(!format!("{shown:?} {server:?}").contains("token: \"x\""));
                assert_eq!(server.response(answer), SaslStep::Malformed, "it is not its turn");
                let (mut server, _) =
                    SaslServer::start(mechanism, Some(&message), &ChannelBinding::default());
                let SaslStep::Challenge(challenge) = server.refuse_token(&hint) else {
                    panic!("a challenge")
                };
                assert_eq!(String::from_utf8(challenge).unwrap(), told);
                assert_eq!(server.response(answer), SaslStep::TokenRefused);
                assert_eq!(server.response(answer), SaslStep::Malformed);
            }
        }
        let scope = TokenHint { scope: Some("mail".to_owned()), metadata: None };
        assert!(
            String::from_utf8(scope.challenge(TokenForm::XOAuth2)).unwrap().contains(r#""scope":"mail""#)
        );
    }
}
