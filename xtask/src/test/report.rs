//! What passed, what failed, and how long each phase took.

use anyhow::Result;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::time::readable;

/// Tests by outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Counts {
    /// A phase that is one test.
    pub(crate) fn one(passed: bool) -> Self {
        Self {
            passed: u64::from(passed),
            failed: u64::from(!passed),
            skipped: 0,
        }
    }

    /// What a line of a Rust test program adds.
    pub(crate) fn of_libtest(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            counts
                .split("; ")
                .find_map(|part| part.strip_suffix(word)?.trim().parse().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("ignored").unwrap_or_default(),
        })
    }

    /// What a line of Node's test runner adds.
    pub(crate) fn of_node(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        if !matches!(words.next()?, "ℹ" | "#") {
            return None;
        }
        let (word, count) = (words.next()?, words.next()?.parse().ok()?);
        let mut counts = Self::default();
        match word {
            "pass" => counts.passed = count,
            "fail" | "cancelled" => counts.failed = count,
            "skipped" | "todo" => counts.skipped = count,
            _ => return None,
        }
        Some(counts)
    }

    /// What a line of pytest adds: the last one, `3 passed, 1 failed in 2.51s`.
    pub(crate) fn of_pytest(line: &str) -> Option<Self> {
        let (counts, time) = line.trim_matches(['=', ' ']).rsplit_once(" in ")?;
        if !time.starts_with(|first: char| first.is_ascii_digit()) {
            return None;
        }
        let mut sum = Self::default();
        for part in counts.split(", ") {
            let (count, word) = part.split_once(' ')?;
            let count: u64 = count.parse().ok()?;
            match word {
                "passed" | "xpassed" => sum.passed += count,
                "failed" | "error" | "errors" => sum.failed += count,
                "skipped" | "xfailed" => sum.skipped += count,
                _ => {}
            }
        }
        Some(sum)
    }

    /// With a failure more if the program failed and no test of it did: it broke down.
    pub(crate) fn with(mut self, success: bool) -> Self {
        if !success && self.failed == 0 {
            self.failed = 1;
        }
        self
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The phases so far.
#[derive(Default)]
pub(crate) struct Report {
    counts: Counts,
    phases: Vec<(&'static str, Duration, Option<Counts>)>,
}

impl Report {
    /// Does what the tests need; its failure is the end.
    pub(crate) fn step<T>(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let started = Instant::now();
        eprintln!("\n==== {name}");
        let done = work()?;
        self.phases.push((name, started.elapsed(), None));
        Ok(done)
    }

    /// Runs tests; their failures are counted, and the next phase runs all the same.
    pub(crate) fn phase(
        &mut self,
        name: &'static str,
        work: impl FnOnce() -> Result<Counts>,
    ) -> Result<()> {
        let started = Instant::now();
        eprintln!("\n==== {name}");
        let counts = work()?;
        self.counts += counts;
        self.phases.push((name, started.elapsed(), Some(counts)));
        Ok(())
    }

    /// Prints all, last the line that counts.
    pub(crate) fn finish(&self) -> ExitCode {
        println!();
        for (name, time, counts) in &self.phases {
            let counts = counts
                .map(|counts| format!("  {}", line(counts)))
                .unwrap_or_default();
            println!("{name:28} {:>12}{counts}", readable(*time));
        }
        println!("\n{}", line(self.counts));
        if self.counts.failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

fn line(counts: Counts) -> String {
    let skipped = match counts.skipped {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    format!(
        "{} passed, {} failed{skipped}",
        counts.passed, counts.failed
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_from_both_runners() {
        let rust = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.03s";
        assert_eq!(
            Counts::of_libtest(rust),
            Some(Counts {
                passed: 12,
                failed: 2,
                skipped: 1
            })
        );
        assert_eq!(Counts::of_libtest("test a::result: ok"), None);
        assert_eq!(
            Counts::of_node("ℹ pass 4"),
            Some(Counts {
                passed: 4,
                failed: 0,
                skipped: 0
            })
        );
        assert_eq!(
            Counts::of_node("ℹ fail 1"),
            Some(Counts {
                passed: 0,
                failed: 1,
                skipped: 0
            })
        );
        assert_eq!(Counts::of_node("ℹ suites 4"), None);
        assert_eq!(Counts::of_node("✔ pass 4"), None);
    }

    #[test]
    fn outcomes_are_read_from_pytest() {
        assert_eq!(
            Counts::of_pytest(
                "= 1 failed, 12 passed, 2 skipped, 3 warnings, 1 error in 61.20s (0:01:01) ="
            ),
            Some(Counts {
                passed: 12,
                failed: 2,
                skipped: 2
            })
        );
        for other in [
            "....F [100%]",
            "0.40s call tests/sdk/test_inputs.py::test_create",
            "no tests ran in 0.01s",
            "3 things happened in the test",
        ] {
            assert_eq!(Counts::of_pytest(other), None, "{other}");
        }
    }

    #[test]
    fn a_program_that_breaks_down_is_a_failure() {
        assert_eq!(Counts::default().with(false), Counts::one(false));
        assert_eq!(Counts::one(false).with(false), Counts::one(false));
        assert_eq!(Counts::one(true).with(true), Counts::one(true));
    }

    #[test]
    fn the_last_line_is_plain() {
        assert_eq!(
            line(Counts {
                passed: 3,
                failed: 0,
                skipped: 0
            }),
            "3 passed, 0 failed"
        );
        assert_eq!(
            line(Counts {
                passed: 3,
                failed: 1,
                skipped: 2
            }),
            "3 passed, 1 failed, 2 skipped"
        );
    }
}
