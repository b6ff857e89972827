//! Enrolment and renewal connections: one question, one answer, the end.

use std::net::SocketAddr;
use std::time::Duration;

use common::net::acceptor::Accepted;
use common::net::framed::{FrameError, FrameReader, FrameWriter, split};
use common::protocol::enrol::{EnrolReply, EnrolRequest, RenewRequest};
use common::protocol::frame::FrameType;

use crate::authority::{Authority, AuthorityError};

/// The question comes, and the answer is taken, within this.
const LIMIT: Duration = Duration::from_secs(10);

/// A machine with a token. It counts as an unknown peer to the end.
pub(super) async fn enrol(authority: &Authority, accepted: Accepted) {
    let (remote, _place) = (accepted.remote, accepted.unknown);
    let (mut reader, mut writer) = halves(split(accepted.socket));
    let asked = reader.expect::<EnrolRequest>(FrameType::EnrolRequest, "an enrolment request");
    let done = match asked.await {
        Ok(request) => answer(&mut reader, &mut writer, authority.enrol(&request).await).await,
        Err(e) => Err(e),
    };
    report(remote, "enrolment", done);
}

/// A daemon with a certificate, expired or not.
pub(super) async fn renew(authority: &Authority, accepted: Accepted) {
    let remote = accepted.remote;
    let Some(peer) = accepted.peer else {
        return;
    };
    let (mut reader, mut writer) = halves(split(accepted.socket));
    let asked = reader.expect::<RenewRequest>(FrameType::RenewRequest, "a renewal request");
    let done = match asked.await {
        Ok(request) => {
            let reply = authority.renew(&peer, &request).await;
            answer(&mut reader, &mut writer, reply).await
        }
        Err(e) => Err(e),
    };
    report(remote, "renewal", done);
}

fn halves((mut reader, mut writer): (FrameReader, FrameWriter)) -> (FrameReader, FrameWriter) {
    reader.limit_body(FrameType::EnrolRequest.max_body());
    reader.set_idle(LIMIT);
    writer.set_idle(LIMIT);
    (reader, writer)
}

async fn answer(
    reader: &mut FrameReader,
    writer: &mut FrameWriter,
    reply: Result<EnrolReply, AuthorityError>,
) -> Result<(), FrameError> {
    match reply {
        Ok(reply) => writer.send_message(FrameType::EnrolReply, &reply).await?,
        Err(e) => {
            tracing::warn!("no certificate given: {}", chain(&e));
            writer.send_message(FrameType::Fault, &e.to_fault()).await?;
        }
    }
    writer.close().await?;
    // The peer has read the answer when it ends the connection, cleanly or not.
    let _ = reader.read().await;
    Ok(())
}

fn report(remote: SocketAddr, what: &str, done: Result<(), FrameError>) {
    if let Err(e) = done {
        tracing::warn!(%remote, "{what} ended early: {}", chain(&e));
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    causes.fold(error.to_string(), |text, e| format!("{text}: {e}"))
}
