//! `find` and `versions`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use common::api::browse::{FindQuery, Hit, Version, VersionsQuery};
use common::name::Shown;

use super::Context;
use crate::arguments::{FindArgs, VersionsArgs};
use crate::outcome::{CommandError, Outcome};
use crate::show::{Grid, Zone, size};
use crate::typed::{Place, parse_place};

pub(super) async fn find(context: &Context, a: &FindArgs) -> Result<Outcome, CommandError> {
    let (place, pattern) = words(&a.words)?;
    let director = context.director().await?;
    let at = context.at(&director, a.at.as_deref()).await?;
    let query = FindQuery {
        pattern,
        client: place.client,
        path: place.path,
        job: a.job.clone(),
        job_id: at.job_id,
        as_of: at.as_of,
        ..FindQuery::default()
    };
    let found = director.find(&query, a.limit).await?;
    context
        .screen
        .answer(&found.items, |hits, zone| hits_text(hits, zone))?;
    if found.more {
        context.screen.note(&format!(
            "the first {} are shown; --limit shows more",
            found.items.len()
        ));
    }
    Ok(Outcome::Ok)
}

/// One word is the pattern, two are the place and the pattern.
fn words(words: &[std::ffi::OsString]) -> Result<(Place, String), CommandError> {
    let text = |word: &OsStr| Shown(word.as_bytes()).to_string();
    // A pattern is a glob, where a backslash has its own meaning: only what is not UTF-8 needs the escaped form.
    let pattern = |word: &OsStr| word.to_str().map_or_else(|| text(word), str::to_owned);
    match words {
        [place, word] => Ok((parse_place(place)?, pattern(word))),
        [word] => Ok((Place::default(), pattern(word))),
        _ => Err(CommandError::Refused(
            "type the pattern, or client and pattern".into(),
        )),
    }
}

fn hits_text(hits: &[Hit], zone: &Zone) -> String {
    if hits.is_empty() {
        return "nothing found; a pattern without *?[ is found anywhere in a name, one with / over whole paths".to_owned();
    }
    let mut grid = Grid::new(&["client", "job", ">run", ">size", "changed", "path"]);
    for hit in hits {
        let gone = if hit.removed { "  (removed since)" } else { "" };
        grid.row(&[
            hit.client.clone(),
            hit.job.clone(),
            hit.job_id.to_string(),
            size(hit.entry.size),
            zone.short(hit.entry.mtime),
            format!("{}{gone}", super::files::name_text(&hit.entry)),
        ]);
    }
    let example = hits.first().map_or_else(String::new, |hit| {
        format!(
            "\n\nholdfast restore {}:{} --at {}",
            hit.client,
            quoted(&hit.entry.name.0),
            hit.job_id
        )
    });
    grid.text() + &example
}

/// A path as a shell takes it.
pub(super) fn quoted(path: &str) -> String {
    let plain = path.bytes().all(|b| {
        b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-' | b'+' | b':' | b',')
    });
    if plain {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

pub(super) async fn versions(context: &Context, a: &VersionsArgs) -> Result<Outcome, CommandError> {
    let place = parse_place(&a.place)?;
    let (Some(client), Some(path)) = (place.client, place.path) else {
        return Err(CommandError::Refused(
            "which file? type client:/path".into(),
        ));
    };
    let director = context.director().await?;
    let query = VersionsQuery {
        client: client.clone(),
        path: path.clone(),
        job: a.job.clone(),
        ..VersionsQuery::default()
    };
    let found = director.versions(&query, a.limit).await?;
    context
        .screen
        .answer(&found.items, |versions, zone| versions_text(versions, zone))?;
    if let (Some(newest), false) = (
        found.items.iter().find(|v| v.entry.is_some()),
        context.screen.is_json(),
    ) {
        context.screen.note(&format!(
            "\nholdfast restore {client}:{} --at {}",
            quoted(&path.0),
            newest.job_id
        ));
    }
    Ok(Outcome::Ok)
}

fn versions_text(versions: &[Version], zone: &Zone) -> String {
    let mut grid = Grid::new(&[
        "saved",
        ">run",
        "until run",
        "job",
        "mode",
        ">size",
        "changed",
    ]);
    for v in versions {
        let (mode, bytes, changed) = v.entry.as_ref().map_or_else(
            || (String::new(), String::new(), "removed".to_owned()),
            |e| {
                (
                    super::files::mode_text(e.kind, e.mode),
                    size(e.size),
                    zone.full(e.mtime),
                )
            },
        );
        grid.row(&[
            zone.short(v.as_of),
            v.job_id.to_string(),
            v.last_job_id.to_string(),
            v.job.clone(),
            mode,
            bytes,
            changed,
        ]);
    }
    grid.text()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_word_is_the_pattern_two_are_place_and_pattern() {
        let split =
            |text: &[&str]| words(&text.iter().map(Into::into).collect::<Vec<_>>()).unwrap();
        assert_eq!(split(&["fstab"]), (Place::default(), "fstab".to_owned()));
        let (place, pattern) = split(&["web01:/home", "*.odt"]);
        assert_eq!(
            (place.client.as_deref(), pattern.as_str()),
            (Some("web01"), "*.odt")
        );
    }

    #[test]
    fn paths_can_be_pasted_into_a_shell() {
        assert_eq!(quoted("/a/b-1.txt"), "/a/b-1.txt");
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("/it's\\x0a"), "'/it'\\''s\\x0a'");
    }
}
