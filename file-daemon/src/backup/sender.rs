//! Sender: gives the storage what leaves the packer, in that order.

use std::sync::atomic::Ordering;

use common::object::segment::Segment;
use crossbeam_channel::Receiver;

use super::compress::Pressure;
use super::packer::Parcel;
use crate::sink::error::SinkError;
use crate::sink::port::Storage;
use crate::sink::stop::Stop;

/// Sends until the packer is done.
///
/// # Errors
/// The storage is lost, or another stage stopped.
pub fn work(
    parcels: &Receiver<Parcel>,
    storage: &dyn Storage,
    (pressure, stop): (&Pressure, &Stop),
) -> Result<(), SinkError> {
    let ready = |segment: &Receiver<Segment>| stop.recv(segment, "compressor");
    while let Some(parcel) = stop.next(parcels)? {
        match parcel {
            Parcel::Content(segment) => {
                let segment = ready(&segment)?;
                pressure.sending.store(true, Ordering::Relaxed);
                storage.send_segment(segment)?;
                pressure.sending.store(false, Ordering::Relaxed);
            }
            Parcel::Pages(segment) => storage.send_pages(ready(&segment)?)?,
            // Whoever asked is gone only when the run has stopped.
            Parcel::Flush(done) => drop(done.send(())),
        }
    }
    Ok(())
}
