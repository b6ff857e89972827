//! The catalog on real PostgreSQL: a fresh database per test, asserting what a caller sees.

mod access;
mod bench;
mod browsing;
mod history;
mod opening;
mod records;
mod running;
mod snapshots;

use chrono::{DateTime, Utc};
use common::ids::{JobId, PageId};
use common::object::snapshot as stored;
use uuid::Uuid;

use super::testing::catalog;
use super::{
    Catalog, Level, NewRun, Number, Origin, Outcome, Publication, Run, RunKind, RunStart, RunState,
    Series, SeriesId,
};

/// A fixed day, plus seconds.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000 + seconds, 0).unwrap()
}

fn backup(job: &str, client: &str) -> NewRun {
    NewRun {
        job: job.into(),
        client: client.into(),
        client_id: Some(Uuid::from_u128(1)),
        kind: RunKind::Backup,
        level: Some(Level::Incremental),
        priority: 10,
        origin: Origin::User,
        origin_name: "admin".into(),
        created_at: at(0),
        scheduled_at: at(0),
        pool: "main".into(),
        parameters: serde_json::json!({"level": "incremental"}),
    }
}

fn ended(state: RunState, seconds: i64) -> Outcome {
    Outcome {
        state,
        text: String::new(),
        counts: None,
        ended_at: at(seconds),
    }
}

/// Entries given straight as rows: (directory id, name, since, size); size -1 = gone.
async fn put_rows(catalog: &Catalog, series: SeriesId, rows: &[(i32, &str, i32, i64)]) {
    for (dir, name, since, size) in rows {
        let kind: i16 = if *size < 0 { 0 } else { 1 };
        let name = name.as_bytes();
        sqlx::query("INSERT INTO entry VALUES ($1, 5, $2, $3, $4, 420, 0, 0, $5, 0, $6)")
            .bind((*size).max(0))
            .bind(series.0)
            .bind(dir)
            .bind(since)
            .bind(kind)
            .bind(name)
            .execute(catalog.pool())
            .await
            .unwrap();
    }
}

/// A directory row, and its entry in the parent since snapshot 1.
async fn put_dir(catalog: &Catalog, series: SeriesId, (id, parent): (i32, i32), name: &str) {
    sqlx::query("INSERT INTO dir VALUES ($1, $2, $3, $4)")
        .bind(series.0)
        .bind(id)
        .bind(parent)
        .bind(name.as_bytes())
        .execute(catalog.pool())
        .await
        .unwrap();
    sqlx::query("INSERT INTO entry VALUES (0, 5, $1, $2, 1, 493, 0, 0, 2, 0, $3)")
        .bind(series.0)
        .bind(parent)
        .bind(name.as_bytes())
        .execute(catalog.pool())
        .await
        .unwrap();
}

/// A series and what publishes snapshots into it.
struct Line {
    catalog: Catalog,
    series: Series,
    pages: tokio::sync::Mutex<bench::Pages>,
}

impl Line {
    async fn new() -> Self {
        let catalog = catalog().await;
        let series = catalog
            .series_for("nightly", Uuid::from_u128(1), "web01")
            .await
            .unwrap();
        Self {
            catalog,
            series,
            pages: tokio::sync::Mutex::default(),
        }
    }

    /// A run that is started and holds the lease.
    async fn start(&self) -> (JobId, Number) {
        let job_id = self
            .catalog
            .create_run(&backup("nightly", "web01"))
            .await
            .unwrap();
        let number = self
            .catalog
            .lease_series(self.series.id, job_id)
            .await
            .unwrap()
            .unwrap();
        let start = RunStart {
            level: Some(Level::Full),
            level_reason: "no base".into(),
            pool: "main".into(),
            storage: Some(Uuid::from_u128(9)),
            series: Some((self.series.id, number)),
            ..RunStart::default()
        };
        assert!(self.catalog.start_run(job_id, &start, at(1)).await.unwrap());
        (job_id, number)
    }

    fn stored(&self, job_id: JobId, number: Number, keep_until: Option<i64>) -> stored::Snapshot {
        let root = PageId::of(&number.0.to_le_bytes());
        stored::Snapshot {
            root: root.0.to_vec(),
            job_id: job_id.0,
            job: "nightly".into(),
            client: "web01".into(),
            client_id: Uuid::from_u128(1).as_bytes().to_vec(),
            series: self.series.uuid.as_bytes().to_vec(),
            number: number.0.into(),
            level: "full".into(),
            fileset: "include /".into(),
            started_ms: at(i64::from(number.0) * 100).timestamp_millis(),
            finished_ms: at(i64::from(number.0) * 100 + 50).timestamp_millis(),
            counts: Some(stored::Counts {
                files: 3,
                protected_bytes: 1000,
                ..Default::default()
            }),
            pool: "main".into(),
            keep_until_ms: keep_until.map_or(0, |s| at(s).timestamp_millis()),
            ..stored::Snapshot::default()
        }
    }

    async fn publish(&self, snapshot: &stored::Snapshot) -> bool {
        let publication = Publication {
            snapshot,
            series: self.series.id,
            storage: Uuid::from_u128(9),
            outcome: ended(RunState::Ok, 2),
        };
        self.catalog.publish(&publication).await.unwrap()
    }

    /// The next snapshot, from start to publication.
    async fn snapshot(&self, keep_until: Option<i64>) -> stored::Snapshot {
        let (job_id, number) = self.start().await;
        let snapshot = self.stored(job_id, number, keep_until);
        assert!(self.publish(&snapshot).await);
        snapshot
    }

    async fn run(&self, job_id: JobId) -> Run {
        self.catalog.run(job_id).await.unwrap().unwrap()
    }
}
