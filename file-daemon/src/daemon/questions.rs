//! Questions about a FileSet: what would be saved, and which rule decides about a path. Nothing is read or sent.

use common::net::conversation::Answer;
use common::protocol::control::Body;
use common::protocol::fault::{Fault, code};
use common::protocol::orders::{BrowseOrder, EstimateOrder, EstimateReply};
use common::shutdown::StopToken;

use crate::estimate::{EstimateError, estimate, explain};

/// Walks as a backup would, and counts.
#[must_use]
pub fn would_save(mut order: EstimateOrder, own_folders: Vec<Vec<u8>>, stop: StopToken) -> Answer {
    order.own_folders.extend(own_folders);
    on_thread(move || estimate(&order, &stop))
}

/// Which rule decides about a path.
#[must_use]
pub fn decides(order: BrowseOrder, own_folders: Vec<Vec<u8>>) -> Answer {
    on_thread(move || explain(&order, &own_folders))
}

/// Runs a question on a thread that may wait for disks.
fn on_thread(
    work: impl FnOnce() -> Result<EstimateReply, EstimateError> + Send + 'static,
) -> Answer {
    Answer::later(async {
        match tokio::task::spawn_blocking(work).await {
            Ok(Ok(reply)) => Body::EstimateReply(reply),
            Ok(Err(e)) => Body::Fault(Fault::new(code::MALFORMED, crate::chain(&e))),
            Err(_) => Body::Fault(Fault::new(code::INTERNAL, "the question ended by a defect")),
        }
    })
}
