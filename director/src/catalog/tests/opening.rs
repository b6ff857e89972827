//! Opening: what is refused, and that migrations make what migrations/schema.sql shows.

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::super::testing::{empty_database, empty_database_url};
use super::super::{CatalogError, Durability, Place};
use super::*;

#[tokio::test]
async fn a_server_that_forgets_is_refused() {
    let place = Place::Url(empty_database_url().await);
    let refused = Catalog::open(&place, Durability::Required)
        .await
        .unwrap_err();
    assert!(matches!(refused, CatalogError::FsyncOff), "{refused}");
    let catalog = Catalog::open(&place, Durability::Scratch).await.unwrap();
    assert_eq!(catalog.installation().await.unwrap().term.0, 0);
    assert_eq!(catalog.own_folders(), Vec::<std::path::PathBuf>::new());
    catalog.close().await;
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused_by_name() {
    let options = empty_database().await;
    Catalog::connect(options.clone(), Durability::Scratch)
        .await
        .unwrap()
        .close()
        .await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations VALUES (9999, 'future', now(), true, '\\x00', 1)")
        .execute(&mut connection)
        .await
        .unwrap();
    let refused = Catalog::connect(options, Durability::Scratch)
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("schema 9999"), "{refused}");
}

#[tokio::test]
async fn two_directors_that_start_at_once_both_find_the_schema() {
    let options = empty_database().await;
    let open = || Catalog::connect(options.clone(), Durability::Scratch);
    let (a, b) = tokio::join!(open(), open());
    assert_eq!(
        a.unwrap().installation().await.unwrap(),
        b.unwrap().installation().await.unwrap()
    );
}

#[tokio::test]
async fn every_session_commits_synchronously() {
    let catalog = catalog().await;
    let on: String = sqlx::query_scalar("SELECT current_setting('synchronous_commit')")
        .fetch_one(catalog.pool())
        .await
        .unwrap();
    assert_eq!(on, "on");
}

#[tokio::test]
async fn a_place_that_is_none_is_said() {
    let none = Catalog::open(&Place::Url("mysql://x".into()), Durability::Required)
        .await
        .unwrap_err();
    assert!(matches!(none, CatalogError::Url(_)), "{none}");
    let nobody = Place::Url("postgres://holdfast@127.0.0.1:1/holdfast".into());
    let refused = Catalog::open(&nobody, Durability::Required)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("127.0.0.1:1") && refused.is_transient(),
        "{refused}"
    );
}

/// `HOLDFAST_BLESS=1` writes the file anew.
#[tokio::test]
async fn migrations_make_what_schema_sql_shows() {
    let catalog = catalog().await;
    let made: String = sqlx::query_scalar(include_str!("schema.sql"))
        .fetch_one(catalog.pool())
        .await
        .unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/schema.sql");
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        let mut file = std::fs::File::create(path).unwrap();
        std::io::Write::write_all(&mut file, made.as_bytes()).unwrap();
    }
    let shown = std::fs::read_to_string(path).unwrap();
    assert!(
        made == shown,
        "migrations/schema.sql is out of date: HOLDFAST_BLESS=1 cargo test -p director schema_sql"
    );
}
