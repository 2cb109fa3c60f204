//! RCPT: unknown users and foreign domains are refused here, not bounced later.

use mail::{ForwardPath, Reply};
use store::Stores;

use super::Client;
use crate::{
    Config,
    route::{self, Destination, Way},
};

/// The ways to this recipient, or the reply that refuses it.
pub async fn check(
    stores: &Stores,
    config: &Config,
    client: &Client<'_>,
    path: &ForwardPath,
) -> Result<Vec<Way>, Reply> {
    match route::destination(&stores.directory, &config.routes, path).await {
        Ok(Destination::Ways { foreign: true, .. } | Destination::NoRoute | Destination::Refused)
            if !client.may_relay(config) =>
        {
            // RFC 5321 §7.9, §3.6.2
            Err(Reply::new(550, (5, 7, 1), "relaying is not allowed; authenticate to send to other domains"))
        }
        Ok(Destination::Ways { ways, .. }) => Ok(ways),
        Ok(Destination::UnknownUser) => Err(Reply::new(550, (5, 1, 1), "there is no such user here")),
        Ok(Destination::Loop) => {
            Err(Reply::new(550, (5, 4, 6), "the aliases of this address lead in a circle"))
        }
        Ok(Destination::NoRoute) => Err(Reply::new(550, (5, 4, 4), "no route leads to this domain")),
        Ok(Destination::Refused) => Err(Reply::new(550, (5, 7, 1), "mail to this address is refused here")),
        Err(error) => {
            tracing::error!(%error, "the directory cannot be read");
            Err(Reply::new(451, (4, 3, 0), "the directory cannot be read now; try again later"))
        }
    }
}
