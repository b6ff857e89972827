//! The API's promises: who is let in, how refusals look, pages, configuration through the checked path.

use serde_json::json;

use super::rig::Rig;

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_problems_with_stable_codes() {
    let rig = Rig::alone().await;
    let (status, kind, problem) = rig.raw("/status", "nonsense").await;
    assert_eq!((status, kind.as_str()), (401, "application/problem+json"));
    assert_eq!(problem["type"], "urn:holdfast:problem:unauthenticated");
    assert!(problem["remedy"].as_str().unwrap().contains("Bearer"));
    let token = rig.token();
    for (route, status, code) in [
        ("/runs/99", 404, "not-found"),
        ("/runs/x", 422, "invalid"),
        ("/nowhere", 404, "not-found"),
        ("/runs?limit=0", 422, "invalid"),
        ("/runs?limit=1001", 422, "invalid"),
        ("/runs?status=odd", 422, "invalid"),
        ("/runs?cursor=zz", 422, "invalid"),
        ("/browse?client=nobody", 404, "not-found"),
        ("/browse?path=relative&client=x", 422, "invalid"),
    ] {
        let (found, kind, problem) = rig.raw(route, &token).await;
        assert_eq!(
            (found, problem["code"].as_str().unwrap()),
            (status, code),
            "{route}: {problem}"
        );
        assert_eq!(kind, "application/problem+json", "{route}");
    }
    let (status, problem) = rig
        .try_post("/runs", json!({"job": "a", "levle": "full"}))
        .await;
    assert_eq!(status, 422, "{problem}");
    assert!(
        problem["detail"].as_str().unwrap().contains("levle"),
        "{problem}"
    );
    let (status, problem) = rig.try_post("/clients", json!({"name": "web01"})).await;
    assert_eq!(
        (status, problem["code"].as_str().unwrap()),
        (409, "loopback-only")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_of_this_machine_is_let_in_by_files_only_its_owner_reads() {
    use std::os::unix::fs::PermissionsExt;
    let mut rig = Rig::alone().await;
    let folder = rig.folder.path().to_owned();
    for file in ["admin.token", "admin.toml"] {
        let mode = std::fs::metadata(folder.join(file))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let access: common::api::access::Access =
        toml::from_str(&std::fs::read_to_string(folder.join("admin.toml")).unwrap()).unwrap();
    assert!(access.url.starts_with("https://") && access.url.contains(".director.holdfast:"));
    let before = rig.token();
    rig.stop_director().await;
    rig.start_director().await;
    assert_eq!(rig.token(), before);
    assert_eq!(rig.get("/status").await["director"]["loopback_only"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_made_for_configured_users_shown_once_and_revoked() {
    let rig = Rig::alone().await;
    let (status, problem) = rig.try_post("/users/eve/tokens", json!({})).await;
    assert_eq!(status, 404, "{problem}");
    assert!(problem["remedy"].as_str().unwrap().contains("[user.eve]"));
    let config = rig.folder.path().join("conf.d");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("eve.toml"), "[user.eve]\nrole = \"viewer\"\n").unwrap();
    rig.post("/config/reload", json!({})).await;
    let (status, problem) = rig.try_post("/users/eve/tokens", json!({"days": 0})).await;
    assert_eq!(status, 422, "{problem}");
    let made = rig
        .post(
            "/users/eve/tokens",
            json!({"label": "dashboard", "days": 30}),
        )
        .await;
    let (token, id) = (
        made["token"].as_str().unwrap(),
        made["id"].as_str().unwrap(),
    );
    assert_eq!((id.len(), &made["role"]), (16, &json!("viewer")));
    assert_eq!(rig.raw("/status", token).await.0, 200);
    assert_eq!(
        rig.raw("/tokens", token).await.0,
        403,
        "a viewer sees no tokens"
    );
    let listed = rig.get("/tokens").await;
    assert!(!listed.to_string().contains(token));
    let labels: Vec<&str> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| t["label"].as_str().unwrap())
        .collect();
    assert!(
        labels.contains(&"dashboard") && labels.len() == 2,
        "{listed}"
    );
    rig.post(&format!("/tokens/{id}/revoke"), json!({})).await;
    assert_eq!(rig.raw("/status", token).await.0, 401);
    assert_eq!(
        rig.try_post(&format!("/tokens/{id}/revoke"), json!({}))
            .await
            .0,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_the_installation_names_the_catalogs_version() {
    let rig = Rig::alone().await;
    let status = rig.get("/status").await;
    let version = status["catalog"]["version"].as_str().unwrap();
    assert!(
        version.parse::<f64>().is_ok_and(|v| v >= 14.0),
        "{version:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_director_in_the_same_folder_is_refused() {
    let rig = Rig::alone().await;
    let config = rig.folder.path().join("director.toml");
    let stop = common::shutdown::StopToken::new();
    let second = super::super::run(&config, crate::catalog::Durability::Scratch, &stop).await;
    assert!(second.unwrap_err().to_string().contains("another Director"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_changes_nothing_and_names_its_lines() {
    let rig = Rig::whole().await;
    let wrong = json!({"dirs": ["/data"], "name": "bad", "rules": ["nonsense *.tmp"]});
    let (status, problem) = rig.try_post("/protections", wrong).await;
    assert_eq!(
        (status, problem["code"].as_str().unwrap()),
        (422, "configuration"),
        "{problem}"
    );
    assert!(
        problem["errors"][0]["place"]
            .as_str()
            .unwrap()
            .contains("fileset-bad.toml:"),
        "{problem}"
    );
    assert!(!rig.folder.path().join("conf.d/fileset-bad.toml").exists());
    let path = rig.folder.path().join("conf.d/job-data.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, good.replace("\"data\"", "\"dota\"")).unwrap();
    let report = rig.post("/config/reload", json!({})).await;
    assert_eq!(
        (&report["ok"], &report["applied"]),
        (&json!(false), &json!(false)),
        "{report}"
    );
    assert_eq!(rig.get("/jobs/data").await["fileset"], "data");
    std::fs::write(&path, good.replace("30d", "60d")).unwrap();
    let report = rig.post("/config/reload", json!({})).await;
    assert_eq!(report["changes"], json!(["job data changed"]), "{report}");
    assert_eq!(rig.get("/jobs/data").await["keep"], "60d");
    let scheduled = json!({"dirs": ["/data"], "daily": "21:30"});
    let made = rig.post("/protections", scheduled).await;
    assert_eq!(made["job"]["name"], "data-2");
    assert!(
        made["job"]["next_run"]
            .as_str()
            .unwrap()
            .contains("T21:30:00"),
        "{made}"
    );
    assert_eq!(
        rig.get("/jobs?limit=1").await["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}
