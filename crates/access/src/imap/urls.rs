//! Messages and their parts by URL (RFC 5092), and who may read them with one that is signed (RFC 4467).

use bytes::Bytes;
use mail::{Right, Timestamp, seal::Seal};
use proto::imap::{
    command::{Partial, SectionText},
    url::{MessageUrl, UrlAccess, UrlAuthorization, UrlSignature},
};
use store::{
    StoreError, Stores,
    directory::{Account, login_address},
    mailbox::{Summary, Uid, UrlKey},
    sharing::Reached,
};

use super::fetch::{Form, Stream, form, measure, place};

/// The only mechanism (RFC 4467 §5): nobody but this server has the key.
pub(super) const MECHANISM: &str = "INTERNAL";
/// HMAC with SHA-256, in front of each token.
const ALGORITHM: &str = "01";
/// What the keys are for.
const PURPOSE: &str = "urlauth";

/// Who wants to read what a URL names.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reader<'a> {
    /// Over IMAP.
    Person(&'a Account),
    /// To be sent in their name.
    Submission(&'a Account),
}

/// Content that a URL named, piece by piece.
pub struct UrlContent {
    stores: Stores,
    stream: Stream,
    first: Option<Bytes>,
    octets: u64,
}

impl std::fmt::Debug for UrlContent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UrlContent({} octets)", self.octets)
    }
}

impl UrlContent {
    /// In all.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// The next octets, maybe none; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, StoreError> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.stream.next(&self.stores.mailboxes).await,
        }
    }
}

/// Why nothing is read.
#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    #[error("that is no URL of a message, or of a part of one")]
    Malformed,
    #[error("that URL is not for you, or no longer")]
    NotAuthorized,
    #[error("what the URL names is not there")]
    NotFound,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a signed URL names, for a message that its submitter sends (RFC 4468).
pub async fn open_for_submission(
    stores: &Stores,
    submitter: &Account,
    url: &str,
    now: Timestamp,
) -> Result<UrlContent, UrlError> {
    open_signed(stores, Reader::Submission(submitter), url, now).await
}

/// What a signed URL names. Its signer must still be able to read it (RFC 4467 §3).
pub(super) async fn open_signed(
    stores: &Stores,
    reader: Reader<'_>,
    url: &str,
    now: Timestamp,
) -> Result<UrlContent, UrlError> {
    let parsed = MessageUrl::parse(url).ok_or(UrlError::Malformed)?;
    let signer = signer(stores, &parsed).await?.ok_or(UrlError::NotAuthorized)?;
    let authorization = parsed.authorization.as_ref().ok_or(UrlError::NotAuthorized)?;
    let is_over = authorization.expires.is_some_and(|expires| expires <= now);
    if is_over || !is_for(&authorization.access, reader) {
        return Err(UrlError::NotAuthorized);
    }
    let reached = stores.sharing.reach(&signer, parsed.mailbox.as_str()).await?;
    let reached = reached.ok_or(UrlError::NotAuthorized)?;
    let key = stores.mailboxes.url_key(signer.id, reached.mailbox.id).await?;
    if !key.is_some_and(|key| is_signed(url, authorization, &key)) {
        return Err(UrlError::NotAuthorized);
    }
    open(stores, &reached, &parsed).await?.ok_or(UrlError::NotFound)
}

/// The account whose name stands in the URL.
pub(super) async fn signer(stores: &Stores, url: &MessageUrl) -> Result<Option<Account>, StoreError> {
    let user = url.server.as_ref().and_then(|server| server.user.as_deref());
    match user.and_then(login_address) {
        Some(address) => stores.directory.account(&address).await,
        None => Ok(None),
    }
}

fn is_for(access: &UrlAccess, reader: Reader<'_>) -> bool {
    let (Reader::Person(account) | Reader::Submission(account)) = reader;
    let is_meant = |user: &str| {
        login_address(user).is_some_and(|address| address.to_lookup() == account.address.to_lookup())
    };
    match access {
        UrlAccess::Submit(user) => matches!(reader, Reader::Submission(_)) && is_meant(user),
        UrlAccess::User(user) => is_meant(user),
        // Nobody gets here without a login.
        UrlAccess::AuthUser | UrlAccess::Anonymous => true,
    }
}

/// `rump`: the URL up to its access identifier.
pub(super) fn sign(rump: &str, key: &UrlKey) -> String {
    let tag = Seal::new(key.octets()).hex_tag(PURPOSE, &[rump]);
    format!("{rump}:{}:{ALGORITHM}{tag}", MECHANISM.to_ascii_lowercase())
}

fn is_signed(url: &str, authorization: &UrlAuthorization, key: &UrlKey) -> bool {
    let (Some(rump), Some(UrlSignature { mechanism, token })) =
        (url.get(..authorization.rump_bytes), &authorization.signature)
    else {
        return false;
    };
    let tag = token.strip_prefix(ALGORITHM).filter(|_| mechanism == MECHANISM);
    tag.is_some_and(|tag| Seal::new(key.octets()).fits_hex(PURPOSE, &[rump], tag))
}

/// What the URL names in the mailbox that its name led to; `None`: it is not there, or may not be read.
pub(super) async fn open(
    stores: &Stores,
    reached: &Reached,
    url: &MessageUrl,
) -> Result<Option<UrlContent>, StoreError> {
    let Reached { mailbox, rights, .. } = reached;
    if !rights.has(Right::Read) || url.uid_validity.is_some_and(|known| known != mailbox.uid_validity) {
        return Ok(None);
    }
    let mailboxes = &stores.mailboxes;
    let Some(message) = mailboxes.message(mailbox.id, Uid(url.uid)).await? else { return Ok(None) };
    let range = match (&url.section.text, url.section.part.as_slice()) {
        (SectionText::All, []) => Some(0..message.record.octets()),
        (text, part) => {
            let Summary { structure, .. } = mailboxes.summary(mailbox.id, &message).await?;
            structure.section(part, place(text))
        }
    };
    let (Some(range), form): (_, Form) = (range, form(&url.section.text)) else { return Ok(None) };
    let partial = url.partial.map(|(offset, octets)| Partial { offset, octets: octets.unwrap_or(u64::MAX) });
    let opened = async {
        let measured = measure(mailboxes, &message.record, range.clone(), &form).await?;
        let mut stream = Stream::new(&message.record, range, &form, measured.octets, partial);
        let octets = stream.left();
        // Read before anybody is promised any.
        let first = stream.next(mailboxes).await?;
        Ok(UrlContent { stores: stores.clone(), stream, first, octets })
    };
    match opened.await {
        // Its last reference went between the look-up and now.
        Err(StoreError::NotFound) => Ok(None),
        opened => opened.map(Some),
    }
}
