//! The table of what was measured.

use std::time::Duration;

use super::relay::Relay;
use super::{Case, Figures};

/// Prints the medians of a case's runs, each also as a ratio to the floor and to the best peer.
pub(super) fn print(case: Case, runs: &[(Relay, Figures)]) {
    println!("\n{case}\n");
    println!(
        "| | CPU s/Gbit | memory, MB | added latency p50, ms | p99, ms | first media, ms \
         | first keyframe, ms | lost | altered | disordered | valid runs |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let columns: [&dyn Fn(&Figures) -> f64; 6] = [
        &|figures| figures.cpu_per_gigabit,
        &|figures| figures.memory as f64 / 1e6,
        &|figures| millis(figures.latency_p50),
        &|figures| millis(figures.latency_p99),
        &|figures| millis(figures.first_media),
        &|figures| millis(figures.first_keyframe),
    ];
    let of = |relay: Relay| {
        runs.iter()
            .filter(move |(of, _)| *of == relay)
            .map(|(_, figures)| figures)
    };
    let measured = |relay: Relay, column: &dyn Fn(&Figures) -> f64| {
        median(
            of(relay)
                .filter(|figures| figures.is_valid())
                .map(column)
                .collect(),
        )
    };
    for relay in Relay::ALL {
        if of(relay).next().is_none() {
            continue;
        }
        let mut line = format!("| {} |", relay.name());
        for (index, column) in columns.iter().enumerate() {
            let floor = measured(Relay::FLOOR, column);
            let peers = Relay::ALL.into_iter().filter(|relay| relay.is_peer());
            let best = peers
                .filter_map(|peer| measured(peer, column))
                .min_by(f64::total_cmp);
            line += &match measured(relay, column) {
                // What is measured is the whole process.
                Some(_) if relay.is_thread() && index == 1 => " – |".to_owned(),
                Some(value) => {
                    let to = |other: Option<f64>| match other.filter(|other| *other > 0.0) {
                        Some(other) => format!("{:.2}", value / other),
                        None => "–".to_owned(),
                    };
                    format!(
                        " {value:.*} ({}, {}) |",
                        if index == 0 { 3 } else { 1 },
                        to(floor),
                        to(best)
                    )
                }
                None => " void |".to_owned(),
            };
        }
        let sum = |count: fn(&Figures) -> u64| of(relay).map(count).sum::<u64>();
        let valid = of(relay).filter(|figures| figures.is_valid()).count();
        println!(
            "{line} {} | {} | {} | {valid} of {} |",
            sum(|figures| figures.lost),
            sum(|figures| figures.altered),
            sum(|figures| figures.disordered),
            of(relay).count()
        );
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len().checked_sub(1)? / 2).copied()
}
