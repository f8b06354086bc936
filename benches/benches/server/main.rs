//! The server and its client beside Redis and its client: gets and durable puts of the same documents, over Unix sockets.
//!
//! Both servers are processes of their own, on the same device; Redis stores documents as JSON text, appends every write to a file
//! (`appendfsync always`), and is spoken to through its multiplexed async client. Clients are tasks of this process with a
//! connection each, which either wait for each answer, or have several requests under way. Both sides take turns in short rounds, and the best
//! round of each counts, since whatever else the machine does only makes rounds slower.
//!
//! `redis-server` has to be in the path; without it only our own figures are measured.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use dynamite_benches::arguments::Arguments;
use dynamite_benches::documents::People;
use dynamite_benches::random::Random;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_core::types::KeyType;
use dynamite_server::{Config, DynaMiteClient};
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Set in the process that is the server: its arguments, one a line.
const SERVE: &str = "DYNAMITE_BENCH_SERVE";

const TABLE: &str = "people";

/// Requests that a pipelining client has under way.
const UNDER_WAY: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Get,
    Put,
}

/// A connection to either server.
#[derive(Clone)]
enum Client {
    Ours(DynaMiteClient),
    Redis(MultiplexedConnection),
}

/// One thing to measure.
#[derive(Clone, Copy, Debug)]
struct Shape {
    what: What,
    clients: usize,
    pipelined: bool,
}

/// What a round has shown.
#[derive(Clone, Copy, Debug)]
struct Round {
    per_second: f64,
    p50: Duration,
    p99: Duration,
}

fn main() -> Outcome<()> {
    if let Ok(arguments) = std::env::var(SERVE) {
        return Ok(dynamite_server::run(&Config::parse_from(arguments.lines()))?);
    }
    let arguments = Arguments::of_process();
    let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
    let people = People { count: arguments.effort.pick(20_000, 20_000, 100), seed: 1 };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let ours = Ours::start(scratch.path())?;
    let redis = Redis::start(scratch.path())?;
    runtime.block_on(load(&ours.socket, redis.as_ref(), people))?;
    let time = Duration::from_millis(arguments.effort.pick(1_000, 300, 20));
    let rounds = arguments.effort.pick(7, 3, 1);
    let mut table = Table::new(
        "Requests over a Unix socket; the best of each side's rounds",
        &[
            "operation",
            "clients",
            "under way",
            "ours 1/s",
            "p50 us",
            "p99 us",
            "Redis 1/s",
            "p50 us",
            "p99 us",
            "ratio",
        ],
    );
    for what in [What::Get, What::Put] {
        for clients in [1, 8, 64] {
            for pipelined in [false, true] {
                let shape = Shape { what, clients, pipelined };
                if !arguments.wants(&format!("server/{what:?}/{clients}/{pipelined}").to_lowercase()) {
                    continue;
                }
                let (mut our_best, mut redis_best) = (None, None);
                for _ in 0..rounds {
                    better(
                        &mut our_best,
                        runtime.block_on(measure(Side::Ours(&ours.socket), shape, people, time))?,
                    );
                    if let Some(redis) = &redis {
                        let round = measure(Side::Redis(&redis.socket), shape, people, time);
                        better(&mut redis_best, runtime.block_on(round)?);
                    }
                }
                row(&mut table, shape, our_best, redis_best);
            }
        }
    }
    table.print();
    beside_writers(&runtime, &ours, people, time, rounds)
}

fn better(best: &mut Option<Round>, round: Round) {
    if best.is_none_or(|best| round.per_second > best.per_second) {
        *best = Some(round);
    }
}

fn row(table: &mut Table, shape: Shape, ours: Option<Round>, redis: Option<Round>) {
    let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
    let cells = |round: Option<Round>| match round {
        Some(Round { per_second, p50, p99 }) => [format!("{per_second:.0}"), micros(p50), micros(p99)],
        None => ["-"; 3].map(str::to_owned),
    };
    let ([a, b, c], [d, e, f]) = (cells(ours), cells(redis));
    let ratio = match (ours, redis) {
        (Some(ours), Some(redis)) => format!("{:.2}", ours.per_second / redis.per_second),
        _ => "-".to_owned(),
    };
    let what = if shape.what == What::Get { "get" } else { "durable put" };
    let under_way = if shape.pipelined { UNDER_WAY } else { 1 };
    table.row([what.to_owned(), shape.clients.to_string(), under_way.to_string(), a, b, c, d, e, f, ratio]);
}

/// Gets of one client, alone and beside four that write durably.
fn beside_writers(
    runtime: &Runtime,
    ours: &Ours,
    people: People,
    time: Duration,
    rounds: usize,
) -> Outcome<()> {
    let shape = Shape { what: What::Get, clients: 1, pipelined: false };
    let (mut alone, mut beside) = (None, None);
    for _ in 0..rounds {
        let side = Side::Ours(&ours.socket);
        better(&mut alone, runtime.block_on(measure(side, shape, people, time))?);
        let writers = Writers::start(&ours.socket, people)?;
        better(&mut beside, runtime.block_on(measure(side, shape, people, time))?);
        writers.stop();
    }
    let mut table =
        Table::new("A client's gets beside four durable writers", &["", "gets 1/s", "p50 us", "p99 us"]);
    for (name, round) in [("alone", alone), ("beside four writers", beside)] {
        let Some(Round { per_second, p50, p99 }) = round else { continue };
        let micros = |time: Duration| format!("{:.0}", time.as_secs_f64() * 1e6);
        table.row([name.to_owned(), format!("{per_second:.0}"), micros(p50), micros(p99)]);
    }
    table.print();
    Ok(())
}

