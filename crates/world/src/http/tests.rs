use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::{
    ListenAddress,
    tls::{Certificate, ClientTrust, Identity, Keyring, Keys, ListenerTls, ServerTls, Verify},
};

/// Answers the first connection so and tells what it was asked.
async fn server(answer: Vec<u8>, tls: Option<ServerTls>) -> (u16, tokio::task::JoinHandle<String>) {
    let world = World::system();
    let listener = world.net.listen(&"127.0.0.1:0".parse().unwrap()).await.unwrap();
    let ListenAddress::Tcp(address) = listener.local() else { panic!("an address") };
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        if let Some(tls) = tls {
            match tls.accept(stream).await {
                Ok((secured, ..)) => stream = secured,
                Err(_) => return String::new(),
            }
        }
        let mut asked = vec![0; 4096];
        let len = stream.read(&mut asked).await.unwrap();
        asked.truncate(len);
        let _ = stream.write_all(&answer).await;
        let _ = stream.shutdown().await;
        String::from_utf8(asked).unwrap()
    });
    (address.port(), asked)
}

fn get(url: &str) -> HttpRequest {
    HttpRequest { url: url.parse().unwrap(), body: None, authorization: None, accept: "application/json" }
}

fn client(roots: &str) -> HttpClient {
    HttpClient::new(World::system(), ClientTls::new(Verify::RootsAndName, roots).unwrap())
}

async fn answered(answer: &str) -> Result<HttpResponse, HttpError> {
    let (port, _) = server(answer.as_bytes().to_vec(), None).await;
    client("").ask(get(&format!("http://127.0.0.1:{port}/"))).await
}

#[tokio::test]
async fn a_request_and_its_answer() {
    let (port, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}".to_vec(), None).await;
    let mut request = get(&format!("http://127.0.0.1:{port}/a?b=c"));
    request.body = Some(("text/plain", Bytes::from_static(b"hello")));
    request.authorization = Some("Basic eDp5".to_owned());
    assert!(!format!("{request:?}").contains("eDp5"));
    let answer = client("").ask(request).await.unwrap();
    assert_eq!((answer.status, &answer.body[..]), (200, &b"{}"[..]));
    let asked = asked.await.unwrap().to_lowercase();
    for line in [
        "post /a?b=c http/1.1\r\n",
        "authorization: basic edp5\r\n",
        "content-type: text/plain\r\n",
        &format!("host: 127.0.0.1:{port}\r\n"),
    ] {
        assert!(asked.contains(line), "{line:?} in {asked}");
    }
}

#[tokio::test]
async fn redirects_are_answers_and_bodies_have_a_limit() {
    let moved =
        answered("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(moved.unwrap().status, 302);
    let long = "x".repeat(BODY_BYTES_MAX);
    let whole = answered(&format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len())).await;
    assert_eq!(whole.unwrap().body.len(), BODY_BYTES_MAX);
    assert!(answered(&format!("HTTP/1.1 200 OK\r\n\r\n{long}x")).await.is_err(), "one octet more");
    let cut = answered("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    assert!(cut.is_err(), "{cut:?}");
    let header = format!("HTTP/1.1 200 OK\r\nX: {}", long.repeat(4));
    assert!(answered(&header).await.is_err(), "a header section without end");
    assert!(answered("no http\r\n\r\n").await.is_err());
}

#[tokio::test]
async fn certificates_have_to_verify() {
    let identity = Identity::self_signed(vec!["localhost".to_owned()]).unwrap();
    let ok = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec();
    for (roots, host, works) in [
        (identity.certificate_pem.as_str(), "localhost", true),
        (&identity.certificate_pem, "127.0.0.1", false),
        ("", "localhost", false),
    ] {
        let keys = Keys::new(&Certificate::new(&identity, &[]).unwrap(), &[], ClientTrust::default());
        let offer = ListenerTls { protocols: &[], asks_certificate: false };
        let tls = ServerTls::new(&Keyring::new(keys), offer).unwrap();
        let (port, _) = server(ok.clone(), Some(tls)).await;
        let answer = client(roots).ask(get(&format!("https://{host}:{port}/"))).await;
        assert_eq!(answer.is_ok(), works, "{host}: {answer:?}");
    }
}

#[test]
fn urls() {
    for good in [
        "https://issuer.example/keys?x=y",
        "https://issuer.example",
        "http://127.0.0.1:8080/",
        "http://[::1]/",
        "http://localhost/x",
    ] {
        assert!(good.parse::<HttpUrl>().is_ok(), "{good}");
    }
    for bad in [
        "",
        "issuer.example",
        "/keys",
        "http://issuer.example/",
        "ftp://issuer.example/",
        "https://user@issuer.example/",
        "https:///x",
        "https://issuer.example/#x",
        "http://localhost.example/",
    ] {
        assert!(bad.parse::<HttpUrl>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn what_strangers_name_leads_nowhere_near_us() {
    let (port, _) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_vec(), None).await;
    let url = format!("http://127.0.0.1:{port}/");
    let error = client("").to_public_hosts().ask(get(&url)).await.unwrap_err();
    assert!(error.reason.contains("no address"), "{error}");
    assert_eq!(client("").ask(get(&url)).await.unwrap().status, 200, "nobody had come before");
}

#[tokio::test]
async fn the_kind_of_content_is_told_without_its_parameters() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Type: Text/Plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answered(answer).await.unwrap().content_type.as_deref(), Some("text/plain"));
}
