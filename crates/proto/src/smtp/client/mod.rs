//! The client: soon.
