//! Interning: the directories of a batch get their ids, known ones looked up, new ones numbered.
//!
//! Below a directory that is new everything is new, so a first Full asks nothing and an Incremental
//! asks once per level of the directories it touches. The series has one writer (its lease), so ids
//! are counted up without a race.

use super::super::connect::Catalog;
use super::super::error::{CatalogError, During};
use super::super::series::SeriesId;
use super::batch::{Batch, DirRef};
use super::copy::{Encoder, copy_in};

/// A directory with its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    id: i32,
    /// It did not exist before this ingest: nothing below it is in the catalog.
    new: bool,
}

/// Ids of the directories of a batch.
#[derive(Debug)]
pub(super) struct Ids {
    open: Vec<Known>,
    entered: Vec<Known>,
}

impl Ids {
    pub fn id(&self, dir: DirRef) -> Option<i32> {
        self.known(dir).map(|known| known.id)
    }

    fn known(&self, dir: DirRef) -> Option<Known> {
        let (list, place) = match dir {
            DirRef::Open(place) => (&self.open, place),
            DirRef::Entered(place) => (&self.entered, place),
        };
        list.get(usize::try_from(place).ok()?).copied()
    }
}

/// Gives ids to directories, batch by batch.
#[derive(Debug)]
pub(super) struct Interner {
    catalog: Catalog,
    series: SeriesId,
    open: Vec<Known>,
    /// Directories numbered so far.
    pub numbered: u64,
}

const DAMAGED: CatalogError = CatalogError::Damaged {
    what: "directory reference of a batch",
};

impl Interner {
    pub async fn new(catalog: &Catalog, series: SeriesId) -> Result<Self, CatalogError> {
        let next: i32 = sqlx::query_scalar("SELECT next_dir FROM series WHERE id = $1")
            .bind(series.0)
            .fetch_one(catalog.pool())
            .await
            .during("read a series")?;
        Ok(Self {
            catalog: catalog.clone(),
            series,
            open: vec![Known {
                id: 1,
                new: next == 2,
            }],
            numbered: 0,
        })
    }

    /// Ids for every directory that the batch names.
    pub async fn intern(&mut self, batch: &Batch) -> Result<Ids, CatalogError> {
        if batch.again {
            self.open.iter_mut().for_each(|dir| dir.new = false);
        }
        let catalog = self.catalog.clone();
        let _turn = catalog.ingest_turn().await;
        let mut plan = Plan::new(&self.open, &batch.entered)?;
        while let Some((parents, names, places)) = plan.questions()? {
            let found: Vec<(i64, i32)> = sqlx::query_as(include_str!("directories.sql"))
                .bind(self.series.0)
                .bind(&parents)
                .bind(&names)
                .fetch_all(self.catalog.pool())
                .await
                .during("look directories up")?;
            plan.answers(&places, &found)?;
        }
        if plan.new > 0 {
            self.number(&mut plan).await?;
        }
        self.numbered = self.numbered.saturating_add(plan.new as u64);
        let ids = plan.into_ids(&self.open)?;
        self.open = batch
            .open
            .iter()
            .map(|dir| ids.known(*dir).ok_or(DAMAGED))
            .collect::<Result<_, _>>()?;
        Ok(ids)
    }

    /// Takes a block of ids and writes the new directories.
    async fn number(&self, plan: &mut Plan<'_>) -> Result<(), CatalogError> {
        let what = "record new directories";
        let range = CatalogError::Range {
            what: "number of directories in a series",
        };
        let mut tx = self.catalog.begin().await?;
        let count = i32::try_from(plan.new).map_err(|_| range)?;
        let sql =
            "UPDATE series SET next_dir = next_dir + $2 WHERE id = $1 RETURNING next_dir - $2";
        let first: i32 = sqlx::query_scalar(sql)
            .bind(self.series.0)
            .bind(count)
            .fetch_one(&mut *tx)
            .await
            .during(what)?;
        let bytes = plan.assign(self.series, first)?;
        let sql = "COPY dir (series, id, parent, name) FROM STDIN (FORMAT binary)";
        copy_in(&mut tx, sql, &bytes).await.during(what)?;
        tx.commit().await.during(what)
    }
}

/// Where each entered directory of a batch stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    /// In the catalog under this id.
    Old(i32),
    /// To be numbered.
    New,
}

/// The directories of a batch on their way to ids. No I/O: questions out, answers in.
#[derive(Debug)]
struct Plan<'a> {
    open: &'a [Known],
    entered: &'a [(DirRef, Vec<u8>)],
    states: Vec<State>,
    ids: Vec<i32>,
    new: usize,
}

