//! Tokens, enrolment, renewal, revocation.

use std::time::Duration;

use common::clock::now_ms;
use common::ids::Role;
use common::net::enrol::{EnrolError, enrol, renew};
use common::net::framed::FrameError;
use common::net::issuer::LEAF_LIFE_MS;
use common::net::pki::{CredentialParts, Credentials, PendingKey};
use common::protocol::fault::code;

use super::{LIMIT, Rig};
use crate::daemons::Happening;

fn refusal(error: EnrolError) -> String {
    match error {
        EnrolError::Talk(FrameError::Fault(fault)) => fault.code,
        other => other.to_string(),
    }
}

#[tokio::test]
async fn a_token_is_good_once_for_its_role_in_its_time_at_its_installation() {
    let rig = Rig::new().await;
    let folder = rig.folder.path().join("web01");
    let token = rig.token(Role::File, "web01", LIMIT).await;

    let wrong_role = enrol(&token, Role::Storage, &folder).await.unwrap_err();
    assert!(matches!(wrong_role, EnrolError::Role { .. }));

    let mut other_installation = token.clone();
    other_installation.root_sha256 = vec![7; 32];
    let error = enrol(&other_installation, Role::File, &folder)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    let mut guessed = token.clone();
    guessed.secret = vec![7; 32];
    let error = enrol(&guessed, Role::File, &folder).await.unwrap_err();
    assert_eq!(refusal(error), code::REFUSED);

    let made = enrol(&token, Role::File, &folder).await.unwrap();
    assert_eq!(
        (made.identity.role, made.name.as_str()),
        (Role::File, "web01")
    );
    let known = rig.catalog.daemon(made.identity).await.unwrap().unwrap();
    assert_eq!(known.name, "web01");
    let recorded = rig
        .catalog
        .certificate(&made.own.serial)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(recorded.identity, made.identity);

    let error = enrol(&token, Role::File, &folder).await.unwrap_err();
    assert_eq!(refusal(error), code::REFUSED);
    assert_eq!(Credentials::load(&folder).unwrap().own, made.own);

    let short = rig
        .token(Role::File, "late", Duration::from_millis(1))
        .await;
    let made = common::clock::now_ms();
    while common::clock::now_ms() <= made + 1 {
        tokio::task::yield_now().await;
    }
    let error = enrol(&short, Role::File, &folder).await.unwrap_err();
    assert_eq!(refusal(error), code::REFUSED);
    rig.end().await;
}

#[tokio::test]
async fn enrolling_again_keeps_the_uuid_and_shuts_the_old_certificate_out() {
    let mut rig = Rig::new().await;
    let first = rig.enrol(Role::File, "web01").await;
    let who = first.current().identity;
    let old_machine = rig.start(&first);
    rig.expect_connected(who).await;
    let second = rig.enrol(Role::File, "web01").await;
    assert_eq!(second.current().identity, who);
    assert!(matches!(rig.event().await.what, Happening::Disconnected));
    drop(old_machine);
    let _new_machine = rig.start(&second);
    rig.expect_connected(who).await;
    assert!(renew(&first, &[rig.address.clone()]).await.is_err());
    rig.end().await;
}

#[tokio::test]
async fn a_certificate_is_renewed_with_a_fresh_key_and_a_revoked_daemon_is_cut() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::Storage, "vault1").await;
    let before = store.current();
    renew(&store, &[rig.address.clone()]).await.unwrap();
    let after = store.current();
    assert_eq!(before.identity, after.identity);
    assert_ne!(before.own.serial, after.own.serial);
    assert_ne!(before.key.secret_der(), after.key.secret_der());
    let saved = Credentials::load(&rig.folder.path().join("vault1")).unwrap();
    assert_eq!(saved.own, after.own);

    let bystander = rig.enrol(Role::File, "web01").await;
    let _running = rig.start(&store);
    rig.expect_connected(after.identity).await;
    let _listening = rig.start(&bystander);
    rig.expect_connected(bystander.current().identity).await;
    let begun = std::time::Instant::now();
    assert!(rig.authority.revoke(after.identity).await.unwrap());
    let event = rig.event().await;
    assert_eq!(event.from, after.identity);
    assert!(matches!(event.what, Happening::Disconnected));
    assert!(begun.elapsed() < Duration::from_secs(1));
    // The others hear of it, and renewal is closed to it.
    bystander.revoked().revoked(&after.own.serial).await;
    assert!(renew(&store, &[rig.address.clone()]).await.is_err());
    assert!(rig.registry.get(after.identity).is_none());
    assert!(!rig.authority.revoke(after.identity).await.unwrap());
    rig.end().await;
}

#[tokio::test]
async fn a_daemon_whose_certificate_expired_renews_and_is_back_by_itself() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::File, "web01").await;
    let me = store.current();
    let key = PendingKey::generate().unwrap();
    let sixty_days_ago = now_ms() - LEAF_LIFE_MS - 60_000;
    let keys = rig.authority.keys();
    let chain = keys
        .issue(&key.request().unwrap(), me.identity, sixty_days_ago)
        .unwrap();
    let expired = Credentials::new(CredentialParts {
        name: me.name.clone(),
        director: me.director.dns_name(),
        root: me.root.clone(),
        chain,
        key: key.into_private_key(),
    });
    store.replace(expired.unwrap()).unwrap();
    let _running = rig.start(&store);
    rig.expect_connected(me.identity).await;
    assert!(store.current().own.not_after_ms > now_ms());
    rig.end().await;
}
