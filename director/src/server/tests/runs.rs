//! Runs as an operator sees them, with every way they can go wrong.

use std::time::Instant;

use common::protocol::control::Body;
use serde_json::json;

use super::rig::{Rig, Script, ticket_of};

#[tokio::test(flavor = "multi_thread")]
async fn backups_follow_each_other_and_are_restored() {
    let rig = Rig::whole().await;
    let first = rig.over(rig.start_run().await).await;
    assert_eq!(
        (&first["status"], &first["level"]),
        (&json!("ok"), &json!("full")),
        "{first}"
    );
    assert_eq!(first["number"], 1);
    assert_eq!(first["volumes"], json!(["data-000001"]));
    rig.world.lock().names = vec!["a", "c"];
    let start = Instant::now();
    let id = rig.start_run().await;
    let second = rig.over(id).await;
    assert!(
        start.elapsed().as_millis() < 500,
        "an empty run took {:?}",
        start.elapsed()
    );
    assert_eq!(
        (&second["status"], &second["level"]),
        (&json!("ok"), &json!("incremental")),
        "{second}"
    );
    assert_eq!(second["base_job_id"], first["job_id"]);
    let order = rig.world.lock().backups.last().cloned().unwrap();
    assert_eq!(ticket_of(&order).base, order.base.clone().unwrap().snapshot);

    let names = |listing: &serde_json::Value| -> Vec<String> {
        let entries = listing["entries"].as_array().unwrap();
        entries
            .iter()
            .map(|e| e["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&rig.get("/browse?client=one").await), ["a", "c"]);
    assert_eq!(
        names(
            &rig.get(&format!("/browse?job_id={}", first["job_id"]))
                .await
        ),
        ["a", "b"]
    );
    for path in ["/", "/c"] {
        let listing = rig.get(&format!("/browse?client=one&path={path}")).await;
        let entries = listing["entries"].as_array().unwrap();
        assert!(
            !entries.is_empty() && entries.iter().all(|e| e["owner"] == "alice"),
            "{listing}"
        );
    }
    let found = rig.get("/find?pattern=c&client=one").await;
    assert_eq!(found["items"][0]["entry"]["name"], "/c", "{found}");
    assert_eq!(found["items"][0]["job_id"], second["job_id"], "{found}");
    found_in_every_snapshot_kept(&rig, (&first, &second)).await;
    let versions = rig.get("/versions?client=one&path=/b").await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2, "{versions}");

    let request =
        json!({"client": "one", "point": "latest", "paths": ["/c"], "to": {"dir": "/tmp/r"}});
    let started = rig.post("/restores", request).await;
    let restore = rig.over(started["run"]["job_id"].as_u64().unwrap()).await;
    assert_eq!(restore["status"], "ok", "{restore}");
    let order = rig.world.lock().restores.last().cloned().unwrap();
    assert_eq!(
        (order.to, order.selection.unwrap().paths),
        (b"/tmp/r".to_vec(), vec![b"/c".to_vec()])
    );
    let missing = json!({"client": "one", "point": {"job_id": first["job_id"]}, "paths": ["/c"], "to": "in_place"});
    assert_eq!(rig.try_post("/restores", missing).await.0, 404);

    let log = rig.get(&format!("/runs/{id}/log")).await;
    let sources: Vec<&str> = log["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| l["source"].as_str().unwrap())
        .collect();
    assert!(
        sources.contains(&"director") && sources.contains(&"client one"),
        "{log}"
    );
    assert!(
        rig.events(&format!("/runs/{id}/events?after=0"))
            .await
            .contains("event: end")
    );
}

/// `/b` is in the first snapshot alone, `/a` in both.
async fn found_in_every_snapshot_kept(
    rig: &Rig,
    (first, second): (&serde_json::Value, &serde_json::Value),
) {
    let gone = rig.get("/find?pattern=b").await;
    let hit = &gone["items"][0];
    assert_eq!(
        (&hit["entry"]["name"], &hit["job_id"], &hit["removed"]),
        (&json!("/b"), &first["job_id"], &json!(true)),
        "{gone}"
    );
    let query = format!("/find?pattern=b&job_id={}", second["job_id"]);
    assert_eq!(rig.get(&query).await["items"], json!([]));
    let (mut paths, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = rig
            .get(&format!("/find?pattern=*&client=one&limit=1{cursor}"))
            .await;
        for hit in page["items"].as_array().unwrap() {
            paths.push(hit["entry"]["name"].as_str().unwrap().to_owned());
        }
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paths, ["/a", "/b", "/c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_word_alone_is_no_success() {
    let rig = Rig::whole().await;
    rig.world.lock().script = Script::Lie;
    let run = rig.over(rig.start_run().await).await;
    assert_eq!(run["status"], "error");
    assert!(
        run["reason"].as_str().unwrap().contains("no such snapshot"),
        "{run}"
    );
    assert!(
        rig.get("/snapshots").await["items"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_lost_after_the_commit_does_not_lose_the_run() {
    let rig = Rig::whole().await;
    rig.world.lock().script = Script::Vanish;
    let run = rig.over(rig.start_run().await).await;
    assert_eq!(run["status"], "ok", "{run}");
    assert_eq!(run["counts"]["files"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_off_run_is_resumed_once_from_its_checkpoint_under_the_same_number() {
    let rig = Rig::whole().await;
    rig.world.lock().script = Script::Break;
    let run = rig.over(rig.start_run().await).await;
    assert_eq!(run["status"], "ok", "{run}");
    let orders = rig.world.lock().backups.clone();
    assert_eq!(orders.len(), 2);
    let (first, second) = (ticket_of(&orders[0]), ticket_of(&orders[1]));
    assert_eq!((first.job_id, first.number), (second.job_id, second.number));
    assert!(
        second
            .roots
            .contains(&orders[1].resume.clone().unwrap().root)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_director_that_was_away_settles_what_was_committed_meanwhile() {
    let mut rig = Rig::whole().await;
    let id = rig.start_and_hang().await;
    rig.stop_director().await;
    let order = rig.world.lock().backups.last().cloned().unwrap();
    rig.world.lock().commit(&ticket_of(&order));
    rig.start_director().await;
    rig.client_says(id, "ok").await;
    let run = rig.over(id).await;
    assert_eq!(run["status"], "ok", "{run}");
    assert_eq!(rig.get("/snapshots").await["items"][0]["job_id"], id);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_while_its_director_is_away() {
    let mut rig = Rig::whole().await;
    let id = rig.start_and_hang().await;
    rig.stop_director().await;
    rig.start_director().await;
    let order = rig.world.lock().backups.last().cloned().unwrap();
    // Wait until the new Director follows it: then the commit is an event.
    rig.until(id, "running", |run| run["status"] == "running")
        .await;
    let snapshot = rig.world.lock().commit(&ticket_of(&order));
    let event = common::protocol::control::SessionEvent {
        job_id: id,
        what: "committed".into(),
        snapshot,
        ..Default::default()
    };
    rig.storage
        .as_ref()
        .unwrap()
        .sender
        .send(Body::Session(event))
        .await
        .unwrap();
    rig.client_says(id, "ok").await;
    let run = rig.over(id).await;
    assert_eq!(run["status"], "ok", "{run}");
    assert_eq!(rig.world.lock().backups.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canceled_run_ends_canceled_with_the_reason() {
    let rig = Rig::whole().await;
    let id = rig.start_and_hang().await;
    rig.post(
        &format!("/runs/{id}/cancel"),
        json!({"reason": "wrong job"}),
    )
    .await;
    let run = rig.over(id).await;
    assert_eq!(run["status"], "canceled", "{run}");
    assert!(run["reason"].as_str().unwrap().contains("wrong job"));
    let (status, again) = rig.try_post(&format!("/runs/{id}/cancel"), json!({})).await;
    assert_eq!((status, &again["code"]), (409, &json!("conflict")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_run_shows_nothing_that_its_second_scan_did_not_find() {
    let rig = Rig::whole().await;
    let id = rig.start_and_tell().await;
    {
        let mut world = rig.world.lock();
        world.names = vec!["c"];
        world.script = Script::Store;
        world.running.clear();
    }
    rig.break_session(id);
    rig.client_says(id, "incomplete").await;
    let run = rig.over(id).await;
    assert_eq!(run["status"], "ok", "{run}");
    assert!(rig.world.lock().backups[1].resume.is_some());
    assert_eq!(rig.names().await, ["c"]);
    let found = rig.get("/find?pattern=*").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1, "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_run_that_stored_nothing_are_never_seen() {
    let rig = Rig::whole().await;
    let id = rig.start_and_tell().await;
    rig.post(&format!("/runs/{id}/cancel"), json!({})).await;
    assert_eq!(rig.over(id).await["status"], "canceled");
    assert_eq!(
        crate::catalog::testing::unpublished_rows(&rig.database).await,
        0
    );
    {
        let mut world = rig.world.lock();
        world.names = vec!["c"];
        world.script = Script::Store;
    }
    let next = rig.over(rig.start_run().await).await;
    assert_eq!(next["status"], "ok", "{next}");
    assert_eq!(rig.names().await, ["c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catalog_that_is_away_in_mid_run_is_waited_for() {
    let rig = Rig::whole().await;
    let id = rig.start_and_tell().await;
    let order = rig.world.lock().backups.last().cloned().unwrap();
    let database = rig.database.clone();
    let away = tokio::spawn(async move {
        let time = std::time::Duration::from_millis(1500);
        crate::catalog::testing::cut_connections(&database, time).await;
    });
    rig.world.lock().names = vec!["a", "b", "d"];
    let snapshot = rig.world.lock().commit(&ticket_of(&order));
    let event = common::protocol::control::SessionEvent {
        job_id: id,
        what: "committed".into(),
        snapshot,
        ..Default::default()
    };
    let storage = &rig.storage.as_ref().unwrap().sender;
    storage.send(Body::Session(event)).await.unwrap();
    rig.client_says(id, "ok").await;
    away.await.unwrap();
    let run = rig.over(id).await;
    assert_eq!(run["status"], "ok", "{run}");
    assert_eq!(rig.names().await, ["a", "b", "d"]);
    let rows = crate::catalog::testing::unpublished_rows(&rig.database).await;
    assert_eq!(rows, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_its_client_and_says_so() {
    let mut rig = Rig::whole().await;
    rig.client = None;
    let gone = async {
        while rig.get("/clients/one").await["connected"] == true {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(super::rig::LIMIT, gone).await.unwrap();
    let id = rig.start_run().await;
    let run = rig
        .until(id, "waiting", |run| run["status"] == "waiting")
        .await;
    assert!(
        run["waiting"]
            .as_str()
            .unwrap()
            .contains("client one is not connected"),
        "{run}"
    );
    let second = rig.start_run().await;
    rig.until(second, "waiting", |run| run["status"] == "waiting")
        .await;
    rig.post(&format!("/runs/{second}/cancel"), json!({})).await;
    assert_eq!(rig.over(second).await["status"], "canceled");
    rig.start_client();
    assert_eq!(rig.over(id).await["status"], "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_is_told_the_commands_that_are_configured_now() {
    let rig = Rig::whole().await;
    rig.over(rig.start_run().await).await;
    let request = || json!({"client": "one", "point": "latest", "paths": ["/c"], "to": "in_place"});
    rig.world.lock().names = vec!["a", "c"];
    rig.over(rig.start_run().await).await;
    let path = rig.folder.path().join("conf.d/fileset-data.toml");
    let plain = std::fs::read_to_string(&path).unwrap();
    let commands =
        "commands = [{ path = \"/c\", read = [\"dump\"], write = [\"load\", \"app\"] }]\n";
    for (text, programs) in [
        (plain.clone() + commands, vec!["load", "app"]),
        (plain, vec![]),
    ] {
        std::fs::write(&path, text).unwrap();
        rig.post("/config/reload", json!({})).await;
        let started = rig.post("/restores", request()).await;
        let run = rig.over(started["run"]["job_id"].as_u64().unwrap()).await;
        assert_eq!(run["status"], "ok", "{run}");
        let order = rig.world.lock().restores.last().cloned().unwrap();
        let told: Vec<_> = order
            .commands
            .iter()
            .flat_map(|c| c.write.clone())
            .collect();
        assert_eq!(
            (order.to, told),
            (
                b"/".to_vec(),
                programs.into_iter().map(String::from).collect()
            )
        );
    }
}
