//! A connection, from its greeting to its end.
//!
//! One task reads requests and hands them to the [engine](crate::engine); answers are sent by whoever has them. The task stops
//! reading as long as as much is under way, or unsent, as one connection may have: who does not read his answers stops only himself,
//! and what he wrote meanwhile stays in the kernel's buffers. What is slow, such as waiting for an index, stops nobody but by the hundreds.

use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::dispatch::{self, Context};
use crate::engine::Engine;
use crate::flow::Flow;
use crate::frame::{self, Frame, FrameError, Kind};
use crate::link::{self, Link, MOST_UNSENT, load};
use crate::outbox::Outbox;
use crate::protocol::Asked;
use crate::protocol::fault::Refusal;
use crate::protocol::operation::Class;
use crate::socket::Socket;

/// Bytes that are read at once. A larger frame makes its buffer grow as it arrives.
const CHUNK: usize = 8 << 10;

/// A buffer that is larger is given back when it is empty.
const KEPT: usize = 64 << 10;

/// Bytes of answers that are collected before they are sent.
const BATCH: usize = 64 << 10;

/// How long what comes over a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Until the greeting is there.
    pub(crate) hello: Duration,
    /// From the first byte of a frame to its last.
    pub(crate) frame: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { hello: Duration::from_secs(5), frame: Duration::from_secs(30) }
    }
}

/// Why a connection ended before its client closed it.
#[derive(Debug)]
enum End {
    Closed,
    Fault(FrameError),
    TooSlow,
    Stopped,
}

impl From<FrameError> for End {
    fn from(fault: FrameError) -> End {
        End::Fault(fault)
    }
}

/// Serves a connection until it ends, or the server stops.
pub(crate) async fn serve(
    stream: UnixStream,
    engine: Arc<Engine>,
    number: u64,
    patience: Patience,
    stop: watch::Receiver<bool>,
) {
    let socket = match Socket::new(stream) {
        Ok(socket) => Arc::new(socket),
        Err(error) => return tracing::warn!(%error, "a connection could not be served"),
    };
    let link = Arc::new(Link::new(number, Outbox::new(socket.clone())));
    let mut session = Session { link: link.clone(), engine, greeted: false, batch: Vec::new() };
    let end = session.talk(&socket, patience, stop).await;
    let reason = match end {
        End::Closed => return link.close(),
        End::Stopped => Refusal::ShuttingDown.to_string(),
        End::Fault(fault) => session.refuse(fault.to_string()),
        End::TooSlow => session.refuse("a frame took too long to arrive".to_owned()),
    };
    let mut goodbye = Vec::new();
    frame::put_short(&mut goodbye, Kind::Goodbye, 0, reason.as_bytes());
    link.outbox.send(&goodbye);
    link.close();
}

/// How far frames were looked at.
struct Taken {
    /// Bytes of them.
    len: usize,
    /// Whether it was room that was wanting for more.
    for_room: bool,
}

struct Session {
    link: Arc<Link>,
    engine: Arc<Engine>,
    greeted: bool,
    /// Answers that were made where their requests arrived.
    batch: Vec<u8>,
}

impl Session {
    /// Counts a connection that the server ends, and says why.
    fn refuse(&self, reason: String) -> String {
        self.engine.counters.refused.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(connection = self.link.number, %reason, "a connection was ended");
        reason
    }

    async fn talk(&mut self, socket: &Socket, patience: Patience, mut stop: watch::Receiver<bool>) -> End {
        let link = self.link.clone();
        let mut bytes = Vec::with_capacity(CHUNK);
        let mut deadline = Instant::now() + patience.hello;
        let (mut awake, mut could_read) = (None, true);
        loop {
            let taken = self.take(&bytes);
            // Also before a fault: what was asked for in front of it was answered.
            self.send();
            self.batch.shrink_to(KEPT);
            let stopped_for_room = match taken {
                Ok(Taken { len, for_room }) => {
                    if len > 0 {
                        bytes.drain(..len);
                        deadline = Instant::now() + patience.frame;
                    }
                    for_room
                }
                Err(fault) => return End::Fault(fault),
            };
            if bytes.is_empty() {
                bytes.shrink_to(KEPT);
            }
            if let Some(fault) = link.fault() {
                return End::Fault(fault);
            }
            let (unsent, may_read) = (link.outbox.unsent() > 0, link.has_room());
            if may_read && !could_read {
                // What has begun to arrive before was not late: nobody looked.
                deadline = Instant::now() + patience.frame;
            }
            could_read = may_read;
            if stopped_for_room && may_read {
                // There is room since: what is here comes before what may be read, and above all before the end.
                continue;
            }
            let may_be_late = may_read && (!self.greeted || !bytes.is_empty());
            if may_read {
                bytes.reserve(CHUNK);
            }
            let was_empty = bytes.is_empty();
            if link.outbox.is_closed() {
                return End::Closed;
            }
            awake = socket.keep_awake(awake);
            tokio::select! {
                biased;
                _ = stopped(&mut stop) => {
                    self.drain().await;
                    return End::Stopped;
                }
                read = socket.read(&mut bytes), if may_read => match read {
                    Ok(0) => {
                        // Who asks no more may still want his answers.
                        self.drain().await;
                        return End::Closed;
                    }
                    Err(_) => return End::Closed,
                    Ok(_) if was_empty && self.greeted => deadline = Instant::now() + patience.frame,
                    Ok(_) => {}
                },
                () = link.outbox.woken() => {}
                () = link.outbox.writable(), if unsent => {
                    link.outbox.flush();
                    if link.outbox.unsent() < MOST_UNSENT {
                        link.resume_flows(&self.engine);
                    }
                }
                () = tokio::time::sleep_until(deadline), if may_be_late => return End::TooSlow,
            }
        }
    }

