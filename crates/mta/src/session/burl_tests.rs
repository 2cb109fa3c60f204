//! RFC 4468: what a URL names is a message like any other.

use std::sync::Arc;

use bytes::Bytes;
use mail::Timestamp;
use proto::smtp::server::Flavour;
use store::{StoreError, directory::Account};

use crate::{
    testing::{Site, config},
    urls::{UrlContent, UrlRefusal, UrlSource},
};

/// Has one message, for bob.
struct Shelf;

struct Pieces(Vec<&'static [u8]>);

#[async_trait::async_trait]
impl UrlSource for Shelf {
    async fn open(
        &self,
        submitter: &Account,
        url: &str,
        _now: Timestamp,
    ) -> Result<Box<dyn UrlContent>, UrlRefusal> {
        assert_eq!(submitter.address.to_string(), "bob@here.example");
        match url {
            "imap://x/draft" => Ok(Box::new(Pieces(vec![
                b"",
                b"From: bob@here.example\r\nSubject: dr",
                b"aft\r\n\r\nbody\r\n",
            ]))),
            "imap://x/torn" => Ok(Box::new(Pieces(vec![b"Subject: x\r\n"]))),
            "imap://x/gone" => Err(UrlRefusal::NotFound),
            "imap://x/other" => Err(UrlRefusal::NotAuthorized),
            "imap://x/down" => Err(UrlRefusal::Unreadable(StoreError::Damaged("x".to_owned()))),
            _ => Err(UrlRefusal::Malformed),
        }
    }
}

#[async_trait::async_trait]
impl UrlContent for Pieces {
    fn octets(&self) -> u64 {
        let octets = self.0.iter().map(|piece| piece.len() as u64).sum();
        // One of them breaks off.
        if self.0.len() == 1 { 100 } else { octets }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        Ok((!self.0.is_empty()).then(|| Bytes::from_static(self.0.remove(0))))
    }
}

const TRANSACTION: &str = "C: MAIL FROM:<bob@here.example>
    S: 250
    C: RCPT TO:<bob@here.example>
    S: 250
    ";

#[tokio::test]
async fn a_submitter_sends_what_a_url_names() {
    let site = Site::new(config(vec![])).await;
    site.mta.serve_urls(Arc::new(Shelf));
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog("C: AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0\nS: 235").await;
    for (url, reply) in [
        ("imap://x/gone", "554 5.6.6"),
        ("imap://x/other", "554 5.7.8"),
        ("imap://x/down", "451 4.3.0"),
        ("imap://x/torn", "451 4.3.0"),
        ("nonsense", "501 5.5.4"),
        ("imap://x/draft", "250 2.0.0 accepted as"),
    ] {
        wire.dialog(&format!("{TRANSACTION}C: BURL {url} LAST\nS: {reply}")).await;
    }
    let content = site.mail("bob@here.example", 1).await;
    assert!(content.contains("\r\nFrom: bob@here.example\r\nSubject: draft\r\n\r\nbody\r\n"), "{content}");
    assert!(content.contains("\r\nMessage-ID: <") && content.contains("Received: "), "{content}");
}

#[tokio::test]
async fn burl_is_there_only_where_there_is_something_to_name() {
    let site = Site::new(config(vec![])).await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog("C: BURL imap://x/draft LAST\nS: 502").await;
    site.mta.serve_urls(Arc::new(Shelf));
    let mut wire = site.connect_to("127.0.0.1", Flavour::Smtp).await;
    wire.dialog("C: BURL imap://x/draft LAST\nS: 502").await;
}
