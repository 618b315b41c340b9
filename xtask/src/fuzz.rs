//! `cargo xtask fuzz`: any bytes to whatever reads a peer's, by libFuzzer.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::place::Place;
use crate::process;
use crate::setup::tools::CargoFuzz;
use crate::setup::{self, Purpose};
use crate::time::readable;

/// Arguments of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs. What the report counts is the processor's time, which beside other
    /// work is less.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    minutes: u32,
    /// Which target; all of them, one after the other, if none is named.
    target: Option<String>,
}

/// The longest input: a command, or a second of a small stream.
const MAX_INPUT_BYTES: usize = 16 << 10;

/// A single input that takes longer is a finding: it is a few kilobytes, and takes a fraction of a
/// millisecond. The clock goes on while others have the processor, which they can for several seconds.
const TIMEOUT_SECONDS: u32 = 30;

/// A process that holds more is a finding: no target may keep anything.
const MAX_RSS_MIB: u32 = 1024;

/// What is committed of a target's corpus besides its seeds, smallest first; the rest stays in the
/// build folder. With the seeds this keeps all of it under the bound that its test asserts.
const CORPUS_MAX_BYTES: u64 = 18_000;

/// The same in files.
const CORPUS_MAX_FILES: usize = 150;

/// Runs the targets, keeps what they found worth keeping, and adds it up in the report.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<()> {
    setup::ensure(place, Purpose::Fuzz)?;
    let fuzz = Fuzz::new(place);
    let targets = fuzz.targets()?;
    let chosen: Vec<_> = match &arguments.target {
        Some(name) if targets.contains(name) => vec![name.clone()],
        Some(name) => bail!("no target {name}; there are {}", targets.join(", ")),
        None => targets,
    };
    for target in chosen {
        fuzz.build(&target)?;
        let run = fuzz.run(
            &target,
            Duration::from_secs(60 * u64::from(arguments.minutes)),
        )?;
        let corpus = fuzz.minimise(&target)?;
        fuzz.report(&target, run, corpus)?;
        eprintln!(
            "fuzz: {target}: {} executions in {}, {} edges, {} features, nothing found",
            run.executions,
            readable(run.took),
            run.edges,
            run.features
        );
    }
    Ok(())
}

struct Fuzz<'a> {
    place: &'a Place,
    /// The fuzz package.
    package: PathBuf,
    /// Where it is built, and where the whole corpus is.
    target: PathBuf,
}

/// One run of a target.
#[derive(Clone, Copy)]
struct Run {
    /// Time on a processor.
    took: Duration,
    executions: u64,
    edges: u64,
    features: u64,
}

/// Files and bytes.
#[derive(Clone, Copy)]
struct Corpus {
    files: usize,
    bytes: u64,
}

impl<'a> Fuzz<'a> {
    fn new(place: &'a Place) -> Self {
        Self {
            package: place.root.join("relay-node/fuzz"),
            target: place.target.join("fuzz"),
            place,
        }
    }

    /// The targets' names, from their files.
    fn targets(&self) -> Result<Vec<String>> {
        let files = names(&self.package.join("fuzz_targets"))?;
        let names = files.iter().filter_map(|file| file.strip_suffix(".rs"));
        Ok(names.map(str::to_owned).collect())
    }

    fn build(&self, target: &str) -> Result<()> {
        process::run(
            process::command(CargoFuzz::program(self.place))
                .args(["fuzz", "build", "--fuzz-dir"])
                .arg(&self.package)
                // What is fuzzed is safe Rust; without a sanitizer it runs twice as often.
                .args(["--sanitizer", "none", "--target-dir"])
                .arg(&self.target)
                .arg(target)
                // cargo-fuzz asks the compiler for what only a nightly one grants.
                .env("RUSTC_BOOTSTRAP", "1")
                .current_dir(&self.place.root),
        )
    }

    fn program(&self, target: &str) -> PathBuf {
        let triple = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        self.target.join(triple).join("release").join(target)
    }

    fn folder(&self, kind: &str, target: &str) -> PathBuf {
        self.package.join(kind).join(target)
    }

    /// Everything found so far on this machine.
    fn found(&self, target: &str) -> PathBuf {
        self.target.join("corpus").join(target)
    }

    /// The folders of inputs that are committed.
    fn committed(&self, target: &str) -> impl Iterator<Item = PathBuf> {
        ["corpus", "seeds", "regressions"]
            .map(|kind| self.folder(kind, target))
            .into_iter()
            .filter(|folder| folder.is_dir())
    }

