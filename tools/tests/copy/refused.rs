//! What cannot be done is said, and how.

use std::net::TcpListener;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;

use crate::common::scratch_file;
use crate::support::*;

#[track_caller]
fn check(run: &Run, code: i32, words: &str) {
    assert!(run.code == Some(code) && run.err.contains(words), "{words}: {run:?}");
}

#[test]
fn tables_that_are_not_there_or_have_other_keys_are_refused() {
    let (_directory, path) = scratch_file();
    let table = "other_keys";
    fill(&path, table);
    check(&run(&mut command("from", &endpoint(), &path, "nowhere")), 1, "the endpoint has no table nowhere");
    check(&run(&mut command("to", &endpoint(), &path, "nowhere")), 1, "nowhere");
    check(&run(&mut command("verify", &endpoint(), &path, table)), 1, "the endpoint has no table other_keys");
    report(&mut command("to", &endpoint(), &path, table), 0);
    let (_other, other) = scratch_file();
    let db = DynaMite::create(&other).expect("the file is created");
    db.create_table(table).partition_key("id", KeyType::Number).execute().expect("there is room");
    db.close().expect("the file is sealed");
    for action in ["from", "to", "verify"] {
        let refused = run(&mut command(action, &endpoint(), &other, table));
        check(&refused, 2, "the key is (id N) in the database, and (id S, n N) at the endpoint");
    }
    let json = report(&mut command("from", &endpoint(), &path, "nowhere"), 1);
    assert_eq!(json["error"], "the endpoint has no table nowhere");
}

#[test]
fn an_endpoint_that_is_not_there_or_not_said_is_refused() {
    let (_directory, path) = scratch_file();
    let table = "not_there";
    fill(&path, table);
    let free =
        TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("there are ports");
    let refused = run(&mut command("to", &format!("http://{free}"), &path, table));
    check(&refused, 3, "describing the table failed, since the endpoint cannot be reached");
    let refused = run(command("to", &endpoint(), &path, table).env_remove("AWS_REGION"));
    check(&refused, 2, "no region is known: say --region");
    let refused = run(command("to", &endpoint(), &path, table).env_remove("AWS_ACCESS_KEY_ID"));
    check(&refused, 2, "no credentials are known");
    // What the flag does not say the environment does.
    let mut command = command("to", &endpoint(), &path, table);
    command.env_remove("AWS_REGION").args(["--region", "eu-west-1"]);
    report(&mut command, 0);
}

#[test]
fn region_credentials_and_endpoint_are_found_as_the_aws_cli_finds_them() {
    let (directory, path) = scratch_file();
    let table = "a_profile";
    fill(&path, table);
    let config = directory.path().join("config");
    let credentials = directory.path().join("credentials");
    std::fs::write(&config, format!("[profile p]\nregion = eu-west-3\nendpoint_url = {}\n", endpoint()))
        .expect("there is room");
    std::fs::write(&credentials, "[p]\naws_access_key_id = a\naws_secret_access_key = b\n")
        .expect("there is room");
    let bare = |arguments: &[&str]| {
        let mut command = std::process::Command::new(COPY);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .current_dir(directory.path())
            .args(["to", "--table", table, "--db"])
            .arg(&path)
            .args(arguments);
        command
    };
    let mut of_profile = bare(&["--profile", "p"]);
    of_profile.env("AWS_CONFIG_FILE", &config).env("AWS_SHARED_CREDENTIALS_FILE", &credentials);
    report(&mut of_profile, 0);
    let mut of_environment = bare(&[]);
    of_environment.env("AWS_ENDPOINT_URL_DYNAMODB", endpoint()).envs([
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
    ]);
    report(&mut of_environment, 0);
}
