//! Conversations: orders and answers, events in order, one connection per identity.

use common::ids::Role;
use common::net::connect::connect;
use common::net::control::ControlClient;
use common::net::framed::FrameError;
use common::protocol::control::{Body, Done, Envelope, Hello, SessionQuery};
use common::protocol::fault::code;
use common::protocol::frame::{FrameType, alpn};
use common::protocol::orders::Progress;

use super::{LIMIT, Plain, Rig};
use crate::daemons::{DaemonError, Happening};

fn query(job_id: u64) -> Body {
    Body::SessionQuery(SessionQuery { job_id })
}

#[tokio::test]
async fn orders_are_answered_and_events_come_in_order() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::Storage, "vault1").await;
    let who = store.current().identity;
    let missing = rig.registry.must_get(who).unwrap_err();
    assert!(matches!(missing, DaemonError::NotConnected(_)));
    let running = rig.start(&store);
    rig.expect_connected(who).await;
    let daemon = rig.registry.by_name(Role::Storage, "vault1").unwrap();
    assert_eq!((daemon.identity, daemon.hello.addresses.len()), (who, 1));
    assert!(daemon.clock_difference_ms.abs() < 5_000);
    let Body::SessionState(state) = daemon.request(query(17), LIMIT).await.unwrap() else {
        panic!("another answer")
    };
    assert_eq!(state.state, "run 17");
    assert!(daemon.order(query(17), LIMIT).await.is_err());

    for n in 0..2_000u64 {
        let progress = Progress {
            job_id: n,
            ..Progress::default()
        };
        let sender = running.sender.clone();
        let sent = tokio::spawn(async move { sender.send(Body::Progress(progress)).await });
        let Happening::Said(Body::Progress(p)) = rig.event().await.what else {
            panic!("another event")
        };
        sent.await.unwrap().unwrap();
        assert_eq!(p.job_id, n);
    }

    // What is asked is answered by whoever takes the events, or "ask again".
    for (answered, expected) in [(true, true), (false, false)] {
        let sender = running.sender.clone();
        let asked = tokio::spawn(async move { sender.request(Body::Done(Done {}), LIMIT).await });
        let Happening::Asked(_, answer) = rig.event().await.what else {
            panic!("another event")
        };
        if answered {
            answer.send(Body::Done(Done {})).unwrap();
        } else {
            drop(answer);
        }
        assert_eq!(asked.await.unwrap().is_ok(), expected);
    }

    drop(running);
    assert!(matches!(rig.event().await.what, Happening::Disconnected));
    assert!(rig.registry.list().is_empty());
    assert!(matches!(
        daemon.request(query(1), LIMIT).await,
        Err(DaemonError::NotConnected(_))
    ));
    rig.end().await;
}

#[tokio::test]
async fn a_flood_waits_when_nobody_takes_it_and_nothing_is_lost() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::File, "web01").await;
    let running = rig.start(&store);
    rig.expect_connected(store.current().identity).await;
    let sender = running.sender.clone();
    const COUNT: u64 = 10_000;
    let flood = tokio::spawn(async move {
        for job_id in 0..COUNT {
            let progress = Progress {
                job_id,
                ..Progress::default()
            };
            sender.send(Body::Progress(progress)).await.unwrap();
        }
    });
    for n in 0..COUNT {
        match rig.event().await.what {
            Happening::Said(Body::Progress(p)) => assert_eq!(p.job_id, n),
            other => panic!("{other:?}"),
        }
    }
    flood.await.unwrap();
    rig.end().await;
}

