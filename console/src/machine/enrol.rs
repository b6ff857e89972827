//! Gives a daemon of this machine its certificate: a token (from the Director, or one a person brought), then the
//! daemon's own `enrol`, which makes the key.

use std::time::Duration;

use common::api::clients::{Enrolment, NewClient};
use common::api::problem::code;
use common::api::storages::NewStorage;
use common::api::token::TokenFacts;

use super::{Daemon, Layout, MachineError, Programs, file};
use crate::director::{Director, DirectorError};

/// Longest time for `enrol`.
const ENROL: Duration = Duration::from_secs(60);

/// A token from the Director for a daemon of its own machine.
pub(super) async fn token(
    director: &Director,
    daemon: Daemon,
    name: &str,
) -> Result<String, MachineError> {
    let made: Result<Enrolment, DirectorError> = match daemon {
        Daemon::Client => {
            let new = NewClient {
                name: name.to_owned(),
                local: true,
            };
            director.post("/clients", &new).await
        }
        Daemon::Storage | Daemon::Director => {
            director
                .post("/storages", &new_storage(name, Known::No))
                .await
        }
    };
    let made = match made {
        // The name is in the configuration or an earlier try: its machine is this one, so it may have a new certificate.
        Err(e) if e.code() == Some(code::CONFLICT) => match daemon {
            Daemon::Client => {
                director
                    .post(&format!("/clients/{name}/replace"), &serde_json::json!({}))
                    .await
            }
            Daemon::Storage | Daemon::Director => {
                director
                    .post("/storages", &new_storage(name, Known::Yes))
                    .await
            }
        },
        other => other,
    };
    Ok(made?.token)
}

/// Whether the Director knows the name already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

fn new_storage(name: &str, known: Known) -> NewStorage {
    NewStorage {
        name: name.to_owned(),
        local: true,
        replace: known == Known::Yes,
    }
}

/// Reads a token a person brought and checks that it is for this daemon.
pub(super) fn brought(text: &str, daemon: Daemon) -> Result<TokenFacts, MachineError> {
    let token = TokenFacts::read(text).map_err(|_| {
        MachineError::Refused("this is no whole token\n  copy the line that `holdfast client add` printed, from hf1- to its end".into())
    })?;
    if token.role != daemon.role() {
        return Err(MachineError::Refused(format!(
            "this token is for a {}, not for a {}\n  `holdfast client add` makes tokens for clients, `holdfast storage add` for Storage Daemons",
            token.role,
            daemon.title()
        )));
    }
    Ok(token)
}

/// Runs the daemon's `enrol`.
pub(super) async fn enrol(
    layout: &Layout,
    programs: &Programs,
    daemon: Daemon,
    token: &str,
) -> Result<(), MachineError> {
    let program = programs.of(daemon)?;
    let run = tokio::process::Command::new(&program)
        .arg("--config")
        .arg(layout.config(daemon))
        .args(["enrol", "--token", token])
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(ENROL, run)
        .await
        .map_err(|_| {
            MachineError::Refused(format!(
                "{} enrol gave no answer for {} s\n  can this machine reach the Director?",
                daemon.program(),
                ENROL.as_secs()
            ))
        })?
        .map_err(file("start", &program))?;
    if output.status.success() && layout.is_enrolled(daemon) {
        return Ok(());
    }
    let said: Vec<u8> = [output.stdout, output.stderr].concat();
    // The token is a secret until it is used; a program that repeats its arguments does not make us print it.
    let said = common::name::Shown(said.trim_ascii())
        .to_string()
        .replace("\\x0a", "\n    ")
        .replace(token, "hf1-...");
    Err(MachineError::Refused(format!(
        "the {} could not enrol ({})\n    {said}",
        daemon.title(),
        output.status
    )))
}
