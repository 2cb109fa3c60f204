//! AUTH where names, passwords and patience matter.

use login::Limits;
use proto::smtp::server::Flavour;
use store::directory::Service;

use crate::testing::{Site, config};

/// `bob@here.example` with the password "secret", and with "wrong".
const RIGHT: &str = "AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAc2VjcmV0";
const WRONG: &str = "AUTH PLAIN AGJvYkBoZXJlLmV4YW1wbGUAd3Jvbmc=";

#[tokio::test]
async fn too_many_failures_put_off_even_the_right_password() {
    let site = Site::new(config(vec![])).await;
    site.mta.logins.reload(Limits { attempts: 1, ..Limits::default() }, None);
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog(&format!("C: {WRONG}\nS: 535 5.7.8\nC: {WRONG}\nS: 454 4.7.0")).await;
    let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
    wire.dialog(&format!("C: {RIGHT}\nS: 454 4.7.0")).await;
    let window = std::time::Duration::from_hours(24);
    site.mta.logins.reload(Limits { attempts: 10, window, ..Limits::default() }, None);
    wire.dialog(&format!("C: {RIGHT}\nS: 235")).await;
}

#[tokio::test]
async fn names_and_passwords_in_another_normal_form_log_in_by_every_mechanism() {
    let site = Site::new(config(vec![])).await;
    let (entropy, now) = (&*site.mta.world.entropy, site.mta.world.clock.wall());
    let zoe = "zo\u{eb}@here.example".parse().unwrap();
    site.stores.directory.add_account(&zoe, "caf\u{e9}", None, entropy, now).await.unwrap();
    for (plain, user, password) in [
        // zoë and café with one character each, with a letter and a mark each, and ZOË.
        ("AHpvw6tAaGVyZS5leGFtcGxlAGNhZsOp", "em/Dq0BoZXJlLmV4YW1wbGU=", "Y2Fmw6k="),
        ("AHpvZcyIQGhlcmUuZXhhbXBsZQBjYWZlzIE=", "em9lzIhAaGVyZS5leGFtcGxl", "Y2FmZcyB"),
        ("AFpPw4tASEVSRS5leGFtcGxlAGNhZsOp", "Wk/Di0BIRVJFLmV4YW1wbGU=", "Y2Fmw6k="),
    ] {
        let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
        wire.dialog(&format!("C: AUTH PLAIN {plain}\nS: 235")).await;
        let mut wire = site.connect_to("127.0.0.1", Flavour::Submission).await;
        wire.dialog(&format!("C: AUTH LOGIN\nS: 334\nC: {user}\nS: 334\nC: {password}\nS: 235")).await;
    }
}

#[tokio::test]
async fn an_app_password_for_reading_sends_nothing_and_one_for_sending_fetches_nothing() {
    let site = Site::new(config(vec![])).await;
    let (entropy, now) = (&*site.mta.world.entropy, site.mta.world.clock.wall());
    let bob = "bob@here.example".parse().unwrap();
    for (service, flavour, reply) in [
        (Service::Pop3, Flavour::Submission, "535 5.7.8"),
        (Service::Submission, Flavour::Submission, "235"),
        (Service::Submission, Flavour::Odmr, "535 5.7.8"),
        (Service::Odmr, Flavour::Odmr, "235"),
    ] {
        let made =
            site.stores.directory.add_app_password(&bob, None, &[service], entropy, now).await.unwrap();
        let plain = proto::sasl::encode(format!("\0bob@here.example\0{}", made.1).as_bytes());
        let mut wire = site.connect_to("127.0.0.1", flavour).await;
        wire.dialog(&format!("C: AUTH PLAIN {plain}\nS: {reply}")).await;
    }
}
