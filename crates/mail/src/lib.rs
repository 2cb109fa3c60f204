//! The words of the field, without I/O or a clock: addresses, envelopes, replies, trace headers, delivery reports.

mod address;
pub mod address_list;
pub mod cause;
pub mod charset;
pub mod convert;
mod delivery;
mod envelope;
mod full_name;
pub mod header;
pub mod limits;
pub mod list;
pub mod mime;
pub mod mta_sts;
pub mod precis;
mod queue_id;
pub mod received;
mod reply;
pub mod report;
mod rights;
pub mod scram;
pub mod seal;
pub mod srs;
pub mod terminal;
pub mod text;
mod timestamp;
pub mod tls_report;
pub mod verp;
pub mod webhook;
pub mod xtext;

pub use address::{Address, AddressError, Domain, ForwardPath, Host, LocalPart, ReversePath};
pub use delivery::Delivery;
pub use envelope::{
    Body, ByMode, DeliverBy, Envelope, Hold, MailParameters, MtPriority, Notify, OriginalRecipient,
    ParameterError, RcptParameters, Recipient, Return, Solicitation, TlsDemand, Tracking, ValidSince,
};
pub use full_name::{FULL_NAME_BYTES_MAX, FullName, FullNameError, name_and_address};
pub use queue_id::{QueueId, QueueIdError};
pub use reply::{EnhancedStatus, EnhancedStatusError, Reply};
pub use rights::{Right, Rights, RightsChange};
pub use timestamp::{Timestamp, TimestampError};
