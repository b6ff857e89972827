//! `snapshots` and `ls`.

use common::api::browse::{At as Snapshot, BrowseQuery, Entry, Listing};
use common::api::clients::Client;
use common::api::snapshots::{Snapshot as Kept, SnapshotsQuery};
use common::api::text::EntryKind;
use serde::Serialize;

use super::Context;
use crate::arguments::{LsArgs, Order, SnapshotsArgs};
use crate::director::Director;
use crate::outcome::{CommandError, Outcome};
use crate::show::{Grid, Zone, count, size};
use crate::typed::parse_place;

pub(super) async fn snapshots(
    context: &Context,
    a: &SnapshotsArgs,
) -> Result<Outcome, CommandError> {
    let director = context.director().await?;
    let query = SnapshotsQuery {
        client: a.client.clone(),
        job: a.job.clone(),
        ..SnapshotsQuery::default()
    };
    let found = director.list::<Kept>("/snapshots", &query, a.limit).await?;
    context
        .screen
        .answer(&found.items, |items, zone| snapshots_text(items, zone))?;
    if found.more {
        context.screen.note(&format!(
            "the newest {} are shown; --limit shows more",
            found.items.len()
        ));
    }
    Ok(Outcome::Ok)
}

fn snapshots_text(items: &[Kept], zone: &Zone) -> String {
    if items.is_empty() {
        return "no snapshots: `holdfast run JOB` makes one".to_owned();
    }
    let mut grid = Grid::new(&[
        "as of",
        ">run",
        "client",
        "job",
        ">number",
        "level",
        ">files",
        ">protected",
        "kept until",
        "state",
    ]);
    for s in items {
        grid.row(&[
            zone.short(s.as_of),
            s.job_id.to_string(),
            s.client.clone(),
            s.job.clone(),
            s.number.to_string(),
            s.level.to_string(),
            count(s.counts.files),
            size(s.counts.protected_bytes),
            zone.or(s.keep_until, "for ever"),
            if s.damaged { "damaged" } else { "ok" }.to_owned(),
        ]);
    }
    grid.text()
}

/// A listing as `--json` shows it.
#[derive(Serialize)]
struct Shown {
    at: Option<Snapshot>,
    path: String,
    entries: Vec<Entry>,
    more: bool,
}

pub(super) async fn ls(context: &Context, a: &LsArgs) -> Result<Outcome, CommandError> {
    let place = parse_place(&a.place)?;
    let director = context.director().await?;
    let at = context.at(&director, a.at.as_deref()).await?;
    let client = match (place.client, at.job_id) {
        (None, None) => Some(only_client(&director).await?),
        (client, _) => client,
    };
    let query = BrowseQuery {
        client,
        job: a.job.clone(),
        job_id: at.job_id,
        as_of: at.as_of,
        path: place.path,
        ..BrowseQuery::default()
    };
    let (head, mut gathered) = director.browse(&query, a.limit).await?;
    sort(&mut gathered.items, a.sort);
    let shown = Shown {
        path: head.as_ref().map(|h| h.path.0.clone()).unwrap_or_default(),
        at: head.map(|h: Listing| h.at),
        entries: gathered.items,
        more: gathered.more,
    };
    context.screen.answer(&shown, listing_text)?;
    if shown.more {
        context.screen.note(&format!(
            "the first {} are shown; --limit shows more",
            count(shown.entries.len() as u64)
        ));
    }
    Ok(Outcome::Ok)
}

/// The client when there is only one: whose files is then no question.
async fn only_client(director: &Director) -> Result<String, CommandError> {
    let clients = director.list::<Client>("/clients", &(), 2).await?.items;
    match clients.as_slice() {
        [one] => Ok(one.name.clone()),
        _ => Err(CommandError::Refused(
            "whose files? type client:/path, or name a run with --at ID\n  `holdfast client list` lists the clients".into(),
        )),
    }
}

