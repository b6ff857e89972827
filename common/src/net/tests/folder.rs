//! The pki folder: it comes back as saved, and a crash in a renewal is finished or undone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::clock::now_ms;
use crate::durable;
use crate::ids::{Identity, Role};
use crate::net::issuer::{DAY_MS, Validity};
use crate::net::pki::{CredentialStore, Credentials, PkiError};
use crate::net::testing::Installation;

fn fresh(installation: &Installation, identity: Identity) -> Credentials {
    let validity = Validity::of(now_ms(), 60 * DAY_MS);
    installation.credentials(identity, validity).unwrap()
}

fn someone() -> Identity {
    Identity {
        role: Role::File,
        id: uuid::Uuid::new_v4(),
    }
}

#[test]
fn a_folder_comes_back_as_saved() {
    let installation = Installation::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pki");
    assert!(matches!(
        Credentials::load(&folder),
        Err(PkiError::NotEnrolled { .. })
    ));
    let me = fresh(&installation, someone());
    me.save(&folder).unwrap();
    let back = Credentials::load(&folder).unwrap();
    assert_eq!(back.own, me.own);
    assert_eq!((&back.name, back.director), (&me.name, me.director));
    assert_eq!((&back.root, &back.chain), (&me.root, &me.chain));
    assert_eq!(back.key.secret_der(), me.key.secret_der());
    let mode = |name: &str| {
        fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode("key.pem"), 0o600);
    assert_eq!(
        fs::metadata(&folder).unwrap().permissions().mode() & 0o777,
        0o700
    );
    let days = (me.renew_at_ms() - now_ms()) / DAY_MS;
    assert!((39..=40).contains(&days), "{days}");
}

#[test]
fn a_renewal_cut_at_any_point_leaves_a_key_with_its_certificate() {
    let installation = Installation::new().unwrap();
    let identity = someone();
    let (old, new) = (
        fresh(&installation, identity),
        fresh(&installation, identity),
    );
    let parts = tempfile::tempdir().unwrap();
    new.save(parts.path()).unwrap();
    // What is on disk after each step of a renewal: the next key, the next certificate, the renamed key.
    for (steps, expected) in [(1, &old), (2, &new), (3, &new)] {
        let dir = tempfile::tempdir().unwrap();
        old.save(dir.path()).unwrap();
        let copy = |from: &str, to: &str| {
            fs::copy(parts.path().join(from), dir.path().join(to)).unwrap();
        };
        copy(
            "key.pem",
            if steps == 3 {
                "key.pem"
            } else {
                "key.next.pem"
            },
        );
        if steps >= 2 {
            copy("cert.pem", "cert.next.pem");
        }
        let back = Credentials::load(dir.path()).unwrap();
        assert_eq!(back.own, expected.own, "after step {steps}");
        assert_eq!(back.key.secret_der(), expected.key.secret_der());
    }
}

#[test]
fn a_store_switches_to_what_it_has_saved() {
    let installation = Installation::new().unwrap();
    let identity = someone();
    let dir = tempfile::tempdir().unwrap();
    fresh(&installation, identity).save(dir.path()).unwrap();
    let store = CredentialStore::open(dir.path()).unwrap();
    let new = fresh(&installation, identity);
    let serial = new.own.serial.clone();
    store.replace(new).unwrap();
    assert_eq!(store.current().own.serial, serial);
    assert_eq!(Credentials::load(dir.path()).unwrap().own.serial, serial);
}

#[test]
fn damaged_files_are_named() {
    let installation = Installation::new().unwrap();
    for name in ["root.pem", "cert.pem", "key.pem", "daemon.toml"] {
        let dir = tempfile::tempdir().unwrap();
        fresh(&installation, someone()).save(dir.path()).unwrap();
        durable::write_atomic(&dir.path().join(name), b"rubbish", 0o600).unwrap();
        let error = Credentials::load(dir.path()).unwrap_err().to_string();
        assert!(error.contains(name) || error.contains("chain"), "{error}");
    }
}

#[test]
fn the_revoked_list_outlives_a_restart() {
    let installation = Installation::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    fresh(&installation, someone()).save(dir.path()).unwrap();
    let store = CredentialStore::open(dir.path()).unwrap();
    store
        .set_revoked(vec![vec![0x41, 2], vec![0, 0x42]])
        .unwrap();
    let back = CredentialStore::open(dir.path()).unwrap();
    assert!(back.revoked().contains(&[0x41, 2]));
    assert!(back.revoked().contains(&[0x42]));
    assert!(!back.revoked().contains(&[0x43]));
    back.set_revoked(vec![]).unwrap();
    let again = CredentialStore::open(dir.path()).unwrap();
    assert!(again.revoked().all().is_empty());
    durable::write_atomic(&dir.path().join("revoked"), b"rubbish", 0o644).unwrap();
    let error = CredentialStore::open(dir.path()).unwrap_err().to_string();
    assert!(error.contains("serial numbers"), "{error}");
}
