//! Replies of a remote server: soon.
