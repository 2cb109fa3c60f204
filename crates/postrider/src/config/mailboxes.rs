//! The options of `[mailboxes]`.

use super::{
    section::section,
    types::{Size, Span},
};

section! {
    /// Mail that people have here.
    Mailboxes "[mailboxes]" {
        /// Messages that were expunged, or deleted with their mailbox, can be restored for so long (`postrider undelete`).
        /// "0s": they are gone at once.
        undelete_for: Span = Span::seconds(7 * 86_400);
        /// But no more than so much of each account; what goes beyond it is gone at once.
        undelete_bytes_max: Size = Size::mib(1024);
    }
}
