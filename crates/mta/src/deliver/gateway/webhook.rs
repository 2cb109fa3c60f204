//! A web server that is posted each message, signed as Standard Webhooks has it. Its status says what came of it.

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use mail::{
    Timestamp,
    webhook::{WebhookSecret, WebhookSigner},
};
use store::spool::{QueueEntry, QueuedRecipient};
use world::http::{HttpClient, HttpPost, HttpResponse};
use xxhash_rust::xxh3::xxh3_64;

use super::posted::Posted;
use crate::{
    Config, Mta,
    deliver::content::Unsent,
    outcome::{Fate, Success, Trouble},
    route::gateway::{Webhook, WebhookFormat},
};

/// The longest that a server may put us off for.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(24);
/// Octets of an answer that go into the history.
const SAID_BYTES_MAX: usize = 300;

pub(super) async fn deliver(
    mta: &Arc<Mta>,
    config: &Config,
    entry: &QueueEntry,
    recipient: &QueuedRecipient,
    webhook: &Webhook,
) -> Fate {
    let name = webhook.url.without_query();
    let secret = match secret(webhook) {
        Ok(secret) => secret,
        Err(reason) => return Fate::Deferred(Trouble::new((4, 3, 5), reason)),
    };
    let (id, now) = (id(entry, recipient), mta.world.clock.wall());
    let seconds = now.millis().div_euclid(1000);
    let open = || Posted::open(mta, entry, recipient, webhook.format);
    // Once for the signature, which stands in front, and once to send.
    let signed = match open().await {
        Ok(body) => sign(body, secret.signer(&id, seconds)).await,
        Err(unsent) => return unsent.fate(&name),
    };
    let (signature, bytes) = match signed {
        Ok(signed) => signed,
        Err(error) => return Unsent::Unreadable(store::StoreError::Damaged(error.to_string())).fate(&name),
    };
    let body = match open().await {
        Ok(body) => body,
        Err(unsent) => return unsent.fate(&name),
    };
    let mut headers = vec![
        ("webhook-id", id),
        ("webhook-timestamp", seconds.to_string()),
        ("webhook-signature", signature),
    ];
    if webhook.format == WebhookFormat::Raw {
        headers.extend(envelope(entry, recipient));
    }
    let post = HttpPost {
        url: webhook.url.clone(),
        content_type: webhook.format.content_type(),
        headers,
        bytes,
        body: body.into_stream(),
        timeout: webhook.timeout,
    };
    let client = HttpClient::new(mta.world.clone(), config.client_tls.verified.clone());
    match client.post(post).await {
        Ok(answer) => fate(&name, &answer, now),
        Err(error) => {
            Fate::Deferred(Trouble::new((4, 4, 1), format!("{name} gives no answer: {}", error.reason)))
        }
    }
}

/// Read at each use, so that a new secret needs no restart.
fn secret(webhook: &Webhook) -> Result<WebhookSecret, String> {
    let path = webhook.secret_file.display();
    let unusable =
        |reason: &dyn std::fmt::Display| format!("the webhook's secret cannot be used: {path}: {reason}");
    let text = fs::read_to_string(&webhook.secret_file).map_err(|error| unusable(&error))?;
    text.parse().map_err(|error| unusable(&error))
}

/// The same at each try, so that a receiver can tell what it has seen.
fn id(entry: &QueueEntry, recipient: &QueuedRecipient) -> String {
    let whom = xxh3_64(recipient.address.to_lookup().as_bytes());
    format!("{}-{whom:016x}", entry.queue_id)
}

/// What a message alone does not tell.
fn envelope(entry: &QueueEntry, recipient: &QueuedRecipient) -> [(&'static str, String); 4] {
    let original = recipient.original.as_ref().unwrap_or(&recipient.address);
    [
        ("x-postrider-queue-id", entry.queue_id.to_string()),
        ("x-postrider-sender", entry.reverse_path.to_string()),
        ("x-postrider-recipient", recipient.address.to_string()),
        ("x-postrider-original-recipient", original.to_string()),
    ]
}

/// The signature, and the octets of the body.
async fn sign(mut body: Posted, mut signer: WebhookSigner) -> std::io::Result<(String, u64)> {
    let mut bytes = 0;
    while let Some(piece) = body.next().await? {
        bytes += piece.len() as u64;
        signer.push(&piece);
    }
    Ok((signer.finish(), bytes))
}

fn fate(name: &str, answer: &HttpResponse, now: Timestamp) -> Fate {
    let said = said(&answer.body);
    let colon = if said.is_empty() { "" } else { ": " };
    let status = answer.status;
    let reason = format!("{name} answered {status}{colon}{said}");
    match status {
        200..=299 => Fate::delivered(name, Some(format!("{status}{colon}{said}")), Success::Final),
        408 | 425 | 429 | 500..=599 => {
            let retry_after = answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
            Fate::Deferred(Trouble { retry_after, ..Trouble::new((4, 3, 0), reason) })
        }
        413 => Fate::Failed(Trouble::new((5, 3, 4), reason)),
        400..=499 => Fate::Failed(Trouble::new((5, 3, 0), reason)),
        _ => Fate::Deferred(Trouble::new((4, 3, 5), format!("{reason}, where 2xx was expected"))),
    }
}

/// RFC 9110 §10.2.3: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let seconds = || text.trim().parse().ok().map(Duration::from_secs);
    let until = || Timestamp::parse_rfc5322(text).ok().map(|until| until.since(now));
    seconds().or_else(until).map(|wait| wait.min(RETRY_AFTER_MAX))
}

fn said(body: &Bytes) -> String {
    let line = body.split(|octet| *octet == b'\n').next().unwrap_or_default();
    mail::text::clean_within(line.trim_ascii(), SAID_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fate_of(status: u16, retry: Option<&str>) -> Fate {
        let now = Timestamp::parse_rfc3339("2026-11-25T10:00:00Z").unwrap();
        let body = Bytes::from_static(b"no\x1b such hook\nat all");
        fate(
            "https://x/",
            &HttpResponse { status, content_type: None, retry_after: retry.map(str::to_owned), body },
            now,
        )
    }

    #[test]
    fn the_status_decides() {
        for status in [200, 202, 204] {
            assert!(matches!(fate_of(status, None), Fate::Delivered { .. }), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 599, 301, 302, 304, 999] {
            assert!(matches!(fate_of(status, None), Fate::Deferred(_)), "{status}");
        }
        for status in [400, 401, 403, 404, 410, 413, 422] {
            let Fate::Failed(trouble) = fate_of(status, None) else { panic!("{status}") };
            assert_eq!(trouble.reason, format!("https://x/ answered {status}: no\\u{{1b}} such hook"));
        }
    }

    #[test]
    fn a_server_may_say_when_to_come_again() {
        for (text, seconds) in [
            ("120", Some(120)),
            ("Wed, 25 Nov 2026 10:05:00 GMT", Some(300)),
            ("Wed, 25 Nov 2026 09:00:00 GMT", Some(0)),
            ("99999999999", Some(86_400)),
            ("soon", None),
            ("-5", None),
        ] {
            let Fate::Deferred(trouble) = fate_of(503, Some(text)) else { panic!("{text}") };
            assert_eq!(trouble.retry_after, seconds.map(Duration::from_secs), "{text}");
        }
    }
}
