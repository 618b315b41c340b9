//! `cargo xtask test`: every test of the project, at its level, each phase with its time.

mod catalogue;
mod fresh_machine;
mod report;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use self::catalogue::{Catalogue, Level, Script, Target, Test};
use self::report::{Counts, Report};
use crate::build::{self, BUILT_VARIABLE, Profile};
use crate::place::{Place, PythonList, XTASK_VARIABLE};
use crate::process;
use crate::setup::{self, Purpose};
use crate::worker;

/// The package whose tests start the whole system.
const SYSTEM_PACKAGE: &str = "system-tests";

/// Tells tests where the relay node's program is. Those of the Worker whose text names it start it.
const RELAY_NODE_VARIABLE: &str = "STREAM_CONNECT_RELAY_NODE";

/// Tells the tests of `--full` where an FFmpeg is that is newer than Debian's.
const FFMPEG_VARIABLE: &str = "STREAM_CONNECT_FFMPEG";

/// Tells tests that can look more or less closely to look as closely as they can.
const FULL_VARIABLE: &str = "STREAM_CONNECT_FULL";

/// Arguments of `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only the tests whose path, as --list shows it, holds this.
    name: Option<String>,
    /// Also what takes long: the whole matrix of encoders and destinations, OBS Studio, and the
    /// set-up of an empty machine.
    #[arg(long)]
    full: bool,
    /// Show the tests with their level instead of running them.
    #[arg(long)]
    list: bool,
}

