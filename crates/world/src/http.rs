//! HTTP for what other systems tell us: keys and answers of token issuers, policies, hooks. One request a connection,
//! no redirects, and everything bounded.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::{
    Method, Request, Uri,
    body::{Body, Frame},
    client::conn::http1,
    header::{
        ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT,
    },
    http::request,
};
use hyper_util::rt::TokioIo;
use tokio::task::JoinSet;

use crate::{BoxStream, Input, World, is_public, tls::ClientTls};

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
    /// Without its parameters, in lower case.
    pub content_type: Option<String>,
    /// When to come again, as the server wrote it.
    pub retry_after: Option<String>,
    pub body: Bytes,
}

/// A body that is posted piece by piece.
pub struct HttpPost {
    pub url: HttpUrl,
    pub content_type: &'static str,
    /// Further header fields; their names in lower case.
    pub headers: Vec<(&'static str, String)>,
    /// Octets of the body.
    pub bytes: u64,
    pub body: Input,
    /// In place of [`DEADLINE`].
    pub timeout: Duration,
}

impl fmt::Debug for HttpPost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpPost({})", self.url)
    }
}

/// Why there is no answer. Trying again may help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host}: {reason}")]
pub struct HttpError {
    pub host: String,
    pub reason: String,
    /// The host was reached, and did not prove to be the one that is meant.
    pub is_tls: bool,
}

/// Why an exchange failed.
struct Failure {
    reason: String,
    is_tls: bool,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self { reason, is_tls: false }
    }
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
    public_only: bool,
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

impl HttpUrl {
    /// `hooks.example.org:443`
    pub fn place(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// For people: what stands behind `?` may be a secret.
    pub fn without_query(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.authority(), self.uri.path())
    }

    fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
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
        Self { world, tls, public_only: false }
    }

    /// For hosts that strangers name: none with an address that leads into our own networks.
    #[must_use]
    pub fn to_public_hosts(self) -> Self {
        Self { public_only: true, ..self }
    }

    /// Posts a body of any length; there are no redirects.
    pub async fn post(&self, post: HttpPost) -> Result<HttpResponse, HttpError> {
        let HttpPost { url, timeout, .. } = &post;
        let (url, timeout) = (url.clone(), *timeout);
        let exchange = async { self.exchange(&url, as_hyper_post(post)?).await };
        self.within(&url, timeout, exchange).await
    }

    async fn within(
        &self,
        url: &HttpUrl,
        timeout: Duration,
        exchange: impl Future<Output = Result<HttpResponse, Failure>>,
    ) -> Result<HttpResponse, HttpError> {
        let clock = &self.world.clock;
        let answer = tokio::select! {
            biased;
            answer = exchange => answer,
            () = clock.sleep_until(clock.now() + timeout) => Err("no answer in time".to_owned().into()),
        };
        answer.map_err(|Failure { reason, is_tls }| HttpError { host: url.host.clone(), reason, is_tls })
    }

    async fn exchange<B>(&self, url: &HttpUrl, request: Request<B>) -> Result<HttpResponse, Failure>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = self.connect(url).await?;
        let (mut sender, connection) = http1::Builder::new()
            .max_buf_size(BODY_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| error.to_string())?;
        // Ends with this function, whatever the other side does.
        let mut tasks = JoinSet::new();
        tasks.spawn(connection);
        let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = response.status().as_u16();
        let field = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let retry_after = field(RETRY_AFTER).map(str::to_owned);
        let content_type = field(CONTENT_TYPE).and_then(|value| value.split(';').next());
        let content_type = content_type.map(|value| value.trim().to_ascii_lowercase());
        let body = Limited::new(response.into_body(), BODY_BYTES_MAX);
        let body = body.collect().await.map_err(|error| format!("the answer cannot be read: {error}"))?;
        Ok(HttpResponse { status, content_type, retry_after, body: body.to_bytes() })
    }

    async fn connect(&self, url: &HttpUrl) -> Result<BoxStream, Failure> {
        let addresses = self.world.dns.addresses(&url.host).await.map_err(|error| error.to_string())?;
        let mut last = Failure::from("it has no address that may be asked".to_owned());
        let may_connect = |ip: &IpAddr| !self.public_only || is_public(*ip);
        for ip in addresses.records.into_iter().filter(may_connect).take(ADDRESSES_MAX) {
            match self.world.net.connect(SocketAddr::new(ip, url.port), None).await {
                Ok(stream) if !url.tls => return Ok(stream),
                Ok(stream) => match self.tls.connect(&url.host, stream).await {
                    Ok((secured, _)) => return Ok(secured),
                    Err(error) => {
                        let is_tls = error.kind() == std::io::ErrorKind::InvalidData;
                        last = Failure { reason: format!("TLS failed: {error}"), is_tls };
                    }
                },
                Err(error) => last = error.to_string().into(),
            }
        }
        Err(last)
    }
}

#[async_trait::async_trait]
impl Http for HttpClient {
    async fn ask(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let exchange = async { self.exchange(&request.url, as_hyper(&request)?).await };
        self.within(&request.url, DEADLINE, exchange).await
    }
}

fn builder(url: &HttpUrl, method: Method) -> request::Builder {
    let path = url.uri.path_and_query().map_or("/", |path| path.as_str());
    let built = Request::builder().method(method).uri(path);
    built.header(HOST, url.authority()).header(USER_AGENT, "Postrider")
}

fn as_hyper(request: &HttpRequest) -> Result<Request<Full<Bytes>>, String> {
    let method = if request.body.is_some() { Method::POST } else { Method::GET };
    let mut built = builder(&request.url, method).header(ACCEPT, request.accept);
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

fn as_hyper_post(post: HttpPost) -> Result<Request<impl Body<Data = Bytes, Error = std::io::Error>>, String> {
    let mut built = builder(&post.url, Method::POST)
        .header(CONTENT_TYPE, post.content_type)
        .header(CONTENT_LENGTH, post.bytes);
    for (name, value) in &post.headers {
        // As octets: addresses may be UTF-8.
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| error.to_string())?;
        built = built.header(*name, value);
    }
    built.body(StreamBody::new(post.body.map_ok(Frame::data))).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