type Questions<'a> = (Vec<i32>, Vec<&'a [u8]>, Vec<usize>);

impl<'a> Plan<'a> {
    fn new(open: &'a [Known], entered: &'a [(DirRef, Vec<u8>)]) -> Result<Self, CatalogError> {
        let mut plan = Self {
            open,
            entered,
            states: vec![State::Unknown; entered.len()],
            ids: vec![0; entered.len()],
            new: 0,
        };
        plan.spread()?;
        Ok(plan)
    }

    fn state(&self, dir: DirRef) -> Result<State, CatalogError> {
        match dir {
            DirRef::Open(place) => {
                let known = usize::try_from(place).ok().and_then(|p| self.open.get(p));
                known
                    .map(|k| if k.new { State::New } else { State::Old(k.id) })
                    .ok_or(DAMAGED)
            }
            DirRef::Entered(place) => {
                let state = usize::try_from(place).ok().and_then(|p| self.states.get(p));
                state.copied().ok_or(DAMAGED)
            }
        }
    }

    /// What is below a new directory is new. Parents come first, so one pass reaches all.
    fn spread(&mut self) -> Result<(), CatalogError> {
        for (place, (parent, _)) in self.entered.iter().enumerate() {
            if self.states.get(place) == Some(&State::Unknown) && self.state(*parent)? == State::New
            {
                self.set(place, State::New);
            }
        }
        Ok(())
    }

    fn set(&mut self, place: usize, state: State) {
        if let Some(slot) = self.states.get_mut(place) {
            *slot = state;
            self.new = self.new.saturating_add(usize::from(state == State::New));
        }
    }

    /// Directories to be looked up whose parent is known: parent, name, place.
    fn questions(&self) -> Result<Option<Questions<'a>>, CatalogError> {
        let (mut parents, mut names, mut places) = (Vec::new(), Vec::new(), Vec::new());
        for (place, (parent, name)) in self.entered.iter().enumerate() {
            if self.states.get(place) != Some(&State::Unknown) {
                continue;
            }
            if let State::Old(id) = self.state(*parent)? {
                parents.push(id);
                names.push(name.as_slice());
                places.push(place);
            }
        }
        Ok(Some((parents, names, places)).filter(|(parents, _, _)| !parents.is_empty()))
    }

    /// `found`: place in the question (from 1) and id.
    fn answers(&mut self, places: &[usize], found: &[(i64, i32)]) -> Result<(), CatalogError> {
        for place in places {
            self.set(*place, State::New);
        }
        for (asked, id) in found {
            let place = usize::try_from(asked.saturating_sub(1)).ok();
            let place = place.and_then(|p| places.get(p)).ok_or(DAMAGED)?;
            self.new = self.new.saturating_sub(1);
            self.set(*place, State::Old(*id));
        }
        self.spread()
    }

    /// Numbers the new ones from `first` on; returns their rows for COPY.
    fn assign(&mut self, series: SeriesId, first: i32) -> Result<Vec<u8>, CatalogError> {
        let mut rows = Encoder::new(4);
        let mut next = first;
        for (place, (parent, name)) in self.entered.iter().enumerate() {
            if self.states.get(place) != Some(&State::New) {
                continue;
            }
            let parent = self.id(*parent)?;
            rows.row()
                .int4(series.0)
                .int4(next)
                .int4(parent)
                .bytes(name);
            if let Some(slot) = self.ids.get_mut(place) {
                *slot = next;
            }
            next = next.saturating_add(1);
        }
        Ok(rows.finish())
    }

    fn id(&self, dir: DirRef) -> Result<i32, CatalogError> {
        match dir {
            DirRef::Open(place) => {
                let known = usize::try_from(place).ok().and_then(|p| self.open.get(p));
                known.map(|k| k.id).ok_or(DAMAGED)
            }
            DirRef::Entered(place) => {
                let place = usize::try_from(place).map_err(|_| DAMAGED)?;
                match self.states.get(place) {
                    Some(State::Old(id)) => Ok(*id),
                    Some(State::New) => self.ids.get(place).copied().ok_or(DAMAGED),
                    _ => Err(DAMAGED),
                }
            }
        }
    }

    fn into_ids(self, open: &[Known]) -> Result<Ids, CatalogError> {
        let known = |place: usize| {
            let dir = DirRef::Entered(u32::try_from(place).map_err(|_| DAMAGED)?);
            let new = self.states.get(place) == Some(&State::New);
            self.id(dir).map(|id| Known { id, new })
        };
        Ok(Ids {
            open: open.to_vec(),
            entered: (0..self.entered.len())
                .map(known)
                .collect::<Result<_, _>>()?,
        })
    }
}
