//! The user agent on the command line.

pub mod mailbox;
pub mod message;

pub async fn send_welcome(
    _world: &world::World,
    _server: &str,
    _accounts: &[&str],
) -> Result<(), crate::Failure> {
    Ok(())
}
