//! Each end point of the API beside its floor: a Worker in JavaScript that makes the same storage
//! calls and nothing else, in the same workerd.

mod client;
mod end_points;
mod recorder;
mod scene;
mod server;
mod statements;

use std::time::Instant;

use anyhow::Result;
use tokio::runtime::Builder;

use self::end_points::{ALL, EndPoint, check};
use self::scene::Scene;
use self::server::Server;
use crate::spread::Spread;

/// The two, measured in turns so that neither has the machine in a better minute.
const ROUNDS: usize = 5;

/// With `--quick` there is one round, of so many times fewer requests: whether it runs, not how fast.
const QUICK: usize = 4;

/// How many ask at the same time, how often each of them in a round, and what the median should be
/// at most, as a multiple of the floor's.
const LOADS: [Load; 2] = [
    Load {
        connections: 1,
        requests: 60,
        rounds: ROUNDS,
        target: 1.3,
    },
    Load {
        connections: 32,
        requests: 12,
        rounds: ROUNDS,
        target: 1.5,
    },
];

struct Load {
    connections: usize,
    requests: usize,
    rounds: usize,
    target: f64,
}

impl Load {
    /// With no more connections than the end point bears.
    fn of(&self, end_point: &EndPoint, is_quick: bool) -> Self {
        let (requests, rounds) = match is_quick {
            true => (self.requests.div_ceil(QUICK), 1),
            false => (self.requests, self.rounds),
        };
        Self {
            connections: self.connections.min(end_point.most),
            requests,
            rounds,
            target: self.target,
        }
    }
}

/// Measures and prints the table, of the end points whose names hold `part`.
pub(crate) fn run(is_quick: bool, part: &str) -> Result<()> {
    check()?;
    let begun = Instant::now();
    let server = Server::start()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    println!("| end point | connections | median, ms | floor | ratio | p99, ms | floor | ratio |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let mut missed = 0;
    for end_point in ALL.into_iter().filter(|one| one.name().contains(part)) {
        // An end point that bears one connection is measured once.
        let loads = LOADS.iter().take(end_point.most.min(LOADS.len()));
        for load in loads {
            let load = load.of(&end_point, is_quick);
            let [ours, floor] = runtime.block_on(measure(&server, end_point, &load))?;
            let ([_, median, _, p99, _], [_, floor_median, _, floor_p99, _]) =
                (ours.figures(), floor.figures());
            let ratio = median / floor_median;
            let mark = if ratio > load.target { " (over)" } else { "" };
            missed += usize::from(ratio > load.target);
            println!(
                "| {} | {} | {median:.2} | {floor_median:.2} | {ratio:.2}{mark} | {p99:.2} | \
                 {floor_p99:.2} | {:.2} |",
                end_point.name(),
                load.connections,
                p99 / floor_p99
            );
        }
    }
    let targets = LOADS.map(|load| format!("{} at {}", load.target, load.connections));
    println!(
        "\nThe ratio of the medians should be at most {}; {missed} are over. It took {} s.",
        targets.join(", "),
        begun.elapsed().as_secs()
    );
    Ok(())
}

/// The Worker's times, and the floor's.
async fn measure(server: &Server, end_point: EndPoint, load: &Load) -> Result<[Spread; 2]> {
    let worker = Scene::prepare(end_point, server.worker(load.connections)?).await?;
    let floor = Scene::prepare(end_point, server.floor(load.connections)?).await?;
    let mut spreads = [Spread::default(), Spread::default()];
    // The first round warms both up.
    for round in 0..=load.rounds {
        for (scene, spread) in [&worker, &floor].into_iter().zip(&mut spreads) {
            let mut times = Spread::default();
            scene.round(load.requests, &mut times).await?;
            if round > 0 {
                spread.append(times);
            }
        }
    }
    worker.clear().await?;
    floor.clear().await?;
    Ok(spreads)
}
