//! `user`: API tokens are made, listed, withdrawn.

use common::api::users::{ApiToken, MadeToken, NewApiToken};

use super::Context;
use crate::arguments::UserCommand;
use crate::director::api::{MOST, percent};
use crate::outcome::{CommandError, Outcome};
use crate::show::Grid;

pub(super) async fn user(
    context: &Context,
    command: &UserCommand,
) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    match command {
        UserCommand::Token(a) => {
            let new = NewApiToken {
                label: a.label.clone(),
                days: a.days,
            };
            let made: MadeToken = director
                .post(&format!("/users/{}/tokens", percent(&a.name)), &new)
                .await?;
            context.screen.answer(&made, |made, zone| {
                let known = &made.known;
                format!(
                    "{}\n\nshown only now; user {} ({}), good until {}\n`holdfast user revoke {}` withdraws it",
                    made.token,
                    known.user,
                    known.role,
                    zone.or(known.expires_at, "it is revoked"),
                    known.id
                )
            })?;
        }
        UserCommand::Tokens => {
            let tokens = director.list::<ApiToken>("/tokens", &(), MOST).await?.items;
            context.screen.answer(&tokens, |tokens, zone| {
                let mut grid =
                    Grid::new(&["user", "role", "token", "made", "until", "last used", "for"]);
                for t in tokens {
                    grid.row(&[
                        t.user.clone(),
                        t.role.clone(),
                        t.id.clone(),
                        zone.short(t.created_at),
                        zone.or(t.expires_at, "revoked"),
                        zone.or(t.last_used_at, "never"),
                        t.label.clone(),
                    ]);
                }
                grid.text()
            })?;
        }
        UserCommand::Revoke(a) => {
            let token: ApiToken = director
                .post(
                    &format!("/tokens/{}/revoke", percent(&a.id)),
                    &serde_json::json!({}),
                )
                .await?;
            context.screen.answer(&token, |t, _| {
                format!("token {} of user {} is withdrawn", t.id, t.user)
            })?;
        }
    }
    Ok(Outcome::Ok)
}
