//! What is asked for over HTTP: policies of MTA-STS ([`mta_sts`]), leaving a mailing list with one click
//! ([`unsubscribe`]), and whether the server is well ([`health`]). One request a connection, everything bounded.

mod health;
mod listener;
pub mod mta_sts;
mod page;
mod reply;
mod router;
#[cfg(test)]
mod tests;
mod unsubscribe;
mod visitors;

use std::sync::{Arc, PoisonError, RwLock};

use hyper::{Request, body::Incoming};
use store::Stores;
use world::{Shutdown, World};

pub use mta_sts::{Mode, StsPolicy};
use reply::Reply;
use router::{NoRoute, Route};
use visitors::Visitors;

/// What is served; a reload puts other options in force.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of every hosted domain. None: no policy is served.
    pub mta_sts: Option<StsPolicy>,
}

/// Serves any number of listeners.
pub struct Web {
    stores: Stores,
    world: World,
    options: RwLock<Arc<Options>>,
    visitors: Visitors,
    shutdown: Shutdown,
}

impl std::fmt::Debug for Web {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Web").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Web {
    pub fn new(stores: Stores, world: World, options: Options, shutdown: Shutdown) -> Self {
        let options = RwLock::new(Arc::new(options));
        Self { stores, world, options, visitors: Visitors::default(), shutdown }
    }

    pub fn reload(&self, options: Options) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(options);
    }

    fn options(&self) -> Arc<Options> {
        self.options.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        match router::route(request.method(), request.uri().path()) {
            Ok(Route::Health) => health::alive(),
            Ok(Route::Readiness) => health::ready(self),
            Ok(Route::StsPolicy) => mta_sts::answer(self, &request).await,
            Ok(Route::AskToLeave(token)) => unsubscribe::ask(self, &token).await,
            Ok(Route::Leave(token)) => unsubscribe::leave(self, &token, request).await,
            Err(NoRoute::Unknown) => Reply::not_found(),
            Err(NoRoute::OtherMethods(methods)) => Reply::not_allowed(methods),
        }
    }
}
