//! The network against real TLS on loopback: who comes in, who does not, what an end is.
#![allow(clippy::unwrap_used, clippy::panic)]

mod admission;
mod conversing;
mod folder;
mod frames;
mod golden;
mod tickets;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::acceptor::{Accepted, Acceptor, Purpose};
use super::pki::CredentialStore;
use crate::shutdown::StopToken;

pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// A listener whose accepted peers come out of a channel.
pub(super) struct Listening {
    pub address: String,
    pub accepted: mpsc::Receiver<Accepted>,
    pub stop: StopToken,
}

impl Listening {
    pub async fn on(store: &Arc<CredentialStore>, purposes: &'static [Purpose]) -> Self {
        let local = ["127.0.0.1:0".to_owned()];
        let acceptor = Acceptor::bind(&local, purposes, store.clone())
            .await
            .unwrap();
        let address = acceptor.addresses()[0].to_string();
        let (into, accepted) = mpsc::channel(300);
        let stop = StopToken::new();
        let stopped = stop.clone();
        tokio::spawn(async move {
            acceptor
                .run(&stopped, move |peer, _| {
                    let into = into.clone();
                    async move { into.send(peer).await.unwrap() }
                })
                .await;
        });
        Self {
            address,
            accepted,
            stop,
        }
    }

    pub async fn next(&mut self) -> Accepted {
        tokio::time::timeout(LIMIT, self.accepted.recv())
            .await
            .unwrap()
            .unwrap()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
