//! Quota resources (RFC 9208).

use super::{
    super::{
        cursor::Cursor,
        error::{Parsed, expected},
    },
    Command,
};

/// RFC 9208 §5
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuotaResource {
    /// In units of 1024 octets.
    Storage,
    Message,
    Mailbox,
    AnnotationStorage,
}

impl QuotaResource {
    const ALL: [Self; 4] = [Self::Storage, Self::Message, Self::Mailbox, Self::AnnotationStorage];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Storage => "STORAGE",
            Self::Message => "MESSAGE",
            Self::Mailbox => "MAILBOX",
            Self::AnnotationStorage => "ANNOTATION-STORAGE",
        }
    }

    pub(super) fn parse_set_quota(cursor: &mut Cursor<'_>) -> Parsed<Command> {
        let root = cursor.text("a quota root")?;
        cursor.space()?;
        let limits = cursor.list_or_none("limits", |cursor| {
            let name = cursor.atom("a resource")?;
            let found = Self::ALL.into_iter().find(|resource| resource.name().eq_ignore_ascii_case(name));
            cursor.space()?;
            let limit = cursor.number64()?;
            found.map_or_else(|| expected("a resource that is known"), |resource| Ok((resource, limit)))
        })?;
        Ok(Command::SetQuota { root, limits })
    }
}
