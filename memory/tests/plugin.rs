//! The plugin's files: that they agree with the program, and that the shim finds it, or lets a session go on without it.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::Home;
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn json(path: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

/// Runs the shim with this PATH and this program named, if any.
fn shim(home: &Home, path: &str, named: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(root().join("plugin/bin/dynamite-memory"));
    command.args(arguments).env_clear().env("PATH", path).env("HOME", home.directory.path());
    command.env("XDG_RUNTIME_DIR", home.path("run")).env("XDG_DATA_HOME", home.path("data"));
    command.current_dir(home.path("project")).stdin(std::process::Stdio::null());
    command.envs(named.map(|named| ("DYNAMITE_MEMORY_BIN", named)));
    command.output().unwrap()
}

#[test]
fn the_manifests_agree_with_the_program() {
    let plugin = json("plugin/.claude-plugin/plugin.json");
    assert_eq!(plugin["version"], env!("CARGO_PKG_VERSION"));
    let market = json(".claude-plugin/marketplace.json");
    assert_eq!(market["plugins"][0]["name"], plugin["name"]);
    assert!(root().join(market["plugins"][0]["source"].as_str().unwrap()).join(".mcp.json").exists());
    let server = &json("plugin/.mcp.json")["mcpServers"]["memory"];
    assert_eq!(server["alwaysLoad"], true);
    let hooks = json("plugin/hooks/hooks.json");
    let hooks = hooks["hooks"].as_object().unwrap();
    let mut events: Vec<_> = hooks.keys().map(String::as_str).collect();
    events.sort_unstable();
    assert_eq!(events, ["PostCompact", "PreCompact", "SessionEnd", "SessionStart", "UserPromptSubmit"]);
    for (event, matchers) in hooks {
        let hook = &matchers[0]["hooks"][0];
        assert_eq!(hook["type"], "command");
        assert_eq!(hook["args"], serde_json::json!(["hook", event]));
        assert_eq!(hook["command"], server["command"]);
    }
    let skills = std::fs::read_dir(root().join("plugin/skills")).unwrap().map(|skill| skill.unwrap().path());
    let by_model = skills.filter(|skill| {
        let text = std::fs::read_to_string(skill.join("SKILL.md")).unwrap();
        !text.contains("disable-model-invocation: true")
    });
    assert_eq!(by_model.count(), 1);
}

#[test]
fn the_shim_finds_the_program_or_lets_the_session_go_on() {
    let home = Home::new();
    let program = env!("CARGO_BIN_EXE_dynamite-memory");
    let usual = "/usr/bin:/bin";
    let none = shim(&home, usual, None, &["hook", "SessionStart"]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(0), 0));
    assert_eq!(String::from_utf8_lossy(&none.stderr).lines().count(), 1, "a hint of one line");
    // It is on the PATH itself, in a session, and must not start itself.
    let itself = format!("{}:{usual}", root().join("plugin/bin").display());
    assert_eq!(shim(&home, &itself, None, &["stats"]).status.code(), Some(0));

    let named = shim(&home, usual, Some(program), &["stats", "--json"]);
    assert!(named.status.success() && named.stdout.starts_with(b"{"), "{named:?}");
    for place in ["bin", ".cargo/bin"] {
        let place = home.path(place);
        std::fs::create_dir_all(&place).unwrap();
        std::os::unix::fs::symlink(program, place.join("dynamite-memory")).unwrap();
        let path = if place.ends_with(".cargo/bin") {
            usual.to_owned()
        } else {
            format!("{itself}:{}", place.display())
        };
        let found = shim(&home, &path, None, &["stats", "--json"]);
        assert!(found.stdout.starts_with(b"{"), "{found:?}");
    }
    let missing = shim(&home, &itself, Some("/no/such/program"), &["stats", "--json"]);
    assert!(missing.stdout.starts_with(b"{"), "the others are tried");
}
