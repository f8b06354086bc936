//! Real processes: many clients of one server, and servers that are killed, told to end, or started twice.

mod common;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_server::client::BlockingClient;
use dynamite_server::{ClientError, DynaMiteClient, Server};
use rustix::process::Signal;
use serde_json::json;

use common::wire::{HELLO, request, scan_request};
use common::{Served, command, directory, run};

/// The socket, set in a process that counts.
const COUNTER: &str = "DYNAMITE_TEST_COUNTER";
const PROCESSES: usize = 8;
const EACH: usize = 50;

#[test]
fn eight_processes_that_count_through_version_conflicts_lose_no_update() {
    if let Some(socket) = std::env::var_os(COUNTER) {
        return count(Path::new(&socket));
    }
    let served = Served::start(&[]);
    run(async {
        let db = served.client().await;
        db.create_table("counters").partition_key("name", KeyType::String).await.unwrap();
    });
    let children = (0..PROCESSES).map(|_| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "eight_processes_that_count_through_version_conflicts_lose_no_update"]);
        command.env(COUNTER, served.socket()).stdout(Stdio::null()).spawn().unwrap()
    });
    for mut child in children.collect::<Vec<_>>() {
        assert!(child.wait().unwrap().success());
    }
    let counter =
        run(async { served.client().await.get_item("counters", "n", None).await.unwrap().unwrap() });
    assert_eq!(counter["count"], PROCESSES * EACH);
    let (status, directory) = served.stop();
    assert!(status.success());
    // What it leaves behind is a sound database, and nothing else.
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["d.db"]);
}

/// The conflict-retry loop, in its usual form.
fn count(socket: &Path) {
    let db = BlockingClient::connect(socket).unwrap();
    for _ in 0..EACH {
        loop {
            let counted = match db.get_item_versioned("counters", "n", None).unwrap() {
                Some(found) => {
                    let mut item = found.item;
                    item["count"] = json!(item["count"].as_i64().unwrap() + 1);
                    db.put_item_versioned("counters", item, Some(found.version))
                }
                None => db.put_item_versioned("counters", json!({"name": "n", "count": 1}), Some(0)),
            };
            match counted {
                Ok(_) => break,
                Err(e) if e.to_string().contains("version conflict") => {}
                Err(e) => panic!("{e}"),
            }
        }
    }
}

