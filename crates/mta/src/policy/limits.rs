//! How much of us one network or one account may use up.

use std::{net::IpAddr, time::Duration};

use crate::config::Network;

/// Limits on clients. A rate of none is no limit.
#[derive(Clone, Debug)]
pub struct ClientLimits {
    /// Networks that no limit of a network and no tarpit holds for.
    pub exempt_networks: Vec<Network>,
    /// Connections at once, in all.
    pub connections_max: usize,
    /// And from one address, or one /64 of IPv6.
    pub network_connections_max: usize,
    /// The network around it, a /24 or a /48, may use up so many times what one address may.
    pub aggregate_factor: u32,
    /// The client waits so long for the greeting; nothing may come from it before.
    pub greeting_delay: Duration,
    pub network: NetworkRates,
    pub account: AccountRates,
    pub tarpit: Tarpit,
}

/// For an address, or a /64 of IPv6.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkRates {
    pub connections: Option<Rate>,
    pub commands: Option<Rate>,
    pub messages: Option<Rate>,
    pub recipients: Option<Rate>,
    /// Refused recipients, and commands that make no sense.
    pub errors: Option<Rate>,
    /// Recipients with NOTIFY=SUCCESS, of clients that may not relay.
    pub success_reports: Option<Rate>,
}

/// For an account, wherever it sends from.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccountRates {
    pub messages: Option<Rate>,
    pub recipients: Option<Rate>,
}

/// So many at once, and then as many as the time gives back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub count: u32,
    pub per: Duration,
}

/// How errors slow a session down.
#[derive(Clone, Copy, Debug)]
pub struct Tarpit {
    /// So many errors cost nothing.
    pub errors_free: u32,
    /// The wait for the first that does; each further one doubles it.
    pub delay: Duration,
    pub delay_max: Duration,
}

impl Rate {
    pub const fn new(count: u32, per: Duration) -> Self {
        Self { count, per }
    }
}

impl Tarpit {
    pub const RULE: &str = "tarpit";

    /// How late the answer to the last of so many errors comes.
    pub fn delay(&self, errors: u32) -> Duration {
        let Some(doublings) = errors.checked_sub(self.errors_free.saturating_add(1)) else {
            return Duration::ZERO;
        };
        let factor = 2_u32.checked_pow(doublings).unwrap_or(u32::MAX);
        self.delay.saturating_mul(factor).min(self.delay_max)
    }
}

impl ClientLimits {
    pub fn is_exempt(&self, ip: IpAddr) -> bool {
        self.exempt_networks.iter().any(|network| network.contains(ip))
    }
}

impl Default for ClientLimits {
    /// No rates; loopback is exempt.
    fn default() -> Self {
        let loopback = ["127.0.0.0/8", "::1/128"];
        Self {
            exempt_networks: loopback.iter().filter_map(|text| text.parse().ok()).collect(),
            connections_max: 12_000,
            network_connections_max: 100,
            aggregate_factor: 8,
            greeting_delay: Duration::ZERO,
            network: NetworkRates::default(),
            account: AccountRates::default(),
            tarpit: Tarpit {
                errors_free: 5,
                delay: Duration::from_secs(1),
                delay_max: Duration::from_secs(20),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_from_the_first_error_that_costs_and_end_somewhere() {
        let tarpit =
            Tarpit { errors_free: 2, delay: Duration::from_secs(1), delay_max: Duration::from_secs(20) };
        let seconds = [0, 1, 2, 3, 4, 5, 7, 8, 1000].map(|errors| tarpit.delay(errors).as_secs());
        assert_eq!(seconds, [0, 0, 0, 1, 2, 4, 16, 20, 20]);
    }
}
