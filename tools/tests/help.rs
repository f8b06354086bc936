//! What the programs say of themselves, word for word. With `UPDATE_GOLDEN=1` in the environment the texts are written anew.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What a program says, and that it prints its manual page and its completions.
#[track_caller]
fn check(name: &str, program: &str) {
    check_help(name, program, &[]);
    for what in ["man", "bash", "elvish", "fish", "powershell", "zsh"] {
        let text = said(Command::new(program).args(["--generate", what])).replace("\\-", "-");
        assert!(text.contains(&format!("dynamite-{name}")) && text.contains("version"), "{what}: {text}");
    }
}

#[track_caller]
fn check_help(name: &str, program: &str, subcommand: &[&str]) {
    let said = said(Command::new(program).args(subcommand).arg("--help"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, said).expect("the text can be written");
        return;
    }
    assert_eq!(said, fs::read_to_string(&path).expect("the text is there"));
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().expect("the program runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).expect("it is text")
}

#[test]
fn of_the_console() {
    check("console", env!("CARGO_BIN_EXE_dynamite-console"));
}

#[test]
fn of_the_import() {
    check("import", env!("CARGO_BIN_EXE_dynamite-import"));
}

#[test]
fn of_the_export() {
    check("export", env!("CARGO_BIN_EXE_dynamite-export"));
}

#[cfg(feature = "endpoint")]
#[test]
fn of_the_copy() {
    let program = env!("CARGO_BIN_EXE_dynamite-copy");
    check("copy", program);
    for action in ["from", "to", "verify"] {
        check_help(&format!("copy-{action}"), program, &[action]);
        let page = said(Command::new(program).args(["--generate", "man", action])).replace("\\-", "-");
        assert!(
            page.contains(&format!("dynamite-copy-{action}")) && page.contains("--endpoint-url"),
            "{page}"
        );
    }
}