/// Four clients that write, on a thread of their own.
struct Writers {
    stop: tokio::sync::watch::Sender<bool>,
    thread: std::thread::JoinHandle<()>,
}

impl Writers {
    fn start(socket: &Path, people: People) -> Outcome<Writers> {
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let socket = socket.to_owned();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                let writers = (0..4).map(|nth| {
                    let (socket, stopped) = (socket.clone(), stopped.clone());
                    tokio::spawn(async move {
                        let Ok(db) = DynaMiteClient::connect(socket).await else { return };
                        let mut random = Random(nth);
                        while !*stopped.borrow() {
                            let document = people.document(random.below(people.count), 0);
                            if db.put_item(TABLE, document).await.is_err() {
                                return;
                            }
                        }
                    })
                });
                for writer in writers.collect::<Vec<_>>() {
                    let _ = writer.await;
                }
            });
        });
        Ok(Writers { stop, thread })
    }

    fn stop(self) {
        self.stop.send_replace(true);
        let _ = self.thread.join();
    }
}

#[derive(Clone, Copy)]
enum Side<'s> {
    Ours(&'s Path),
    Redis(&'s Path),
}

impl Side<'_> {
    async fn connect(self) -> Outcome<Client> {
        match self {
            Side::Ours(socket) => Ok(Client::Ours(DynaMiteClient::connect(socket).await?)),
            Side::Redis(socket) => {
                let client = redis::Client::open(format!("redis+unix://{}", socket.display()))?;
                Ok(Client::Redis(client.get_multiplexed_async_connection().await?))
            }
        }
    }
}

impl Client {
    async fn perform(&mut self, what: What, people: People, nth: usize) -> Outcome<()> {
        match (self, what) {
            (Client::Ours(db), What::Get) => {
                db.get_item(TABLE, people.id(nth), None).await?.ok_or("a person is missing")?;
            }
            (Client::Ours(db), What::Put) => {
                db.put_item(TABLE, people.document(nth, 0)).await?;
            }
            (Client::Redis(redis), What::Get) => {
                let text: Option<String> = redis.get(people.id(nth)).await?;
                // What a program does with a document it does with JSON.
                let _: Value = serde_json::from_str(&text.ok_or("a person is missing")?)?;
            }
            (Client::Redis(redis), What::Put) => {
                let text = serde_json::to_string(&people.document(nth, 0))?;
                let () = redis.set(people.id(nth), text).await?;
            }
        }
        Ok(())
    }
}

async fn load(ours: &Path, redis: Option<&Redis>, people: People) -> Outcome<()> {
    let db = DynaMiteClient::connect(ours).await?;
    db.create_table(TABLE).partition_key("id", KeyType::String).await?;
    for start in (0..people.count).step_by(1000) {
        let nths = start..(start + 1000).min(people.count);
        nths.fold(db.batch_write(), |batch, nth| batch.put(TABLE, people.document(nth, 0))).await?;
    }
    if let Some(redis) = redis {
        let Client::Redis(mut redis) = Side::Redis(&redis.socket).connect().await? else { return Ok(()) };
        for start in (0..people.count).step_by(1000) {
            let mut pipe = redis::pipe();
            for nth in start..(start + 1000).min(people.count) {
                pipe.set(people.id(nth), serde_json::to_string(&people.document(nth, 0))?).ignore();
            }
            let () = pipe.query_async(&mut redis).await?;
        }
    }
    Ok(())
}

async fn measure(side: Side<'_>, shape: Shape, people: People, time: Duration) -> Outcome<Round> {
    let mut tasks = Vec::new();
    let begun = Instant::now();
    let until = begun + time;
    for number in 0..shape.clients {
        let client = side.connect().await?;
        for lane in 0..if shape.pipelined { UNDER_WAY } else { 1 } {
            let mut client = client.clone();
            let mut random = Random((number * 1000 + lane) as u64);
            tasks.push(tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let nth = random.below(people.count);
                    let begun = Instant::now();
                    client.perform(shape.what, people, nth).await?;
                    times.push(begun.elapsed());
                }
                Outcome::Ok(times)
            }));
        }
    }
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    let took = begun.elapsed();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    Ok(Round { per_second: times.len() as f64 / took.as_secs_f64(), p50: at(0.5), p99: at(0.99) })
}

/// Our server's process.
struct Ours {
    child: Child,
    socket: PathBuf,
}

impl Ours {
    fn start(directory: &Path) -> Outcome<Ours> {
        let (socket, db) = (directory.join("d.sock"), directory.join("d.db"));
        let arguments = format!(
            "dynamite-server\n--db\n{}\n--socket\n{}\n--log\noff\n--cache-size\n256MiB",
            db.display(),
            socket.display()
        );
        let child =
            Command::new(std::env::current_exe()?).env(SERVE, arguments).stdin(Stdio::null()).spawn()?;
        let ours = Ours { child, socket };
        wait_for(&ours.socket);
        Ok(ours)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Redis's process.
struct Redis {
    child: Child,
    socket: PathBuf,
}

impl Redis {
    /// `None` if it is not installed.
    fn start(directory: &Path) -> Outcome<Option<Redis>> {
        let socket = directory.join("r.sock");
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "always"]);
        command.arg("--unixsocket").arg(&socket).arg("--dir").arg(directory);
        let Ok(child) = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn() else { return Ok(None) };
        let redis = Redis { child, socket };
        wait_for(&redis.socket);
        Ok(Some(redis))
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn wait_for(socket: &Path) {
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
}
