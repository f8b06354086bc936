//! Results are recorded workload by workload, and what is recorded is of one run.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use dynamite_benches::harness::chart::{Bar, Group};
use dynamite_benches::harness::record::Record;
use dynamite_benches::scratch::Scratch;

#[test]
fn a_record_of_a_workload_replaces_the_one_before_and_no_other() {
    let scratch = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let record = Record::new(scratch.path(), "bench", "Then and there.".to_owned()).unwrap();
    let read = |name: &str| fs::read_to_string(scratch.file(name));
    let bars = vec![Bar { label: "lmdb".to_owned(), ratio: 2.0 }];
    let groups = [Group { title: "a get".to_owned(), bars }];
    record.write("get", "\n| old |\n", &groups).unwrap();
    record.write("put", "\n| put |\n", &groups).unwrap();
    let text = read("bench-get.md").unwrap();
    assert!(text.contains("| old |") && text.contains("(bench-get.svg)") && text.contains("Then and there."));
    assert!(read("bench-get.svg").unwrap().contains("a get"));

    record.write("get", "\n| new |\n", &[]).unwrap();
    let text = read("bench-get.md").unwrap();
    assert!(text.contains("| new |") && !text.contains("old") && !text.contains("svg"));
    assert!(read("bench-get.svg").is_err(), "no chart of another run stays");
    assert!(read("bench-put.md").unwrap().contains("(bench-put.svg)"));
}
