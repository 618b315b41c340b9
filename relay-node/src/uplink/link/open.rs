//! An open socket: what was said over it, and what is due.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use shared::link::{Event, Watch};

use super::super::events::Events;
use super::super::failure::Failure;

/// An open socket.
pub(super) struct Open {
    /// When the first report was answered: only then do changes come this way for certain.
    pub(super) established: Option<Instant>,
    /// When anything came last.
    pub(super) heard: Instant,
    /// Since when a report is unanswered.
    awaiting: Option<Instant>,
    pub(super) next_ping: Instant,
    next_report: Instant,
    /// The last report carried the events up to this sequence number.
    reported_through: u64,
    /// The newest event said over this socket, once anything was: a report comes first.
    said_through: Option<u64>,
    /// Frames of events that are not answered, oldest first.
    unanswered: VecDeque<Unanswered>,
    next_figures: Instant,
    /// Until when somebody watches.
    watched_until: Instant,
}

/// A frame of events that is not answered.
struct Unanswered {
    through: u64,
    since: Instant,
}

impl Open {
    /// One that has just been opened.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            established: None,
            heard: now,
            awaiting: None,
            next_ping: now + PING_EVERY,
            next_report: now,
            reported_through: 0,
            said_through: None,
            unanswered: VecDeque::new(),
            next_figures: now,
            watched_until: now,
        }
    }

    /// Whether the other end is not to be counted on any more.
    pub(super) fn failure(&self, now: Instant) -> Option<Failure> {
        if now >= self.heard + SILENT_AFTER {
            return Some(Failure::Silent(SILENT_AFTER));
        }
        if self.awaiting.is_some_and(|since| now >= since + MUTE_AFTER) {
            return Some(Failure::Mute(MUTE_AFTER));
        }
        None
    }

    /// When to look again, if nothing else happens.
    pub(super) fn timeout(&self, events: &Events) -> Instant {
        let dead = self.heard + SILENT_AFTER;
        let mute = self.awaiting.map_or(dead, |since| since + MUTE_AFTER);
        let report = self.report_due(events);
        let figures = self.established.map_or(dead, |_| self.next_figures);
        dead.min(mute).min(self.next_ping).min(report).min(figures)
    }

    /// A report was answered.
    pub(super) fn answered(&mut self, now: Instant) {
        self.established.get_or_insert(now);
        self.awaiting = None;
    }

    /// Somebody watches.
    pub(super) fn watched(&mut self, watch: Watch, now: Instant) {
        if now >= self.watched_until {
            self.next_figures = now;
        }
        let lease = Duration::from_secs(watch.seconds.into()).min(WATCH_MAX);
        self.watched_until = self.watched_until.max(now + lease);
    }

    /// Whether to send figures now: they are taken for sent.
    pub(super) fn figures_are_due(&mut self, now: Instant) -> bool {
        let are_due = self.established.is_some() && now >= self.next_figures;
        if are_due {
            let watched = now < self.watched_until;
            self.next_figures = now
                + if watched {
                    WATCHED_EVERY
                } else {
                    FIGURES_EVERY
                };
        }
        are_due
    }

    /// Whether to report now.
    pub(super) fn report_is_due(&self, events: &Events, now: Instant) -> bool {
        now >= self.report_due(events)
    }

    /// A report goes out.
    pub(super) fn reported(&mut self, events: &Events, now: Instant, interval: Duration) {
        self.next_report = now + interval;
        self.awaiting.get_or_insert(now);
        self.reported_through = events.last_of_report();
        self.said_through = self.said_through.max(Some(self.reported_through));
        self.forget_answered(self.reported_through);
    }

    /// The events to say now, if there are any: they are taken for said.
    pub(super) fn events(&mut self, events: &Events, now: Instant) -> Option<Vec<Event>> {
        let said = self.said_through?;
        if self.unanswered.len() >= MAX_UNANSWERED || events.last()? <= said {
            return None;
        }
        let next = events.after(said);
        let through = next.last()?.sequence;
        self.said_through = Some(through);
        let since = now;
        self.unanswered.push_back(Unanswered { through, since });
        Some(next)
    }

    /// The events up to and including `through` are taken care of.
    pub(super) fn taken(&mut self, through: u64) {
        self.forget_answered(through);
    }

    /// In time, or when events went unanswered for too long: but only those that no report has
    /// carried, since a control plane that does not answer is not asked without end.
    fn report_due(&self, events: &Events) -> Instant {
        let is_news = events
            .first()
            .is_some_and(|first| first > self.reported_through);
        match self.unanswered.front() {
            Some(oldest) if is_news && self.awaiting.is_none() => {
                self.next_report.min(oldest.since + UNANSWERED_MAX)
            }
            _ => self.next_report,
        }
    }

    fn forget_answered(&mut self, through: u64) {
        while self
            .unanswered
            .front()
            .is_some_and(|frame| frame.through <= through)
        {
            self.unanswered.pop_front();
        }
    }
}

/// The interval of pings: well under the 100 s after which Cloudflare's edge drops a silent socket.
pub(super) const PING_EVERY: Duration = Duration::from_secs(10);

/// A socket from which nothing came for so long is dead: two pings went unanswered. With the poll
/// that follows at once, a change still arrives within the promised 30 s.
pub(super) const SILENT_AFTER: Duration = Duration::from_secs(25);

/// A report unanswered for so long means that the other end answers pings but does not work.
pub(super) const MUTE_AFTER: Duration = Duration::from_secs(20);

/// Frames of events that may be unanswered at a time; what happens meanwhile goes together in the
/// next one. Fifty outputs that change their states one by one are no flood then.
pub(super) const MAX_UNANSWERED: usize = 8;

/// Events unanswered for so long are repeated in a report, which every version of the control plane
/// answers.
pub(super) const UNANSWERED_MAX: Duration = Duration::from_secs(5);

/// The interval of figures while somebody watches: a person sees a change as it happens.
pub(super) const WATCHED_EVERY: Duration = Duration::from_secs(1);

/// The interval of figures otherwise: lists show them, and the control plane knows that the node
/// lives.
pub(super) const FIGURES_EVERY: Duration = Duration::from_secs(30);

/// The longest that one wish to watch counts: whoever watches longer asks again, and one that is
/// gone costs no more.
pub(super) const WATCH_MAX: Duration = Duration::from_secs(300);
