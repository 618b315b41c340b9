//! Which snapshot of an input counts.

/// Where a snapshot stands among the snapshots of its input.
///
/// The epoch rises with each owner of the broadcast, the `rev` with every change; both are issued
/// by the input's object in the control plane alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Revision {
    /// Rises with each owner.
    pub epoch: u64,
    /// Rises with every change.
    pub rev: u64,
}

/// Lets through each newer snapshot of a broadcast once, in any order of arrival.
///
/// An epoch may rise without another owner: each publish raises it, also that of a publisher that
/// returns to the node that holds its broadcast.
#[derive(Clone, Debug)]
pub struct RevisionGuard {
    applied: Revision,
}

/// What to do with a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is newer: apply it, then acknowledge it.
    Apply,
    /// It has been applied before: only acknowledge it, for it was resent because the last
    /// acknowledgement did not arrive.
    Acknowledge,
    /// It was overtaken by one that has been applied: acknowledge that one.
    Overtaken,
    /// The broadcast has another owner now: end this one's.
    Fenced,
}

impl RevisionGuard {
    /// A guard for a broadcast that begins under the snapshot at `applied`.
    pub fn new(applied: Revision) -> Self {
        Self { applied }
    }

    /// Judges a snapshot, and takes it as applied when the verdict says so. `ours` says whether it
    /// names the holder of this guard as the owner.
    pub fn admit(&mut self, offered: Revision, ours: bool) -> Verdict {
        // The epoch first: a rev says nothing across owners.
        if offered.epoch > self.applied.epoch {
            if !ours {
                return Verdict::Fenced;
            }
            self.applied = offered;
            return Verdict::Apply;
        }
        if offered.epoch < self.applied.epoch || offered.rev < self.applied.rev {
            return Verdict::Overtaken;
        }
        if offered.rev == self.applied.rev {
            return Verdict::Acknowledge;
        }
        self.applied = offered;
        Verdict::Apply
    }

    /// The newest snapshot applied: what acknowledgements and reports name.
    pub fn applied(&self) -> Revision {
        self.applied
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(epoch: u64, rev: u64) -> Revision {
        Revision { epoch, rev }
    }

    #[test]
    fn newer_ones_apply_even_across_a_gap() {
        let mut guard = RevisionGuard::new(at(3, 10));
        assert_eq!(guard.admit(at(3, 11), true), Verdict::Apply);
        assert_eq!(guard.admit(at(3, 40), true), Verdict::Apply);
        assert_eq!(guard.applied(), at(3, 40));
    }

    #[test]
    fn a_repeated_one_is_only_acknowledged() {
        let mut guard = RevisionGuard::new(at(3, 10));
        assert_eq!(guard.admit(at(3, 10), true), Verdict::Acknowledge);
        assert_eq!(guard.admit(at(3, 11), true), Verdict::Apply);
        assert_eq!(guard.admit(at(3, 11), true), Verdict::Acknowledge);
    }

    #[test]
    fn a_stale_one_changes_nothing() {
        let mut guard = RevisionGuard::new(at(3, 10));
        assert_eq!(guard.admit(at(3, 12), true), Verdict::Apply);
        assert_eq!(guard.admit(at(3, 11), true), Verdict::Overtaken);
        assert_eq!(guard.applied(), at(3, 12));
    }

    #[test]
    fn a_lower_epoch_never_applies_whatever_its_rev() {
        let mut guard = RevisionGuard::new(at(3, 10));
        assert_eq!(guard.admit(at(2, 99), true), Verdict::Overtaken);
        assert_eq!(guard.applied(), at(3, 10));
    }

    #[test]
    fn a_higher_epoch_of_our_own_applies_whatever_its_rev() {
        for rev in [0, 10, 11] {
            let mut guard = RevisionGuard::new(at(3, 10));
            assert_eq!(guard.admit(at(4, rev), true), Verdict::Apply);
            assert_eq!(guard.applied(), at(4, rev));
            assert_eq!(guard.admit(at(3, 99), true), Verdict::Overtaken);
        }
    }

    #[test]
    fn a_higher_epoch_of_another_fences_whatever_its_rev() {
        for rev in [0, 10, 11] {
            let mut guard = RevisionGuard::new(at(3, 10));
            assert_eq!(guard.admit(at(4, rev), false), Verdict::Fenced);
            assert_eq!(guard.applied(), at(3, 10), "what ends keeps what it had");
        }
    }

    proptest! {
        #[test]
        fn in_any_order_the_highest_ends_up_applied_and_none_twice(
            revs in prop::collection::vec(0_u64..50, 1..100),
        ) {
            let mut guard = RevisionGuard::new(at(1, 0));
            let mut applied = vec![0];
            for rev in &revs {
                if guard.admit(at(1, *rev), true) == Verdict::Apply {
                    applied.push(*rev);
                }
            }
            prop_assert!(applied.is_sorted_by(|earlier, later| earlier < later));
            prop_assert_eq!(guard.applied().rev, revs.iter().copied().max().unwrap_or(0));
        }
    }
}
