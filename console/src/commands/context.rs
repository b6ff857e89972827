//! What every command has: its options, the screen, the way to the Director, points in time as typed.

use std::cell::RefCell;

use common::api::status::Status;
use common::ids::JobId;
use jiff::tz::TimeZone;

use crate::arguments::CommonArgs;
use crate::director::{Director, console_file, load};
use crate::machine::{Layout, default_root};
use crate::outcome::CommandError;
use crate::show::{Json, Screen, Zone, at_zone};
use crate::typed::{TypedError, When, parse_when};

/// What every command has.
pub(super) struct Context {
    pub screen: Screen,
    common: CommonArgs,
    followed: RefCell<Vec<JobId>>,
}

/// A point in time for a query: one of the two, or neither for the newest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct At {
    pub job_id: Option<JobId>,
    pub as_of: Option<chrono::DateTime<chrono::Utc>>,
}

impl Context {
    pub fn new(common: &CommonArgs) -> Self {
        let json = if common.json { Json::Yes } else { Json::No };
        Self {
            screen: Screen::new(Zone::local(), json),
            common: common.clone(),
            followed: RefCell::default(),
        }
    }

    pub fn layout(&self) -> Layout {
        Layout::at(&self.common.root.clone().unwrap_or_else(default_root))
    }

    /// The Director that `console.toml` names.
    pub async fn director(&self) -> Result<Director, CommandError> {
        let access = load(&console_file(&self.common), self.common.director.as_deref())?;
        Ok(Director::open(&access).await?)
    }

    /// A typed point in time; a time without zone is the Director's, and is echoed as it was understood.
    pub async fn at(&self, director: &Director, typed: Option<&str>) -> Result<At, CommandError> {
        let Some(typed) = typed else {
            return Ok(At::default());
        };
        // A JobId needs neither clock nor zone.
        if let Ok(When::Job(id)) = parse_when(typed, jiff::Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            return Ok(At {
                job_id: Some(id),
                as_of: None,
            });
        }
        let as_of = self.instant(&director.status().await?, typed)?;
        Ok(At {
            job_id: None,
            as_of: Some(as_of),
        })
    }

    /// A typed instant (no JobId), echoed.
    pub fn instant(
        &self,
        status: &Status,
        typed: &str,
    ) -> Result<chrono::DateTime<chrono::Utc>, CommandError> {
        let name = &status.director.zone;
        let zone = TimeZone::get(name).map_err(|_| TypedError::Zone { zone: name.clone() })?;
        let not = || TypedError::Time {
            text: typed.to_owned(),
        };
        let now =
            jiff::Timestamp::from_second(status.director.now.timestamp()).map_err(|_| not())?;
        let When::Instant(at) = parse_when(typed, now, &zone)? else {
            return Err(not().into());
        };
        self.screen
            .note(&format!("{typed} = {} ({name})", at_zone(at, &zone)));
        // Times are shown to the second: one that is typed as shown means all of it.
        let nanos = match at.subsec_nanosecond() {
            0 => 999_999_999,
            nanos => nanos.unsigned_abs(),
        };
        Ok(chrono::DateTime::from_timestamp(at.as_second(), nanos).ok_or_else(not)?)
    }

    /// Notes a run that goes on when this command is interrupted.
    pub fn following(&self, id: JobId) {
        self.followed.borrow_mut().push(id);
    }

    pub fn say_interrupted(&self) {
        for id in self.followed.borrow().iter() {
            self.screen.note(&format!("run {id} goes on: `holdfast log {id} -f` follows it, `holdfast cancel {id}` stops it"));
        }
    }
}
