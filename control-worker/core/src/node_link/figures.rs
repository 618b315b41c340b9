//! How the broadcasts of a node are doing: never stored, lost without harm.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use shared::id::{InputUid, Instance};
use shared::link::{InputFigures, Watch};
use shared::time::{Timestamp, micros};

/// A live input's object asks how the input is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Look {
    /// The live input.
    pub input: InputUid,
    /// The process that holds it.
    pub instance: Instance,
}

/// The answer to [`Look`].
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Sight {
    /// When the process was last heard.
    #[serde(with = "micros")]
    pub heard: Timestamp,
    /// How the input is doing, if the process said so lately.
    pub figures: Option<InputFigures>,
}

/// The newest figures of each input.
#[derive(Clone, Debug, Default)]
pub struct FigureBook {
    instances: BTreeMap<Instance, Told>,
    watched_until: BTreeMap<Instance, Timestamp>,
}

#[derive(Clone, Debug)]
struct Told {
    at: Timestamp,
    inputs: BTreeMap<InputUid, InputFigures>,
}

impl FigureBook {
    /// Takes what a process says of all its inputs.
    pub fn take(&mut self, instance: Instance, figures: Vec<InputFigures>, now: Timestamp) {
        // Who has not said anything for so long will not be asked for it.
        self.instances
            .retain(|_, told| now <= told.at.after(RECENT));
        self.watched_until.retain(|_, until| now <= *until);
        let inputs = figures.into_iter().map(|figures| (figures.input, figures));
        let inputs = inputs.collect();
        self.instances.insert(instance, Told { at: now, inputs });
    }

    /// Whether what the process said is news, so that nobody need wait for more.
    pub fn is_fresh(&self, instance: Instance, now: Timestamp) -> bool {
        let told = self.instances.get(&instance);
        told.is_some_and(|told| now <= told.at.after(FRESH))
    }

    /// How an input is doing, as its holder said lately.
    pub fn of(&self, look: Look, now: Timestamp) -> Option<InputFigures> {
        let told = self.instances.get(&look.instance)?;
        let is_recent = now <= told.at.after(RECENT);
        told.inputs.get(&look.input).filter(|_| is_recent).cloned()
    }

    /// What to ask of a process that somebody watches: nothing while it has long been asked.
    pub fn watch(&mut self, instance: Instance, now: Timestamp) -> Option<Watch> {
        let until = self.watched_until.entry(instance).or_default();
        if now.after(WATCH / 2) < *until {
            return None;
        }
        *until = now.after(WATCH);
        let seconds = u32::try_from(WATCH.as_secs()).unwrap_or(u32::MAX);
        Some(Watch { seconds })
    }
}

/// While somebody watches, figures come every second: those of two are news.
const FRESH: Duration = Duration::from_secs(2);

/// Older ones are not shown: a node that polls sends them every ten seconds, or a little less often.
const RECENT: Duration = Duration::from_secs(15);

/// For how long a node is asked to send figures each second after somebody has looked.
const WATCH: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use shared::link::IngestFigures;

    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_micros(1_764_551_330_000_000 + millis * 1000)
    }

    fn instance(n: u8) -> Instance {
        Instance::from_random([n; 16])
    }

    fn figures(bitrate: u64) -> InputFigures {
        InputFigures {
            input: InputUid::from_random([1; 16]),
            epoch: 1,
            ingest: IngestFigures {
                bitrate,
                ..IngestFigures::default()
            },
            outputs: Vec::new(),
        }
    }

    #[test]
    fn figures_are_fresh_then_recent_then_nothing() {
        let mut book = FigureBook::default();
        let look = Look {
            input: InputUid::from_random([1; 16]),
            instance: instance(1),
        };
        assert_eq!(book.of(look, at(0)), None);
        book.take(instance(1), vec![figures(7)], at(0));
        assert!(book.is_fresh(instance(1), at(2000)));
        assert!(!book.is_fresh(instance(1), at(2001)));
        assert!(!book.is_fresh(instance(2), at(0)));
        assert_eq!(book.of(look, at(15_000)), Some(figures(7)));
        assert_eq!(book.of(look, at(15_001)), None);
        let other = Look {
            instance: instance(2),
            ..look
        };
        assert_eq!(book.of(other, at(0)), None, "of another process");
        book.take(instance(1), Vec::new(), at(1));
        assert_eq!(book.of(look, at(1)), None, "it is on air no more");
        book.take(instance(2), Vec::new(), at(20_000));
        assert_eq!(book.instances.len(), 1, "the other is forgotten");
    }

    #[test]
    fn a_process_is_asked_again_in_time() {
        let mut book = FigureBook::default();
        let mut asked = Vec::new();
        for second in 0..21 {
            if let Some(watch) = book.watch(instance(1), at(second * 1000)) {
                assert_eq!(watch.seconds, 10);
                asked.push(second);
            }
        }
        assert_eq!(asked, [0, 5, 10, 15, 20]);
        assert!(book.watch(instance(2), at(20_000)).is_some());
    }
}
