//! `account app-password`.

use store::directory::{AppPassword, DirectoryError};

use super::{
    Admin,
    directory::parse_address,
    protocol::{AdminResponse, AppPasswordAction, AppPasswordView, Secret},
};

/// The error is the answer when it fails.
pub async fn execute(
    admin: &Admin,
    address: &str,
    action: AppPasswordAction,
) -> Result<AdminResponse, DirectoryError> {
    let directory = &admin.stores.directory;
    let address = parse_address(address)?;
    Ok(match action {
        AppPasswordAction::Add { name, services } => {
            let (entropy, now) = (&*admin.world.entropy, admin.world.clock.wall());
            let (made, password) =
                directory.add_app_password(&address, name.as_deref(), &services, entropy, now).await?;
            let services = words(&made);
            AdminResponse::Password {
                address: address.to_string(),
                password: Some(Secret(password)),
                message: format!(
                    "{address} has the app password {:?} for {}",
                    made.name,
                    services.join(", ")
                ),
            }
        }
        AppPasswordAction::List => {
            let found = directory.app_passwords(&address).await?;
            AdminResponse::AppPasswords { app_passwords: found.iter().map(view).collect() }
        }
        AppPasswordAction::Remove { name } => {
            directory.remove_app_password(&address, &name).await?;
            AdminResponse::done(format_args!("the app password {name:?} of {address} is removed"))
        }
    })
}

fn view(password: &AppPassword) -> AppPasswordView {
    AppPasswordView {
        name: password.name.clone(),
        services: words(password),
        created_at: password.created_at.rfc3339(),
        last_used_at: password.last_used_at.map(mail::Timestamp::rfc3339),
    }
}

fn words(password: &AppPassword) -> Vec<String> {
    password.services.iter().map(ToString::to_string).collect()
}
