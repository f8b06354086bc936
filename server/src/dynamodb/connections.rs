//! Connections: accepted while there are places for them, and given up when nothing comes of them.
//!
//! A place is worth something, so nobody keeps one for nothing. A connection is cut off when for
//! [`head_time`](super::Limits::head_time) no request was being answered and nothing was sent, whatever has come: nobody ever asked,
//! the head of a request takes too long, or the client has gone ([`Clock`]; those of the protocols would be set anew for each
//! request, and begin only once it is known which version of HTTP is spoken). So is one whose client takes nothing of an answer within
//! [`write_time`](super::Limits::write_time) ([`Impatient`]). How long a body may take is the matter of [`Room`](super::body::Room).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};

use crate::dynamodb::Endpoint;
use crate::dynamodb::http::answer;
use crate::io_threads::IoThreads;

/// Requests of one connection at one time, over HTTP/2. Each may have a small body, and an answer that nobody takes.
const STREAMS: u32 = 64;

/// See [`serve`](crate::dynamodb::serve).
pub(crate) async fn serve(
    listener: TcpListener,
    io: &IoThreads,
    endpoint: Arc<Endpoint>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let limits = endpoint.config.limits;
    let server = builder();
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(limits.connections)));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted?,
            () = &mut shutdown => break,
        };
        let (stream, place) = accepted;
        // Answers are small, and are not to wait for each other.
        let _ = stream.set_nodelay(true);
        // It goes on in another runtime.
        let Ok(stream) = stream.into_std() else { continue };
        let clock = Arc::new(Clock::new(limits.head_time));
        let (endpoint, number, under_way) =
            (endpoint.clone(), endpoint.writes.new_connection(), clock.clone());
        let service = service_fn(move |request| {
            let (answered, under_way) =
                (answer(endpoint.clone(), number, request), UnderWay::new(&under_way));
            async move {
                let answer = answered.await;
                drop(under_way);
                answer
            }
        });
        let (server, watcher, seat) = (server.clone(), graceful.watcher(), io.seat());
        seat.runtime().spawn(async move {
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let stream = TokioIo::new(Impatient::new(stream, limits.write_time, clock.clone()));
            let mut connection = pin!(watcher.watch(server.serve_connection(stream, service).into_owned()));
            while !clock.is_over() {
                tokio::select! {
                    biased;
                    // A connection that ends badly has nobody left to be told.
                    _ = &mut connection => break,
                    () = sleep_until(clock.end()) => {}
                }
            }
            drop((place, seat));
        });
    }
    drop(listener);
    let _ = timeout(limits.shutdown_time, graceful.shutdown()).await;
    Ok(())
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Answers of HTTP/1.1 are not kept until no request waits behind them: who sends requests without end would be kept answers without
    // end.
    server.http2().max_concurrent_streams(STREAMS);
    server
}

/// The next connection, once there is a place for it. That one connection failed before it was accepted is no reason to stop.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, place)),
            Err(error) if error.raw_os_error().is_none() => return Err(error),
            // No more descriptors, most likely: others have to be closed first.
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

/// When a connection is to be cut off. It is set for the first time when the connection is accepted.
struct Clock {
    limit: Duration,
    /// Requests that are being answered.
    under_way: AtomicUsize,
    /// When something was sent, or a request had been answered.
    busy: Mutex<Instant>,
}

impl Clock {
    fn new(limit: Duration) -> Clock {
        // Whoever says for ever means as long as clocks can count.
        let limit = limit.min(Duration::from_secs(1 << 30));
        Clock { limit, under_way: AtomicUsize::new(0), busy: Mutex::new(Instant::now()) }
    }

    fn set(&self) {
        *self.busy.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// When the time is over, unless something happens until then.
    fn end(&self) -> Instant {
        match self.under_way.load(Ordering::Relaxed) {
            0 => *self.busy.lock().unwrap_or_else(PoisonError::into_inner) + self.limit,
            _ => Instant::now() + self.limit,
        }
    }

    fn is_over(&self) -> bool {
        self.end() <= Instant::now()
    }
}

/// A request that is being answered, until it is dropped.
struct UnderWay(Arc<Clock>);

impl UnderWay {
    fn new(clock: &Arc<Clock>) -> UnderWay {
        clock.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(clock.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // Its answer may have to wait until there is room for it.
        self.0.set();
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream whose writes fail once the other side has taken nothing for a while.
struct Impatient {
    stream: TcpStream,
    limit: Duration,
    clock: Arc<Clock>,
    /// When the write that waits is given up. Most writes do not wait.
    until: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, limit: Duration, clock: Arc<Clock>) -> Impatient {
        Impatient { stream, limit, clock, until: None }
    }

    /// What came of a write, or that it is given up.
    fn bound<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
            self.clock.set();
            return written;
        }
        let limit = self.limit;
        ready!(self.until.get_or_insert_with(|| Box::pin(sleep(limit))).as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.bound(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.bound(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_begins_when_a_request_has_been_answered_however_long_that_took() {
        let hour = Duration::from_secs(3600);
        let clock = Arc::new(Clock::new(hour));
        let under_way = UnderWay::new(&clock);
        *clock.busy.lock().unwrap() -= 2 * hour;
        assert!(!clock.is_over());
        drop(under_way);
        assert!(!clock.is_over());
        *clock.busy.lock().unwrap() -= 2 * hour;
        assert!(clock.is_over());
    }
}
