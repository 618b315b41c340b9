//! Which tests there are, read from their sources: so that a list, or the choice of a few, builds
//! nothing.

use anyhow::{Context, Result};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

use super::SYSTEM_PACKAGE;
use crate::place::Place;
use crate::process;

/// What a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Nothing but the compiler.
    Native,
    /// The Worker in the Workers runtime.
    Worker,
    /// The same, asked by Cloudflare's own clients and held against the API's description.
    Client,
    /// Everything: Worker, relay node, encoders and servers.
    System,
    /// Everything, and a browser that shows the dashboard.
    Page,
    /// wrangler and the committed configuration.
    Deploy,
    /// An empty Debian.
    Machine,
}

impl Level {
    /// One word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Worker => "worker",
            Self::Client => "client",
            Self::System => "system",
            Self::Page => "page",
            Self::Deploy => "deploy",
            Self::Machine => "machine",
        }
    }
}

/// The committed configuration, checked as a deployment would.
pub(crate) const DRY_RUN: &str = "wrangler.toml::deploy_dry_run";

/// The Worker that would be deployed.
pub(crate) const SIZE: &str = "control-worker::is_under_a_megabyte";

/// A cargo target that holds tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    Library,
    Binary,
    /// One of the folder `tests/`, or one that the manifest names.
    Test(String),
}

impl Target {
    /// From cargo's words.
    pub(crate) fn of(kind: &[String], name: &str) -> Self {
        match kind.first().map(String::as_str) {
            Some("test") => Self::Test(name.to_owned()),
            Some("bin") => Self::Binary,
            _ => Self::Library,
        }
    }

    /// For people.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Library => "library",
            Self::Binary => "binary",
            Self::Test(name) => name,
        }
    }
}

/// A test.
#[derive(Debug, Clone)]
pub(crate) struct Test {
    pub(crate) level: Level,
    /// File and name: what `--list` shows and `test NAME` searches.
    pub(crate) path: String,
    /// The name as the test program knows it.
    pub(crate) name: String,
    /// Whether it is left out unless everything is to run.
    pub(crate) ignored: bool,
    /// The file, for runners that take files.
    pub(crate) file: Option<PathBuf>,
    /// The cargo package and its target, for Rust tests.
    pub(crate) package: Option<String>,
    pub(crate) target: Option<Target>,
}

/// All tests, or the chosen ones.
pub(crate) struct Catalogue {
    pub(crate) tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: PathBuf,
    targets: Vec<PackageTarget>,
}

#[derive(Deserialize)]
struct PackageTarget {
    name: String,
    kind: Vec<String>,
    src_path: PathBuf,
}

impl Catalogue {
    /// Reads the sources.
    pub(crate) fn read(place: &Place) -> Result<Self> {
        let metadata = process::output(
            process::command("cargo")
                .args(["metadata", "--no-deps", "--format-version", "1"])
                .current_dir(&place.root),
        )?;
        let metadata: Metadata =
            serde_json::from_str(&metadata).context("reading cargo's metadata")?;
        let mut tests = Vec::new();
        for package in &metadata.packages {
            package.read(&place.root, &metadata.packages, &mut tests)?;
        }
        for (folder, level) in [
            ("tests/control", Level::Worker),
            ("tests/sdk", Level::Client),
            ("tests/contract", Level::Client),
            ("tests/dashboard", Level::Page),
        ] {
            read_script_tests(&place.root, folder, level, &mut tests)?;
        }
        tests.push(Test::alone(Level::Deploy, DRY_RUN));
        tests.push(Test::alone(Level::Deploy, SIZE));
        tests.push(Test::alone(
            Level::Machine,
            "xtask::sets_up_an_empty_machine",
        ));
        tests.sort_by(|a, b| (a.level, &a.path).cmp(&(b.level, &b.path)));
        Ok(Self { tests })
    }
}

impl Test {
    fn alone(level: Level, path: &str) -> Self {
        Self {
            level,
            path: path.to_owned(),
            name: path.to_owned(),
            ignored: level == Level::Machine,
            file: None,
            package: None,
            target: None,
        }
    }
}

impl Package {
    fn folder(&self) -> &Path {
        self.manifest_path.parent().unwrap_or(&self.manifest_path)
    }

