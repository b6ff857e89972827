//! HTTP connections on the Director's port, handed to the API's service.
//!
//! At most 512 at once; a request's head within 10 s, also on a kept-open connection; 64 streams on one HTTP/2
//! connection. The service finds the client's address in the request's extensions.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use common::net::acceptor::Accepted;
use common::shutdown::StopToken;
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::sync::Semaphore;
use tower::Service;

/// HTTP connections at once.
const MAX_CONNECTIONS: usize = 512;
const HEAD_LIMIT: Duration = Duration::from_secs(10);
const STREAMS: u32 = 64;
/// Requests under way when the Director stops are finished within this.
const STOP_LIMIT: Duration = Duration::from_secs(3);

/// Where an HTTP request comes from: an extension of each request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoteAddress(pub SocketAddr);

/// What the API's service must be; axum's `Router` is.
pub trait HttpService: Clone + Send + Sync + 'static {
    /// Its answers' bodies.
    type Body: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;
    /// Its errors.
    type Failure: Into<Box<dyn std::error::Error + Send + Sync>>;
    /// Its answer under way.
    type Answer: Future<Output = Result<Response<Self::Body>, Self::Failure>> + Send + 'static;
    /// Answers one request.
    fn answer(&mut self, request: Request<Incoming>) -> Self::Answer;
}

impl<S, B> HttpService for S
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    B: Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    type Body = B;
    type Failure = S::Error;
    type Answer = S::Future;
    fn answer(&mut self, request: Request<Incoming>) -> S::Future {
        self.call(request)
    }
}

/// Counts HTTP connections.
#[derive(Debug)]
pub(super) struct HttpDoor {
    places: Arc<Semaphore>,
}

impl Default for HttpDoor {
    fn default() -> Self {
        Self {
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

/// Adds the client's address to each request.
#[derive(Clone)]
struct WithRemote<S> {
    inner: S,
    remote: RemoteAddress,
}

impl<S: HttpService> Service<Request<Incoming>> for WithRemote<S> {
    type Response = Response<S::Body>;
    type Error = S::Failure;
    type Future = S::Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> S::Answer {
        request.extensions_mut().insert(self.remote);
        self.inner.answer(request)
    }
}

/// Serves one connection until it ends or the Director stops.
pub(super) async fn serve<S: HttpService>(
    door: &HttpDoor,
    accepted: Accepted,
    api: S,
    stop: &StopToken,
) {
    let remote = accepted.remote;
    let Ok(_place) = door.places.clone().try_acquire_owned() else {
        tracing::warn!(%remote, "refused: too many HTTP connections");
        return;
    };
    drop(accepted.unknown);
    let service = TowerToHyperService::new(WithRemote {
        inner: api,
        remote: RemoteAddress(remote),
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
    let connection = builder.serve_connection(TokioIo::new(accepted.socket), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            match tokio::time::timeout(STOP_LIMIT, connection.as_mut()).await {
                Ok(ended) => ended,
                // A stream of events has no end of its own.
                Err(_) => return,
            }
        }
    };
    if let Err(e) = ended {
        tracing::debug!(%remote, "HTTP connection ended: {e}");
    }
}
