//! Reads `director.toml` and `conf.d/*.toml` beside it into one checked [`Config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::{LoadError, Problem, Problems, Source, Spanned, parse};
use serde::Deserialize;

use super::catalog::CatalogTable;
use super::client::ClientTable;
use super::context::{Context, Found, Reference};
use super::director::DirectorTable;
use super::fileset::FileSetTable;
use super::job::{JobReferences, JobTable};
use super::pool::PoolTable;
use super::schedule::ScheduleTable;
use super::storage::StorageTable;
use super::user::UserTable;
use super::{CatalogSettings, Client, Director, FileSet, Job, Pool, Schedule, Storage, User};

/// Everything that is configured, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// State folder: where `director.toml` is.
    pub folder: PathBuf,
    /// Files read.
    pub files: Vec<PathBuf>,
    /// The Director itself.
    pub director: Director,
    /// The catalog.
    pub catalog: CatalogSettings,
    /// By name.
    pub storages: BTreeMap<String, Storage>,
    /// By name.
    pub pools: BTreeMap<String, Pool>,
    /// By name.
    pub clients: BTreeMap<String, Client>,
    /// By name.
    pub filesets: BTreeMap<String, FileSet>,
    /// By name.
    pub schedules: BTreeMap<String, Schedule>,
    /// By name.
    pub jobs: BTreeMap<String, Job>,
    /// By name.
    pub users: BTreeMap<String, User>,
}

type Named<T> = BTreeMap<Spanned<String>, T>;

/// One file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct FileTable {
    director: Option<Spanned<DirectorTable>>,
    catalog: Option<Spanned<CatalogTable>>,
    storage: Named<StorageTable>,
    pool: Named<PoolTable>,
    client: Named<ClientTable>,
    fileset: Named<FileSetTable>,
    schedule: Named<ScheduleTable>,
    job: Named<JobTable>,
    user: Named<UserTable>,
}

/// All resources with their places, before names are resolved.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub director: Option<Found<Director>>,
    pub catalog: Option<Found<CatalogSettings>>,
    pub storages: BTreeMap<String, Found<Storage>>,
    pub pools: BTreeMap<String, Found<(Pool, Option<Reference>)>>,
    pub clients: BTreeMap<String, Found<Client>>,
    pub filesets: BTreeMap<String, Found<FileSet>>,
    pub schedules: BTreeMap<String, Found<Schedule>>,
    pub jobs: BTreeMap<String, Found<(Job, JobReferences)>>,
    pub users: BTreeMap<String, Found<User>>,
}

/// Reads and checks the configuration whose main file is `path`.
///
/// # Errors
/// A file is not readable, or all that is wrong in all of them.
pub fn load(path: &Path) -> Result<Config, LoadError> {
    check(path, &[])
}

/// As [`load`], with files of `conf.d` that are to be written in place of those that are there.
pub(super) fn check(path: &Path, drafts: &[Arc<Source>]) -> Result<Config, LoadError> {
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let main = Source::read(path)?;
    let mut sources = vec![Arc::clone(&main)];
    for file in conf_d(&folder)? {
        if !drafts.iter().any(|draft| draft.path == file) {
            sources.push(Source::read(&file)?);
        }
    }
    sources.extend(drafts.iter().cloned());
    let mut problems = Problems::default();
    let mut all = Collected::default();
    for source in &sources {
        if let Some(table) = parse::<FileTable>(source, &mut problems) {
            all.add(
                table,
                &mut Context {
                    source,
                    problems: &mut problems,
                },
            );
        }
    }
    let mut config = all.resolve(folder, &main, &mut problems);
    config.files = sources.iter().map(|s| s.path.clone()).collect();
    problems.or(config).map_err(LoadError::Wrong)
}

/// `conf.d/*.toml`, in the order of their names; hidden files are left alone.
fn conf_d(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let conf_d = folder.join("conf.d");
    let error = |source| LoadError::Read {
        path: conf_d.clone(),
        source,
    };
    let entries = match std::fs::read_dir(&conf_d) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(error(e)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        let hidden = path
            .file_name()
            .is_none_or(|n| n.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.extension().is_some_and(|e| e == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

impl Collected {
    fn add(&mut self, table: FileTable, context: &mut Context<'_>) {
        if let Some(director) = table.director {
            let place = context.place(director.span());
            let value = director.into_inner().check(context);
            once(
                &mut self.director,
                "[director]",
                Found { place, value },
                context,
            );
        }
        if let Some(catalog) = table.catalog {
            let place = context.place(catalog.span());
            let value = catalog.into_inner().check(context);
            once(
                &mut self.catalog,
                "[catalog]",
                Found { place, value },
                context,
            );
        }
        add_named(
            ("storage", table.storage, &mut self.storages),
            context,
            |t, _, c| t.check(c),
        );
        add_named(("pool", table.pool, &mut self.pools), context, |t, _, c| {
            t.check(c)
        });
        add_named(
            ("client", table.client, &mut self.clients),
            context,
            |t, _, c| t.check(c),
        );
        add_named(
            ("fileset", table.fileset, &mut self.filesets),
            context,
            FileSetTable::check,
        );
        add_named(
            ("schedule", table.schedule, &mut self.schedules),
            context,
            ScheduleTable::check,
        );
        add_named(("job", table.job, &mut self.jobs), context, JobTable::check);
        add_named(("user", table.user, &mut self.users), context, |t, _, c| {
            t.check(c)
        });
    }
}

fn once<T>(slot: &mut Option<Found<T>>, what: &str, found: Found<T>, context: &mut Context<'_>) {
    match slot {
        None => *slot = Some(found),
        Some(first) => context.problems.push(
            Problem::new(found.place, format!("{what} is there twice"))
                .remedy("keep one of them")
                .also(first.place.clone(), "first here"),
        ),
    }
}

/// One kind of resource: its word, its tables in this file, and what was collected of it so far.
type Kind<'a, T, V> = (&'static str, Named<T>, &'a mut BTreeMap<String, Found<V>>);

fn add_named<T, V>(
    (kind, tables, found): Kind<'_, T, V>,
    context: &mut Context<'_>,
    check: impl Fn(T, &Spanned<String>, &mut Context<'_>) -> V,
) {
    for (name, table) in tables {
        context.check_name(kind, &name);
        let place = context.place(name.span());
        let value = check(table, &name, context);
        if let Some(first) = found.get(name.get_ref()) {
            context.problems.push(
                Problem::new(place, format!("{kind} {} is defined twice", name.get_ref()))
                    .remedy("rename or remove one of them")
                    .also(first.place.clone(), "first defined here"),
            );
        } else {
            found.insert(name.into_inner(), Found { place, value });
        }
    }
}
