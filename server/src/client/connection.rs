//! A connection of a client: many requests under way at once, each answered when its answer comes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::UnixStream;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc, oneshot};

use crate::error::{ClientError, Result};
use crate::frame::{self, Frame, FrameError, Identity, Kind};
use crate::outbox::Outbox;
use crate::protocol::{self, Operation, operation};
use crate::socket::Socket;

/// Bytes that are read at once.
const CHUNK: usize = 16 << 10;

/// Requests that are under way at once; more wait for their turn.
const MOST_UNDER_WAY: usize = 1024;

/// A connection, for as long as somebody has it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) identity: Identity,
    shared: Arc<Shared>,
    turns: Semaphore,
}

#[derive(Debug)]
struct Shared {
    outbox: Outbox,
    state: Mutex<State>,
    next_id: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: HashMap<u64, Waiting>,
    /// Why the connection has ended, if it has.
    ended: Option<String>,
}

/// Who waits for what comes for a request.
#[derive(Debug)]
enum Waiting {
    Once(oneshot::Sender<Reply>),
    /// What is to be opened: whoever waits may go, but then the answer says what is to be given back.
    Open(oneshot::Sender<Reply>),
    Stream(mpsc::UnboundedSender<Reply>),
}

/// What came for a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) kind: Kind,
    pub(crate) body: Vec<u8>,
    /// What the server has opened, if it was asked to.
    pub(crate) opened: Option<Result<Opened, FrameError>>,
}

/// A state that the server holds for this connection. Dropping it, wherever it is on its way to who asked for it, gives it back.
#[derive(Debug)]
pub(crate) struct Opened {
    shared: Arc<Shared>,
    pub(crate) held: operation::Held,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.tell(&operation::Release { handle: self.held.handle });
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The server has never had all of it: it was not done, and may be sent over another connection.
    Unsent(ClientError),
    Other(ClientError),
}

impl From<NoAnswer> for ClientError {
    fn from(why: NoAnswer) -> ClientError {
        match why {
            NoAnswer::Unsent(error) | NoAnswer::Other(error) => error,
        }
    }
}

impl Connection {
    /// Connects, and exchanges greetings.
    pub(crate) async fn open(path: &Path) -> Result<Arc<Connection>> {
        let unreachable = |reason: String| ClientError::Unreachable { path: path.to_owned(), reason };
        let connected = UnixStream::connect(path).await.and_then(UnixStream::into_std);
        let socket = connected.and_then(Socket::new).map_err(|error| unreachable(error.to_string()))?;
        let socket = Arc::new(socket);
        let outbox = Outbox::new(socket.clone());
        let mut hello = Vec::new();
        frame::put_client_hello(&mut hello);
        outbox.send(&hello);
        let mut bytes = Vec::with_capacity(CHUNK);
        let (identity, taken) = loop {
            match frame::split(&bytes)? {
                Some((frame, len)) if frame.kind == Kind::Goodbye => {
                    return Err(unreachable(
                        String::from_utf8_lossy(&frame.body[..len.min(frame.body.len())]).into_owned(),
                    ));
                }
                Some((frame, len)) => break (frame::read_server_hello(frame)?, len),
                None => {}
            }
            tokio::select! {
                read = socket.read(&mut bytes) => match read {
                    Ok(0) => return Err(unreachable("the server closed the connection".to_owned())),
                    Ok(_) => {}
                    Err(error) => return Err(unreachable(error.to_string())),
                },
                () = outbox.writable(), if outbox.unsent() > 0 => outbox.flush(),
            }
        };
        bytes.drain(..taken);
        let shared = Arc::new(Shared { outbox, state: Mutex::default(), next_id: AtomicU64::new(1) });
        tokio::spawn(receive(shared.clone(), socket, bytes));
        let turns = Semaphore::new(MOST_UNDER_WAY);
        Ok(Arc::new(Connection { identity, shared, turns }))
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.shared.state().ended.is_some()
    }