#[tokio::test]
async fn a_second_connection_gives_way_to_a_live_one_and_replaces_a_dead_one() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::File, "web01").await;
    let who = store.current().identity;
    let first = rig.start(&store);
    rig.expect_connected(who).await;
    let to = [rig.address.clone()];
    let director = store.current().director;
    let hello = Envelope {
        body: Some(Body::Hello(Hello {
            major: 1,
            ..Hello::default()
        })),
        ..Envelope::default()
    };
    let mut second = connect(&to, director, alpn::CONTROL, &store).await.unwrap();
    second
        .writer
        .send_message(FrameType::Control, &hello)
        .await
        .unwrap();
    let answer = second
        .reader
        .expect::<Envelope>(FrameType::Control, "Welcome")
        .await;
    assert!(matches!(answer, Err(FrameError::Fault(f)) if f.code == code::BUSY && f.retry));
    assert!(rig.registry.get(who).is_some());
    drop(first);
    assert!(matches!(rig.event().await.what, Happening::Disconnected));

    // One that is open but says nothing more gives its place up.
    let mut dead = connect(&to, director, alpn::CONTROL, &store).await.unwrap();
    dead.writer
        .send_message(FrameType::Control, &hello)
        .await
        .unwrap();
    rig.expect_connected(who).await;
    let (_sender, client) = ControlClient::new(store.clone(), to.to_vec());
    let stop = rig.stop.child_token();
    tokio::spawn(async move { client.run(&Plain, &stop).await });
    assert!(matches!(rig.event().await.what, Happening::Disconnected));
    rig.expect_connected(who).await;
    rig.end().await;
}

#[tokio::test]
async fn a_director_that_stops_says_farewell_even_to_a_daemon_that_is_talking() {
    let mut rig = Rig::new().await;
    let store = rig.enrol(Role::File, "web01").await;
    let director = store.current().director;
    let to = [rig.address.clone()];
    let envelope = |body| Envelope {
        body: Some(body),
        ..Envelope::default()
    };
    let mut daemon = connect(&to, director, alpn::CONTROL, &store).await.unwrap();
    let hello = envelope(Body::Hello(Hello {
        major: 1,
        ..Hello::default()
    }));
    daemon
        .writer
        .send_message(FrameType::Control, &hello)
        .await
        .unwrap();
    rig.expect_connected(store.current().identity).await;
    let welcome = daemon.reader.read().await.unwrap();
    assert!(welcome.is_some());
    // More than anybody takes: the connection is full of it when the Director stops.
    let mut writer = daemon.writer;
    let talking = tokio::spawn(async move {
        let said = envelope(Body::Progress(Progress::default()));
        while writer.send_message(FrameType::Control, &said).await.is_ok()
            && writer.flush().await.is_ok()
        {}
    });
    let full = async {
        let mut before = 0;
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            match rig.events.len() {
                len if len > 0 && len == before => return,
                len => before = len,
            }
        }
    };
    tokio::time::timeout(LIMIT, full).await.unwrap();
    rig.stop.cancel();
    while daemon.reader.read().await.unwrap().is_some() {}
    talking.abort();
    rig.catalog.close().await;
}

#[tokio::test]
async fn whoever_does_not_begin_with_a_fitting_hello_is_told_why() {
    let rig = Rig::new().await;
    let store = rig.enrol(Role::File, "web01").await;
    let to = [rig.address.clone()];
    let director = store.current().director;
    let far = Hello {
        major: 3,
        ..Hello::default()
    };
    for (body, expected) in [
        (Body::Done(Done {}), code::OUT_OF_ORDER),
        (Body::Hello(far), code::VERSION),
    ] {
        let mut peer = connect(&to, director, alpn::CONTROL, &store).await.unwrap();
        let envelope = Envelope {
            body: Some(body),
            ..Envelope::default()
        };
        peer.writer
            .send_message(FrameType::Control, &envelope)
            .await
            .unwrap();
        let answer = peer
            .reader
            .expect::<Envelope>(FrameType::Control, "Welcome")
            .await;
        assert!(matches!(answer, Err(FrameError::Fault(f)) if f.code == expected));
        assert!(peer.reader.read().await.unwrap().is_none());
    }
    rig.end().await;
}