    fn read(&self, root: &Path, all: &[Self], tests: &mut Vec<Test>) -> Result<()> {
        let mut files = Vec::new();
        // Packages lie within each other; each is read for itself.
        let others: Vec<_> = all
            .iter()
            .map(Self::folder)
            .filter(|folder| *folder != self.folder())
            .collect();
        rust_files(self.folder(), &others, &mut files)?;
        let level = if self.name == SYSTEM_PACKAGE {
            Level::System
        } else {
            Level::Native
        };
        for file in files {
            let Some((target, modules)) = self.target_of(&file) else {
                continue;
            };
            let text =
                fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
            let shown = file
                .strip_prefix(root)
                .unwrap_or(&file)
                .display()
                .to_string();
            for found in rust_tests(&text) {
                let name = [modules.clone(), vec![found.name.clone()]]
                    .concat()
                    .join("::");
                tests.push(Test {
                    level,
                    path: format!("{shown}::{}", found.name),
                    name,
                    ignored: found.ignored,
                    file: None,
                    package: Some(self.name.clone()),
                    target: Some(target.clone()),
                });
            }
        }
        Ok(())
    }

    /// The target that a file belongs to, and the modules that lead to the file in it: the target
    /// whose root file lies nearest above it.
    fn target_of(&self, file: &Path) -> Option<(Target, Vec<String>)> {
        if let Some(target) = self.targets.iter().find(|target| target.src_path == file) {
            return target
                .is_test_holder()
                .then(|| (target.target(), Vec::new()));
        }
        let holders = self.targets.iter().filter(|target| target.is_test_holder());
        let above = holders.filter_map(|target| {
            let root = target.src_path.parent()?;
            let inside = file.strip_prefix(root).ok()?;
            Some((target, inside, root.components().count()))
        });
        // A library goes before a binary beside it: its modules are what the binary uses.
        let rank = |target: &Target| usize::from(*target == Target::Library);
        let (target, inside, _) =
            above.max_by_key(|(target, _, depth)| (*depth, rank(&target.target())))?;
        let mut modules: Vec<_> = inside
            .with_extension("")
            .components()
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        modules.pop_if(|last| last == "mod");
        Some((target.target(), modules))
    }
}

impl PackageTarget {
    fn target(&self) -> Target {
        Target::of(&self.kind, &self.name)
    }

    fn is_test_holder(&self) -> bool {
        let without = ["custom-build", "example", "bench", "proc-macro"];
        !self
            .kind
            .iter()
            .any(|kind| without.contains(&kind.as_str()))
    }
}

/// A `#[test]` in a source file.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    name: String,
    ignored: bool,
}

/// The tests of a file in the project's own format, in which the indentation tells which module a
/// line belongs to.
fn rust_tests(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut modules: Vec<(usize, String)> = Vec::new();
    let (mut is_test, mut ignored) = (false, false);
    for line in text.lines() {
        let code = line.trim_start();
        let indentation = line.len() - code.len();
        if code.is_empty() {
            continue;
        }
        if code.starts_with('}') {
            modules.pop_if(|(outer, _)| *outer == indentation);
        }
        if let Some(name) = module(code) {
            modules.push((indentation, name.to_owned()));
        } else if code == "#[test]" || code.starts_with("#[tokio::test") {
            (is_test, ignored) = (true, false);
        } else if code.starts_with("#[ignore") {
            ignored = true;
        } else if let (true, Some(name)) = (is_test, function(code)) {
            let path = modules
                .iter()
                .map(|(_, module)| module.as_str())
                .chain([name]);
            found.push(Found {
                name: path.collect::<Vec<_>>().join("::"),
                ignored,
            });
            is_test = false;
        }
    }
    found
}

fn module(code: &str) -> Option<&str> {
    let code = code
        .strip_prefix("pub(crate) ")
        .or_else(|| code.strip_prefix("pub "))
        .unwrap_or(code);
    code.strip_prefix("mod ")?.strip_suffix(" {")
}

fn function(code: &str) -> Option<&str> {
    let code = code.strip_prefix("async ").unwrap_or(code);
    let (name, _) = code.strip_prefix("fn ")?.split_once(['(', '<'])?;
    Some(name)
}

