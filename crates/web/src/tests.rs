use std::{sync::Arc, time::Duration};

use mail::{Address, list::unsubscribe_token};
use store::{
    Stores,
    directory::{ListChange, ListId},
    memory::MemoryEngine,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use world::{Peer, ShutdownTrigger, World};

use super::*;

struct Site {
    web: Arc<Web>,
    stores: Stores,
    trigger: ShutdownTrigger,
}

/// Hosts `here.example`, with the list `club@here.example` of ann.
async fn site() -> Site {
    let (world, stores) = (World::system(), Stores::new(Arc::new(MemoryEngine::new())));
    let now = world.clock.wall();
    let directory = &stores.directory;
    directory.add_domain(&"here.example".parse().unwrap(), now).await.unwrap();
    directory.make_seal(&*world.entropy).await.unwrap();
    let club: Address = "club@here.example".parse().unwrap();
    directory.add_list(&club, ListChange::default(), now).await.unwrap();
    directory.subscribe(&club, &[ann()], now).await.unwrap();
    let policy = StsPolicy {
        mode: Mode::Enforce,
        mx: vec!["mx1.here.example".to_owned(), "*.mx.here.example".to_owned()],
        max_age: Duration::from_hours(24 * 7),
    };
    let (trigger, shutdown) = ShutdownTrigger::new();
    let web = Web::new(stores.clone(), world, Options { mta_sts: Some(policy) }, shutdown);
    Site { web: Arc::new(web), stores, trigger }
}

fn ann() -> Address {
    "ann@there.example".parse().unwrap()
}

impl Site {
    async fn says(&self, request: &str) -> String {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let web = self.web.clone();
        let served = tokio::spawn(async move { web.converse(Box::new(theirs), Peer::Unix).await });
        // It may be refused before all of it is read.
        let _ = ours.write_all(request.as_bytes()).await;
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        served.await.unwrap();
        answer
    }

    async fn get(&self, host: &str, path: &str) -> String {
        self.says(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await
    }

    async fn post(&self, path: &str, body: &str) -> String {
        let len = body.len();
        self.says(&format!("POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len}\r\n\r\n{body}")).await
    }

    async fn is_member(&self) -> bool {
        self.stores.directory.member(self.list().await, &ann()).await.unwrap().is_some()
    }

    async fn list(&self) -> ListId {
        self.stores.directory.lists().await.unwrap()[0].id
    }

    async fn token(&self) -> String {
        let seal = self.stores.directory.seal().await.unwrap().unwrap();
        unsubscribe_token(&seal, self.list().await.0, &ann())
    }
}

#[tokio::test]
async fn the_policy_is_served_for_hosted_domains_under_their_own_name() {
    let site = site().await;
    let path = "/.well-known/mta-sts.txt";
    for host in ["mta-sts.here.example", "MTA-STS.Here.Example:443"] {
        let answer = site.get(host, path).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(head.contains("content-type: text/plain"), "{answer}");
        assert_eq!(
            body,
            "version: STSv1\r\nmode: enforce\r\nmx: mx1.here.example\r\nmx: *.mx.here.example\r\nmax_age: 604800\r\n"
        );
    }
    for host in ["here.example", "mta-sts.there.example", "mta-sts.", "mta-sts.mta-sts.here.example", ""] {
        let answer = site.get(host, path).await;
        assert!(answer.starts_with("HTTP/1.1 404 ") && !answer.contains("location"), "{host}: {answer}");
    }
    let twice = "GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: x\r\nHost: mta-sts.here.example\r\n\r\n";
    assert!(!site.says(twice).await.starts_with("HTTP/1.1 200"));
    site.web.reload(Options::default());
    assert!(site.get("mta-sts.here.example", path).await.starts_with("HTTP/1.1 404 "));
}

/// RFC 8058
#[tokio::test]
async fn one_click_leaves_the_list_and_looking_does_not() {
    let site = site().await;
    let path = format!("/unsubscribe/{}", site.token().await);
    let page = site.get("x", &path).await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    for word in ["club@here.example", "ann@there.example", "<form method=\"post\">", "default-src 'none'"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(site.says(&format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await.starts_with("HTTP/1.1 200"));
    assert!(site.post(&path, "").await.starts_with("HTTP/1.1 400 "));
    assert!(site.is_member().await, "nothing has changed yet");
    for _ in 0..2 {
        let done = site.post(&path, "List-Unsubscribe=One-Click").await;
        assert!(done.starts_with("HTTP/1.1 200 OK\r\n") && done.contains("You have left the list"), "{done}");
        assert!(!site.is_member().await);
    }
}

#[tokio::test]
async fn only_our_own_tokens_open_anything() {
    let site = site().await;
    let token = site.token().await;
    let cut = &token[..token.len() - 1];
    let other = format!("{}{}", if token.starts_with('a') { 'b' } else { 'a' }, &token[1..]);
    for token in [cut, &other, "x", &token.repeat(2)] {
        let path = format!("/unsubscribe/{token}");
        assert!(site.get("x", &path).await.starts_with("HTTP/1.1 404 "), "{token}");
        let answer = site.post(&path, "List-Unsubscribe=One-Click").await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{token}: {answer}");
    }
    assert!(site.is_member().await);
}

#[tokio::test]
async fn requests_are_bounded() {
    let site = site().await;
    let path = format!("/unsubscribe/{}", site.token().await);
    let long = "x".repeat(20_000);
    assert!(site.post(&path, &long).await.starts_with("HTTP/1.1 413 "));
    let head = site.says(&format!("GET /healthz HTTP/1.1\r\nHost: x\r\nX: {long}\r\n\r\n")).await;
    assert!(head.starts_with("HTTP/1.1 431 ") || head.is_empty(), "{head}");
    let fields = "X: y\r\n".repeat(200);
    let many = site.says(&format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{fields}\r\n")).await;
    assert!(many.starts_with("HTTP/1.1 431 ") || many.is_empty(), "{many}");
    let two = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(2);
    assert_eq!(site.says(&two).await.matches("HTTP/1.1 200").count(), 1, "one request a connection");
}

#[tokio::test]
async fn health_and_readiness() {
    let site = site().await;
    assert!(site.get("x", "/healthz").await.starts_with("HTTP/1.1 200 "));
    assert!(site.get("x", "/readyz").await.ends_with("ready\n"));
    site.trigger.give();
    assert!(site.get("x", "/readyz").await.starts_with("HTTP/1.1 503 "));
    assert!(site.get("x", "/healthz").await.starts_with("HTTP/1.1 200 "));
}
