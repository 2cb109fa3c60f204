//! The options of `[mailboxes]`.

use super::{
    section::section,
    types::{MailAddress, Size, Span},
};

section! {
    /// Mail that people have here.
    Mailboxes "[mailboxes]" {
        /// Messages that were expunged, or deleted with their mailbox, can be restored for so long (`postrider undelete`).
        /// "0s": they are gone at once.
        undelete_for: Span = Span::seconds(7 * 86_400);
        /// But no more than so much of each account; what goes beyond it is gone at once.
        undelete_bytes_max: Size = Size::mib(1024);
        /// The account whose mailboxes are seen under "Shared/" in IMAP, as far as it shares them (`postrider mailbox share`).
        /// Those of others are seen under "Other Users/". Without it there is no "Shared/".
        shared_account: Option<MailAddress> = None, example "\"shared@example.org\"";
        /// Whether accounts may share with everybody who has an account here (SETACL with `anyone`): it shows in all their
        /// lists. `postrider mailbox share` may do so in any case.
        share_with_anyone: bool = false;
    }
}
