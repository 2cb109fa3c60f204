//! Leaving a mailing list by the address in its header (RFC 8058).

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::{Request, StatusCode, body::Body};
use mail::{Address, list::read_unsubscribe_token};
use store::{
    Batch, CommitError, StoreError,
    directory::{ListId, MailingList},
};

use crate::{Web, page, reply::Reply};

/// Octets of what is posted.
const BODY_BYTES_MAX: usize = 8 * 1024;
/// How often a change is tried that meets others.
const TRIES_MAX: usize = 4;

/// A page with a button. It changes nothing: programs that look at every address in a message come here too.
pub(crate) async fn ask(web: &Web, token: &str) -> Reply {
    let found = match read(web, token).await {
        Ok(Some((list, member))) => list_of(web, list).await.map(|list| list.map(|list| (list, member))),
        Ok(None) => Ok(None),
        Err(error) => Err(error),
    };
    match found {
        Ok(Some((list, member))) => {
            Reply::page(StatusCode::OK, page::confirm(&list.address.to_string(), &member.to_string()))
        }
        Ok(None) => Reply::page(StatusCode::NOT_FOUND, page::unknown()),
        Err(error) => unreadable(&error),
    }
}

/// RFC 8058 §3.2: what is posted says so; no cookie, no login, no further question.
pub(crate) async fn leave<B>(web: &Web, token: &str, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX);
    // Too long, or broken off.
    let Ok(body) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        return Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "too much was posted\n");
    };
    if !says_so(&body) {
        return Reply::text(
            StatusCode::BAD_REQUEST,
            "List-Unsubscribe=One-Click has to be posted (RFC 8058)\n",
        );
    }
    match read(web, token).await {
        Ok(Some((list, member))) => remove(web, list, &member).await,
        Ok(None) => Reply::text(StatusCode::NOT_FOUND, "this address is not one of ours\n"),
        Err(error) => unreadable(&error),
    }
}

/// As `application/x-www-form-urlencoded` or a part of `multipart/form-data` (RFC 8058 §3.1).
fn says_so(body: &Bytes) -> bool {
    let text = String::from_utf8_lossy(body);
    let in_pairs = text.trim().split('&').any(|pair| pair == "List-Unsubscribe=One-Click");
    let mut lines = text.lines().map(str::trim);
    let in_part = lines.any(|line| line.contains("name=\"List-Unsubscribe\""))
        && lines.skip_while(|line| !line.is_empty()).nth(1) == Some("One-Click");
    in_pairs || in_part
}

async fn read(web: &Web, token: &str) -> Result<Option<(ListId, Address)>, StoreError> {
    let Some(seal) = web.stores.directory.seal().await? else { return Ok(None) };
    Ok(read_unsubscribe_token(&seal, token).map(|(list, member)| (ListId(list), member)))
}

async fn list_of(web: &Web, id: ListId) -> Result<Option<MailingList>, StoreError> {
    Ok(web.stores.directory.lists().await?.into_iter().find(|list| list.id == id))
}

async fn remove(web: &Web, list: ListId, member: &Address) -> Reply {
    for _ in 0..TRIES_MAX {
        let mut batch = Batch::new();
        let gone = web.stores.directory.stage_leave(&mut batch, list, std::slice::from_ref(member)).await;
        match gone {
            // Who presses twice is not told off.
            Ok(gone) if gone.is_empty() => return done(),
            Ok(_) => {}
            Err(error) => return unreadable(&error),
        }
        match web.stores.engine.commit(batch).await {
            Ok(_) => {
                tracing::info!(list = list.0, %member, "left by one-click unsubscription");
                return done();
            }
            Err(CommitError::Conflict(_)) => {}
            Err(error) => {
                tracing::error!(%error, "a member cannot be taken out");
                return Reply::later();
            }
        }
    }
    Reply::later()
}

fn done() -> Reply {
    Reply::text(StatusCode::OK, "You have left the list and get no more mail from it.\n")
}

fn unreadable(error: &StoreError) -> Reply {
    tracing::error!(%error, "the directory cannot be read");
    Reply::later()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_posted_has_to_say_so() {
        let says = |text: &str| says_so(&Bytes::copy_from_slice(text.as_bytes()));
        assert!(says("List-Unsubscribe=One-Click"));
        assert!(says("a=b&List-Unsubscribe=One-Click\r\n"));
        assert!(says(
            "--x\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--x--\r\n"
        ));
        for bad in
            ["", "List-Unsubscribe=", "xList-Unsubscribe=One-Click", "name=\"List-Unsubscribe\"", "One-Click"]
        {
            assert!(!says(bad), "{bad}");
        }
    }
}
