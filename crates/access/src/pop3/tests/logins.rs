//! Who is let in, and who is put off.

use ::login::Limits;
use store::directory::Service;

use super::*;

const ALICE: &str = "alice@example.org";

#[tokio::test]
async fn too_many_failures_put_off_even_the_right_password() {
    let house = House::with_alice().await;
    house.logins.reload(Limits { attempts: 2, ..Limits::default() }, None);
    for words in [
        "-ERR [AUTH] the user name or the password is wrong",
        "-ERR [AUTH] the user name or the password is wrong",
        "-ERR [SYS/TEMP] too many logins failed; try again later",
    ] {
        let mut client = house.connect_locally().await;
        client
            .converse(&format!("C: USER {ALICE}\nS: +OK now the password\nC: PASS wrong\nS: {words}"))
            .await;
    }
    let mut client = house.connect_locally().await;
    client
        .converse(
            "C: USER alice@example.org
             S: +OK now the password
             C: PASS open sesame
             S: -ERR [SYS/TEMP] too many logins failed; try again later
             C: AUTH SCRAM-SHA-256 biwsbj1hbGljZUBleGFtcGxlLm9yZyxyPWFiY2Q=
             S: -ERR [SYS/TEMP] too many logins failed; try again later",
        )
        .await;
}

#[tokio::test]
async fn an_app_password_opens_the_maildrop_if_it_is_for_pop3() {
    let house = House::with_alice().await;
    let (alice, now) = (ALICE.parse().unwrap(), SystemClock.wall());
    let directory = &house.stores.directory;
    for (service, answer) in [(Service::Pop3, "+OK 0 messages"), (Service::Submission, "-ERR [AUTH]")] {
        let (_, password) =
            directory.add_app_password(&alice, None, &[service], &SystemEntropy, now).await.unwrap();
        let mut client = house.connect_locally().await;
        client.converse(&format!("C: USER {ALICE}\nS: +OK now the password")).await;
        client.say(&format!("PASS {password}")).await;
        assert!(client.hear().await.starts_with(answer), "{service}");
    }
}

#[tokio::test]
async fn control_characters_open_nothing_and_the_session_goes_on() {
    let house = House::with_alice().await;
    let mut client = house.connect_locally().await;
    client
        .converse(
            "C: AUTH PLAIN AGFsaWNlQGV4YW1wbGUub3JnAG9wZW4JZXNhbWU=
             S: -ERR [AUTH] the user name or the password is wrong
             C: AUTH PLAIN AEFMSUNFQEVYQU1QTEUuT1JHAG9wZW4gc2VzYW1l
             S: +OK 0 messages (0 octets)",
        )
        .await;
}
