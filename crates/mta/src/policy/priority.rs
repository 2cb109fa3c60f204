//! MT-PRIORITY (RFC 6710): who may ask for how much, and what a client is told that gets less.

use mail::{MtPriority, Reply};

use super::{Client, Verdict};
use crate::Config;

/// RFC 6710 §7: strangers do not push ahead; that their mail can wait is believed.
pub fn granted(config: &Config, client: &Client<'_>, asked: MtPriority) -> MtPriority {
    if client.may_relay(config) { asked } else { asked.min(MtPriority::NORMAL) }
}

/// RFC 6710 §4.1: the reply to MAIL that names another priority than was asked for.
pub fn changed(granted: MtPriority) -> Reply {
    Reply::new(250, (2, 3, 6), format!("{granted} is the new priority"))
}

/// For the history.
pub fn verdict(asked: MtPriority, granted: MtPriority) -> Verdict {
    let why = if asked == granted { "as it was asked for" } else { "strangers do not push ahead" };
    Verdict::pass("priority", why).with("asked", asked).with("granted", granted)
}

/// RFC 6758 §4: the header field counts if it comes from a host that we were told to trust.
pub fn honours_header(config: &Config, client: &Client<'_>) -> bool {
    client.is_trusted(config)
}
