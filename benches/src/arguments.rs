//! What a benchmark was asked for on the command line.
//!
//! Benchmarks that are no criterion benchmarks take criterion's options all the same, so that one command line suits
//! all of them: `--quick`, `--list` and filters mean what they mean there, the others are accepted and ignored. A
//! benchmark may know options of its own, each followed by a value.

/// How much time to spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// Enough for numbers to be recorded.
    Full,
    /// Enough for a first look (`--quick`).
    Quick,
    /// Just enough to see that it works: what `cargo test --benches` asks for.
    Smoke,
}

impl Effort {
    /// One of three values, by effort.
    pub fn pick<T>(self, full: T, quick: T, smoke: T) -> T {
        match self {
            Effort::Full => full,
            Effort::Quick => quick,
            Effort::Smoke => smoke,
        }
    }
}

/// The command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// How much time to spend.
    pub effort: Effort,
    /// Whether only the names are wanted.
    pub list: bool,
    filters: Vec<String>,
    options: Vec<(String, String)>,
}

/// Criterion's options that are followed by a value.
const WITH_VALUE: &[&str] = &[
    "--save-baseline",
    "--baseline",
    "--baseline-lenient",
    "--load-baseline",
    "--sample-size",
    "--warm-up-time",
    "--measurement-time",
    "--nresamples",
    "--noise-threshold",
    "--confidence-level",
    "--significance-level",
    "--profile-time",
    "--color",
    "--colour",
    "--format",
    "--output-format",
    "--plotting-backend",
];

impl Arguments {
    /// Those of this process.
    pub fn of_process() -> Arguments {
        Arguments::of_process_with(&[])
    }

    /// Those of this process, where options with these names are the benchmark's own, each followed by a value.
    pub fn of_process_with(own: &[&str]) -> Arguments {
        Arguments::parse(std::env::args().skip(1), own)
    }

    fn parse(arguments: impl Iterator<Item = String>, own: &[&str]) -> Arguments {
        let (mut bench, mut quick, mut test, mut list) = (false, false, false, false);
        let (mut filters, mut options) = (Vec::new(), Vec::new());
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => bench = true,
                "--test" => test = true,
                "--quick" => quick = true,
                "--list" => list = true,
                option if own.contains(&option) => {
                    options.extend(arguments.next().map(|value| (argument, value)));
                }
                option if WITH_VALUE.contains(&option) => drop(arguments.next()),
                option if option.starts_with('-') => {}
                _ => filters.push(argument),
            }
        }
        // Cargo says `--bench` when it runs benchmarks, and nothing when it runs them as tests.
        let effort = match (bench && !test, quick) {
            (false, _) => Effort::Smoke,
            (true, true) => Effort::Quick,
            (true, false) => Effort::Full,
        };
        Arguments { effort, list, filters, options }
    }

    /// The value of one of the benchmark's own options; the last one if it was given more than once.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.options.iter().rfind(|(option, _)| option == name).map(|(_, value)| value.as_str())
    }

    /// Whether a benchmark of this name is wanted.
    pub fn wants(&self, name: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| name.contains(filter.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(line.split_whitespace().map(str::to_owned), &["--rows"])
    }

    #[test]
    fn only_cargo_bench_gets_the_full_effort() {
        assert_eq!(parse("--bench").effort, Effort::Full);
        assert_eq!(parse("--quick --bench").effort, Effort::Quick);
        assert_eq!(parse("--bench --test").effort, Effort::Smoke);
        assert_eq!(parse("").effort, Effort::Smoke);
    }

    #[test]
    fn an_option_s_value_is_no_filter() {
        let arguments = parse("--save-baseline before --noplot depth --bench");
        assert!(arguments.wants("depth 32") && !arguments.wants("before"));
        assert!(parse("--bench").wants("anything"));
    }

    #[test]
    fn an_own_option_s_value_can_be_asked_for_and_is_no_filter() {
        let arguments = parse("--rows 10 get --rows 20 --bench");
        assert_eq!((arguments.option("--rows"), arguments.option("--engines")), (Some("20"), None));
        assert!(arguments.wants("get") && !arguments.wants("20"));
        assert_eq!(parse("--rows").option("--rows"), None);
    }
}
