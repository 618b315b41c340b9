//! From what runs to what is wanted, touching nothing that is the same.

use std::collections::{BTreeMap, BTreeSet};

/// An output as the newest snapshot wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted<Id, Spec> {
    /// Which output.
    pub id: Id,
    /// Whether to send to it.
    pub enabled: bool,
    /// Everything that makes it what it is: two equal specs are one and the same connection.
    pub spec: Spec,
}

/// One step from what runs to what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change<Id, Spec> {
    /// Connect an output that does not run.
    Start {
        /// Which output.
        id: Id,
        /// Where to.
        spec: Spec,
    },
    /// Disconnect an output that is gone or disabled.
    Stop {
        /// Which output.
        id: Id,
        /// Whether the user switched it off, rather than deleted it.
        disabled: bool,
    },
    /// Disconnect an output whose target changed, and connect it to the new one.
    Restart {
        /// Which output.
        id: Id,
        /// Where to from now on.
        spec: Spec,
    },
}

/// The steps from `running` to `wanted`: first what stops, in order of id, so that a key which
/// moved to another output is free again; then restarts and starts, in the order of `wanted`.
///
/// What runs as it is wanted is not mentioned. Of two wishes for one id the first counts.
pub fn reconcile<Id: Ord + Clone, Spec: PartialEq + Clone>(
    running: &BTreeMap<Id, Spec>,
    wanted: &[Wanted<Id, Spec>],
) -> Vec<Change<Id, Spec>> {
    let mut seen = BTreeSet::new();
    let mut disabled = BTreeSet::new();
    let mut begin = Vec::new();
    for Wanted { id, enabled, spec } in wanted {
        if !seen.insert(id) {
            continue;
        }
        if !enabled {
            disabled.insert(id);
            continue;
        }
        let (id, spec) = (id.clone(), spec.clone());
        match running.get(&id) {
            Some(same) if *same == spec => {}
            Some(_) => begin.push(Change::Restart { id, spec }),
            None => begin.push(Change::Start { id, spec }),
        }
    }

    let mut changes: Vec<_> = running
        .keys()
        .filter(|id| disabled.contains(id) || !seen.contains(id))
        .map(|id| Change::Stop {
            id: id.clone(),
            disabled: disabled.contains(id),
        })
        .collect();
    changes.append(&mut begin);
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Steps = Vec<Change<u8, &'static str>>;

    fn want(id: u8, spec: &'static str) -> Wanted<u8, &'static str> {
        Wanted {
            id,
            enabled: true,
            spec,
        }
    }

    fn off(id: u8, spec: &'static str) -> Wanted<u8, &'static str> {
        Wanted {
            id,
            enabled: false,
            spec,
        }
    }

    fn steps(running: &[(u8, &'static str)], wanted: &[Wanted<u8, &'static str>]) -> Steps {
        reconcile(&running.iter().copied().collect(), wanted)
    }

    #[test]
    fn what_is_the_same_is_not_touched() {
        assert_eq!(
            steps(&[(1, "a"), (2, "b")], &[want(2, "b"), want(1, "a")]),
            []
        );
    }

    #[test]
    fn missing_starts_unwanted_stops_changed_restarts() {
        assert_eq!(
            steps(
                &[(1, "a"), (2, "b"), (3, "c"), (4, "d")],
                &[want(5, "e"), want(2, "other"), off(3, "c"), want(4, "d")],
            ),
            [
                Change::Stop {
                    id: 1,
                    disabled: false
                },
                Change::Stop {
                    id: 3,
                    disabled: true
                },
                Change::Start { id: 5, spec: "e" },
                Change::Restart {
                    id: 2,
                    spec: "other"
                },
            ]
        );
    }

    #[test]
    fn a_disabled_output_that_does_not_run_is_nothing_to_do() {
        assert_eq!(steps(&[], &[off(1, "a")]), []);
    }

    #[test]
    fn starts_keep_the_order_of_the_wishes() {
        assert_eq!(
            steps(&[], &[want(9, "a"), want(1, "b")]),
            [
                Change::Start { id: 9, spec: "a" },
                Change::Start { id: 1, spec: "b" }
            ]
        );
    }

    #[test]
    fn of_two_wishes_for_one_output_the_first_counts() {
        assert_eq!(
            steps(&[(1, "a")], &[want(1, "a"), off(1, "a"), want(1, "b")]),
            []
        );
    }

    #[test]
    fn an_empty_wish_stops_all() {
        assert_eq!(
            steps(&[(1, "a"), (2, "b")], &[]),
            [
                Change::Stop {
                    id: 1,
                    disabled: false
                },
                Change::Stop {
                    id: 2,
                    disabled: false
                }
            ]
        );
    }

    proptest! {
        #[test]
        fn following_the_steps_gives_what_is_wanted_and_then_nothing_is_left(
            running in prop::collection::btree_map(0_u8..12, 0_u8..3, 0..8),
            wanted in prop::collection::vec((0_u8..12, any::<bool>(), 0_u8..3), 0..12),
        ) {
            let wanted: Vec<_> = wanted
                .into_iter()
                .map(|(id, enabled, spec)| Wanted { id, enabled, spec })
                .collect();
            let mut now = running.clone();
            for change in reconcile(&running, &wanted) {
                match change {
                    Change::Start { id, spec } => prop_assert!(now.insert(id, spec).is_none()),
                    Change::Stop { id, .. } => prop_assert!(now.remove(&id).is_some()),
                    Change::Restart { id, spec } => {
                        prop_assert!(now.insert(id, spec).is_some_and(|old| old != spec));
                    }
                }
            }
            let mut goal = BTreeMap::new();
            for wish in &wanted {
                goal.entry(wish.id).or_insert((wish.enabled, wish.spec));
            }
            let goal: BTreeMap<_, _> = goal
                .into_iter()
                .filter_map(|(id, (enabled, spec))| enabled.then_some((id, spec)))
                .collect();
            prop_assert_eq!(&now, &goal);
            prop_assert_eq!(reconcile(&now, &wanted), vec![]);
        }
    }
}
