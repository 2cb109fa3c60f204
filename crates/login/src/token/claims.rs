//! What a token says, and whether that is good enough.

use mail::{Address, Timestamp};
use serde_json::{Map, Value};
use store::directory::login_address;

use super::{TokenError, TokenRules};

/// Clocks differ by so much, in seconds.
const LEEWAY_S: f64 = 60.0;

/// The claim that holds the account's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressClaim {
    Email,
    Sub,
    PreferredUsername,
    /// What introspection calls the user (RFC 7662 §2.2).
    Username,
}

/// The members of a token's payload, or of an answer to introspection.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    pub(super) members: Map<String, Value>,
    /// The token itself is the only witness, so it has to say everything that is asked.
    pub(super) signed: bool,
}

impl AddressClaim {
    const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sub => "sub",
            Self::PreferredUsername => "preferred_username",
            Self::Username => "username",
        }
    }
}

impl Claims {
    /// The address, if all that the rules ask for is there.
    pub(super) fn address(&self, rules: &TokenRules, now: Timestamp) -> Result<Address, TokenError> {
        self.check_time(now)?;
        if let Some(issuer) = &rules.issuer {
            // An issuer that was asked need not say its name (RFC 7662 §2.2).
            let is_right = self.text("iss").map_or(!self.signed, |found| found == issuer);
            must(is_right, "another issuer made it")?;
        }
        if let Some(audience) = &rules.audience {
            must(holds(self.members.get("aud"), audience), "it is for another audience")?;
        }
        if let Some(scope) = &rules.scope {
            let found = self.members.get("scope").or_else(|| self.members.get("scp"));
            must(holds(found, scope), "it lacks the scope")?;
        }
        let is_unverified = rules.claim == AddressClaim::Email
            && self.members.get("email_verified") == Some(&Value::Bool(false));
        must(!is_unverified, "its address is not verified")?;
        let address = self.text(rules.claim.name()).and_then(login_address);
        address.ok_or(TokenError::Refused("it names no address"))
    }

    fn check_time(&self, now: Timestamp) -> Result<(), TokenError> {
        #[expect(clippy::cast_precision_loss, reason = "seconds, to compare with a leeway of a minute")]
        let now = (now.millis() / 1000) as f64;
        let expires = self.members.get("exp").map(Value::as_f64);
        match expires {
            Some(Some(expires)) => must(now < expires + LEEWAY_S, "it has expired")?,
            None if !self.signed => {}
            _ => return Err(TokenError::Refused("it never expires")),
        }
        match self.members.get("nbf").map(Value::as_f64) {
            None => Ok(()),
            Some(Some(begins)) => must(begins <= now + LEEWAY_S, "it is not valid yet"),
            Some(None) => Err(TokenError::Refused("its nbf is no time")),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }
}

fn must(is_so: bool, otherwise: &'static str) -> Result<(), TokenError> {
    if is_so { Ok(()) } else { Err(TokenError::Refused(otherwise)) }
}

/// A list holds it, or a text of words does.
fn holds(value: Option<&Value>, wanted: &str) -> bool {
    match value {
        Some(Value::String(words)) => words == wanted || words.split(' ').any(|word| word == wanted),
        Some(Value::Array(items)) => items.iter().any(|item| item.as_str() == Some(wanted)),
        _ => false,
    }
}
