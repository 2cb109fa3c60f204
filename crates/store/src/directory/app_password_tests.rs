use world::SystemEntropy;

use super::*;
use crate::{
    memory::MemoryEngine,
    testing::{at, keys},
};

const HOUR_MS: i64 = 60 * 60 * 1000;

async fn anna() -> (Directory, Arc<dyn Engine>, Address) {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::new());
    let directory = Directory::new(engine.clone());
    directory.add_domain(&"example.org".parse().unwrap(), at(0)).await.unwrap();
    let anna: Address = "anna@example.org".parse().unwrap();
    directory.add_account(&anna, "secret", None, &SystemEntropy, at(0)).await.unwrap();
    (directory, engine, anna)
}

async fn add(directory: &Directory, anna: &Address, name: Option<&str>) -> (AppPassword, String) {
    directory.add_app_password(anna, name, &Service::ALL, &SystemEntropy, at(0)).await.unwrap()
}

async fn opens(directory: &Directory, login: &str, password: &str, now: Timestamp) -> bool {
    let found = directory.log_in(login, password, Service::Pop3, &SystemEntropy, now).await.unwrap();
    found.is_some()
}

#[test]
fn made_passwords_differ_and_read_well() {
    let (first, second) = (make_password(&SystemEntropy), make_password(&SystemEntropy));
    assert_ne!(first, second);
    assert_eq!(first.len(), 19);
    assert!(first.chars().all(|c| c == '-' || c.is_ascii_alphanumeric()));
}

#[tokio::test]
async fn app_passwords_come_and_go_with_their_account() {
    let (directory, engine, anna) = anna().await;
    let (first, phone) = add(&directory, &anna, None).await;
    let (second, tablet) = add(&directory, &anna, Some(" Anna's tablet ")).await;
    assert_eq!((first.name.as_str(), second.name.as_str()), ("app-1", "Anna's tablet"));
    assert!(opens(&directory, "anna@example.org", &phone, at(0)).await);
    assert!(opens(&directory, "anna@example.org", &tablet, at(0)).await);
    assert!(opens(&directory, "anna@example.org", "secret", at(0)).await);
    assert!(!opens(&directory, "bob@example.org", &phone, at(0)).await);
    assert!(directory.authenticate("anna@example.org", &phone).await.unwrap().is_none(), "not the main one");
    directory.set_password(&anna, "other", &SystemEntropy).await.unwrap();
    assert!(opens(&directory, "anna@example.org", &phone, at(0)).await, "programs go on");
    directory.remove_app_password(&anna, "app-1").await.unwrap();
    assert!(!opens(&directory, "anna@example.org", &phone, at(0)).await);
    assert_eq!(directory.app_passwords(&anna).await.unwrap().len(), 1);
    directory.remove_account(&anna).await.unwrap();
    directory.add_account(&anna, "secret", None, &SystemEntropy, at(0)).await.unwrap();
    assert!(!opens(&directory, "anna@example.org", &tablet, at(0)).await, "another Anna");
    assert!(keys(&engine, crate::keys::APP_PASSWORD).await.is_empty());
}

#[tokio::test]
async fn names_are_told_apart_and_there_are_only_so_many() {
    let (directory, _, anna) = anna().await;
    add(&directory, &anna, Some("phone")).await;
    for bad in ["phone", "", " ", "two\nlines", &"x".repeat(65)] {
        let refused =
            directory.add_app_password(&anna, Some(bad), &Service::ALL, &SystemEntropy, at(0)).await;
        assert!(matches!(refused, Err(DirectoryError::Invalid(_))), "{bad:?}");
    }
    assert!(matches!(directory.remove_app_password(&anna, "none").await, Err(DirectoryError::Invalid(_))));
    for _ in 1..50 {
        add(&directory, &anna, None).await;
    }
    let refused = directory.add_app_password(&anna, None, &Service::ALL, &SystemEntropy, at(0)).await;
    assert!(matches!(refused, Err(DirectoryError::Invalid(_))));
    let nobody = "nobody@example.org".parse().unwrap();
    assert!(matches!(directory.app_passwords(&nobody).await, Err(DirectoryError::AccountUnknown(_))));
}

#[tokio::test]
async fn the_last_use_is_noted_once_an_hour() {
    let (directory, _, anna) = anna().await;
    let (_, password) = add(&directory, &anna, None).await;
    for (now, noted) in [(at(1000), 1000), (at(2000), 1000), (at(1000 + HOUR_MS), 1000 + HOUR_MS)] {
        assert!(opens(&directory, "anna@example.org", &password, now).await);
        let mut last = None;
        for _ in 0..100 {
            tokio::task::yield_now().await;
            last = directory.app_passwords(&anna).await.unwrap()[0].last_used_at;
        }
        assert_eq!(last, Some(at(noted)));
    }
}
