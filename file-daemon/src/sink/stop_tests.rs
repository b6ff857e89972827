//! Every kind of wait ends soon after the stop, also when the other end of its channel is alive and never says anything.

use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::*;

const SOON: Duration = Duration::from_secs(2);

fn ends_soon(wait: impl FnOnce(&Stop) -> Result<(), SinkError> + Send) {
    let stop = Stop::default();
    let began = Instant::now();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| wait(&stop));
        stop.set(SinkError::Canceled);
        let ended = waiting.join().unwrap();
        assert!(matches!(ended, Err(SinkError::Canceled)), "{ended:?}");
    });
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
}

#[test]
fn no_wait_outlives_the_stop_although_nobody_hangs_up() {
    let (to, from) = bounded::<u8>(1);
    ends_soon(|stop| stop.recv(&from, "x").map(drop));
    ends_soon(|stop| stop.next(&from).map(drop));
    to.send(1).unwrap();
    ends_soon(|stop| stop.send(&to, 2, "x"));
    assert_eq!(from.len(), 1);
}

#[test]
fn what_comes_before_the_stop_is_given_and_the_end_of_a_queue_is_told() {
    let stop = Stop::default();
    let (to, from) = bounded::<u8>(1);
    stop.send(&to, 1, "x").unwrap();
    assert_eq!(stop.recv(&from, "x").unwrap(), 1);
    drop(to);
    assert_eq!(stop.next(&from).unwrap(), None);
    assert!(matches!(
        stop.recv(&from, "compressor"),
        Err(SinkError::Stage("compressor"))
    ));
}
