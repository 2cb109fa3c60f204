//! What a message demands of the connection that it goes over (RFC 8689 §4.2.1).

use mail::TlsDemand;

use super::connect::Connection;
use crate::route::{NextHost, RouteTls};

/// What a connection has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// What the route says.
    Route,
    /// TLS, a certificate that verifies for an authenticated name, and REQUIRETLS announced, whatever the route says.
    RequireTls,
}

impl Demand {
    /// What to ask for first; where that cannot be had, [`Preferred`](TlsDemand::Preferred) makes do with the route's.
    ///
    /// `TLS-Required: No` changes nothing: a route that insists on TLS is the operator's word, and RFC 8689 §3 sets aside
    /// the recipient's only.
    pub(super) fn of(tls: TlsDemand) -> Self {
        match tls {
            TlsDemand::Usual | TlsDemand::Waived => Self::Route,
            TlsDemand::Required | TlsDemand::Preferred => Self::RequireTls,
        }
    }

    pub(super) fn insists_on_tls(self, host: &NextHost) -> bool {
        self == Self::RequireTls || host.tls == RouteTls::Required
    }

    pub(super) fn is_met_by(self, connection: &Connection) -> bool {
        self == Self::Route || connection.keeps_to_tls()
    }
}
