//! What a client does when its connection is lost before the answer comes, or no answer comes in time: by operation.

mod common;

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use dynamite_core::error::Error;
use dynamite_server::client::Answer;
use dynamite_server::{ClientError, DynaMiteClient};
use tempfile::TempDir;

use common::run;

const ANSWER: u8 = 3;
const ERROR: u8 = 4;
const PAGE: u8 = 5;

/// Bytes of a client's greeting, and of a frame's header.
const HELLO: usize = 25;
const HEADER: usize = 13;

/// How long a client waits, and longer.
const PATIENCE: Duration = Duration::from_millis(500);
const LONG: Duration = Duration::from_millis(1500);

/// What stands in the place of a server.
struct Double {
    socket: PathBuf,
    asked: Arc<AtomicUsize>,
    _directory: TempDir,
}

impl Double {
    /// Greets, takes requests, and does with each what `answer` says, which is told how many there were before.
    fn new(answer: impl Fn(usize, &mut UnixStream, u64) + Send + 'static) -> Double {
        let directory = common::directory();
        let socket = directory.path().join("d.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = asked.clone();
        // It ends with the process; nobody connects to it any more.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = serve(&mut stream, &counted, &answer);
            }
        });
        Double { socket, asked, _directory: directory }
    }

    async fn client(&self) -> DynaMiteClient {
        DynaMiteClient::builder().timeout(PATIENCE).connect(&self.socket).await.unwrap()
    }
}

/// Serves a connection until there is no more to read, or one request, if `answer` closes it.
fn serve(
    stream: &mut UnixStream,
    counted: &AtomicUsize,
    answer: &impl Fn(usize, &mut UnixStream, u64),
) -> std::io::Result<()> {
    stream.read_exact(&mut [0; HELLO])?;
    let greeting = [&b"DynaMite\x01\0"[..], &[7; 16], &[9; 8], b"double"].concat();
    stream.write_all(&frame(1, 0, &greeting))?;
    loop {
        let mut header = [0; HEADER];
        stream.read_exact(&mut header)?;
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        stream.read_exact(&mut vec![0; len - (HEADER - 4)])?;
        let id = u64::from_le_bytes(header[5..].try_into().unwrap());
        answer(counted.fetch_add(1, Ordering::SeqCst), stream, id);
    }
}

fn frame(kind: u8, id: u64, body: &[u8]) -> Vec<u8> {
    let len = (HEADER - 4 + body.len()) as u32;
    [&len.to_le_bytes()[..], &[kind], &id.to_le_bytes(), body].concat()
}

/// An operation, without what it returns.
type Operation = Box<dyn Fn(&DynaMiteClient) -> Answer<()>>;

fn operation<R: Send + 'static, F>(begin: impl Fn(&DynaMiteClient) -> F + 'static) -> Operation
where
    F: IntoFuture<Output = Result<R, ClientError>>,
    F::IntoFuture: Send + 'static,
{
    Box::new(move |db| {
        let operation = begin(db).into_future();
        Box::pin(async move { operation.await.map(drop) })
    })
}

const SELECT: &str = "SELECT * FROM t WHERE a = 1";
const DELETE: &str = "DELETE FROM t WHERE a = 1";

/// The answer to an operation, as its frame's kind and body; whether it is asked again; whether it may take as long as it takes.
type Expected = (&'static str, Operation, u8, &'static [u8], bool, bool);

