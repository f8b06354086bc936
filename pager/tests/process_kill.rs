//! A process that commits is killed, on a real file, again and again. The next one finds the last commit that was
//! acknowledged, or the one that was under way, whole; and until the kill nobody else gets at the file.

mod common;
mod toy;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use dynamite_pager::{IoChoice, Options, Pager, PagerError};
use toy::*;

const FILE: &str = "DYNAMITE_TEST_FILE";
const CELLS: usize = 6;
const KILLS: u64 = 24;

/// What the database holds after commit `number` of the children.
fn state_after(number: u64) -> Cells {
    // Some commits move runs of pages, and some are too large for a manifest.
    let pages = match number {
        0 => 1,
        number if number.is_multiple_of(16) => 250,
        number if number.is_multiple_of(4) => 20,
        _ => 1,
    };
    (0..CELLS).map(|cell| Cell { value: number, pages: if cell == 0 { pages } else { 1 } }).collect()
}

fn options(choice: IoChoice) -> Options {
    Options::new().cache_bytes(4 << 20).io(choice)
}

fn number_in(pager: &Pager) -> u64 {
    let cells = read_all(pager).expect("the state can be read");
    assert_eq!(cells, state_after(cells[0].value), "a mixture of commits");
    cells[0].value
}

/// The child: commits until it is killed, and says so line by line.
fn commit_for_ever(choice: IoChoice) {
    let path = std::env::var_os(FILE).expect("the parent names the file");
    let pager = options(choice).open(path).expect("nobody else has it open");
    let mut out = std::io::stdout();
    for number in number_in(&pager) + 1.. {
        let changes: Vec<_> = state_after(number).into_iter().enumerate().collect();
        commit(&pager, &changes).expect("the commit succeeds");
        writeln!(out, "acknowledged {number}").expect("the parent listens");
        if number.is_multiple_of(7) {
            pager.seal().expect("the seal succeeds");
        }
    }
}

struct Committer {
    process: Child,
    lines: BufReader<ChildStdout>,
}

impl Committer {
    fn start(name: &str, path: &Path) -> Committer {
        let mut process = common::child_command(name)
            .env(FILE, path)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test binary runs");
        let lines = BufReader::new(process.stdout.take().expect("it is a pipe"));
        Committer { process, lines }
    }

    /// Waits until so many more commits were acknowledged. Returns the number of the last one.
    fn wait_for_commits(&mut self, commits: u64) -> u64 {
        let mut seen = 0;
        loop {
            let mut line = String::new();
            assert_ne!(self.lines.read_line(&mut line).expect("the pipe works"), 0, "the child ended early");
            if let Some(number) = acknowledged(&line) {
                seen += 1;
                if seen == commits {
                    return number;
                }
            }
        }
    }

    /// Kills the child. Returns the last number that it had acknowledged, if it said any since the last wait.
    fn kill(mut self) -> Option<u64> {
        self.process.kill().expect("the child is still there");
        self.process.wait().expect("the child is ours");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("the pipe works");
        // The last line may be cut short.
        rest.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(acknowledged).next_back()
    }
}

fn acknowledged(line: &str) -> Option<u64> {
    line.trim().strip_prefix("acknowledged ")?.parse().ok()
}

fn check_kills(name: &str, choice: IoChoice) {
    if common::is_child(name) {
        return commit_for_ever(choice);
    }
    let (_directory, path) = common::scratch_file();
    let pager = options(choice).create(&path, DATABASE_ID).expect("the file is created");
    fill(&pager, &state_after(0)).expect("nothing fails");
    pager.close().expect("nothing fails");

    let mut random = Random(17);
    for round in 0..KILLS {
        let mut committer = Committer::start(name, &path);
        let waited_for = committer.wait_for_commits(1 + random.below(20));
        if round == 3 {
            let refused = options(choice).open(&path).expect_err("the child has it open");
            assert!(matches!(refused, PagerError::FileLocked { .. }), "{refused}");
            let refused = options(choice).open_read_only(&path).expect_err("the child has it open");
            assert!(matches!(refused, PagerError::FileLocked { .. }), "{refused}");
        }
        // Somewhere within a commit.
        std::thread::sleep(Duration::from_micros(random.below(3000)));
        let last = committer.kill().unwrap_or(waited_for);

        let pager = options(choice).open(&path).expect("it opens after a kill");
        assert!(pager.stats().pages_read <= 8, "{} pages after recovery", pager.stats().pages_read);
        let found = number_in(&pager);
        assert!(found == last || found == last + 1, "round {round}: {last} acknowledged, {found} found");
        assert_sound(&pager, &format!("round {round}, commit {found}"));
    }
}

#[test]
fn a_killed_process_loses_no_acknowledged_commit_by_io_uring() {
    // Where io_uring is refused, this is the other test once more.
    check_kills("a_killed_process_loses_no_acknowledged_commit_by_io_uring", IoChoice::Auto);
}

#[test]
fn a_killed_process_loses_no_acknowledged_commit_by_system_calls() {
    check_kills("a_killed_process_loses_no_acknowledged_commit_by_system_calls", IoChoice::Syscall);
}