fn sort(entries: &mut [Entry], order: Order) {
    match order {
        // The Director's order: by name bytes.
        Order::Name => {}
        Order::Size => entries.sort_by_key(|e| std::cmp::Reverse(e.size)),
        Order::Time => entries.sort_by_key(|e| std::cmp::Reverse(e.mtime)),
    }
}

fn listing_text(shown: &Shown, zone: &Zone) -> String {
    let head = shown.at.as_ref().map_or_else(String::new, |at| {
        format!(
            "{}:{} as of {} (run {}, job {})\n",
            at.client,
            shown.path,
            zone.full(at.as_of),
            at.job_id,
            at.job
        )
    });
    if shown.entries.is_empty() {
        return format!("{head}(empty)");
    }
    let mut grid = Grid::new(&["mode", "owner", "group", ">size", "changed", "name"]);
    for e in &shown.entries {
        grid.row(&entry_row(e, zone));
    }
    head + &grid.text()
}

fn entry_row(e: &Entry, zone: &Zone) -> [String; 6] {
    let number = |name: &str, id: Option<u32>| match (name, id) {
        ("", Some(id)) => id.to_string(),
        (name, _) => name.to_owned(),
    };
    [
        mode_text(e.kind, e.mode),
        number(&e.owner, e.uid),
        number(&e.group, e.gid),
        if e.kind == EntryKind::File {
            size(e.size)
        } else {
            String::new()
        },
        zone.short(e.mtime),
        name_text(e),
    ]
}

/// A name with its mark: `/` for a directory, where a link points, whether it could not be looked at.
pub(super) fn name_text(e: &Entry) -> String {
    let mark = match (e.kind, &e.target) {
        (EntryKind::Directory, _) if e.name.0 != "/" => "/".to_owned(),
        (EntryKind::Symlink, Some(target)) => format!(" -> {target}"),
        _ => String::new(),
    };
    let stale = if e.stale {
        "  (carried over: it could not be looked at)"
    } else {
        ""
    };
    format!("{}{mark}{stale}", e.name)
}

/// `-rwsr-xr-x`
pub(super) fn mode_text(kind: EntryKind, mode: u32) -> String {
    let mut text = String::with_capacity(10);
    text.push(kind.letter());
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    #[test]
    fn modes_are_shown_as_ls_shows_them() {
        for (kind, mode, text) in [
            (EntryKind::File, 0o644, "-rw-r--r--"),
            (EntryKind::Directory, 0o1777, "drwxrwxrwt"),
            (EntryKind::File, 0o4755, "-rwsr-xr-x"),
            (EntryKind::File, 0o6644, "-rwSr-Sr--"),
            (EntryKind::Directory, 0o1770, "drwxrwx--T"),
        ] {
            assert_eq!(mode_text(kind, mode), text);
        }
    }

    #[test]
    fn a_listing_names_the_snapshot_it_is_from() {
        let at = serde_json::json!({"client": "web01", "job": "nightly", "job_id": 17, "as_of": "2026-11-24T12:00:00Z"});
        let entry = |v: serde_json::Value| serde_json::from_value::<Entry>(v).unwrap();
        let shown = Shown {
            at: Some(serde_json::from_value(at).unwrap()),
            path: "/home".into(),
            entries: vec![
                entry(
                    serde_json::json!({"name": "a\\x0ab", "hex": "610a62", "kind": "file", "size": 1650, "mtime": "2026-11-20T10:00:00Z", "mode": 0o644, "owner": "ann", "gid": 100}),
                ),
                entry(
                    serde_json::json!({"name": "link", "kind": "symlink", "size": 0, "mtime": "2026-11-20T10:00:00Z", "mode": 0o777, "target": "/x"}),
                ),
            ],
            more: false,
        };
        assert_eq!(
            listing_text(&shown, &Zone(TimeZone::UTC)),
            "\
web01:/home as of 2026-11-24 12:00:00 +0000 (run 17, job nightly)
mode        owner  group     size  changed                 name
-rw-r--r--  ann    100    1.65 kB  2026-11-20 10:00 +0000  a\\x0ab
lrwxrwxrwx                         2026-11-20 10:00 +0000  link -> /x"
        );
    }
}
