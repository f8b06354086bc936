//! Connections: accepted while there are places for them, and given up when nothing comes of them.
//!
//! A place is worth something, so nobody keeps one for nothing. Who has asked for nothing within [`Limits::head_time`] is cut off,
//! whatever was sent: the protocol's own clocks begin only once it is known which version of HTTP is spoken. Who takes nothing of
//! an answer within [`Limits::write_time`] is cut off too ([`Impatient`]). Between two requests, and within one, the clocks are those
//! of the protocol and of [`Room`](super::body::Room).

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};

use crate::dynamodb::Endpoint;
use crate::dynamodb::http::{Limits, answer};
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
    let server = builder(&limits);
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
        let stream = stream.into_std()?;
        let asked = Arc::new(Notify::new());
        let tell = asked.clone();
        let (endpoint, number) = (endpoint.clone(), endpoint.writes.new_connection());
        let service = service_fn(move |request| {
            tell.notify_one();
            answer(endpoint.clone(), number, request)
        });
        let (server, watcher, seat) = (server.clone(), graceful.watcher(), io.seat());
        seat.runtime().spawn(async move {
            let Ok(stream) = TcpStream::from_std(stream) else { return };
            let stream = TokioIo::new(Impatient::new(stream, limits.write_time));
            let connection = watcher.watch(server.serve_connection(stream, service).into_owned());
            // A connection that ends badly has nobody left to be told.
            let mut connection = pin!(connection);
            tokio::select! {
                _ = &mut connection => {}
                () = asked.notified() => drop(connection.await),
                () = sleep(limits.head_time) => {}
            }
            drop((place, seat));
        });
    }
    drop(listener);
    let _ = timeout(limits.shutdown_time, graceful.shutdown()).await;
    Ok(())
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut server = auto::Builder::new(TokioExecutor::new());
    // Answers are not kept until no request waits behind them: who sends requests without end would be kept answers without end.
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_time);
    server
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(limits.head_time)
        .max_concurrent_streams(STREAMS);
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

/// A stream whose writes fail once the other side has taken nothing for a while.
struct Impatient {
    stream: TcpStream,
    limit: Duration,
    /// When the write that waits is given up. Most writes do not wait.
    until: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn new(stream: TcpStream, limit: Duration) -> Impatient {
        Impatient { stream, limit, until: None }
    }

    /// What came of a write, or that it is given up.
    fn bound<T>(&mut self, context: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.until = None;
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
