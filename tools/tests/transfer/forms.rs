//! The forms of files, and that nothing is lost in any of them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use dynamite_core::api::{DynaMite, IndexState};
use dynamite_core::types::KeyType;
use dynamite_server::Server;
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};

use crate::common::scratch_file;
use crate::support::*;

/// What is exported to such a name, and imported from it, is what there was.
#[track_caller]
fn check(name: &str, options: &[&str]) {
    let (directory, path) = database();
    let output = directory.path().join(name);
    let exported =
        run_json(EXPORT, &[&["--db", text(&path), "--table", TABLE, text(&output)], options].concat());
    assert_eq!(exported["items"], things().len());
    let (_other, copy) = scratch_file();
    let imported = run_json(
        IMPORT,
        &[
            &["--db", text(&copy), "--table", TABLE, "--create", DEFINITION, "--verify", text(&output)],
            options,
        ]
        .concat(),
    );
    assert_eq!((&imported["items"], &imported["checksum"]), (&exported["items"], &exported["checksum"]));
    assert_eq!(imported["verified"]["equal"], true, "{imported}");
    assert_eq!(items(&copy), items(&path));
    // Nothing is left of what was under way.
    let left: Vec<_> = fs::read_dir(directory.path())
        .expect("it is there")
        .map(|entry| entry.expect("it is").file_name())
        .collect();
    assert!(left.iter().all(|left| left == "db" || left == name), "{left:?}");
}

#[test]
fn json_lines_keep_every_item() {
    check("things.jsonl", &[]);
    check("things.jsonl.gz", &[]);
    check("things", &["--format", "jsonl", "--threads", "3"]);
}

#[test]
fn csv_keeps_every_item() {
    check("things.csv", &[]);
    check("things.csv.gz", &["--threads", "1"]);
}

struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The columns are found by a look at all items before any is written: both looks are at one state.
#[test]
fn csv_of_a_table_that_changes_is_what_the_table_was_at_one_moment() {
    let directory = tempfile::tempdir().expect("there is room");
    let socket = directory.path().join("socket");
    let db = DynaMite::in_memory().expect("there is memory");
    db.create_table(TABLE).partition_key("id", KeyType::String).execute().expect("it is new");
    for number in 0..3_000 {
        db.put_item(TABLE, json!({"id": number.to_string(), "text": "x".repeat(100)}))
            .expect("there is memory");
    }
    let server = Server::share(&db, &socket).expect("the server starts");
    let has_ended = AtomicBool::new(false);
    let output = directory.path().join("out.csv");
    let exported = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Each time it has an attribute that no item had before.
            for number in (0..1_000_000).take_while(|_| !has_ended.load(Ordering::Relaxed)) {
                let mut item = json!({"id": "changing"});
                item[format!("new {number}")] = json!(number);
                db.put_item(TABLE, item).expect("there is memory");
            }
        });
        // However it ends, the thread does not go on.
        let _ends = Ends(&has_ended);
        run(EXPORT, &["--socket", text(&socket), "--table", TABLE, text(&output), "--json"])
    });
    server.stop().expect("the server ends");
    assert_eq!(exported.code, Some(0), "{exported:?}");
    let exported: Value = serde_json::from_str(&exported.out).expect("it is JSON");
    let (_other, copy) = scratch_file();
    let back = run_json(IMPORT, &["--db", text(&copy), "-t", TABLE, "--create", "(id S)", text(&output)]);
    assert_eq!(back["checksum"], exported["checksum"]);
}

#[test]
fn dynamodb_json_keeps_every_item() {
    check("things.json", &[]);
    check("things.json.gz", &[]);
    check("bucket", &["--format", "dynamodb"]);
}

