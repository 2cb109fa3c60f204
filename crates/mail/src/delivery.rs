use serde::{Deserialize, Serialize};

/// Where a message goes, as the command that began the transaction says (RFC 821 §3.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Delivery {
    /// MAIL: to mailboxes.
    #[default]
    Mail,
    /// SEND: to terminals.
    Send,
    /// SOML: to terminals, or to the mailbox of who is at none.
    SendOrMail,
    /// SAML: to terminals, and to mailboxes in any case.
    SendAndMail,
}

impl Delivery {
    /// Those to terminals.
    pub const LIVE: [Self; 3] = [Self::Send, Self::SendOrMail, Self::SendAndMail];

    pub fn verb(self) -> &'static str {
        match self {
            Self::Mail => "MAIL",
            Self::Send => "SEND",
            Self::SendOrMail => "SOML",
            Self::SendAndMail => "SAML",
        }
    }
}
