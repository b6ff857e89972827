//! The bytes of version 1 of what peers of other versions must read: never changed, only added to.

use std::fmt::Debug;

use prost::Message;

use crate::protocol::control::{Body, Done, Envelope, PageRequest, Revoked, Welcome};
use crate::protocol::enrol::{EnrolRequest, RenewRequest, Token};
use crate::protocol::fault::{Fault, code};
use crate::protocol::ticket::{CONTEXT, SignedTicket};

fn check<M: Message + Default + PartialEq + Debug>(message: &M, golden: &str) {
    assert_eq!(hex::encode(message.encode_to_vec()), golden);
    let bytes = hex::decode(golden).unwrap();
    assert_eq!(&M::decode(bytes.as_slice()).unwrap(), message);
}

fn envelope(request: u64, reply_to: u64, body: Body) -> Envelope {
    Envelope {
        request,
        reply_to,
        body: Some(body),
    }
}

#[test]
fn control_envelopes() {
    check(&envelope(0, 7, Body::Done(Done {})), "10076a00");
    let welcome = Welcome {
        major: 1,
        minor: 0,
        version: "0.1.0".into(),
        term: 3,
        heartbeat_ms: 10_000,
        ticket_key: vec![0xaa; 2],
        now_ms: 1_700_000_000_000,
        revoked: vec![vec![0x41, 0x42]],
        own_folders: vec![b"/var".to_vec()],
    };
    check(
        &envelope(0, 0, Body::Welcome(welcome)),
        "5a2308011a05302e312e30200328904e3202aaaa3880d095ffbc31420241424a042f766172",
    );
    let fault = Fault::passing(code::BUSY, "later");
    check(
        &envelope(0, 2, Body::Fault(fault)),
        "1002620f0a046275737912056c617465721801",
    );
    let pages = PageRequest {
        pages: vec![vec![1; 4], vec![2; 4]],
    };
    check(
        &envelope(9, 0, Body::PageRequest(pages)),
        "0809da020c0a04010101010a0402020202",
    );
    let revoked = Revoked {
        serials: vec![vec![0x40]],
    };
    check(&envelope(0, 0, Body::Revoked(revoked)), "8a03030a0140");
}

#[test]
fn enrolment() {
    let request = EnrolRequest {
        secret: vec![1, 2],
        csr: vec![0x30],
        host: "web01".into(),
        version: "0.1.0".into(),
    };
    check(&request, "0a0201021201301a0577656230312205302e312e30");
    check(&RenewRequest { csr: vec![0x30] }, "0a0130");
    let token = Token {
        addresses: vec!["backup.example:9311".into()],
        root_sha256: vec![0x11; 32],
        secret: vec![0x22; 32],
        director: "00000000-0000-0000-0000-000000000007.director.holdfast".into(),
        role: "file".into(),
        name: "web01".into(),
    };
    let text = "hf1-ChNiYWNrdXAuZXhhbXBsZTo5MzExEiARERERERERERERERERERERERERERERERERERERERERERogIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiNjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwNy5kaXJlY3Rvci5ob2xkZmFzdCoEZmlsZTIFd2ViMDE";
    assert_eq!(token.to_text(), text);
    assert_eq!(Token::from_text(text).unwrap(), token);
}

#[test]
fn a_ticket_is_signed_over_its_context_and_bytes() {
    let signed = SignedTicket::signed_bytes(b"\x10\x11");
    assert_eq!(
        hex::encode(signed),
        "686f6c6466617374207469636b6574207631001011"
    );
    assert_eq!(CONTEXT.len(), 19);
}