/// What another process reads of an export: whatever is in its files is what DynamoDB would write.
#[test]
fn an_export_in_dynamodbs_form_has_its_manifests() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("users.jsonl");
    fs::write(&input, lines(2500, true)).expect("there is room");
    run_json(IMPORT, &["--db", text(&path), "-t", "users", "--create", "(id S)", text(&input)]);
    let output = directory.path().join("bucket");
    let arguments =
        ["--db", text(&path), "-t", "users", "--format", "dynamodb", "--file-items", "1000", text(&output)];
    run_json(EXPORT, &arguments);

    let exports: Vec<PathBuf> = fs::read_dir(output.join("AWSDynamoDB"))
        .expect("it is there")
        .map(|entry| entry.expect("it is").path())
        .collect();
    let [export] = &exports[..] else { panic!("there is one export: {exports:?}") };
    let read = |name: &str| fs::read_to_string(export.join(name)).expect(name);
    let summary: Value = serde_json::from_str(&read("manifest-summary.json")).expect("it is JSON");
    assert_eq!((&summary["itemCount"], &summary["outputFormat"]), (&json!(2500), &json!("DYNAMODB_JSON")));
    let files: Vec<Value> = read("manifest-files.json")
        .lines()
        .map(|line| serde_json::from_str(line).expect("it is JSON"))
        .collect();
    assert_eq!(
        files.iter().map(|file| file["itemCount"].as_u64()).collect::<Vec<_>>(),
        [Some(1000), Some(1000), Some(500)]
    );
    let key = files[0]["dataFileS3Key"].as_str().expect("it is a text");
    let file = fs::File::open(output.join(key)).expect("the key leads to the file");
    let mut data = String::new();
    MultiGzDecoder::new(file).read_to_string(&mut data).expect("it is compressed");
    let first: Value =
        serde_json::from_str(data.lines().next().expect("there is a line")).expect("it is JSON");
    assert_eq!(first["Item"]["id"], json!({"S": "user 00000000"}));
    assert_eq!(first["Item"]["list"], json!({"L": [{"N": "1"}, {"N": "2.5"}, {"NULL": true}]}));
    // Foreign tools agree on the checksum.
    let sum = Command::new("md5sum").arg(output.join(key)).output().expect("it is on every system");
    let sum = String::from_utf8_lossy(&sum.stdout)[..32].to_owned();
    assert_eq!(files[0]["etag"], format!("{sum}-1"));

    // A second export beside it is another one; who means one of them names it.
    run_json(EXPORT, &arguments);
    let (_other, copy) = scratch_file();
    let import =
        |input: &Path| run(IMPORT, &["--db", text(&copy), "-t", "users", "--create", "(id S)", text(input)]);
    let both = import(&output);
    assert_eq!(both.code, Some(2), "{both:?}");
    assert!(both.err.contains("holds 2 exports; name one of them"), "{both:?}");
    assert_eq!(import(export).code, Some(0));
}

/// As the documentation of DynamoDB shows it: other names, `.checksum`, one member.
#[test]
fn an_export_of_dynamodbs_is_imported_and_damage_is_noticed() {
    let (directory, _) = scratch_file();
    let export = directory.path().join("AWSDynamoDB/01693685827463-2d8752fd");
    fs::create_dir_all(export.join("data")).expect("there is room");
    let item = r#"{"Item":{"id":{"S":"a"},"n":{"N":"1"},"set":{"SS":["x","y"]},"raw":{"B":"AQID"}}}"#;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, format!("{item}\n").as_bytes()).expect("a vector takes it");
    let data = encoder.finish().expect("a vector takes it");
    let path = export.join("data/asdl123dasas.json.gz");
    fs::write(&path, &data).expect("there is room");
    let md5 = |path: &Path| {
        let sum = Command::new("md5sum").arg(path).output().expect("it is on every system");
        let hex = String::from_utf8_lossy(&sum.stdout)[..32].to_owned();
        let byte = |nth: usize| u8::from_str_radix(&hex[2 * nth..2 * nth + 2], 16).expect("they are digits");
        base64::Engine::encode(
            &base64::engine::general_purpose::STANDARD,
            (0..16).map(byte).collect::<Vec<u8>>(),
        )
    };
    let files = json!({
        "itemCount": 1,
        "md5Checksum": md5(&path),
        "etag": "af83d6f217c19b8b0fff8023d8ca4716-1",
        "dataFileS3Key": "some-prefix/AWSDynamoDB/01693685827463-2d8752fd/data/asdl123dasas.json.gz",
    });
    fs::write(export.join("manifest-files.json"), files.to_string()).expect("there is room");
    fs::write(export.join("manifest-files.checksum"), md5(&export.join("manifest-files.json")))
        .expect("there is room");
    let summary = |format: &str| json!({"version": "2023-08-01", "itemCount": 1, "outputFormat": format, "exportType": "FULL_EXPORT"});
    fs::write(export.join("manifest-summary.json"), summary("DYNAMODB_JSON").to_string())
        .expect("there is room");
    let import = || {
        let (directory, copy) = scratch_file();
        let run = run(IMPORT, &["--db", text(&copy), "-t", TABLE, "--create", DEFINITION, text(&export)]);
        (directory, copy, run)
    };
    let (_kept, copy, run) = import();
    assert_eq!(run.code, Some(0), "{run:?}");
    assert_eq!(items(&copy).len(), 1);

    #[track_caller]
    fn refused(run: Run, says: &str) {
        assert_eq!(run.code, Some(1), "{run:?}");
        assert!(run.err.contains(says), "{run:?}");
    }
    fs::write(&path, [&data[..], b"x"].concat()).expect("there is room");
    refused(import().2, "asdl123dasas.json.gz: its MD5 is not the one that the manifest says");
    fs::write(&path, &data).expect("there is room");
    fs::write(export.join("manifest-summary.json"), summary("ION").to_string()).expect("there is room");
    refused(import().2, "the export is in Ion");
    fs::write(export.join("manifest-files.json"), files.to_string() + "\n").expect("there is room");
    fs::write(export.join("manifest-summary.json"), summary("DYNAMODB_JSON").to_string())
        .expect("there is room");
    refused(import().2, "its MD5 is not the one in manifest-files.checksum");
}

