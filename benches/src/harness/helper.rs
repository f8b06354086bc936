//! Child processes that measure with only so much memory, the kernel's page cache for them included.
//!
//! The parent asks by a line of text, and the child answers by a line of numbers. A child that was given no control group,
//! because none can be made here, is told so: it has to forget what it knows between two answers by other means, and
//! the table has to say so.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::harness::cgroup::Cgroup;
use crate::peers::Outcome;

/// The first argument of a child.
const CHILD: &str = "helper-child";

/// Stands for no control group.
const NO_GROUP: &str = "-";

/// A child process.
pub struct Helper {
    name: &'static str,
    child: Child,
    /// Taken when it is to end.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    /// Or why there is none.
    group: std::io::Result<Cgroup>,
    /// Why it answers no more. That is a result too: the memory may have been too little.
    failed: Option<String>,
}

impl Helper {
    /// Starts this program again as a child with so much memory. What it is to do is in its arguments.
    pub fn start(name: &'static str, limit_bytes: usize, arguments: &[OsString]) -> Outcome<Helper> {
        let group = Cgroup::new(name, limit_bytes);
        let group_path = group.as_ref().map_or(NO_GROUP.into(), |group| group.path().to_owned());
        let mut child = Command::new(std::env::current_exe()?)
            .arg(CHILD)
            .arg(group_path)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let questions = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().ok_or("the child has no output")?);
        Ok(Helper { name, child, questions, answers, group, failed: None })
    }

    /// Whether its memory is limited.
    pub fn is_limited(&self) -> bool {
        self.group.is_ok()
    }

    /// What it answers, or nothing if it is no more.
    pub fn ask(&mut self, question: &str) -> Vec<f64> {
        if self.failed.is_some() {
            return Vec::new();
        }
        self.exchange(question).unwrap_or_else(|error| {
            self.failed = Some(format!("{} gave up: {error}", self.name));
            Vec::new()
        })
    }

    fn exchange(&mut self, question: &str) -> Outcome<Vec<f64>> {
        writeln!(self.questions.as_mut().ok_or("it has been told to end")?, "{question}")?;
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err("no answer".into());
        }
        Ok(line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// The most memory that it has used so far, if that is known.
    pub fn peak_bytes(&self) -> Option<u64> {
        self.group.as_ref().ok().and_then(|group| group.peak_bytes().ok())
    }

    /// Lets the child end. Returns what there is to say about it.
    pub fn end(mut self) -> Outcome<Option<String>> {
        self.questions = None;
        let status = self.child.wait()?;
        let group =
            self.group.as_ref().err().map(|error| format!("{}: no control group: {error}", self.name));
        Ok(match self.failed.take() {
            Some(failed) => Some(format!("{failed} ({status})")),
            None if !status.success() => Some(format!("{} ended with {status}", self.name)),
            None => group,
        })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It ends when nobody asks any more, and has to before its group can be removed.
        self.questions = None;
        drop(self.child.wait());
    }
}

/// If this process is a child: its arguments, and whether its memory is limited. It is in its group then, so whatever it
/// opens from now on counts.
pub fn child_arguments() -> Outcome<Option<(Vec<OsString>, bool)>> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_none_or(|first| first != CHILD) {
        return Ok(None);
    }
    let group = PathBuf::from(arguments.next().ok_or("a child is started by its parent")?);
    let limited = group != Path::new(NO_GROUP);
    if limited {
        Cgroup::join(&group)?;
    }
    Ok(Some((arguments.collect(), limited)))
}

/// Answers a question to the parent.
pub fn answer(numbers: &[f64]) -> Outcome<()> {
    let numbers: Vec<String> = numbers.iter().map(|number| format!("{number:.1}")).collect();
    let mut answers = std::io::stdout().lock();
    writeln!(answers, "{}", numbers.join(" "))?;
    Ok(answers.flush()?)
}
