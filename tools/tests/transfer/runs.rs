//! Imports out of order of more than the memory holds: the sorted runs that lie beside the input meanwhile.
//!
//! A directory in the place of a run ends an import there, each time in the same place.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use crate::common::scratch_file;
use crate::support::*;

/// Three runs and a half of a quarter of the least memory, 8 MiB: an item takes some 500 bytes.
const COUNT: u64 = 60_000;

struct Import {
    directory: TempDir,
    path: PathBuf,
    input: PathBuf,
}

impl Import {
    fn of(lines: &str) -> Import {
        let (directory, path) = scratch_file();
        let input = directory.path().join("in.jsonl");
        fs::write(&input, lines).expect("there is room");
        Import { directory, path, input }
    }

    fn arguments<'a>(&'a self, options: &[&'a str]) -> Vec<&'a str> {
        let place = ["--db", text(&self.path), "-t", TABLE, "--create", "(id S)", text(&self.input)];
        [&place[..], options].concat()
    }

    fn run_file(&self, nth: usize) -> PathBuf {
        self.directory.path().join(format!("in.jsonl.import.run-{nth}"))
    }

    /// Ends an import at a run.
    #[track_caller]
    fn end_at(&self, run_file: &Path, options: &[&str]) {
        fs::create_dir(run_file).expect("it is not there");
        let ended = run(IMPORT, &self.arguments(&[options, &["--memory", "32"]].concat()));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        assert!(ended.err.contains(text(run_file)), "{ended:?}");
        fs::remove_dir(run_file).expect("nothing is in it");
    }

    /// Nothing is left beside the input and the database.
    #[track_caller]
    fn check_tidy(&self) {
        let names = fs::read_dir(self.directory.path()).expect("it is there");
        let names = names.map(|entry| entry.expect("it is there").file_name().into_string());
        let left: Vec<String> = names.flatten().filter(|name| name.contains("import")).collect();
        assert_eq!(left, [""; 0]);
    }
}

#[test]
fn what_is_gathered_before_a_run_is_a_quarter_of_the_memory() {
    for (nth, is_needed) in [(3, true), (5, false)] {
        let import = Import::of(&lines(COUNT, false));
        fs::create_dir(import.run_file(nth)).expect("it is not there");
        let ended = run(IMPORT, &import.arguments(&["--memory", "32"]));
        assert_eq!(ended.code, Some(if is_needed { 3 } else { 0 }), "run {nth}: {ended:?}");
    }
}

#[test]
fn an_import_goes_on_behind_the_last_run_that_is_whole() {
    for nth in [1, 3] {
        let import = Import::of(&lines(COUNT, false));
        import.end_at(&import.run_file(nth), &[]);
        assert!(import.run_file(nth - 1).exists());
        let report = run_json(IMPORT, &import.arguments(&["--memory", "32", "--resume", "--verify"]));
        assert_eq!((&report["items"], &report["verified"]["equal"]), (&COUNT.into(), &true.into()));
        import.check_tidy();
    }
}

/// A run that is cut ends an import while the runs are merged.
#[test]
fn an_import_goes_on_within_the_runs() {
    let import = Import::of(&lines(COUNT, false));
    import.end_at(&import.run_file(2), &[]);
    let run_file = import.run_file(0);
    let whole = fs::read(&run_file).expect("it is there");
    fs::write(&run_file, &whole[..whole.len() / 2]).expect("there is room");
    let on = import.arguments(&["--memory", "32", "--checkpoint", "0", "--resume"]);
    let ended = run(IMPORT, &on);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains(text(&run_file)), "{ended:?}");
    let some = items(&import.path).len() as u64;
    assert!(some > 0 && some < COUNT, "{some} items were put");
    fs::write(&run_file, whole).expect("there is room");
    let report = run_json(IMPORT, &[&on[..], &["--verify"]].concat());
    // None is put twice.
    assert_eq!((&report["items"], &report["verified"]["equal"]), (&COUNT.into(), &true.into()), "{report}");
    import.check_tidy();
}

#[test]
fn an_import_that_begins_anew_removes_the_runs_before_it() {
    let import = Import::of(&lines(COUNT, false));
    import.end_at(&import.run_file(2), &[]);
    let report = run_json(IMPORT, &import.arguments(&["--restart", "--verify"]));
    assert_eq!((&report["items"], &report["verified"]["equal"]), (&COUNT.into(), &true.into()));
    import.check_tidy();
}

/// A run that was being written when the process ended: what was remembered before does not speak of it.
#[test]
fn a_run_that_nothing_tells_of_is_removed() {
    let in_order = lines(8_000, true).replace("user", "early");
    let import = Import::of(&(in_order + &lines(COUNT, false)));
    import.end_at(&import.run_file(0), &["--checkpoint", "0"]);
    fs::write(import.run_file(0), "half of a run").expect("there is room");
    // There is memory enough to do without runs now.
    let report = run_json(IMPORT, &import.arguments(&["--resume", "--verify"]));
    assert_eq!(
        (&report["items"], &report["verified"]["equal"]),
        (&(COUNT + 8_000).into(), &true.into()),
        "{report}"
    );
    import.check_tidy();
}

/// Of one key in several runs, and several times in one, and of one key within the memory.
#[test]
fn the_last_of_one_key_stays_whichever_runs_they_are_in() {
    let item = |number: u64, round: u64| {
        let item = json!({"id": format!("{number:08}"), "round": round, "text": "x".repeat(330)});
        format!("{item}\n")
    };
    // One more of the first key, that 2000 items, as many as are put at once, end among those of one key.
    let mut all = item(0, 0);
    for round in 0..4_u64 {
        for nth in 0..COUNT / 4 {
            // The second and the third are neighbours, and in one run.
            let number = if round == 2 { nth } else { nth * 7_368_787 % (COUNT / 4) };
            if round == 2 {
                all += &item(number, 1);
            }
            if round != 1 {
                all += &item(number, round);
            }
        }
    }
    for memory in ["32", "512"] {
        let import = Import::of(&all);
        let report = run_json(IMPORT, &import.arguments(&["--memory", memory, "--verify"]));
        // Each key is put once.
        assert_eq!(
            (&report["items"], &report["verified"]["equal"]),
            (&(COUNT / 4).into(), &true.into()),
            "{report}"
        );
        let items = items(&import.path);
        assert_eq!(items.len() as u64, COUNT / 4);
        assert!(items.iter().all(|item| item["round"] == 3.into()));
        import.check_tidy();
    }
}
