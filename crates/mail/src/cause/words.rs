//! Causes in the words of programs and of people.

use std::fmt;

use super::Cause;

impl Cause {
    /// One word, for programs and listings.
    pub fn word(self) -> &'static str {
        match self {
            Self::NoSuchUser => "no-such-user",
            Self::NoSuchDomain => "no-such-domain",
            Self::BadAddress => "bad-address",
            Self::MailboxDisabled => "mailbox-disabled",
            Self::MailboxFull => "mailbox-full",
            Self::TooBig => "too-big",
            Self::Spam => "spam",
            Self::Virus => "virus",
            Self::Policy => "policy",
            Self::Reputation => "reputation",
            Self::SenderUnproven => "sender-unproven",
            Self::NotPermitted => "not-permitted",
            Self::Greylisted => "greylisted",
            Self::RateLimited => "rate-limited",
            Self::Unreachable => "unreachable",
            Self::Dns => "dns",
            Self::TlsPolicy => "tls-policy",
            Self::Expired => "expired",
            Self::Loop => "loop",
            Self::Content => "content",
            Self::Unsupported => "unsupported",
            Self::HostTrouble => "host-trouble",
            Self::Operator => "operator",
            Self::Unknown => "unknown",
        }
    }

    /// What happened, to follow the word "because"; none if nobody knows.
    pub fn reason(self) -> Option<&'static str> {
        Some(match self {
            Self::NoSuchUser => "there is no such mailbox",
            Self::NoSuchDomain => "its domain does not exist or takes no mail",
            Self::BadAddress => "an address is not written as one",
            Self::MailboxDisabled => "the mailbox takes no mail",
            Self::MailboxFull => "the mailbox is full",
            Self::TooBig => "the message is too large for the recipient's mail system",
            Self::Spam => "the recipient's mail system takes the message for spam",
            Self::Virus => "the recipient's mail system takes the message for harmful",
            Self::Policy => "the recipient's mail system refused it by its rules",
            Self::Reputation => "the recipient's mail system does not trust the host it came from",
            Self::SenderUnproven => {
                "the recipient's mail system found no proof that the sender's domain sent it (SPF, DKIM, DMARC)"
            }
            Self::NotPermitted => "the mail system there does not take mail for this address from here",
            Self::Greylisted => "the recipient's mail system puts off mail from senders it does not know yet",
            Self::RateLimited => "the recipient's mail system takes no more mail from here for now",
            Self::Unreachable => "the recipient's mail system could not be reached",
            Self::Dns => "the recipient's mail system could not be found in the domain name system",
            Self::TlsPolicy => "no connection to the recipient's mail system was as safe as it has to be",
            Self::Expired => "it was tried for too long",
            Self::Loop => "it goes in a circle between mail systems",
            Self::Content => "the recipient's mail system does not take a message of this form",
            Self::Unsupported => "a mail system on the way cannot carry what the message needs",
            Self::HostTrouble => "the recipient's mail system has trouble of its own",
            Self::Operator => "an administrator stopped it",
            Self::Unknown => return None,
        })
    }

    /// What the sender can do, in one or two sentences.
    pub fn advice(self) -> &'static str {
        match self {
            Self::NoSuchUser => {
                "You can check the address for typing errors, or ask the recipient in another way which address is right."
            }
            Self::NoSuchDomain => {
                "You can check the part of the address after the @ for typing errors, or ask the recipient in another \
                 way which address is right."
            }
            Self::BadAddress => "You can correct the address and send the message again.",
            Self::MailboxFull => {
                "You can ask the recipient in another way to make room, and send the message again later."
            }
            Self::MailboxDisabled => {
                "You can reach the recipient in another way, and ask whether the mailbox will take mail again."
            }
            Self::TooBig => {
                "You can send it in smaller parts or without large attachments, or share those in another way."
            }
            Self::Loop => {
                "You can tell the recipient in another way that their mail goes in a circle; the people who run their \
                 mail system can mend that."
            }
            Self::Spam => {
                "You can write the message in other words, without links or attachments, or reach the recipient in \
                 another way and ask them to have mail from you let through."
            }
            Self::Virus => {
                "You can check what is attached with a virus scanner, and send the message without it."
            }
            Self::Policy => {
                "You can reach the recipient in another way, and ask them to have mail from you let through: their \
                 mail system refused it by its rules."
            }
            Self::Reputation | Self::SenderUnproven | Self::NotPermitted | Self::TlsPolicy => {
                "You can show this to the people who run the mail system that this report comes from: they can mend \
                 what the recipient's mail system complains of. Until then you can reach the recipient in another way."
            }
            Self::Unreachable
            | Self::Dns
            | Self::Expired
            | Self::HostTrouble
            | Self::Greylisted
            | Self::RateLimited => {
                "You can send the message again later, or reach the recipient in another way. If it goes on, the \
                 people who run the recipient's mail system may not know of it."
            }
            Self::Content => {
                "You can send the message in another form, for example as plain text or with other attachments."
            }
            Self::Unsupported => {
                "You can ask the recipient for an address in plain letters (a to z), and send from such an address in \
                 plain words: a mail system on the way takes no others."
            }
            Self::Operator => "You can ask the people who run the mail system that this report comes from.",
            Self::Unknown => {
                "You can reach the recipient in another way, or ask the people who run this mail system for help."
            }
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
