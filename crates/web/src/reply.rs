//! What is answered.

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY,
        X_CONTENT_TYPE_OPTIONS,
    },
};

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// A page has its own style, one form, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A whole answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply(Response<Full<Bytes>>);

impl Reply {
    /// Lines as they are to be sent.
    pub(crate) fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self::new(status, TEXT, text.into())
    }

    pub(crate) fn page(status: StatusCode, html: String) -> Self {
        let Self(mut response) = Self::new(status, HTML, html.into());
        response.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
        Self(response)
    }

    pub(crate) fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "there is nothing here\n")
    }

    pub(crate) fn not_allowed(methods: &'static str) -> Self {
        let Self(mut response) = Self::text(StatusCode::METHOD_NOT_ALLOWED, "not with this method\n");
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
        Self(response)
    }

    /// The store could not be read or written.
    pub(crate) fn later() -> Self {
        Self::text(StatusCode::SERVICE_UNAVAILABLE, "not now; please try again later\n")
    }

    fn new(status: StatusCode, content_type: &'static str, body: Bytes) -> Self {
        let mut response = Response::new(Full::new(body));
        *response.status_mut() = status;
        let fields = [
            (CONTENT_TYPE, content_type),
            (CACHE_CONTROL, "no-store"),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address of a page holds a secret.
            (REFERRER_POLICY, "no-referrer"),
        ];
        for (name, value) in fields {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        Self(response)
    }

    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        self.0
    }
}
