//! For whoever watches over the process.

use hyper::StatusCode;

use crate::{Web, reply::Reply};

/// It answers, so it lives.
pub(crate) fn alive() -> Reply {
    Reply::text(StatusCode::OK, "ok\n")
}

/// Mail can be taken: the store commits, and nobody asked to stop.
pub(crate) fn ready(web: &Web) -> Reply {
    let refusal = |why: &'static str| Reply::text(StatusCode::SERVICE_UNAVAILABLE, why);
    if web.shutdown.is_given() {
        refusal("stopping\n")
    } else if web.stores.engine.poisoned().is_some() {
        refusal("the store takes nothing\n")
    } else {
        Reply::text(StatusCode::OK, "ready\n")
    }
}
