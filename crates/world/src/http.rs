//! HTTP for what other systems tell us: keys and answers of token issuers, policies, hooks. One request a connection,
//! no redirects, and everything bounded.

use std::{fmt, net::SocketAddr, str::FromStr, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Uri,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::{BoxStream, World, tls::ClientTls};

/// From the look-up of the name to the last octet of the answer.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// Octets of an answer's body, and of its header section.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Addresses of a host that are tried.
const ADDRESSES_MAX: usize = 4;

/// `https://HOST[:PORT]/PATH`, or `http` to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    uri: Uri,
    host: String,
    port: u16,
    tls: bool,
}

/// What to ask.
#[derive(Clone)]
pub struct HttpRequest {
    pub url: HttpUrl,
    /// With its content type: a POST. None: a GET.
    pub body: Option<(&'static str, Bytes)>,
    /// The value of Authorization, a secret.
    pub authorization: Option<String>,
    pub accept: &'static str,
}

/// The final answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub body: Bytes,
}

/// Why there is no answer. Trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {reason}")]
pub struct HttpError {
    pub host: String,
    pub reason: String,
}

/// Asks over the net, or stands in for it.
#[async_trait::async_trait]
pub trait Http: Send + Sync {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError>;
}

/// Asks over `World`'s network.
#[derive(Clone, Debug)]
pub struct HttpClient {
    world: World,
    tls: ClientTls,
}

impl FromStr for HttpUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a URL such as \"https://issuer.example/path\"");
        let uri: Uri = text.parse().map_err(|_| wrong())?;
        let authority = uri.authority().filter(|it| !it.as_str().contains('@')).ok_or_else(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_loopback(&host) => false,
            Some("http") => return Err(format!("{text:?}: http is for this machine only; use https")),
            _ => return Err(wrong()),
        };
        let port = authority.port_u16().unwrap_or(if tls { 443 } else { 80 });
        if host.is_empty() || text.contains('#') {
            return Err(wrong());
        }
        Ok(Self { uri, host, port, tls })
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri.fmt(f)
    }
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpRequest({})", self.url)
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl HttpClient {
    /// `tls` should verify certificates.
    pub fn new(world: World, tls: ClientTls) -> Self {
        Self { world, tls }
    }

    async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, String> {
        let stream = self.connect(&request.url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(BODY_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Ends with this function, whatever the other side does.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let response = sender.send_request(as_hyper(request)?).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(|error| format!("the answer cannot be read: {error}"))?;
        Ok(HttpResponse { status, body: body.to_bytes() })
    }

    async fn connect(&self, url: &HttpUrl) -> Result<BoxStream, String> {
        let addresses = self.world.dns.addresses(&url.host).await.map_err(|error| error.to_string())?;
        let mut last = "it has no address".to_owned();
        for ip in addresses.records.into_iter().take(ADDRESSES_MAX) {
            match self.world.net.connect(SocketAddr::new(ip, url.port), None).await {
                Ok(stream) if !url.tls => return Ok(stream),
                Ok(stream) => match self.tls.connect(&url.host, stream).await {
                    Ok((secured, _)) => return Ok(secured),
                    Err(error) => last = format!("TLS failed: {error}"),
                },
                Err(error) => last = error.to_string(),
            }
        }
        Err(last)
    }
}

#[async_trait::async_trait]
impl Http for HttpClient {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let clock = &self.world.clock;
        let answer = tokio::select! {
            answer = self.exchange(&request) => answer,
            () = clock.sleep_until(clock.now() + DEADLINE) => Err("no answer in time".to_owned()),
        };
        answer.map_err(|reason| HttpError { host: request.url.host.clone(), reason })
    }
}

fn as_hyper(request: &HttpRequest) -> Result<Request<Full<Bytes>>, String> {
    let authority = request.url.uri.authority().map_or("", |authority| authority.as_str());
    let path = request.url.uri.path_and_query().map_or("/", |path| path.as_str());
    let method = if request.body.is_some() { Method::POST } else { Method::GET };
    let mut built = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority)
        .header(USER_AGENT, "Postrider")
        .header(ACCEPT, request.accept);
    if let Some(authorization) = &request.authorization {
        let mut value = HeaderValue::from_str(authorization).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        built = built.header(AUTHORIZATION, value);
    }
    if let Some((content_type, _)) = &request.body {
        built = built.header(CONTENT_TYPE, *content_type);
    }
    let body = request.body.as_ref().map_or_else(Bytes::new, |(_, body)| body.clone());
    built.body(Full::new(body)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
