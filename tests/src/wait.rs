//! Waiting for a condition with a limit: the only place of the tests where time passes by itself.
//!
//! A wait that ends without its condition panics and says what it waited for and what was seen last.

use std::time::{Duration, Instant};

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks until `look` gives something, at most `limit`.
///
/// # Panics
/// When it never does.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {limit:?} in vain until {what}"
        );
        pause();
    }
}

/// Looks until `look` is true, at most `limit`.
///
/// # Panics
/// When it never is.
#[track_caller]
pub fn until_true(what: &str, limit: Duration, mut look: impl FnMut() -> bool) {
    until(what, limit, || look().then_some(()));
}

/// Whether `look` stays false for `time`: for what must not happen.
pub fn never(time: Duration, mut look: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if look() {
            return false;
        }
        pause();
    }
    true
}

/// One pause between two looks.
pub fn pause() {
    std::thread::sleep(PAUSE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_awaited_and_a_missing_one_is_named() {
        let mut left = 3;
        until_true("three looks are over", Duration::from_secs(5), || {
            left -= 1;
            left == 0
        });
        let failed = std::panic::catch_unwind(|| {
            until_true("pigs fly", Duration::from_millis(30), || false);
        });
        let text = failed.unwrap_err();
        assert!(text.downcast_ref::<String>().unwrap().contains("pigs fly"));
        assert!(never(Duration::from_millis(30), || false));
    }
}