    /// Starts libFuzzer with these arguments; what it says is in the file.
    fn libfuzzer(&self, target: &str, arguments: &[String]) -> Result<String> {
        let log = self.target.join(format!("{target}.log"));
        let artifacts = self.folder("artifacts", target);
        fs::create_dir_all(&artifacts).with_context(|| making(&artifacts))?;
        let file = File::create(&log).with_context(|| making(&log))?;
        let ended = process::run(
            process::command(self.program(target))
                .args(arguments)
                .arg(format!("-artifact_prefix={}/", artifacts.display()))
                .arg(format!("-max_len={MAX_INPUT_BYTES}"))
                .arg(format!("-timeout={TIMEOUT_SECONDS}"))
                .arg(format!("-rss_limit_mb={MAX_RSS_MIB}"))
                .stderr(file)
                .current_dir(&self.package),
        );
        let said = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
        let said = String::from_utf8_lossy(&said).into_owned();
        if ended.is_err() && !process::stopped() {
            let end: Vec<_> = said.lines().rev().take(40).collect();
            for line in end.iter().rev() {
                eprintln!("{line}");
            }
            bail!(
                "{target} has failed; the input is in {}: once it is understood, put it into {}",
                artifacts.display(),
                self.folder("regressions", target).display()
            );
        }
        ended?;
        Ok(said)
    }

    fn run(&self, target: &str, time: Duration) -> Result<Run> {
        let found = self.found(target);
        fs::create_dir_all(&found).with_context(|| making(&found))?;
        let mut arguments = vec![found.display().to_string()];
        arguments.extend(
            self.committed(target)
                .map(|path| path.display().to_string()),
        );
        arguments.extend([
            format!("-max_total_time={}", time.as_secs()),
            format!("-dict={}", self.package.join("dictionary").display()),
            "-print_final_stats=1".to_owned(),
        ]);
        let before = time_of_children()?;
        let said = self.libfuzzer(target, &arguments)?;
        let took = time_of_children()?.saturating_sub(before);
        figures(&said, took).with_context(|| format!("{target} gave no figures"))
    }

    /// Keeps of all that was found what adds to the seeds, as far as there is room.
    fn minimise(&self, target: &str) -> Result<Corpus> {
        let (seeds, corpus) = (self.folder("seeds", target), self.folder("corpus", target));
        let merged = self.target.join("merged").join(target);
        empty(&merged)?;
        let seeds: BTreeSet<_> = names(&seeds)?.into_iter().collect();
        for name in &seeds {
            let (from, to) = (self.folder("seeds", target).join(name), merged.join(name));
            fs::copy(&from, &to).with_context(|| making(&to))?;
        }
        let mut arguments = vec!["-merge=1".to_owned(), merged.display().to_string()];
        arguments.push(self.found(target).display().to_string());
        arguments.extend(
            self.committed(target)
                .map(|path| path.display().to_string()),
        );
        self.libfuzzer(target, &arguments)?;
        let mut files = Vec::new();
        for name in names(&merged)?
            .into_iter()
            .filter(|name| !seeds.contains(name))
        {
            let bytes = fs::metadata(merged.join(&name))?.len();
            files.push((bytes, name));
        }
        files.sort();
        empty(&corpus)?;
        let mut kept = Corpus { files: 0, bytes: 0 };
        for (bytes, name) in files.into_iter().take(CORPUS_MAX_FILES) {
            if kept.bytes + bytes > CORPUS_MAX_BYTES {
                break;
            }
            kept.files += 1;
            kept.bytes += bytes;
            let to = corpus.join(&name);
            fs::copy(merged.join(&name), &to).with_context(|| making(&to))?;
        }
        Ok(kept)
    }

    fn report(&self, target: &str, run: Run, corpus: Corpus) -> Result<()> {
        let path = self.place.root.join("docs/fuzzing.md");
        let text =
            fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        let text = with_row(&text, target, run, corpus).context("docs/fuzzing.md has no table")?;
        fs::write(&path, text).with_context(|| making(&path))
    }
}

/// The header of the table of docs/fuzzing.md.
const HEADER: &str = "| target | minutes | executions | edges | features | kept |\n\
                      | --- | ---: | ---: | ---: | ---: | --- |\n";