    /// Waits until what is under way is answered.
    async fn drain(&self) {
        let outbox = &self.link.outbox;
        self.link.end_flows();
        while !outbox.is_closed() {
            let unsent = outbox.unsent() > 0;
            if self.link.is_idle() && !unsent {
                return;
            }
            tokio::select! {
                () = outbox.woken() => {}
                () = outbox.writable(), if unsent => outbox.flush(),
            }
        }
    }

    /// Sends the answers that were collected.
    fn send(&mut self) {
        if !self.batch.is_empty() {
            self.link.outbox.send(&self.batch);
            self.batch.clear();
        }
    }

    /// Looks at the frames that have arrived, as far as there is room.
    fn take(&mut self, bytes: &[u8]) -> Result<Taken, FrameError> {
        let mut at = 0;
        while at < bytes.len() {
            if !self.link.has_room() {
                return Ok(Taken { len: at, for_room: true });
            }
            let Some((frame, len)) = frame::split(&bytes[at..])? else { break };
            at += len;
            match frame.kind {
                Kind::Hello if !self.greeted => {
                    let version = frame::read_client_hello(frame)?;
                    frame::put_server_hello(&mut self.batch, version, &self.engine.identity);
                    // Other threads may answer what comes behind it as soon as it is looked at.
                    self.send();
                    self.greeted = true;
                }
                _ if !self.greeted => return Err(FrameError::NoHello),
                Kind::Request => self.request(frame)?,
                Kind::Credit => {
                    let pages = <[u8; 4]>::try_from(frame.body);
                    let pages = pages.map_err(|_| FrameError::Body("a credit has 4 bytes".into()))?;
                    // The stream may have ended meanwhile.
                    if let Some(flow) = self.link.flow(frame.id) {
                        Flow::grant(&flow, &self.engine, u32::from_le_bytes(pages));
                    }
                }
                Kind::Cancel => self.link.cancel_flow(frame.id),
                other => return Err(FrameError::Kind { kind: other as u8 }),
            }
            if self.batch.len() >= BATCH {
                self.send();
            }
        }
        Ok(Taken { len: at, for_room: false })
    }

    fn request(&mut self, frame: Frame<'_>) -> Result<(), FrameError> {
        let Session { link, engine, batch, .. } = self;
        let id = frame.id;
        let (&first, body) = frame.body.split_first().ok_or(FrameError::Body("no operation".into()))?;
        engine.counters.requests.fetch_add(1, Ordering::Relaxed);
        let Some(asked) = Asked::of(first) else {
            link::put_failure(batch, id, Refusal::UnknownOperation { code: first }.into());
            return Ok(());
        };
        let load = load(asked.code, body);
        let queue = match asked.code.class() {
            Class::Point if engine.warmth.is_warm() => {
                let context = Context::new(engine, link);
                engine.warmth.watch(&engine.db, || dispatch::read(context, asked, id, body, batch))?;
                return Ok(());
            }
            Class::Stream => {
                link.expect_flow(id);
                &engine.reads
            }
            Class::Point | Class::Read => &engine.reads,
            Class::Slow => &engine.slow,
            Class::Write => {
                link.begin(load);
                engine.write(link, asked, id, body);
                return Ok(());
            }
        };
        link.begin(load);
        let (worked, answered, body) = (engine.clone(), link.clone(), body.to_vec());
        queue.push(
            link.number,
            Box::new(move || {
                let mut frames = Vec::new();
                let context = Context::new(&worked, &answered);
                match dispatch::read(context, asked, id, &body, &mut frames) {
                    Ok(()) => drop(answered.outbox.send(&frames)),
                    Err(fault) => answered.refuse(fault),
                }
                answered.end(load);
            }),
        );
        Ok(())
    }
}

/// Waits until the server stops. (By itself, since what it looks at may not be held while another branch is worked on.)
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the server is gone, which is as good.
    let _ = stop.wait_for(|stop| *stop).await;
}
