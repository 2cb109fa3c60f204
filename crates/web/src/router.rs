//! Which resource a request is for.

use hyper::Method;

/// Octets of a token; none that was made is longer.
const TOKEN_BYTES_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Health,
    Readiness,
    StsPolicy,
    AskToLeave(String),
    Leave(String),
}

/// Why a request leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    Unknown,
    /// There is something, for these methods.
    OtherMethods(&'static str),
}

pub(crate) fn route(method: &Method, path: &str) -> Result<Route, NoRoute> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let read = |route| if reads { Ok(route) } else { Err(NoRoute::OtherMethods("GET, HEAD")) };
    match path {
        "/healthz" => read(Route::Health),
        "/readyz" => read(Route::Readiness),
        "/.well-known/mta-sts.txt" => read(Route::StsPolicy),
        _ => match path.strip_prefix("/unsubscribe/").filter(|token| is_token(token)) {
            Some(token) if reads => Ok(Route::AskToLeave(token.to_owned())),
            Some(token) if *method == Method::POST => Ok(Route::Leave(token.to_owned())),
            Some(_) => Err(NoRoute::OtherMethods("GET, HEAD, POST")),
            None => Err(NoRoute::Unknown),
        },
    }
}

fn is_token(text: &str) -> bool {
    (1..=TOKEN_BYTES_MAX).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_resources() {
        assert_eq!(route(&Method::GET, "/healthz").unwrap(), Route::Health);
        assert_eq!(route(&Method::HEAD, "/.well-known/mta-sts.txt").unwrap(), Route::StsPolicy);
        assert_eq!(route(&Method::GET, "/unsubscribe/abc").unwrap(), Route::AskToLeave("abc".to_owned()));
        assert_eq!(route(&Method::POST, "/unsubscribe/abc").unwrap(), Route::Leave("abc".to_owned()));
        for (method, path, expected) in [
            (Method::POST, "/healthz", NoRoute::OtherMethods("GET, HEAD")),
            (Method::PUT, "/unsubscribe/abc", NoRoute::OtherMethods("GET, HEAD, POST")),
            (Method::GET, "/", NoRoute::Unknown),
            (Method::GET, "/healthz/", NoRoute::Unknown),
            (Method::GET, "/unsubscribe/", NoRoute::Unknown),
            (Method::POST, "/unsubscribe/a/../b", NoRoute::Unknown),
            (Method::GET, "/.well-known/../healthz", NoRoute::Unknown),
        ] {
            assert_eq!(route(&method, path), Err(expected), "{method} {path}");
        }
        assert!(route(&Method::GET, &format!("/unsubscribe/{}", "a".repeat(1025))).is_err());
    }
}
