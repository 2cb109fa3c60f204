//! The options of `[limits]`.

use std::time::Duration;

use mta::policy::limits;

use super::{
    options::loopback,
    section::section,
    types::{Network, Rate, Span},
};

section! {
    /// How much of this server one network or one account may use up. A rate such as "600/10m" lets through 600 at once,
    /// and then as many as 600 in 10 minutes; "off" is no limit. Networks count by address, IPv6 by /64; trusted_networks of
    /// [smtp] and exempt_networks are not counted, and clients that log in count by account.
    Limits "[limits]" {
        /// Networks that no limit of a network holds for, nor the tarpit. The default is this host.
        exempt_networks: Vec<Network> = loopback();
        /// Connections at once, in all.
        connections_max: u32 = 12_000;
        /// Connections at once from one address.
        network_connections_max: u32 = 100;
        /// The network around an address (/24, or /48 of IPv6) may use up so many times as much.
        aggregate_factor: u32 = 8;
        /// Connections from one address.
        connection_rate: Rate = Rate::new(600, Duration::from_mins(10));
        /// Commands from one address.
        command_rate: Rate = Rate::new(60_000, Duration::from_mins(10));
        /// Messages from one address.
        message_rate: Rate = Rate::new(6_000, Duration::from_hours(1));
        /// Recipients of messages from one address.
        recipient_rate: Rate = Rate::new(20_000, Duration::from_hours(1));
        /// Refused recipients and senseless commands from one address; beyond it the address is refused for a while.
        error_rate: Rate = Rate::new(300, Duration::from_hours(1));
        /// Recipients with NOTIFY=SUCCESS, from an address that may not relay.
        success_report_rate: Rate = Rate::new(100, Duration::from_hours(1));
        /// Messages of one account.
        account_message_rate: Rate = Rate::new(2_000, Duration::from_hours(1));
        /// Recipients of messages of one account; the log tells of an account that comes to this limit.
        account_recipient_rate: Rate = Rate::new(10_000, Duration::from_hours(24));
        /// So many errors in one session are answered at once.
        tarpit_after: u32 = 5;
        /// The next one after this long, each further one after twice as long. "0s" is no tarpit.
        tarpit_delay: Span = Span::seconds(1);
        /// But never after longer than this.
        tarpit_delay_max: Span = Span::seconds(20);
    }
}

impl Limits {
    /// As the transfer agent takes them.
    pub fn clients(&self, greeting_delay: Span) -> limits::ClientLimits {
        let count = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        limits::ClientLimits {
            exempt_networks: self.exempt_networks.iter().map(|network| network.value).collect(),
            connections_max: count(self.connections_max),
            network_connections_max: count(self.network_connections_max),
            aggregate_factor: self.aggregate_factor,
            greeting_delay: greeting_delay.0,
            network: limits::NetworkRates {
                connections: self.connection_rate.0,
                commands: self.command_rate.0,
                messages: self.message_rate.0,
                recipients: self.recipient_rate.0,
                errors: self.error_rate.0,
                success_reports: self.success_report_rate.0,
            },
            account: limits::AccountRates {
                messages: self.account_message_rate.0,
                recipients: self.account_recipient_rate.0,
            },
            tarpit: limits::Tarpit {
                errors_free: self.tarpit_after,
                delay: self.tarpit_delay.0,
                delay_max: self.tarpit_delay_max.0,
            },
        }
    }
}