/// Runs the tests; success is when none failed.
pub(crate) fn run(place: &Place, arguments: &Arguments) -> Result<ExitCode> {
    let mut catalogue = Catalogue::read(place)?;
    if let Some(name) = &arguments.name {
        catalogue
            .tests
            .retain(|test| test.path.contains(name.as_str()));
    }
    if arguments.list {
        for test in &catalogue.tests {
            println!(
                "{:8} {}{}",
                test.level.name(),
                test.path,
                if test.ignored { "  (--full)" } else { "" }
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    if !arguments.full {
        catalogue.tests.retain(|test| test.level != Level::Machine);
    }
    if catalogue.tests.is_empty() {
        bail!("no test's path holds that name; `cargo xtask test --list` shows them all");
    }

    let mut run = Run {
        place,
        arguments,
        catalogue,
        report: Report::default(),
    };
    run.phases()?;
    Ok(run.report.finish())
}

/// One run of the chosen tests.
struct Run<'a> {
    place: &'a Place,
    arguments: &'a Arguments,
    catalogue: Catalogue,
    report: Report,
}

/// A test program that cargo built.
struct Program {
    path: PathBuf,
    package: String,
    folder: PathBuf,
    target: Target,
}

impl Run<'_> {
    fn phases(&mut self) -> Result<()> {
        let (place, full) = (self.place, self.arguments.full);
        let of_worker = [
            Level::Worker,
            Level::Client,
            Level::System,
            Level::Page,
            Level::Deploy,
        ];
        let needs_worker = of_worker.iter().any(|level| self.has(*level));
        let purpose = if full {
            Purpose::FullTest
        } else if self.has(Level::Client) || self.has(Level::Page) {
            Purpose::Test
        } else if self.needs_relay_node()? {
            Purpose::Demo
        } else {
            Purpose::Run
        };
        if needs_worker || full {
            self.report
                .step("set-up", || setup::ensure(place, purpose))?;
        }
        if needs_worker {
            self.report
                .step("build of the Worker", || worker::build(place, Profile::Dev))?;
        }
        if self.has(Level::Native) || self.needs_relay_node()? {
            let command = self.build_command()?;
            let programs = self.report.step("native build", || build(command))?;
            for level in [Level::Native, Level::System] {
                self.programs(level, &programs)?;
            }
        }
        if self.arguments.name.is_none() {
            let mut command = process::command("cargo");
            command
                .args(["test", "--workspace", "--doc", "--no-fail-fast"])
                .env("CARGO_TARGET_DIR", &place.target)
                .current_dir(&place.root);
            self.report
                .phase("examples in the documentation", || libtest(command))?;
        }
        if let Some(command) = self.node_command(Level::Worker)? {
            self.report.phase("worker tests", || node(command))?;
        }
        if let Some(command) = self.node_command(Level::Client)? {
            self.report
                .phase("client tests (TypeScript)", || node(command))?;
        }
        if let Some(command) = self.node_command(Level::Page)? {
            self.report.phase("tests of the page", || node(command))?;
        }
        if let Some(command) = self.python_command()? {
            self.report
                .phase("client tests (Python)", || pytest(command))?;
        }
        if self.has_test(catalogue::DRY_RUN) {
            let command = dry_run_command(place)?;
            self.report.phase("deploy (dry run)", || one(command))?;
        }
        // It leaves the release Worker where the others look for the one of development: the last.
        if self.has_test(catalogue::SIZE) {
            self.report.phase("size of the Worker", || {
                Ok(Counts::one(worker::is_small(place)?))
            })?;
        }
        if self.has(Level::Machine) {
            self.report
                .phase("set-up of an empty machine", || fresh_machine::run(place))?;
        }
        Ok(())
    }

    fn has_test(&self, path: &str) -> bool {
        self.catalogue.tests.iter().any(|test| test.path == path)
    }

    fn has(&self, level: Level) -> bool {
        self.catalogue.tests.iter().any(|test| test.level == level)
    }

    /// Whether a chosen test starts the relay node, with an encoder and a destination.
    fn needs_relay_node(&self) -> Result<bool> {
        for test in &self.catalogue.tests {
            let starts_it = match &test.file {
                Some(file) => fs::read_to_string(self.place.root.join(file))
                    .with_context(|| format!("reading {}", file.display()))?
                    .contains(RELAY_NODE_VARIABLE),
                None => test.level == Level::System,
            };
            if starts_it || test.level == Level::Page {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Everything in one go, so that cargo resolves features once and builds nothing twice; or only
    /// the packages that hold chosen tests.
    fn build_command(&self) -> Result<Command> {
        let mut cargo = process::command("cargo");
        cargo.args([
            "build",
            "--bins",
            "--message-format",
            "json-render-diagnostics",
        ]);
        if self.has(Level::Native) || self.has(Level::System) {
            cargo.arg("--tests");
        }
        if self.arguments.name.is_none() {
            cargo.arg("--workspace");
        } else {
            let mut packages: BTreeSet<&str> = self
                .catalogue
                .tests
                .iter()
                .filter_map(|test| test.package.as_deref())
                .collect();
            if self.needs_relay_node()? {
                packages.insert("relay-node");
            }
            for package in packages {
                cargo.args(["--package", package]);
            }
        }
        cargo
            .env("CARGO_TARGET_DIR", &self.place.target)
            .current_dir(&self.place.root);
        Ok(cargo)
    }

    fn programs(&mut self, level: Level, programs: &[Program]) -> Result<()> {
        let of_level =
            |program: &&Program| (program.package == SYSTEM_PACKAGE) == (level == Level::System);
        let chosen: Vec<_> = programs
            .iter()
            .filter(of_level)
            .filter_map(|program| Some((program, self.filters(program)?)))
            .collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let (place, full) = (self.place, self.arguments.full);
        let ffmpeg = match full && level == Level::System {
            true => Some(place.newer_ffmpeg()?),
            false => None,
        };
        let name = if level == Level::System {
            "system tests"
        } else {
            "native tests"
        };
        self.report.phase(name, || {
            let mut counts = Counts::default();
            for (program, filters) in chosen {
                let mut command = process::command(&program.path);
                command.args(filters).current_dir(&program.folder);
                if level == Level::System {
                    for_parts(&mut command, place);
                    if let Some(ffmpeg) = &ffmpeg {
                        command.env(FFMPEG_VARIABLE, ffmpeg);
                    }
                }
                if full {
                    command.arg("--include-ignored");
                }
                eprintln!(
                    "\n     running {} ({})",
                    program.package,
                    program.target.name()
                );
                counts += libtest(command)?;
            }
            Ok(counts)
        })
    }

    /// What to tell a test program so that it runs the chosen tests: nothing for all; none when it
    /// holds no chosen test.
    fn filters(&self, program: &Program) -> Option<Vec<String>> {
        if self.arguments.name.is_none() {
            return Some(Vec::new());
        }
        let is_in = |test: &&Test| {
            test.package.as_deref() == Some(&program.package)
                && test.target.as_ref() == Some(&program.target)
        };
        let names: Vec<_> = self
            .catalogue
            .tests
            .iter()
            .filter(is_in)
            .map(|test| test.name.clone())
            .collect();
        (!names.is_empty()).then(|| [vec!["--exact".to_owned()], names].concat())
    }

    /// The chosen tests of a level that Node runs.
    fn node_command(&self, level: Level) -> Result<Option<Command>> {
        let mut node = process::command("node");
        for_parts(&mut node, self.place);
        // Each file starts runtimes of its own, and two of them fill two cores.
        node.args(["--test", "--test-reporter=spec", "--test-concurrency=2"]);
        if level == Level::Page {
            // One system and one browser serve all files, which therefore run in one process.
            node.arg("--test-isolation=none");
        }
        let tests = self.scripts(level, Script::Node);
        let files: BTreeSet<_> = tests.iter().filter_map(|test| test.file.clone()).collect();
        if files.is_empty() {
            return Ok(None);
        }
        if let Some(name) = &self.arguments.name
            && files
                .iter()
                .all(|file| !file.to_string_lossy().contains(name.as_str()))
        {
            for test in tests {
                node.arg(format!("--test-name-pattern={}", escaped(&test.name)));
            }
        }
        node.args(files)
            .env("PATH", self.place.path_with_node()?)
            .current_dir(&self.place.root);
        Ok(Some(node))
    }

    /// The chosen tests that pytest runs, beside one control plane for all of them.
    fn python_command(&self) -> Result<Option<Command>> {
        let tests = self.scripts(Level::Client, Script::Python);
        if tests.is_empty() {
            return Ok(None);
        }
        let python = self.place.python(PythonList::Test)?;
        let python = python.context("the Python packages are not there")?;
        let mut node = process::command("node");
        for_parts(&mut node, self.place);
        node.arg("tests/sdk/serve.mjs")
            .arg(python)
            // Without bytecode beside the sources.
            .args(["-B", "-m", "pytest", "--color=no", "--durations=5"])
            .args(tests.iter().map(|test| test.path.as_str()));
        if self.arguments.full {
            node.env(FULL_VARIABLE, "1");
        }
        node.env("PATH", self.place.path_with_node()?)
            .current_dir(&self.place.root);
        Ok(Some(node))
    }

    fn scripts(&self, level: Level, script: Script) -> Vec<&Test> {
        let is_chosen = |test: &&Test| {
            let by = test.file.as_deref().and_then(Script::of);
            test.level == level && by == Some(script)
        };
        self.catalogue.tests.iter().filter(is_chosen).collect()
    }
}

/// Tells programs that start parts of the system: nothing is left to build, the relay node logs
/// everything (a test searches its logs for secrets), and where this program is.
pub(crate) fn for_parts(command: &mut Command, place: &Place) {
    command
        .env(BUILT_VARIABLE, "1")
        .env(XTASK_VARIABLE, &place.program)
        .env(
            RELAY_NODE_VARIABLE,
            build::relay_node_path(place, Profile::Dev),
        )
        .env("RUST_LOG", "trace")
        .env("CI", "1")
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CLOUDFLARE_CF_FETCH_ENABLED", "false");
}

/// What is used of cargo's messages.
#[derive(Deserialize)]
struct Message {
    executable: Option<PathBuf>,
    manifest_path: Option<PathBuf>,
    target: Option<MessageTarget>,
    profile: Option<MessageProfile>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct MessageProfile {
    test: bool,
}

fn build(mut command: Command) -> Result<Vec<Program>> {
    let mut programs = Vec::new();
    let status = process::lines(command.stdout(Stdio::piped()), |line| {
        let message: Option<Message> = serde_json::from_str(line).ok();
        programs.extend(message.and_then(program));
    })?;
    if !status.success() {
        bail!("the native build failed");
    }
    for program in &mut programs {
        program.package = catalogue::package_name(&program.folder)?;
    }
    Ok(programs)
}

fn program(message: Message) -> Option<Program> {
    message.profile?.test.then_some(())?;
    let target = message.target?;
    let folder = message.manifest_path?.parent().map(Path::to_path_buf)?;
    Some(Program {
        path: message.executable?,
        package: String::new(),
        folder,
        target: Target::of(&target.kind, &target.name),
    })
}

fn libtest(mut command: Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = process::lines(command.stdout(Stdio::piped()), |line| {
        println!("{line}");
        counts += Counts::of_libtest(line).unwrap_or_default();
    })?;
    Ok(counts.with(status.success()))
}

fn node(mut command: Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = process::lines(command.stdout(Stdio::piped()), |line| {
        println!("{line}");
        counts += Counts::of_node(line).unwrap_or_default();
    })?;
    Ok(counts.with(status.success()))
}

fn pytest(mut command: Command) -> Result<Counts> {
    let mut counts = Counts::default();
    let status = process::lines(command.stdout(Stdio::piped()), |line| {
        println!("{line}");
        counts += Counts::of_pytest(line).unwrap_or_default();
    })?;
    Ok(counts.with(status.success()))
}

fn one(mut command: Command) -> Result<Counts> {
    let status = process::lines(command.stdout(Stdio::piped()), |line| println!("{line}"))?;
    Ok(Counts::one(status.success()))
}

/// Checks the committed configuration as `wrangler deploy` would, and sends nothing.
fn dry_run_command(place: &Place) -> Result<Command> {
    let output = place.worker_target.join("dry-run");
    fs::create_dir_all(&output).with_context(|| format!("making {}", output.display()))?;
    let mut command = process::command("node");
    for_parts(&mut command, place);
    command
        .arg(place.wrangler()?)
        .args(["deploy", "--dry-run", "--outdir"])
        .arg(&output)
        .env("PATH", place.path_with_node()?)
        .current_dir(&place.root);
    Ok(command)
}

/// A test's name as a regular expression that matches nothing else.
fn escaped(name: &str) -> String {
    let mut pattern = String::from("^");
    for character in name.chars() {
        if !character.is_alphanumeric() && character != ' ' {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "$"
}