fn operations() -> Vec<Expected> {
    let page: &[u8] = &[0, 0, 0, 0];
    let not_found: &[u8] = b"\0\x06\x01x";
    let reads = |db: &DynaMiteClient| db.statement_batch().statement(SELECT, vec![]).into_future();
    let writes = |db: &DynaMiteClient| db.statement_batch().statement(DELETE, vec![]).into_future();
    let all = |text: &'static str, token: Option<&'static str>| {
        move |db: &DynaMiteClient| {
            let transaction = db.statement_transaction().statement(text, vec![]);
            token.into_iter().fold(transaction, |transaction, token| transaction.token(token)).into_future()
        }
    };
    macro_rules! method {
        ($method:ident $($argument:expr)*) => {
            operation(|db: &DynaMiteClient| {
                let db = db.clone();
                Box::pin(async move { db.$method($($argument),*).await })
            })
        };
    }
    let restore = |db: &DynaMiteClient| db.restore_table("t").from_backup("x").into_future();
    vec![
        ("a SELECT", operation(|db| db.statement(SELECT).into_future()), ANSWER, page, true, false),
        ("a DELETE", operation(|db| db.statement(DELETE).into_future()), ANSWER, page, false, false),
        ("nonsense", operation(|db| db.statement("nonsense").into_future()), ANSWER, page, true, false),
        ("a batch that reads", operation(reads), ANSWER, &[0], true, false),
        ("a batch that writes", operation(writes), ANSWER, &[0], false, false),
        ("a transaction that reads", operation(all(SELECT, None)), ANSWER, &[0], true, false),
        ("a transaction that writes", operation(all(DELETE, None)), ANSWER, &[0], false, false),
        ("one with a token", operation(all(DELETE, Some("token"))), ANSWER, &[0], true, false),
        ("backups listed", method!(list_table_backups), ANSWER, &[0], true, false),
        ("a backup described", method!(describe_table_backup "x"), ERROR, not_found, true, false),
        ("a backup deleted", method!(delete_table_backup "x"), ERROR, not_found, false, false),
        ("a table backed up", method!(create_table_backup "t" "x"), ERROR, not_found, false, true),
        ("a table restored", operation(restore), ANSWER, &[], false, true),
        ("a backup", operation(|db| db.backup("/x").into_future()), ANSWER, &[1, 2, 3, 4], false, true),
    ]
}

fn check_answered(what: &str, answered: &Result<(), ClientError>) {
    let is_told =
        matches!(answered.as_ref().map_err(ClientError::database), Err(Some(Error::BackupNotFound { .. })));
    assert!(answered.is_ok() || is_told, "{what}: {answered:?}");
}

#[test]
fn what_is_done_once_however_often_it_is_asked_is_asked_again() {
    for (what, begin, kind, body, is_repeated, _) in operations() {
        let double = Double::new(move |nth, stream, id| match nth {
            0 => stream.shutdown(std::net::Shutdown::Both).unwrap(),
            _ => stream.write_all(&frame(kind, id, body)).unwrap(),
        });
        let answered = run(async {
            let db = DynaMiteClient::connect(&double.socket).await.unwrap();
            begin(&db).await
        });
        match is_repeated {
            true => check_answered(what, &answered),
            false => assert!(matches!(answered, Err(ClientError::Lost { .. })), "{what}: {answered:?}"),
        }
        assert_eq!(double.asked.load(Ordering::SeqCst), 1 + usize::from(is_repeated), "{what}");
    }
}

#[test]
fn who_does_not_answer_in_time_is_waited_for_only_where_it_takes_as_long_as_it_takes() {
    run(async {
        let mut waiting = tokio::task::JoinSet::new();
        for (what, begin, kind, body, _, is_waited_for) in operations() {
            let double = Double::new(move |_, stream, id| {
                std::thread::sleep(LONG);
                let _ = stream.write_all(&frame(kind, id, body));
            });
            let answer = begin(&double.client().await);
            waiting.spawn(async move { (what, answer.await, is_waited_for, double) });
        }
        while let Some(answered) = waiting.join_next().await {
            let (what, answered, is_waited_for, _double) = answered.unwrap();
            match is_waited_for {
                true => check_answered(what, &answered),
                false => {
                    assert!(matches!(answered, Err(ClientError::TimedOut { .. })), "{what}: {answered:?}");
                }
            }
        }
    });
}

/// What was sent before the server has heard of it is told nobody; what the last frame says is what counts.
#[test]
fn who_has_called_a_backup_off_is_told_no_more_of_it() {
    let double = Double::new(|nth, stream, id| match nth {
        0 => stream
            .write_all(&[frame(PAGE, id, &[1, 2, 3, 4]), frame(PAGE, id, &[2, 2, 3, 4])].concat())
            .unwrap(),
        _ => stream.write_all(&frame(ANSWER, id, &[3, 3, 3, 4])).unwrap(),
    });
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let done = run(async {
        let backup = double.client().await.backup("/x").progress(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            ControlFlow::Break(())
        });
        backup.await.unwrap()
    });
    assert_eq!((done.items, done.bytes, done.of_items, done.of_bytes), (3, 3, 3, 4));
    assert_eq!(told.load(Ordering::SeqCst), 1);
    assert_eq!(double.asked.load(Ordering::SeqCst), 2, "the backup and its end");
}
