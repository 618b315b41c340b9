//! How much one node holds: outputs, and encoders that are on air and send next to nothing, until
//! messages come late or something else gives way.
//!
//! The encoders and the destinations run on the same cores as the node. They are made to cost little,
//! and what they cost is printed beside it.

mod idle;
mod rig;
mod sinks;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use self::rig::{Kind, Rig, Step};

/// How it is called.
pub(crate) const USAGE: &str = "`load [--quick]`";

/// The added latency that 99 of 100 messages must stay under.
const BOUND: Duration = Duration::from_millis(50);

/// What is tried, and how long.
struct Plan {
    /// Broadcasts of fifty outputs, in order; the first one is measured.
    broadcasts: &'static [usize],
    idle: &'static [usize],
    /// How often it is looked between what was held and what was not.
    halvings: usize,
    window: Duration,
    /// For all steps of a kind together. A step that has begun is carried out.
    within: Duration,
}

const WHOLE: Plan = Plan {
    broadcasts: &[1, 20, 40, 60, 80, 100, 120, 140, 160, 180, 200],
    idle: &[0, 2000, 4000, 8000, 16_000],
    halvings: 2,
    window: Duration::from_secs(5),
    within: Duration::from_secs(110),
};

const QUICK: Plan = Plan {
    broadcasts: &[1, 60, 100, 140],
    idle: &[0, 2000, 6000],
    halvings: 0,
    window: Duration::from_secs(3),
    within: Duration::from_secs(35),
};

/// Measures, and prints a table of each kind.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let plan = match arguments {
        [] => WHOLE,
        [quick] if quick == "--quick" => QUICK,
        _ => bail!("it is called as {USAGE}"),
    };
    for kind in [Kind::Outputs, Kind::Idle] {
        let steps = match kind {
            Kind::Outputs => plan.broadcasts,
            Kind::Idle => plan.idle,
        };
        let (mut rows, end) = climb(kind, steps, &plan)?;
        rows.sort_by_key(|row| row.count);
        print(kind, &rows, &end);
    }
    println!(
        "\nadded latency: from the encoder's write to the destination's read, at all fifty outputs of \
         one broadcast of 1 Mbps, for {} s a step; RTMP, messages gathered for 20 ms as by default. \
         CPU: of {} cores, the node's, that of the encoders and destinations, which share \
         them, and what the kernel spends on their packets in no process's time.",
        plan.window.as_secs(),
        std::thread::available_parallelism()?
    );
    Ok(())
}

/// Why it went no further.
enum End {
    /// Messages came late.
    Late,
    /// Something did not come about at this step.
    GaveWay { count: usize, what: String },
    /// The node held all that was tried.
    Held,
    /// Nothing did: the time was over.
    Time,
}

/// Takes one step after the other, until one is not held.
fn climb(kind: Kind, steps: &[usize], plan: &Plan) -> Result<(Vec<Step>, End)> {
    let most = steps.iter().max().copied().unwrap_or_default();
    let mut rig = Rig::start(kind, most)?;
    let deadline = Instant::now() + plan.within;
    let (mut rows, mut held) = (Vec::new(), None);
    for &count in steps {
        if Instant::now() > deadline {
            return Ok((rows, End::Time));
        }
        eprintln!("bench: {}", kind.name(count));
        let step = match rig.step(count, plan.window) {
            Ok(step) => step,
            Err(error) => {
                let what = format!("{error:#}");
                return Ok((rows, End::GaveWay { count, what }));
            }
        };
        let is_late = step.p99 > BOUND;
        rows.push(step);
        if !is_late {
            held = Some(count);
            continue;
        }
        // Fewer idle encoders would not be the same ones: they are not taken back.
        let halvings = match kind {
            Kind::Outputs => plan.halvings,
            Kind::Idle => 0,
        };
        let (mut low, mut high) = (held.unwrap_or_default(), count);
        for _ in 0..halvings {
            let middle = low.midpoint(high);
            if middle == low || Instant::now() > deadline {
                break;
            }
            eprintln!("bench: {}", kind.name(middle));
            let step = rig.step(middle, plan.window)?;
            match step.p99 > BOUND {
                true => high = middle,
                false => low = middle,
            }
            rows.push(step);
        }
        return Ok((rows, End::Late));
    }
    Ok((rows, End::Held))
}

fn print(kind: Kind, rows: &[Step], end: &End) {
    println!(
        "\n| {} | p50, ms | p99, ms | lost | node's CPU, % | others' CPU, % | packets, % | idle CPU, % | memory, \
         MB | open files |",
        kind.heading()
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for row in rows {
        println!(
            "| {} | {:.1} | {:.1} | {} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {} |",
            kind.shown(row.count),
            row.p50.as_secs_f64() * 1e3,
            row.p99.as_secs_f64() * 1e3,
            row.lost,
            row.node * 100.0,
            row.others * 100.0,
            row.packets * 100.0,
            row.idle * 100.0,
            row.memory as f64 / 1e6,
            row.files,
        );
    }
    println!("\n{}", end.told(kind, rows));
}

impl End {
    fn told(&self, kind: Kind, rows: &[Step]) -> String {
        let bound = BOUND.as_millis();
        let held = rows.iter().rev().find(|row| row.p99 <= BOUND);
        let held = held.map_or_else(|| "None".to_owned(), |row| kind.name(row.count));
        match self {
            Self::Late => {
                let late = rows.iter().find(|row| row.p99 > BOUND);
                let late = late.map_or_else(String::new, |row| {
                    format!(
                        "{} are late with {:.0} % of the CPU idle",
                        kind.name(row.count),
                        row.idle * 100.0
                    )
                });
                format!("{held} are held; p99 passes {bound} ms first: {late}.")
            }
            Self::GaveWay { count, what } => {
                format!("{held} are held; at {} {what}.", kind.name(*count))
            }
            Self::Held => format!("{held} are held: p99 did not pass {bound} ms."),
            Self::Time => {
                format!("{held} are held: no more were tried, as the time was over.")
            }
        }
    }
}
