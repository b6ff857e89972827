//! Names against each other: every name that is used must be defined, and what is left out must be clear.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use common::config::{Problem, Problems, Source, did_you_mean};

use super::context::{Context, Found, Reference};
use super::director::DirectorTable;
use super::job::JobReferences;
use super::load::Collected;
use super::{Config, Job, Pool};

impl Collected {
    /// The configuration; what is wrong with its names is added to `problems`.
    pub fn resolve(self, folder: PathBuf, main: &Arc<Source>, problems: &mut Problems) -> Config {
        let storage_names: Vec<&String> = self.storages.keys().collect();
        let mut pools = BTreeMap::new();
        for (name, found) in &self.pools {
            pools.insert(
                name.clone(),
                self.pool(name, found, &storage_names, problems),
            );
        }
        let mut jobs = BTreeMap::new();
        for (name, found) in &self.jobs {
            jobs.insert(name.clone(), self.job(name, found, problems));
        }
        let director = self.director.map_or_else(
            || {
                DirectorTable::default().check(&mut Context {
                    source: main,
                    problems,
                })
            },
            |d| d.value,
        );
        Config {
            folder,
            files: Vec::new(),
            director,
            catalog: self.catalog.map(|c| c.value).unwrap_or_default(),
            storages: values(self.storages),
            pools,
            clients: values(self.clients),
            filesets: values(self.filesets),
            schedules: values(self.schedules),
            jobs,
            users: values(self.users),
        }
    }

    fn pool(
        &self,
        name: &str,
        found: &Found<(Pool, Option<Reference>)>,
        storages: &[&String],
        problems: &mut Problems,
    ) -> Pool {
        let (mut pool, reference) = found.value.clone();
        match (&reference, storages) {
            (Some(reference), _) => known("storage", reference, &self.storages, problems),
            (None, [only]) => pool.storage = (*only).clone(),
            (None, _) => problems.push(
                Problem::new(found.place.clone(), format!("pool {name} has no storage"))
                    .remedy("add `storage = \"NAME\"`, the label of a Storage Daemon"),
            ),
        }
        pool
    }

    fn job(&self, name: &str, found: &Found<(Job, JobReferences)>, problems: &mut Problems) -> Job {
        let (mut job, references) = found.value.clone();
        for client in &references.clients {
            known("client", client, &self.clients, problems);
        }
        if let Some(fileset) = &references.fileset {
            known("fileset", fileset, &self.filesets, problems);
        }
        if let Some(schedule) = &references.schedule {
            known("schedule", schedule, &self.schedules, problems);
        }
        let mut names = self.pools.keys();
        match (&references.pool, names.next(), names.next()) {
            (Some(pool), _, _) => known("pool", pool, &self.pools, problems),
            (None, Some(only), None) => job.pool.clone_from(only),
            (None, _, _) => problems.push(
                Problem::new(found.place.clone(), format!("job {name} has no pool"))
                    .remedy("add `pool = \"NAME\"`"),
            ),
        }
        let mut seen = std::collections::BTreeSet::new();
        for client in &references.clients {
            if !seen.insert(&client.name) {
                problems.push(
                    Problem::new(
                        client.place.clone(),
                        format!("job {name} names client {} twice", client.name),
                    )
                    .remedy("remove one of them"),
                );
            }
        }
        job
    }
}

/// Reports a name that nothing defines, with the nearest one that something does.
fn known<T>(
    kind: &str,
    reference: &Reference,
    defined: &BTreeMap<String, T>,
    problems: &mut Problems,
) {
    if defined.contains_key(&reference.name) {
        return;
    }
    let remedy = match did_you_mean(&reference.name, defined.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("define it with a table [{kind}.{}]", reference.name),
    };
    problems.push(
        Problem::new(
            reference.place.clone(),
            format!("there is no {kind} {:?}", reference.name),
        )
        .remedy(remedy),
    );
}

fn values<T>(found: BTreeMap<String, Found<T>>) -> BTreeMap<String, T> {
    found.into_iter().map(|(name, f)| (name, f.value)).collect()
}
