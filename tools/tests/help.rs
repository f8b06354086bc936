//! What the programs say of themselves, word for word. With `UPDATE_GOLDEN=1` in the environment the texts are written anew.

use std::fs;
use std::path::Path;
use std::process::Command;

#[track_caller]
fn check(name: &str, program: &str) {
    let output = Command::new(program).arg("--help").output().expect("the program runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("it is text");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, said).expect("the text can be written");
        return;
    }
    assert_eq!(said, fs::read_to_string(&path).expect("the text is there"));
    for what in ["man", "bash", "elvish", "fish", "powershell", "zsh"] {
        let output = Command::new(program).args(["--generate", what]).output().expect("the program runs");
        assert!(output.status.success() && output.stderr.is_empty(), "{what}: {output:?}");
        let text = String::from_utf8_lossy(&output.stdout).replace("\\-", "-");
        assert!(text.contains(&format!("dynamite-{name}")) && text.contains("json"), "{what}: {text}");
    }
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
