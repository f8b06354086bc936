//! Results in files: for each workload its tables as Markdown and its chart as SVG, with the machine, the date and the commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::{Arguments, Effort};
use crate::harness::chart::{self, Group};
use crate::peers::Outcome;

/// What charts say below their titles.
const CAPTION: &str =
    "How many times as long as DynaMite it takes. Beyond 1: DynaMite is ahead; below 1: behind.";

/// Where results are written.
#[derive(Clone, Debug)]
pub struct Record {
    directory: PathBuf,
    bench: &'static str,
    circumstances: String,
}

impl Record {
    /// The one that the command line asks for by `--record DIRECTORY`, which is seen from the project's root, wherever cargo
    /// runs the benchmark.
    pub fn asked_for(arguments: &Arguments, bench: &'static str) -> Outcome<Option<Record>> {
        let Some(directory) = arguments.option("--record") else { return Ok(None) };
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("the package is in a workspace")?;
        let circumstances = circumstances(root, arguments.effort);
        Record::new(&root.join(directory), bench, circumstances).map(Some)
    }

    /// A record in this directory, which is created if need be.
    pub fn new(directory: &Path, bench: &'static str, circumstances: String) -> Outcome<Record> {
        fs::create_dir_all(directory)?;
        Ok(Record { directory: directory.to_owned(), bench, circumstances })
    }

    /// Writes what there is of one workload, in place of what was written of it before.
    pub fn write(&self, workload: &str, tables: &str, groups: &[Group]) -> Outcome<()> {
        let name = format!("{}-{workload}", self.bench);
        let chart = self.directory.join(format!("{name}.svg"));
        let picture = match groups.is_empty() {
            // One of another run would be taken for this one's.
            true => match fs::remove_file(&chart) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => String::new(),
            },
            false => {
                fs::write(&chart, chart::svg(CAPTION, groups))?;
                format!("\n![{CAPTION}]({name}.svg)\n")
            }
        };
        let text = format!(
            "# {}: {workload}\n\nWritten by the benchmark; see [benchmarks.md](../benchmarks.md). {}\n{picture}{tables}",
            self.bench, self.circumstances
        );
        Ok(fs::write(self.directory.join(format!("{name}.md")), text)?)
    }
}

/// What a result must name: the machine, how busy it was, the date, and the commit.
fn circumstances(root: &Path, effort: Effort) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split_once(':'))
            .map_or("?".to_owned(), |(_, value)| value.trim().to_owned())
    };
    let say = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(root).output();
        let text = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
        text.map_or("?".to_owned(), |text| String::from_utf8_lossy(&text).trim().to_owned())
    };
    format!(
        "{} (load {} at the beginning), {}, {} processors, memory {}, Linux {}, commit {}{}.",
        say("date", &["-u", "+%F %H:%M"]),
        read("/proc/loadavg").split(' ').next().unwrap_or("?"),
        field(&read("/proc/cpuinfo"), "model name"),
        std::thread::available_parallelism().map_or(0, usize::from),
        field(&read("/proc/meminfo"), "MemTotal"),
        read("/proc/sys/kernel/osrelease").trim(),
        say("git", &["describe", "--always", "--dirty"]),
        effort.pick("", ", a quick run", ", a smoke test: the numbers mean nothing"),
    )
}
