//! What a person types, understood: points in time, `client:/path`. Pure: the time of day comes in as an argument.

mod error;
mod path;
mod time;

pub use error::TypedError;
pub use path::{Place, parse_path, parse_place};
pub use time::{When, parse_when};