fn rust_files(folder: &Path, others: &[&Path], files: &mut Vec<PathBuf>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            let name = entry.file_name();
            let skipped = ["target", "build", "fuzz"].iter().any(|skip| name == *skip);
            if !skipped
                && !name.to_string_lossy().starts_with('.')
                && !others.contains(&path.as_path())
            {
                rust_files(&path, others, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The tests of a folder's scripts, for Node and for Python.
fn read_script_tests(root: &Path, folder: &str, level: Level, tests: &mut Vec<Test>) -> Result<()> {
    let folder = root.join(folder);
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
        let file = entry?.path();
        let relative = file.strip_prefix(root).unwrap_or(&file).to_path_buf();
        let names = match Script::of(&file) {
            Some(Script::Node) => node_tests(&fs::read_to_string(&file)?),
            Some(Script::Python) => python_tests(&fs::read_to_string(&file)?),
            None => continue,
        };
        for name in names {
            tests.push(Test {
                path: format!("{}::{name}", relative.display()),
                name,
                file: Some(relative.clone()),
                ..Test::alone(level, "")
            });
        }
    }
    Ok(())
}

/// Who runs a file of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    /// Node's own test runner.
    Node,
    /// pytest.
    Python,
}

impl Script {
    /// By the names that the two runners look for.
    pub(crate) fn of(file: &Path) -> Option<Self> {
        let name = file.file_name()?.to_str()?;
        if name.ends_with(".test.mjs") {
            return Some(Self::Node);
        }
        (name.starts_with("test_") && name.ends_with(".py")).then_some(Self::Python)
    }
}

/// The names given to `test(…)` and `it(…)` in a file.
fn node_tests(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let line = line.trim_start();
        let rest = line
            .strip_prefix("test(")
            .or_else(|| line.strip_prefix("it("))?;
        let quote = rest
            .chars()
            .next()
            .filter(|quote| "\"'`".contains(*quote))?;
        Some(rest.get(1..)?.split_once(quote)?.0.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// The functions of a file that pytest takes for tests.
fn python_tests(text: &str) -> Vec<String> {
    let name = |line: &str| {
        let (name, _) = line.strip_prefix("def ")?.split_once('(')?;
        name.starts_with("test_").then(|| name.to_owned())
    };
    text.lines().filter_map(name).collect()
}

/// The name of the package in a folder, read from its manifest.
pub(crate) fn package_name(folder: &Path) -> Result<String> {
    let path = folder.join("Cargo.toml");
    let manifest =
        fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let name = manifest
        .lines()
        .find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    name.map(str::to_owned)
        .with_context(|| format!("{} names no package", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_with_their_modules() {
        let text = "fn helper() {\n}\n\n#[cfg(test)]\nmod tests {\n    mod inner {\n        #[test]\n        \
                    fn first() {\n        }\n    }\n\n    #[tokio::test(start_paused = true)]\n    #[ignore = \"long\"]\n    \
                    async fn second() {\n    }\n}\n\n#[test]\nfn third() {\n}\n";
        let found = |name: &str, ignored| Found {
            name: name.to_owned(),
            ignored,
        };
        assert_eq!(
            rust_tests(text),
            [
                found("tests::inner::first", false),
                found("tests::second", true),
                found("third", false)
            ]
        );
    }

    #[test]
    fn node_tests_are_found_by_their_names() {
        let text = "import test from \"node:test\";\ntest(\"creates an input\", async () => {\n  it('says so', x);\n";
        assert_eq!(node_tests(text), ["creates an input", "says so"]);
    }

    #[test]
    fn python_tests_are_found_by_their_names() {
        let text = "def helper():\n    def test_inner():\n\n\ndef test_create(client):\n    pass\n";
        assert_eq!(python_tests(text), ["test_create"]);
        for (name, script) in [
            ("tests/sdk/test_inputs.py", Some(Script::Python)),
            ("tests/sdk/inputs.test.mjs", Some(Script::Node)),
            ("tests/sdk/conftest.py", None),
            ("tests/sdk/serve.mjs", None),
        ] {
            assert_eq!(Script::of(Path::new(name)), script, "{name}");
        }
    }
}
