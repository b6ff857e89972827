//! The HTTP API's types: what the Director answers, what console, web and scripts send. Data only, no behaviour.
//!
//! Conventions. JSON under `/api/v1`; `Authorization: Bearer TOKEN` except where noted; sizes in bytes, durations in
//! seconds or milliseconds as the name says, instants RFC 3339 in UTC. Paths are in the escaped form of
//! [`crate::name::Shown`], which reads back to the exact bytes. Lists are pages: `limit` 1..=[`page::MAX_LIMIT`]
//! (default [`page::DEFAULT_LIMIT`]), `cursor` = `next` of the page before, opaque. Errors are
//! `application/problem+json` ([`problem::Problem`]). Unknown fields of a request are refused (422), unknown fields of
//! a reply ignored by readers. Never a secret in a reply, except a token in the reply that made it.
//!
//! | method and path | request | reply | |
//! |---|---|---|---|
//! | `GET /ready` | | [`status::Ready`] | no token; 200 once work is accepted, else 503 |
//! | `GET /status` | | [`status::Status`] | |
//! | `GET /clients` | [`page::PageQuery`] | [`page::Page`] of [`clients::Client`] | by name |
//! | `POST /clients` | [`clients::NewClient`] | 201 [`clients::Enrolment`] | 409 when the name is taken |
//! | `GET /clients/{name}` | | [`clients::Client`] | |
//! | `POST /clients/{name}/check` | | [`clients::ClientCheck`] | 200 also when not reachable |
//! | `POST /clients/{name}/replace` | | [`clients::Enrolment`] | the old certificate ends when the new one is taken |
//! | `POST /clients/{name}/revoke` | [`clients::Revoke`] | [`clients::Client`] | at once |
//! | `GET /storages` | [`page::PageQuery`] | [`page::Page`] of [`storages::Storage`] | by name |
//! | `POST /storages` | [`storages::NewStorage`] | 201 [`clients::Enrolment`] | |
//! | `GET /storages/{name}` | | [`storages::Storage`] | |
//! | `GET /tokens` | [`page::PageQuery`] | [`page::Page`] of [`users::ApiToken`] | by id; administrators alone |
//! | `POST /users/{name}/tokens` | [`users::NewApiToken`] | 201 [`users::MadeToken`] | a user of the configuration |
//! | `POST /tokens/{id}/revoke` | | [`users::ApiToken`] | at once |
//! | `GET /jobs` | [`page::PageQuery`] | [`page::Page`] of [`jobs::Job`] | by name |
//! | `GET /jobs/{name}` | | [`jobs::Job`] | |
//! | `GET /runs` | [`runs::RunsQuery`] | [`page::Page`] of [`runs::Run`] | newest first |
//! | `POST /runs` | [`runs::StartRun`] | 202 [`runs::Started`] | one run per client |
//! | `GET /runs/{id}` | | [`runs::Run`] | |
//! | `POST /runs/{id}/cancel` | [`runs::Cancel`] | 202 [`runs::Run`] | idempotent; 409 when it is over |
//! | `GET /runs/{id}/log` | [`runs::LogQuery`] | [`runs::LogPage`] | |
//! | `GET /runs/{id}/events` | [`events::EventsQuery`] | `text/event-stream` of [`events::Event`] | ends after `end` |
//! | `GET /snapshots` | [`snapshots::SnapshotsQuery`] | [`page::Page`] of [`snapshots::Snapshot`] | newest first |
//! | `GET /browse` | [`browse::BrowseQuery`] | [`browse::Listing`] | one directory, by name bytes |
//! | `GET /find` | [`browse::FindQuery`] | [`browse::Found`] | |
//! | `GET /versions` | [`browse::VersionsQuery`] | [`browse::Versions`] | newest first |
//! | `POST /restores` | [`restore::RestoreRequest`] | 202 [`restore::RestoreStarted`] | |
//! | `POST /estimates` | [`check::EstimateRequest`] | [`check::Estimate`] | asks the client |
//! | `POST /filesets/{name}/test` | [`check::FilesetTest`] | [`check::FilesetVerdict`] | |
//! | `POST /protections` | [`protect::Protect`] | 201 [`protect::Protected`] | writes `conf.d` |
//! | `POST /config/check` | | [`config::ConfigReport`] | 200 also with errors |
//! | `POST /config/reload` | | [`config::ConfigReport`] | nothing changes when there are errors |
//!
//! Access for the machine's own console: at each start the Director writes [`access::Access`] as `admin.toml` (mode
//! 0600) into its state folder, with a token of the user `admin` that is made at the first start and kept.

pub mod access;
pub mod browse;
pub mod check;
pub mod clients;
pub mod config;
pub mod events;
pub mod jobs;
pub mod page;
pub mod problem;
pub mod protect;
pub mod restore;
pub mod runs;
pub mod snapshots;
pub mod status;
pub mod storages;
pub mod text;
pub mod token;
pub mod users;

#[cfg(test)]
mod tests;

/// Where all routes start.
pub const BASE: &str = "/api/v1";