    /// Sends a request, and waits for its answer. Dropping the future forgets the answer; what was asked for is done, wholly, or not.
    pub(crate) async fn call<O: Operation>(&self, operation: &O) -> Result<Reply, NoAnswer> {
        let _turn = self.turn().await;
        let (sender, receiver) = oneshot::channel();
        let waiting = if O::CODE.opens() { Waiting::Open(sender) } else { Waiting::Once(sender) };
        let under_way = self.begin(operation, waiting)?;
        let reply = receiver.await;
        under_way.end();
        reply.map_err(|_| NoAnswer::Other(self.lost()))
    }

    /// Sends a request whose result is streamed.
    pub(crate) fn stream<O: Operation>(self: &Arc<Self>, operation: &O) -> Result<Replies, NoAnswer> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let id = self.begin(operation, Waiting::Stream(sender))?.keep();
        Ok(Replies { connection: self.clone(), id, receiver, ended: false })
    }

    async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.ok()
    }

    fn begin<O: Operation>(&self, operation: &O, waiting: Waiting) -> Result<UnderWay<'_>, NoAnswer> {
        let id = self.shared.new_id();
        let mut frames = Vec::with_capacity(256);
        put_request(&mut frames, id, operation).map_err(|error| NoAnswer::Other(error.into()))?;
        let mut state = self.shared.state();
        if state.ended.is_some() {
            drop(state);
            return Err(NoAnswer::Unsent(self.lost()));
        }
        let is_alone = state.waiting.is_empty();
        state.waiting.insert(id, waiting);
        drop(state);
        let under_way = UnderWay { shared: &self.shared, id };
        // A lone request goes at once. With others under way there will be more in a moment: one system call for all of them.
        let has_left = match is_alone {
            true => self.shared.outbox.send(&frames),
            false => self.shared.outbox.leave(&frames),
        };
        if has_left {
            return Ok(under_way);
        }
        // Its task will find out why, but only when this thread lets it, which may be the one that wants another connection now.
        let mut state = self.shared.state();
        state.ended.get_or_insert_with(|| io::Error::from(io::ErrorKind::BrokenPipe).to_string());
        state.waiting.remove(&id);
        drop(state);
        under_way.end();
        Err(NoAnswer::Unsent(self.lost()))
    }

    fn lost(&self) -> ClientError {
        let reason = self.shared.state().ended.clone();
        ClientError::Lost { reason: reason.unwrap_or_else(|| "the request was given up".to_owned()) }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.outbox.close();
    }
}

/// A request that waits for its answer. Dropping it forgets the answer.
struct UnderWay<'c> {
    shared: &'c Shared,
    id: u64,
}

impl UnderWay<'_> {
    /// The answer is there, or will never come.
    fn end(self) {
        std::mem::forget(self);
    }

    fn keep(self) -> u64 {
        let id = self.id;
        std::mem::forget(self);
        id
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Entry::Occupied(waiting) = self.shared.state().waiting.entry(self.id)
            && !matches!(waiting.get(), Waiting::Open(_))
        {
            waiting.remove();
        }
    }
}

/// What comes for a request whose result is streamed. Dropping it tells the server that no more is wanted.
#[derive(Debug)]
pub(crate) struct Replies {
    connection: Arc<Connection>,
    id: u64,
    receiver: mpsc::UnboundedReceiver<Reply>,
    ended: bool,
}

