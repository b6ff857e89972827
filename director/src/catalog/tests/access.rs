//! Daemons, certificates, tokens, users.

use common::ids::{Identity, Role};
use common::protocol::control::Hello;

use super::super::{ApiUser, Certificate, NewApiToken, NewDaemon, NewEnrolToken};
use super::*;

fn daemon(id: u128, role: Role, name: &str) -> NewDaemon {
    NewDaemon {
        identity: Identity {
            role,
            id: Uuid::from_u128(id),
        },
        name: name.into(),
        host: "host".into(),
        version: "0.1.0".into(),
        enrolled_at: at(0),
    }
}

#[tokio::test]
async fn a_daemon_is_known_by_identity_and_by_name() {
    let catalog = catalog().await;
    let web = daemon(1, Role::File, "web01");
    catalog.enrol_daemon(&web).await.unwrap();
    catalog
        .enrol_daemon(&daemon(2, Role::Storage, "web01"))
        .await
        .unwrap();
    let taken = catalog
        .enrol_daemon(&daemon(3, Role::File, "web01"))
        .await
        .unwrap_err();
    assert!(taken.is_duplicate(), "{taken}");
    let hello = Hello {
        host: "web01.example".into(),
        version: "0.2.0".into(),
        addresses: vec!["a:1".into(), "b:2".into()],
        privileged: true,
        own_folders: vec![b"/var/lib/\xff".to_vec()],
        ..Hello::default()
    };
    assert!(
        catalog
            .record_hello(web.identity, &hello, at(5))
            .await
            .unwrap()
    );
    let found = catalog
        .daemon_by_name(Role::File, "web01")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.identity, found.host.as_str(), found.last_seen_at),
        (web.identity, "web01.example", Some(at(5)))
    );
    assert_eq!(
        (found.addresses.len(), found.own_folders[0].as_slice()),
        (2, &b"/var/lib/\xff"[..])
    );
    catalog
        .record_seen(&[web.identity.id], at(9))
        .await
        .unwrap();
    assert_eq!(
        catalog
            .daemon(web.identity)
            .await
            .unwrap()
            .unwrap()
            .last_seen_at,
        Some(at(9))
    );
    assert_eq!(catalog.daemons(Some(Role::Storage)).await.unwrap().len(), 1);
    assert_eq!(catalog.daemons(None).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_revoked_daemon_is_shut_out_with_its_certificates_and_frees_its_name() {
    let catalog = catalog().await;
    let web = daemon(1, Role::File, "web01");
    catalog.enrol_daemon(&web).await.unwrap();
    let certificate = |serial: &[u8]| Certificate {
        serial: serial.to_vec(),
        identity: web.identity,
        issued_at: at(0),
        not_after: at(100),
        revoked_at: None,
    };
    catalog
        .record_certificate(&certificate(b"\x01\x02"))
        .await
        .unwrap();
    catalog
        .record_certificate(&certificate(b"\x03"))
        .await
        .unwrap();
    assert!(
        catalog
            .record_certificate(&certificate(b"\x03"))
            .await
            .is_err()
    );
    assert_eq!(
        catalog.certificate(b"\x03").await.unwrap(),
        Some(certificate(b"\x03"))
    );
    assert!(catalog.revoke_certificate(b"\x03", at(1)).await.unwrap());
    assert!(!catalog.revoke_certificate(b"\x03", at(2)).await.unwrap());
    assert_eq!(catalog.revoked_serials().await.unwrap(), [b"\x03".to_vec()]);
    assert!(catalog.revoke_daemon(web.identity, at(3)).await.unwrap());
    assert!(!catalog.revoke_daemon(web.identity, at(4)).await.unwrap());
    assert_eq!(catalog.revoked_serials().await.unwrap().len(), 2);
    assert_eq!(catalog.certificates(web.identity).await.unwrap().len(), 2);
    assert_eq!(
        catalog.daemon_by_name(Role::File, "web01").await.unwrap(),
        None
    );
    assert!(
        !catalog
            .record_hello(web.identity, &Hello::default(), at(5))
            .await
            .unwrap()
    );
    catalog
        .enrol_daemon(&daemon(3, Role::File, "web01"))
        .await
        .unwrap();
}

#[tokio::test]
async fn an_enrolment_token_works_once_and_in_time() {
    let catalog = catalog().await;
    let token = |byte, expires| NewEnrolToken {
        sha256: [byte; 32],
        role: Role::File,
        name: "web01".into(),
        created_by: "admin".into(),
        created_at: at(0),
        expires_at: at(expires),
    };
    catalog.create_enrol_token(&token(1, 100)).await.unwrap();
    catalog.create_enrol_token(&token(2, 10)).await.unwrap();
    assert_eq!(catalog.open_enrol_tokens(at(5)).await.unwrap().len(), 2);
    let (a, b) = tokio::join!(
        catalog.use_enrol_token([1; 32], at(50)),
        catalog.use_enrol_token([1; 32], at(50))
    );
    let used: Vec<_> = [a.unwrap(), b.unwrap()].into_iter().flatten().collect();
    assert_eq!(used.len(), 1);
    assert_eq!((used[0].name.as_str(), used[0].role), ("web01", Role::File));
    assert_eq!(
        catalog.use_enrol_token([2; 32], at(50)).await.unwrap(),
        None,
        "expired"
    );
    assert_eq!(
        catalog.use_enrol_token([3; 32], at(50)).await.unwrap(),
        None,
        "unknown"
    );
    assert_eq!(
        catalog
            .withdraw_enrol_tokens(Role::File, "web01")
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn an_api_token_names_its_user_until_withdrawn() {
    let catalog = catalog().await;
    let user = ApiUser {
        name: "ann".into(),
        role: "operator".into(),
        password: String::new(),
        created_at: at(0),
        disabled_at: None,
    };
    catalog.set_api_user(&user).await.unwrap();
    let token = |byte, expires_at| NewApiToken {
        sha256: [byte; 32],
        user: "ann".into(),
        label: "ci".into(),
        created_at: at(0),
        expires_at,
    };
    catalog.create_api_token(&token(1, None)).await.unwrap();
    catalog
        .create_api_token(&token(2, Some(at(10))))
        .await
        .unwrap();
    let stranger = NewApiToken {
        user: "bob".into(),
        ..token(3, None)
    };
    assert!(catalog.create_api_token(&stranger).await.is_err());
    assert!(catalog.user_of_token([1; 32], at(50)).await.unwrap() == Some(user.clone()));
    assert!(
        catalog
            .user_of_token([2; 32], at(50))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        catalog
            .user_of_token([2; 32], at(5))
            .await
            .unwrap()
            .is_some()
    );
    let tokens = catalog.api_tokens(Some("ann")).await.unwrap();
    assert_eq!(
        tokens.iter().map(|t| t.last_used_at).collect::<Vec<_>>(),
        [Some(at(50)), Some(at(5))]
    );
    assert!(catalog.withdraw_api_token(&[2; 32]).await.unwrap());
    assert!(!catalog.withdraw_api_token(&[2; 32]).await.unwrap());
    assert!(catalog.disable_api_user("ann", at(60)).await.unwrap());
    assert!(
        catalog
            .user_of_token([1; 32], at(70))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        catalog
            .api_user("ann")
            .await
            .unwrap()
            .unwrap()
            .disabled_at
            .is_some()
    );
    assert_eq!(catalog.api_users().await.unwrap().len(), 1);
    assert!(!format!("{user:?}").contains("password"));
}
