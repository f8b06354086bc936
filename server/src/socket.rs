//! A connected Unix socket that is told only of what somebody waits for.
//!
//! Whenever one end has read a message, the kernel tells the other one that there is room again. A socket of tokio hears that, whether it
//! waits for room or not: the thread that waits for all sockets wakes up for every message that it has sent, as often as for those that
//! come. This one is told of what comes; of room only while it waits for that, through a second descriptor.
//!
//! # Alone
//!
//! What costs time in company saves it on a machine that does nothing else: whoever has sent something is told of room when the other end
//! begins to work on it, and the processor that wakes up to hear so is awake when the answer comes. A lone request waits for sleeping
//! processors longer than for all else together. So the only connection of a process [keeps awake](Socket::keep_awake).

use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// How long nothing is sent after the system has run out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// Sockets of this process.
static SOCKETS: AtomicUsize = AtomicUsize::new(0);

/// Both halves of a connection.
#[derive(Debug)]
pub(crate) struct Socket(AsyncFd<StdStream>);

/// A socket that is told of room, whether anybody waits for it or not.
#[derive(Debug)]
pub(crate) struct Awake {
    _told: AsyncFd<StdStream>,
}

impl Socket {
    /// Of a stream that does not block. To be called in the runtime that waits for it from now on.
    pub(crate) fn new(stream: StdStream) -> io::Result<Socket> {
        let socket = told_of(stream, Interest::READABLE).map(Socket)?;
        SOCKETS.fetch_add(1, Ordering::Relaxed);
        Ok(socket)
    }

    /// Waits until something has come, and appends it, as far as there is room behind what is in `bytes`; if there is none, some is made.
    /// Returns how much that was; 0 at the end. If it is dropped while it waits, nothing was read.
    pub(crate) async fn read(&self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        // Nothing that fits in no room looks like the end.
        bytes.reserve(1);
        loop {
            let mut ready = self.0.readable().await?;
            let room = bytes.capacity() - bytes.len();
            match rustix::io::read(self.0.get_ref(), spare_capacity(bytes)) {
                Ok(read) => {
                    // That was all: what comes now is told.
                    if 0 < read && read < room {
                        ready.clear_ready();
                    }
                    return Ok(read);
                }
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Writes as much as the socket takes now, and returns how much that was.
    pub(crate) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = 0;
        while written < bytes.len() {
            match self.0.get_ref().write(&bytes[written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(written)
    }

    /// Keeps it awake as long as it is alone. To be called before each wait, with what the call before has left.
    pub(crate) fn keep_awake(&self, awake: Option<Awake>) -> Option<Awake> {
        if SOCKETS.load(Ordering::Relaxed) > 1 {
            return None;
        }
        awake.or_else(|| Some(Awake { _told: self.told_of_room().ok()? }))
    }

    /// Waits until the socket takes more, or is to be asked again.
    pub(crate) async fn writable(&self) {
        match self.told_of_room() {
            // If it fails, so does the next write.
            Ok(told) => drop(told.writable().await),
            Err(_) => tokio::time::sleep(OUT_OF_DESCRIPTORS).await,
        }
    }

    fn told_of_room(&self) -> io::Result<AsyncFd<StdStream>> {
        told_of(self.0.get_ref().try_clone()?, Interest::WRITABLE)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        SOCKETS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[expect(
    deprecated,
    reason = "what follows it is unsafe, since a type may close, or change, its descriptor: one of the standard library does not"
)]
fn told_of(stream: StdStream, interest: Interest) -> io::Result<AsyncFd<StdStream>> {
    AsyncFd::with_interest(stream, interest)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    /// So long a test waits for what should come at once.
    const LONG: Duration = Duration::from_secs(60);

    fn connected() -> (Socket, UnixStream) {
        let (near, far) = UnixStream::pair().unwrap();
        (Socket::new(near.into_std().unwrap()).unwrap(), far)
    }

    /// Reads once, into a buffer of a few bytes.
    async fn read(socket: &Socket) -> String {
        let mut bytes = Vec::with_capacity(4);
        let read = tokio::time::timeout(LONG, socket.read(&mut bytes)).await.expect("it has come").unwrap();
        assert_eq!(read, bytes.len());
        String::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn what_comes_is_read_whether_it_fills_the_buffer_or_not() {
        let (socket, mut far) = connected();
        let _awake = socket.keep_awake(None);
        far.write_all(b"12345678").await.unwrap();
        assert_eq!(read(&socket).await, "1234");
        assert_eq!(read(&socket).await, "5678");
        let mut none = Vec::with_capacity(4);
        assert!(tokio::time::timeout(Duration::from_millis(1), socket.read(&mut none)).await.is_err());
        for more in ["a", "b"] {
            far.write_all(more.as_bytes()).await.unwrap();
            assert_eq!(read(&socket).await, more);
        }
        far.write_all(b"c").await.unwrap();
        let mut no_room = Vec::new();
        assert_eq!((socket.read(&mut no_room).await.unwrap(), &no_room[..]), (1, &b"c"[..]));
        far.write_all(b"end").await.unwrap();
        drop(far);
        assert_eq!(read(&socket).await, "end");
        assert_eq!(read(&socket).await, "");
    }

    #[tokio::test]
    async fn a_full_socket_is_writable_when_the_other_end_has_read() {
        let (socket, mut far) = connected();
        let sent = socket.write(&vec![1; 16 << 20]).unwrap();
        assert!(sent < 16 << 20, "it is full");
        assert_eq!(socket.write(&[1]).unwrap(), 0);
        assert!(tokio::time::timeout(Duration::from_millis(1), socket.writable()).await.is_err());
        far.read_exact(&mut vec![0; sent]).await.unwrap();
        tokio::time::timeout(LONG, socket.writable()).await.expect("there is room");
        assert_eq!(socket.write(&[1]).unwrap(), 1);
    }
}