/// Writers write one number after the other, each under a key of its own; the server is killed in the middle, again and again.
#[test]
fn a_killed_server_has_lost_nothing_that_it_acknowledged_and_its_clients_find_the_next_one() {
    const WRITERS: usize = 4;
    let mut served = Served::start(&[]);
    run(async {
        let db = served.client().await;
        db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
        let done = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
        let total = Arc::new(AtomicU64::new(0));
        let mut writers = Vec::new();
        for writer in 0..WRITERS {
            let (db, done, acknowledged, total) =
                (db.clone(), done.clone(), acknowledged.clone(), total.clone());
            writers.push(tokio::spawn(async move {
                let mut n = 0;
                while !done.load(Ordering::Relaxed) {
                    n += 1;
                    // The key is the client's, so that a write may be tried again.
                    let id = format!("writer {writer}");
                    match db.put_item("things", json!({"id": id, "n": n})).await {
                        Ok(_) => {
                            acknowledged.lock().unwrap().insert(id, n);
                            total.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(ClientError::Lost { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }));
        }
        for round in 1..=4 {
            while total.load(Ordering::Relaxed) < round * 100 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            served = Served::start_in(served.kill(), &[]);
            // A read is asked again by itself.
            for writer in 0..WRITERS {
                let id = format!("writer {writer}");
                let least = acknowledged.lock().unwrap().get(&id).copied().unwrap_or(0);
                let found = db.get_item("things", id, None).await.unwrap();
                let found = found.map_or(0, |found| found["n"].as_u64().unwrap());
                assert!(found >= least, "round {round}: {found} where {least} was acknowledged");
            }
        }
        done.store(true, Ordering::Relaxed);
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

#[test]
fn a_server_that_is_told_to_end_answers_what_is_under_way_and_loses_none_of_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut served = Served::start(&[]);
        let acknowledged = run(async {
            let db = DynaMiteClient::builder()
                .reconnect_for(Duration::ZERO)
                .connect(served.socket())
                .await
                .unwrap();
            db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
            let acknowledged = Arc::new(AtomicU64::new(0));
            let mut writers = Vec::new();
            for writer in 0..16_u64 {
                let (db, acknowledged) = (db.clone(), acknowledged.clone());
                writers.push(tokio::spawn(async move {
                    let mut mine = Vec::new();
                    for n in 0.. {
                        let id = n * 16 + writer;
                        match db.put_item("things", json!({"id": id})).await {
                            Ok(_) => mine.push(id),
                            Err(ClientError::Lost { .. } | ClientError::Unreachable { .. }) => return mine,
                            Err(error) => panic!("{error}"),
                        }
                        acknowledged.fetch_add(1, Ordering::Relaxed);
                    }
                    mine
                }));
            }
            while acknowledged.load(Ordering::Relaxed) < 200 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            served.signal(signal);
            let mut all = Vec::new();
            for writer in writers {
                all.extend(writer.await.unwrap());
            }
            all
        });
        assert!(served.wait().success());
        assert!(!served.socket().exists());
        let db = DynaMite::open(served.db()).unwrap();
        for id in acknowledged {
            assert!(db.get_item("things").partition_key(id).execute().unwrap().is_some(), "{id}");
        }
    }
}

/// Requests that lie in the socket when the end comes are either done and answered, or not done.
#[test]
fn a_server_that_is_told_to_end_does_nothing_that_it_does_not_answer() {
    let mut served = Served::start(&[]);
    run(async {
        let db = served.client().await;
        db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
    });
    let mut stream = UnixStream::connect(served.socket()).unwrap();
    stream.write_all(HELLO).unwrap();
    let mut writing = stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || {
        for id in 0..100_000_u64 {
            // Operation 4: a put of an item that has only this id, and no more.
            let body = format!("\x04\x06things\x01\x0a\x01\x02id\x35{id:05}\0\0\0");
            if writing.write_all(&request(id, body.as_bytes())).is_err() {
                return;
            }
        }
    });
    let (mut header, mut answers) = ([0; 13], 0);
    while stream.read_exact(&mut header).is_ok() {
        let len = u32::from_le_bytes(header[..4].try_into().unwrap()) as usize;
        std::io::copy(&mut (&stream).take(len as u64 - 9), &mut std::io::sink()).unwrap();
        answers += u64::from(header[4] == 3);
        if answers == 100 {
            served.signal(Signal::TERM);
        }
    }
    writer.join().unwrap();
    assert!(served.wait().success());
    let db = DynaMite::open(served.db()).unwrap();
    assert_eq!(db.scan("things").count().unwrap(), answers);
    assert!(answers < 100_000);
}

#[track_caller]
fn check_refused(mut command: Command, why: &str) {
    // One that starts all the same is not to stay.
    let output = command.args(["--idle-exit", "1"]).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(why), "{said}");
}

#[test]
fn a_second_server_on_the_same_socket_or_file_says_why_it_does_not_start() {
    let served = Served::start(&[]);
    check_refused(command(served.directory.path()), "a server listens on");
    let mut other = Command::new(env!("CARGO_BIN_EXE_dynamite-server"));
    other.arg("--db").arg(served.db()).arg("--socket").arg(served.directory.path().join("e.sock"));
    check_refused(other, "is locked by another process");
    assert!(!served.directory.path().join("e.sock").exists());
    run(async { served.client().await.ping().await.unwrap() });
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_or_foreign_one_is_not() {
    let served = Served::start(&[]);
    let left = served.kill();
    assert!(left.path().join("d.sock").exists(), "a killed server leaves its socket behind");
    let served = Served::start_in(left, &[]);
    run(async { served.client().await.ping().await.unwrap() });
    drop(served);

    // Somebody listens there who is no server of ours.
    let directory = directory();
    let socket = directory.path().join("d.sock");
    let foreign = UnixListener::bind(&socket).unwrap();
    check_refused(command(directory.path()), "a server listens on");
    drop(foreign);
    fs::remove_file(&socket).unwrap();
    fs::write(&socket, "precious").unwrap();
    check_refused(command(directory.path()), "is no socket");
    assert_eq!(fs::read_to_string(&socket).unwrap(), "precious");
    let mut long = Command::new(env!("CARGO_BIN_EXE_dynamite-server"));
    long.arg("--db")
        .arg(directory.path().join("d.db"))
        .arg("--socket")
        .arg(format!("/tmp/{}", "x".repeat(110)));
    check_refused(long, "at most 107 bytes");
}

#[test]
fn only_its_user_may_reach_a_server() {
    let directory = directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let made = directory.path().join("made/for/it");
    let socket = made.join("d.sock");
    let mut child = Command::new(env!("CARGO_BIN_EXE_dynamite-server"))
        .args(["--log", "off", "--db"])
        .arg(directory.path().join("d.db"))
        .arg("--socket")
        .arg(&socket)
        .spawn()
        .unwrap();
    while UnixStream::connect(&socket).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert!(fs::metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(mode(&socket), 0o600);
    assert_eq!((mode(&made), mode(&directory.path().join("made"))), (0o700, 0o700));
    assert_eq!(mode(directory.path()), 0o755, "a directory of somebody else's stays what it is");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_server_ends_when_nobody_was_there_for_a_while() {
    let mut served = Served::start(&["--idle-exit", "1"]);
    let db = BlockingClient::connect(served.socket()).unwrap();
    db.wait(db.client().ping()).unwrap();
    drop(db);
    assert!(served.wait().success());
    assert!(!served.socket().exists());
}

/// What the old server has never got was not done: it may go to the next one, whatever it is.
#[test]
fn what_could_not_be_sent_is_sent_to_the_next_server_also_if_it_writes() {
    let served = Served::start(&[]);
    let db = BlockingClient::connect(served.socket()).unwrap();
    db.wait(db.client().create_table("things").partition_key("id", KeyType::Number)).unwrap();
    let mut directory = served.directory.clone();
    let mut served = Some(served);
    for id in 0..3 {
        // Nobody reads while nothing is awaited: only the write shows that the server has gone.
        directory = served.take().map_or(directory, Served::kill);
        served = Some(Served::start_in(directory.clone(), &[]));
        match id {
            0 => drop(db.put_item("things", json!({"id": id})).unwrap()),
            1 => drop(db.wait(db.client().snapshot()).unwrap()),
            _ => {
                let mut stream = db.stream(db.client().scan("things").stream()).unwrap();
                assert_eq!(stream.next().unwrap().unwrap(), json!({"id": 0}));
            }
        }
    }
}

/// As systemd does it: the listening socket is descriptor 3, and stays when the server ends.
#[test]
fn a_socket_that_is_handed_over_is_served_and_left_alone() {
    let directory = directory();
    let socket = directory.path().join("given.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    // A shell sets the number of the process that it becomes, and the descriptor.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh", env!("CARGO_BIN_EXE_dynamite-server"), "--log", "off", "--db"])
        .arg(directory.path().join("d.db"))
        .stdin(std::os::fd::OwnedFd::from(listener))
        .spawn()
        .unwrap();
    let db = BlockingClient::connect(&socket).unwrap();
    db.wait(db.client().ping()).unwrap();
    drop(db);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(socket.exists(), "it belongs to whoever made it");
    assert!(!directory.path().join("d.sock").exists());
}

/// Set in the process that shares a database.
const SHARES_AT: &str = "DYNAMITE_TEST_SHARES_AT";

#[test]
fn a_program_that_shares_its_database_keeps_a_socket_that_was_handed_to_it_for_something_else() {
    if let Some(socket) = std::env::var_os(SHARES_AT) {
        let server = Server::share(&DynaMite::in_memory().unwrap(), &socket).unwrap();
        let db = BlockingClient::connect(&socket).unwrap();
        db.wait(db.client().ping()).unwrap();
        return server.stop().unwrap();
    }
    let directory = directory();
    let listener = UnixListener::bind(directory.path().join("given.sock")).unwrap();
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
    let name = "a_program_that_shares_its_database_keeps_a_socket_that_was_handed_to_it_for_something_else";
    let mut child = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name])
        .env(SHARES_AT, directory.path().join("own.sock"))
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn it_says_what_it_is() {
    let output = |argument: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_dynamite-server")).arg(argument).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(output("--version"), format!("dynamite-server {}\n", env!("CARGO_PKG_VERSION")));
    let help = output("--help");
    for option in
        ["--db", "--socket", "--cache-size", "--log", "--idle-exit", "$XDG_RUNTIME_DIR", "$XDG_DATA_HOME"]
    {
        assert!(help.contains(option), "{option} is not in {help}");
    }
}

/// The defaults are where XDG says, and what is missing is made.
#[test]
fn paths_that_are_not_named_are_the_users_own() {
    let directory = directory();
    let (data, runtime) = (directory.path().join("data"), directory.path().join("run"));
    fs::create_dir(&runtime).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_dynamite-server"))
        .args(["--log", "off"])
        .env("XDG_DATA_HOME", &data)
        .env("XDG_RUNTIME_DIR", &runtime)
        .spawn()
        .unwrap();
    while UnixStream::connect(runtime.join("dynamite.sock")).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(data.join("dynamite/default.db").exists());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Resident bytes of a process.
fn resident(pid: u32) -> u64 {
    let mut status = String::new();
    File::open(format!("/proc/{pid}/status")).unwrap().read_to_string(&mut status).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn a_thousand_connections_work_and_cost_little_when_they_are_idle() {
    let served = Served::start(&["--cache-size", "16MiB"]);
    run(async {
        let db = served.client().await;
        db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
        raise_limit();
        let mut clients = Vec::new();
        for _ in 0..1000 {
            clients.push(served.client().await);
        }
        let mut tasks = Vec::new();
        for (id, client) in clients.iter().enumerate() {
            let client = client.clone();
            tasks.push(tokio::spawn(async move {
                client.put_item("things", json!({"id": id})).await.unwrap();
                client.get_item("things", id as u64, None).await.unwrap().unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(db.scan("things").count().await.unwrap(), 1000);
        assert_eq!(db.stats().await.unwrap().connections, 1001);
        let resident = resident(served.pid());
        assert!(
            resident <= (16 + 64) << 20,
            "{resident} bytes for 1,000 idle connections and a cache of 16 MiB"
        );
    });
}

fn raise_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

#[test]
fn a_client_that_never_reads_stops_only_itself() {
    let served = Served::start(&["--cache-size", "16MiB"]);
    run(async {
        let db = served.client().await;
        db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
        for id in 0..8 {
            db.put_item("things", json!({"id": id, "text": "x".repeat(100_000)})).await.unwrap();
        }
        // Pages of 800 KB each, asked for until the server takes no more.
        let mut greedy = UnixStream::connect(served.socket()).unwrap();
        greedy.write_all(HELLO).unwrap();
        greedy.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let mut asked = 0;
        while greedy.write_all(&scan_request(asked + 1)).is_ok() {
            asked += 1;
            assert!(asked < 1_000_000, "nothing stops it");
        }
        for _ in 0..100 {
            db.put_item("things", json!({"id": 100})).await.unwrap();
            db.get_item("things", 100, None).await.unwrap().unwrap();
        }
        let resident = resident(served.pid());
        assert!(resident < (16 + 64) << 20, "{resident} bytes because of one who does not read");
        // It gets what it asked for, when it reads.
        let mut answer = [0; 4];
        greedy.read_exact(&mut answer).unwrap();
    });
    let (status, _directory) = served.stop();
    assert!(status.success());
}