#[test]
fn numbers_of_json_keep_their_digits() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("numbers.jsonl");
    fs::write(&input, "{\"id\": \"a\", \"n\": 1, \"pi\": 3.1415926535897932384626433832795028841}\n\n")
        .expect("there is room");
    run_json(IMPORT, &["--db", text(&path), "-t", TABLE, "--create", DEFINITION, text(&input)]);
    let pi = items(&path)[0]["pi"].as_n().expect("it is a number");
    assert_eq!(pi.to_string(), "3.1415926535897932384626433832795028841");
}

#[test]
fn csv_of_others_is_imported_with_hints() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("users.csv");
    fs::write(&input, "\u{feff}id,n:N,age,note\r\nann,1,30,\"a, b\"\r\nbob,2,,\r\n").expect("there is room");
    run_json(
        IMPORT,
        &["--db", text(&path), "-t", TABLE, "--create", DEFINITION, "--type", "age=N", text(&input)],
    );
    let json: Vec<Value> = items(&path).into_iter().map(dynamite_core::json::item_to_json).collect();
    assert_eq!(json, [json!({"id": "ann", "n": 1, "age": 30, "note": "a, b"}), json!({"id": "bob", "n": 2})]);
}

/// From a server into a pipe, and from there into another server's table with an index.
#[test]
fn servers_and_pipes_will_do() {
    let (directory, path) = database();
    let db = DynaMite::open(&path).expect("nobody else has it");
    let socket = directory.path().join("socket");
    let server = Server::share(&db, &socket).expect("the server starts");
    let mut export = Command::new(EXPORT)
        .args(["--socket", text(&socket), "--table", TABLE, "--format", "jsonl", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let definition = "(id S, n N) INDEX by_n (n N, id S)";
    let import = Command::new(IMPORT)
        .args([
            "--socket",
            text(&socket),
            "--table",
            "copies",
            "--create",
            definition,
            "--format",
            "jsonl",
            "--json",
            "--verify",
            "-",
        ])
        .stdin(export.stdout.take().expect("it was asked for"))
        .output()
        .expect("the program runs");
    assert!(import.status.success(), "{import:?}");
    let exported = export.wait_with_output().expect("it ends");
    let report: Value = serde_json::from_slice(&import.stdout).expect("it is JSON");
    assert_eq!(report["verified"]["equal"], true);
    let said = String::from_utf8_lossy(&exported.stderr).into_owned();
    assert!(said.contains(report["checksum"].as_str().expect("it is a text")), "{said}");
    let table = db.describe_table("copies").expect("it is there");
    assert_eq!(
        (table.indexes[0].state, table.indexes[0].item_count),
        (IndexState::Active, things().len() as u64)
    );
    server.stop().expect("the server ends");
}