/// The report with a run added to its row: time and executions add up, the rest is of the last run.
fn with_row(text: &str, target: &str, run: Run, corpus: Corpus) -> Option<String> {
    let (before, rest) = text.split_once(HEADER)?;
    // Up to the first line that is no row.
    let rows: usize = rest
        .split_inclusive('\n')
        .take_while(|line| line.starts_with('|'))
        .map(str::len)
        .sum();
    let (table, after) = rest.split_at_checked(rows)?;
    let mut rows: BTreeMap<String, String> = table
        .lines()
        .filter_map(|row| {
            let name = row.strip_prefix("| ")?.split(" |").next()?;
            Some((name.to_owned(), row.to_owned()))
        })
        .collect();
    let number = |column: usize| -> Option<u64> {
        let cell = rows.get(target)?.split('|').nth(column)?;
        cell.trim().replace(' ', "").parse().ok()
    };
    let minutes = number(2).unwrap_or(0) + (run.took.as_secs() + 30) / 60;
    let executions = number(3).unwrap_or(0) + run.executions;
    let row = format!(
        "| {target} | {minutes} | {} | {} | {} | {} files, {} kB |",
        grouped(executions),
        grouped(run.edges),
        grouped(run.features),
        corpus.files,
        corpus.bytes.div_ceil(1000)
    );
    rows.insert(target.to_owned(), row);
    let mut text = format!("{before}{HEADER}");
    for row in rows.values() {
        writeln!(text, "{row}").ok()?;
    }
    Some(text + after)
}

/// Digits in groups of three.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// What libFuzzer says of a run at its end.
fn figures(said: &str, took: Duration) -> Option<Run> {
    let after = |line: &str, word: &str| -> Option<u64> {
        let (_, rest) = line.split_once(word)?;
        rest.split_whitespace().next()?.parse().ok()
    };
    let done = said.lines().rev().find(|line| line.contains(" cov: "))?;
    let executions = said
        .lines()
        .find_map(|line| after(line, "stat::number_of_executed_units:"))?;
    Some(Run {
        took,
        executions,
        edges: after(done, " cov: ")?,
        features: after(done, " ft: ")?,
    })
}

/// The time that ended children of this process were on a processor.
fn time_of_children() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    of_children(&stat).context("/proc/self/stat has no times")
}

/// `cutime` and `cstime` of proc_pid_stat(5), the 16th and 17th field.
fn of_children(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(13);
    let ticks = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(
        ticks * 1000 / rustix::param::clock_ticks_per_second(),
    ))
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| making(folder))
}

fn making(path: &Path) -> String {
    format!("making {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb\n\
                        #99\tDONE   cov: 1234 ft: 5678 corp: 9/9b lim: 4 exec/s: 9 rss: 50Mb\n\
                        Done 99 runs in 1 second(s)\n\
                        stat::number_of_executed_units: 1099\n";

    #[test]
    fn figures_are_those_of_the_end() {
        let run = figures(SAID, Duration::from_secs(61)).unwrap();
        assert_eq!(
            (run.executions, run.edges, run.features),
            (1099, 1234, 5678)
        );
        assert!(figures("nothing", Duration::ZERO).is_none());
    }

    #[test]
    fn the_time_of_children_is_read_behind_any_name() {
        let stat = "1 (a b) c) S 2 3 4 5 6 7 8 9 10 11 12 13 150 250 20 0";
        let second = Duration::from_secs(1);
        let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).unwrap();
        assert_eq!(of_children(stat), Some(second * 400 / ticks));
        assert_eq!(of_children("1 (a) S 2"), None);
        assert!(time_of_children().is_ok());
    }

    #[test]
    fn minutes_and_executions_add_up_in_a_row() {
        let run = figures(SAID, Duration::from_secs(61)).unwrap();
        let corpus = Corpus {
            files: 3,
            bytes: 1001,
        };
        let empty = format!("# Title\n\n{HEADER}\nAfter.\n");
        let once = with_row(&empty, "b", run, corpus).unwrap();
        let other = with_row(&once, "a", run, corpus).unwrap();
        let twice = with_row(&other, "b", run, corpus).unwrap();
        assert_eq!(
            twice,
            format!(
                "# Title\n\n{HEADER}\
                 | a | 1 | 1 099 | 1 234 | 5 678 | 3 files, 2 kB |\n\
                 | b | 2 | 2 198 | 1 234 | 5 678 | 3 files, 2 kB |\n\nAfter.\n"
            )
        );
        assert!(with_row("no table", "a", run, corpus).is_none());
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1 000"),
            (12_345_678, "12 345 678"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
