//! The keys of an installation and what their certificates say.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use std::fs;
use std::path::Path;

use common::clock::now_ms;
use common::ids::{Identity, Role};
use common::net::issuer::{DAY_MS, IssueError};
use common::net::tls::PeerCertificate;
use rcgen::{CertificateParams, IsCa, KeyPair, KeyUsagePurpose, SanType};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::Keys;

fn someone() -> Identity {
    Identity {
        role: Role::File,
        id: Uuid::from_u128(7),
    }
}

fn csr() -> Vec<u8> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::default();
    params.serialize_request(&key).unwrap().der().to_vec()
}

#[test]
fn an_installation_is_made_once_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pki");
    // What a crash in an earlier first start left behind.
    fs::create_dir(dir.path().join("pki.new")).unwrap();
    fs::write(dir.path().join("pki.new/root.pem"), "half").unwrap();
    let made = Keys::open(&folder, now_ms()).unwrap();
    let back = Keys::open(&folder, now_ms()).unwrap();
    assert_eq!(made.root_sha256(), back.root_sha256());
    assert_eq!(made.director(), back.director());
    assert_eq!(
        made.ticket_key().public_key(),
        back.ticket_key().public_key()
    );
    assert_eq!(made.director().role, Role::Director);
    for entry in fs::read_dir(&folder).unwrap() {
        use std::os::unix::fs::PermissionsExt;
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let open = ["root.pem", "cert.pem", "daemon.toml"].contains(&name.as_str());
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if open { 0o644 } else { 0o600 }, "{name}");
    }
}

#[test]
fn a_missing_or_damaged_file_is_an_error_and_never_another_installation() {
    for name in [
        "root.pem",
        "issuing.pem",
        "cert.pem",
        "key.pem",
        "daemon.toml",
        "ticket.key",
    ] {
        for damage in [
            |p: &Path| fs::remove_file(p),
            |p: &Path| fs::write(p, "rubbish"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("pki");
            let root = Keys::open(&folder, now_ms()).unwrap().root_sha256();
            damage(&folder.join(name)).unwrap();
            assert!(Keys::open(&folder, now_ms()).is_err(), "{name}");
            let kept = fs::read(folder.join("root.key.pem")).unwrap();
            assert!(!kept.is_empty() && root != [0; 32]);
        }
    }
}

#[test]
fn only_the_public_key_of_a_request_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open(&dir.path().join("pki"), now_ms()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut wish = CertificateParams::new(vec!["director.example".to_owned()]).unwrap();
    wish.subject_alt_names
        .push(SanType::IpAddress([127, 0, 0, 1].into()));
    wish.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    wish.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let request = wish.serialize_request(&key).unwrap();
    let now = now_ms();
    let chain = keys.issue(request.der(), someone(), now).unwrap();
    let (_, leaf) = X509Certificate::from_der(&chain[0]).unwrap();
    let names = &leaf
        .subject_alternative_name()
        .unwrap()
        .unwrap()
        .value
        .general_names;
    let expected = someone().dns_name();
    assert_eq!(names.as_slice(), [GeneralName::DNSName(&expected)]);
    assert!(!leaf.is_ca());
    let usage = leaf.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && !usage.key_cert_sign() && !usage.crl_sign());
    let extended = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(extended.client_auth && extended.server_auth && !extended.any);
    let read = PeerCertificate::read(&chain[0]).unwrap();
    assert_eq!(read.serial.len(), 16);
    assert!(read.not_before_ms < now - 9 * 60_000);
    assert!((read.not_after_ms - now - 60 * DAY_MS).abs() < 1_000);
    let again = keys.issue(request.der(), someone(), now).unwrap();
    assert_ne!(
        PeerCertificate::read(&again[0]).unwrap().serial,
        read.serial
    );
}

#[test]
fn a_request_that_is_not_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let keys = Keys::open(&dir.path().join("pki"), now_ms()).unwrap();
    let mut changed = csr();
    let last = changed.len() - 5;
    changed[last] ^= 1;
    for bad in [&b""[..], b"\x30\x03\x01\x01\x01", &changed] {
        let refused = keys.issue(bad, someone(), now_ms());
        assert!(matches!(refused, Err(IssueError::Request)));
    }
}

#[test]
fn own_certificates_are_renewed_in_time_and_old_leaves_stay_good() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("pki");
    let now = now_ms();
    let keys = Keys::open(&folder, now).unwrap();
    let own = keys.store().current().own.clone();
    let issuing = |keys: &Keys| keys.store().current().chain[1].clone();
    let first = issuing(&keys);
    assert!(!keys.renew_own(now + 39 * DAY_MS).unwrap());
    assert!(keys.renew_own(now + 41 * DAY_MS).unwrap());
    assert_ne!(keys.store().current().own.serial, own.serial);
    assert_eq!(issuing(&keys), first);
    // Two thirds of five years later the issuing pair follows; what it signed carries its certificate along.
    let later = now + 1_300 * DAY_MS;
    assert!(keys.renew_own(later).unwrap());
    assert_ne!(issuing(&keys), first);
    let back = Keys::open(&folder, later).unwrap();
    assert_eq!(issuing(&back), issuing(&keys));
    assert_eq!(back.root_sha256(), keys.root_sha256());
    // With the root's key taken offline the rest still works, and the need for it is named.
    fs::remove_file(folder.join("root.key.pem")).unwrap();
    let offline = Keys::open(&folder, later).unwrap();
    assert!(offline.issue(&csr(), someone(), later).is_ok());
    let error = offline.renew_own(later + 1_300 * DAY_MS).unwrap_err();
    assert!(error.to_string().contains("root.key.pem"), "{error}");
}
