//! The verbs, on the one [memory](crate::client::Memory).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dynamite_core::api::{Clock, SystemClock};

use crate::cli::{
    Cli, ExportArgs, ExportFormat, ImportArgs, ImportFormat, Mcp, RememberArgs, Verb, doctor, print,
};
use crate::client::{Memory, answer};
use crate::error::{MemoryError, Result};
use crate::hook::{self, Event};
use crate::mcp;
use crate::place::Place;
use crate::request::{Past, PastVersion, Remembered, Request, Source, Stats, Swept};
use crate::tools::{DiscoverInput, ForgetInput, RecallInput, RememberInput};
use crate::transfer::{self, claude_md, jsonl, memory_dir, server_memory};

/// What was asked for is not there.
const NOT_FOUND: u8 = 3;

/// What the owner sweeps at once.
const SWEPT: usize = 1000;

pub(super) async fn run(cli: &Cli, verb: &Verb) -> Result<ExitCode> {
    let found = |is_found: bool| if is_found { ExitCode::SUCCESS } else { ExitCode::from(NOT_FOUND) };
    match verb {
        Verb::Doctor => return Ok(doctor::run(cli).await),
        Verb::Hook { event } => return Ok(hook(cli, event).await),
        _ => {}
    }
    let source = if matches!(verb, Verb::Mcp(_)) { Source::Agent } else { Source::User };
    let memory = memory(cli, source)?;
    match verb {
        Verb::Mcp(options) => serve(memory, options).await.map(|()| ExitCode::SUCCESS),
        Verb::Remember(arguments) => {
            let done = memory.remember(remember(arguments)?, arguments.redact).await?;
            print::answer(cli.json, &done)
        }
        Verb::Recall(arguments) => {
            let input = RecallInput {
                category: arguments.category.clone(),
                prefix: arguments.prefix.clone(),
                query: (!arguments.query.is_empty()).then(|| arguments.query.join(" ")),
                limit: arguments.limit,
                max_tokens: arguments.max_tokens,
                cursor: arguments.cursor.clone(),
                scope: arguments.scope.map(Into::into),
            };
            let recalled = memory.recall(input).await?;
            print::answer(cli.json, &recalled)?;
            Ok(found(!recalled.items.is_empty()))
        }
        Verb::Discover(arguments) => {
            let input = DiscoverInput {
                category: arguments.category.clone(),
                prefix: arguments.prefix.clone(),
                depth: arguments.depth,
                cursor: arguments.cursor.clone(),
            };
            print::answer(cli.json, &memory.discover(input).await?)
        }
        Verb::Forget(arguments) => {
            let input = ForgetInput {
                category: arguments.category.clone(),
                key: arguments.key.clone(),
                prefix: arguments.prefix.clone(),
                recursive: Some(arguments.recursive),
                if_version: arguments.if_version,
                purge: Some(arguments.purge),
            };
            let forgot = memory.forget(input).await?;
            print::answer(cli.json, &forgot)?;
            Ok(found(forgot.forgotten > 0))
        }
        Verb::History(name) => {
            let past = past(&memory, &name.category, &name.key, None);
            let versions: Vec<PastVersion> = answer!(memory, Request::History(past), History)?;
            print::answer(cli.json, &versions)
        }
        Verb::Restore(arguments) => {
            let past = past(&memory, &arguments.category, &arguments.key, arguments.version);
            let done: Vec<Result<Remembered>> = answer!(memory, Request::Restore(past), Remembered)?;
            for one in done {
                print::answer(cli.json, &one?)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Verb::Import(arguments) => import(cli, &memory, arguments).await,
        Verb::Export(arguments) => export(&memory, arguments).await.map(|()| ExitCode::SUCCESS),
        Verb::Gc { reindex } => {
            if *reindex {
                memory.ask(&Request::Reindex).await?;
            }
            let mut total = Swept::default();
            // In portions, so that nobody else waits for all of it.
            loop {
                let swept: Swept = answer!(memory, Request::Sweep { most: SWEPT }, Swept)?;
                total.expired += swept.expired;
                total.tombstones += swept.tombstones;
                total.encoded += swept.encoded;
                if !swept.more {
                    break;
                }
            }
            print::answer(cli.json, &total)
        }
        Verb::Stats => {
            let stats: Stats = answer!(memory, Request::Stats(None), Stats)?;
            print::answer(cli.json, &stats)
        }
        Verb::Doctor | Verb::Hook { .. } | Verb::Serve { .. } => Ok(ExitCode::SUCCESS),
    }
}

/// The memory that is meant.
pub(super) fn memory(cli: &Cli, source: Source) -> Result<Memory> {
    let place = Place::of(cli.db.as_deref())?;
    Ok(Memory::new(place, &directory(cli, None), source))
}

/// The project's directory.
pub(super) fn directory(cli: &Cli, told: Option<&str>) -> PathBuf {
    let given = cli.project.clone().or_else(|| std::env::var_os("CLAUDE_PROJECT_DIR").map(PathBuf::from));
    let given = given.or_else(|| told.map(PathBuf::from)).filter(|path| !path.as_os_str().is_empty());
    given.or_else(|| std::env::current_dir().ok()).unwrap_or_else(|| ".".into())
}

fn past(memory: &Memory, category: &str, key: &str, version: Option<u64>) -> Past {
    Past { scopes: memory.scopes(), category: category.to_owned(), key: key.to_owned(), version }
}

fn remember(arguments: &RememberArgs) -> Result<RememberInput> {
    let content = match arguments.content.as_deref() {
        None | Some("-") => standard_input()?,
        Some(content) => content.to_owned(),
    };
    Ok(RememberInput {
        category: arguments.category.clone(),
        key: arguments.key.clone(),
        content,
        tags: (!arguments.tags.is_empty()).then(|| arguments.tags.clone()),
        importance: arguments.importance,
        ttl: arguments.ttl.clone(),
        scope: arguments.scope.map(Into::into),
        mode: arguments.mode.map(Into::into),
        if_version: arguments.if_version,
    })
}

fn standard_input() -> Result<String> {
    let mut text = String::new();
    match io::stdin().read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(MemoryError::Invalid(format!("the standard input cannot be read: {error}"))),
    }
}

async fn serve(memory: Memory, options: &Mcp) -> Result<()> {
    let Some(address) = options.http else { return mcp::serve_stdio(memory).await };
    let beside = memory.place().db.with_extension("token");
    let token_file = options.token_file.clone().unwrap_or(beside);
    mcp::serve_http(memory, address, &token_file, |address| {
        let _ =
            writeln!(io::stderr(), "serving MCP at http://{address}/mcp, token in {}", token_file.display());
    })
    .await
}

/// A hook ends well, whatever happens.
async fn hook(cli: &Cli, name: &str) -> ExitCode {
    if !hook::is_off(name) {
        let said = async {
            let event = standard_input()?;
            let event: Event = serde_json::from_str(&event)
                .map_err(|error| MemoryError::Invalid(format!("the event is no JSON: {error}")))?;
            let place = Place::of(cli.db.as_deref())?;
            let mut memory = Memory::new(place, &directory(cli, event.cwd.as_deref()), Source::Hook);
            memory.session = Some(event.session_id.clone());
            hook::run(&memory, name, &event).await
        };
        let said = said.await.unwrap_or_else(|error| {
            let _ = writeln!(io::stderr(), "dynamite-memory: {error}");
            None
        });
        let _ = hook::write(&mut io::stdout().lock(), said);
    }
    ExitCode::SUCCESS
}

async fn import(cli: &Cli, memory: &Memory, arguments: &ImportArgs) -> Result<ExitCode> {
    let scope = arguments.scope.map(|scope| memory.chosen(Some(scope.into())).remove(0));
    let holds = scope.clone().unwrap_or_else(|| memory.project.clone());
    let path = arguments.path.as_path();
    let text = || if path == Path::new("-") { standard_input() } else { transfer::read(path) };
    let now = SystemClock::default().now_ms();
    let all = match arguments.format {
        ImportFormat::ServerMemory => server_memory::read(&text()?, &holds)?,
        ImportFormat::ClaudeMd => claude_md::read(&text()?, &holds),
        ImportFormat::MemoryDir => memory_dir::read(path, &holds)?,
        ImportFormat::Jsonl => jsonl::read(&text()?, scope.as_deref(), now)?,
    };
    let imported = transfer::import(memory, all, arguments.redact).await?;
    print::answer(cli.json, &imported)?;
    Ok(ExitCode::from(u8::from(!imported.refused.is_empty())))
}

async fn export(memory: &Memory, arguments: &ExportArgs) -> Result<()> {
    let scopes = if arguments.all { Vec::new() } else { memory.chosen(arguments.scope.map(Into::into)) };
    let entries = transfer::export(memory, &scopes).await?;
    let text = match arguments.format {
        ExportFormat::Jsonl => jsonl::write(&entries),
        ExportFormat::ServerMemory => server_memory::write(&entries),
        ExportFormat::Markdown => transfer::markdown(&entries),
    };
    let failed = |error: io::Error| MemoryError::Failed(format!("writing failed: {error}"));
    match &arguments.path {
        None => io::stdout().lock().write_all(text.as_bytes()).map_err(failed),
        Some(path) => {
            use std::os::unix::fs::OpenOptionsExt;
            let mut options = std::fs::OpenOptions::new();
            let file = options.create(true).truncate(true).write(true).mode(0o600).open(path);
            file.and_then(|mut file| file.write_all(text.as_bytes())).map_err(failed)
        }
    }
}
