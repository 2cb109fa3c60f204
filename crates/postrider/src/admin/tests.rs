use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{protocol::*, *};

fn admin() -> Admin {
    let engine = Arc::new(store::memory::MemoryEngine::new());
    Admin {
        stores: Stores::new(engine),
        world: World::system(),
        queue: QueueHand::Offline,
        config: None,
        listeners: Vec::new(),
    }
}

fn round_trip(request: &AdminRequest) {
    let line = serde_json::to_string(request).unwrap();
    assert!(!line.contains('\n'));
    assert_eq!(&serde_json::from_str::<AdminRequest>(&line).unwrap(), request);
}

#[test]
fn requests_survive_the_wire() {
    round_trip(&AdminRequest::Status);
    round_trip(&AdminRequest::AccountAdd {
        address: "anna@example.org".to_owned(),
        password: Some(Secret("s3cret\n".to_owned())),
        quota_bytes: Some(5),
        full_name: Some("Anna".to_owned()),
    });
    round_trip(&AdminRequest::Queue(QueueRequest {
        action: QueueAction::Hold,
        selector: selector::Selector { older_than_s: Some(60), ..Default::default() },
        dry_run: true,
        after: Some(Cursor::new(&[0x10, 3])),
        limit: Some(5),
        reason: Some("a flood".to_owned()),
        lane: None,
    }));
}

#[test]
fn secrets_do_not_show() {
    let request = AdminRequest::AccountPassword {
        address: "a@b".to_owned(),
        password: Some(Secret("hush".to_owned())),
    };
    assert!(!format!("{request:?}").contains("hush"));
}

/// What the server answers to these octets on one connection.
async fn talk(octets: &[u8]) -> Vec<AdminResponse> {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let server = tokio::spawn(async move {
        let _ = socket::converse(Box::new(theirs), &admin(), None).await;
    });
    let (mut reader, mut writer) = tokio::io::split(ours);
    let octets = octets.to_vec();
    let sender = tokio::spawn(async move {
        let _ = writer.write_all(&octets).await;
        let _ = writer.shutdown().await;
    });
    let mut answer = String::new();
    let _ = reader.read_to_string(&mut answer).await;
    server.await.unwrap();
    sender.await.unwrap();
    answer.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn garbage_gets_an_error_and_the_connection_lives() {
    let answers = talk(b"\xff\x00garbage\n{\"request\":\"nonsense\"}\n\n{\"request\":\"status\"}\n").await;
    let [first, second, third, last] = answers.as_slice() else { panic!("{answers:?}") };
    for answer in [first, second, third] {
        assert!(
            matches!(answer, AdminResponse::Error { message } if message.starts_with("not a request")),
            "{answer:?}"
        );
    }
    assert!(matches!(last, AdminResponse::Status { .. }), "{last:?}");
}

#[tokio::test]
async fn a_request_without_end_is_cut_off() {
    let answers = talk(&vec![b'x'; REQUEST_BYTES_MAX + 10]).await;
    assert!(
        matches!(answers.as_slice(), [AdminResponse::Error { message }] if message.contains("longer than"))
    );
}

#[tokio::test]
async fn the_directory_is_administered() {
    let admin = admin();
    let add = |address: &str| AdminRequest::AccountAdd {
        address: address.to_owned(),
        password: None,
        quota_bytes: None,
        full_name: None,
    };
    let refused = admin.execute(add("anna@example.org")).await;
    assert!(
        matches!(&refused, AdminResponse::Error { message } if message.contains("postrider domain add example.org"))
    );
    admin.execute(AdminRequest::DomainAdd { domain: "example.org".to_owned() }).await;
    let AdminResponse::Password { password: Some(Secret(made)), .. } =
        admin.execute(add("anna@example.org")).await
    else {
        panic!("an account is made")
    };
    assert!(admin.stores.directory.authenticate("anna@example.org", &made).await.unwrap().is_some());
    let empty = AdminRequest::AccountPassword {
        address: "anna@example.org".to_owned(),
        password: Some(Secret(String::new())),
    };
    assert!(matches!(admin.execute(empty).await, AdminResponse::Error { .. }));
    let AdminResponse::Domains { domains } = admin.execute(AdminRequest::DomainList).await else {
        panic!("domains")
    };
    assert_eq!((domains.len(), domains[0].accounts), (1, 1));
    let bad = admin.execute(add("not an address")).await;
    assert!(
        matches!(&bad, AdminResponse::Error { message } if message.contains("anna@example.org")),
        "{bad:?}"
    );
}