impl Replies {
    /// What comes next. `None` when there will be nothing more.
    pub(crate) fn poll(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Reply>>> {
        if self.ended {
            return std::task::Poll::Ready(None);
        }
        self.receiver.poll_recv(context).map(|reply| {
            self.ended = reply.as_ref().is_none_or(|reply| reply.kind != Kind::Page);
            Some(reply.ok_or_else(|| self.connection.lost()))
        })
    }

    /// Asks for one more page.
    pub(crate) fn grant(&self) {
        self.send(Kind::Credit, &1_u32.to_le_bytes());
    }

    /// Tells the server that no more is wanted, of a stream of whose end something will be heard all the same.
    pub(crate) fn cancel(&self) {
        self.send(Kind::Cancel, &[]);
    }

    fn send(&self, kind: Kind, body: &[u8]) {
        let mut frames = Vec::new();
        frame::put_short(&mut frames, kind, self.id, body);
        self.connection.shared.outbox.send(&frames);
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.connection.shared.state().waiting.remove(&self.id);
        if !self.ended {
            self.cancel();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn new_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Sends a request, and does not care for its answer.
    fn tell<O: Operation>(&self, operation: &O) {
        let mut frames = Vec::new();
        if put_request(&mut frames, self.new_id(), operation).is_ok() {
            self.outbox.send(&frames);
        }
    }

    /// Hands what has arrived to those who wait for it. Returns how many bytes that took.
    fn take(self: &Arc<Self>, bytes: &[u8]) -> Result<usize, String> {
        let mut at = 0;
        while let Some((frame, len)) = frame::split(&bytes[at..]).map_err(|error| error.to_string())? {
            at += len;
            let reply = |opened| Reply { kind: frame.kind, body: frame.body.to_vec(), opened };
            match frame.kind {
                Kind::Answer | Kind::Error => {
                    let waiting = self.state().waiting.remove(&frame.id);
                    // Whoever waited may have gone.
                    match waiting {
                        Some(Waiting::Once(sender)) => drop(sender.send(reply(None))),
                        Some(Waiting::Open(sender)) => drop(sender.send(reply(self.opened(frame)))),
                        Some(Waiting::Stream(sender)) => drop(sender.send(reply(None))),
                        None => {}
                    }
                }
                Kind::Page => {
                    if let Some(Waiting::Stream(sender)) = self.state().waiting.get(&frame.id) {
                        let _ = sender.send(reply(None));
                    }
                }
                Kind::Goodbye => return Err(String::from_utf8_lossy(frame.body).into_owned()),
                other => return Err(FrameError::Kind { kind: other as u8 }.to_string()),
            }
        }
        Ok(at)
    }

    /// What an answer says was opened.
    fn opened(self: &Arc<Self>, frame: Frame<'_>) -> Option<Result<Opened, FrameError>> {
        let opened = |held| Opened { shared: self.clone(), held };
        (frame.kind == Kind::Answer).then(|| protocol::decode(frame.body).map(opened))
    }
}

/// Receives until the connection ends, and sends what the socket did not take at once.
async fn receive(shared: Arc<Shared>, socket: Arc<Socket>, mut bytes: Vec<u8>) {
    let outbox = &shared.outbox;
    let mut awake = None;
    let reason = loop {
        match shared.take(&bytes) {
            Ok(taken) => drop(bytes.drain(..taken)),
            Err(reason) => break reason,
        }
        if bytes.is_empty() {
            bytes.shrink_to(4 * CHUNK);
        }
        bytes.reserve(CHUNK);
        awake = socket.keep_awake(awake);
        tokio::select! {
            biased;
            read = socket.read(&mut bytes) => match read {
                Ok(0) => break "the server closed it".to_owned(),
                Ok(_) => {}
                Err(error) => break error.to_string(),
            },
            () = outbox.woken() => {
                if outbox.is_closed() {
                    break io::Error::from(io::ErrorKind::BrokenPipe).to_string();
                }
                outbox.flush();
            }
            () = outbox.writable(), if outbox.unsent() > 0 => outbox.flush(),
        }
    };
    let mut state = shared.state();
    state.ended = Some(reason);
    // Dropping what they wait at tells them.
    let waiting = std::mem::take(&mut state.waiting);
    drop(state);
    drop(waiting);
    outbox.close();
}

fn put_request<O: Operation>(buffer: &mut Vec<u8>, id: u64, operation: &O) -> Result<(), FrameError> {
    frame::put(buffer, Kind::Request, id, |buffer| {
        buffer.push(O::first_byte());
        protocol::encode(operation, buffer)
    })
}
