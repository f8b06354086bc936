//! The doctor: looks at everything that an installation is made of, and says what helps where something is wrong.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use crate::cli::print::{self, Text};
use crate::cli::{Cli, verbs};
use crate::client::{Memory, answer};
use crate::error::MemoryError;
use crate::place::Place;
use crate::request::{Checked, Request, Source};
use crate::{hook, meaning, owner};

/// What was looked at, and what was seen.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    ok: bool,
    seen: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Debug, Serialize)]
struct Findings {
    ok: bool,
    findings: Vec<Finding>,
}

impl Text for Findings {
    fn text(&self) -> String {
        let mut text = String::new();
        for finding in &self.findings {
            text += &format!(
                "{} {}: {}\n",
                if finding.ok { "ok   " } else { "WRONG" },
                finding.what,
                finding.seen
            );
            if let Some(remedy) = &finding.remedy {
                text += &format!("      → {remedy}\n");
            }
        }
        text
    }
}

pub(super) async fn run(cli: &Cli) -> ExitCode {
    let mut findings = Vec::new();
    let mut find = |what, seen: Result<String, (String, String)>| {
        findings.push(match seen {
            Ok(seen) => Finding { what, ok: true, seen, remedy: None },
            Err((seen, remedy)) => Finding { what, ok: false, seen, remedy: Some(remedy) },
        });
    };
    find("program", program());
    match Place::of(cli.db.as_deref()) {
        Err(error) => find("place", Err((error.to_string(), "name another file with --db".to_owned()))),
        Ok(place) => {
            find("file", private(&place.db));
            find("token", private(&place.db.with_extension("token")));
            let memory = Memory::new(place.clone(), &verbs::directory(cli, None), Source::User);
            find("model", Ok(model()));
            find("owner", owner(&place, &memory).await);
            find("index", index(&memory).await);
            find("project", Ok(format!("{} for {}", memory.project, verbs::directory(cli, None).display())));
        }
    }
    find("hooks", hooks());
    let findings = Findings { ok: findings.iter().all(|finding| finding.ok), findings };
    let _ = print::answer(cli.json, &findings);
    ExitCode::from(u8::from(!findings.ok))
}

/// Whether the plugin's shim finds this program.
fn program() -> Result<String, (String, String)> {
    let this = std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default();
    let version = env!("CARGO_PKG_VERSION");
    let named = std::env::var_os("DYNAMITE_MEMORY_BIN").map(PathBuf::from);
    if let Some(named) = named.filter(|named| !is_program(named)) {
        let seen = format!("DYNAMITE_MEMORY_BIN is {}, which cannot be run", named.display());
        return Err((seen, format!("set it to {this}, or unset it")));
    }
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&on_path).collect();
    places.extend(std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin")));
    let found = places.iter().map(|place| place.join("dynamite-memory")).find(|path| is_program(path));
    let is_named = std::env::var_os("DYNAMITE_MEMORY_BIN").is_some();
    match found {
        _ if is_named => Ok(format!("{version}, by DYNAMITE_MEMORY_BIN")),
        Some(path) => Ok(format!("{version}, found as {}", path.display())),
        None => {
            let seen = format!("{this} ({version}) is on no PATH, so the plugin does not find it");
            Err((
                seen,
                format!("ln -s {this} ~/.cargo/bin/dynamite-memory, or set DYNAMITE_MEMORY_BIN to it"),
            ))
        }
    }
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Whether nobody else can read a file.
fn private(path: &Path) -> Result<String, (String, String)> {
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Ok(format!("{} is not there yet", path.display()))
        }
        Err(error) => Err((format!("{}: {error}", path.display()), "give yourself access to it".to_owned())),
        Ok(found) if found.permissions().mode() & 0o077 != 0 => {
            let seen = format!("{} can be read by others", path.display());
            Err((seen, format!("chmod 600 {}", path.display())))
        }
        Ok(found) => Ok(format!("{}, {} KiB", path.display(), found.len() >> 10)),
    }
}

/// What the search goes by besides words.
fn model() -> String {
    meaning::encoder()
        .map_or_else(|| "none, the search is by words".to_owned(), |model| model.name().to_owned())
}

/// Whether the owner can be reached, or started, and is of this build.
async fn owner(place: &Place, memory: &Memory) -> Result<String, (String, String)> {
    let was_there = owner::try_connect(place).await;
    if let Some(client) = &was_there {
        let theirs = client.server().version;
        if theirs != env!("CARGO_PKG_VERSION") {
            let seen = format!("it is of version {theirs}");
            return Err((
                seen,
                "end it (pkill -u $USER -f 'dynamite-memory.*serve'), the next command starts a new one"
                    .to_owned(),
            ));
        }
    }
    match memory.ask(&Request::Stats(Some(String::new()))).await {
        Ok(_) if was_there.is_some() => Ok(format!("serves at {}", place.socket.display())),
        Ok(_) => Ok(format!("was started, and serves at {}", place.socket.display())),
        Err(error) => {
            let log = place.beside(".log");
            Err((error.to_string(), format!("see {}; end whoever else has the file open", log.display())))
        }
    }
}

async fn index(memory: &Memory) -> Result<String, (String, String)> {
    let remedy = "dynamite-memory gc --reindex".to_owned();
    let checked: Result<Checked, MemoryError> = async { answer!(memory, Request::Check, Checked) }.await;
    match checked {
        Ok(checked) if checked.problems.is_empty() => {
            Ok(format!("{} memories, all as they should be", checked.memories))
        }
        Ok(checked) => Err((checked.problems.join("; "), remedy)),
        Err(error) => Err((error.to_string(), remedy)),
    }
}

fn hooks() -> Result<String, (String, String)> {
    let events = ["SessionStart", "UserPromptSubmit", "PreCompact", "PostCompact", "SessionEnd"];
    let off: Vec<_> = events.into_iter().filter(|event| hook::is_off(event)).collect();
    match off.is_empty() {
        true => Ok("all on".to_owned()),
        false => Ok(format!("off by DYNAMITE_MEMORY_HOOKS_OFF: {}", off.join(", "))),
    }
}
