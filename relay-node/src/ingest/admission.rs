//! Who may have a place, and who has to give up one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};

/// Whoever is counted together: an IPv4 address, or the /64 that a connection of IPv6 has for
/// itself. All without an address are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Origin(Option<IpAddr>);

impl Origin {
    /// That of an address.
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        Self(address.map(|address| match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Ipv6Addr::from_bits(network).into()
            }
        }))
    }
}

/// How many places there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Connections that have not begun to publish. One more takes the place of another: of those of
    /// the origin that has most, the oldest that has said nothing to the purpose, or else the
    /// oldest.
    pub pending: usize,
    /// The same of one origin, among its own.
    pub pending_of_origin: usize,
    /// Encoders that publish. One more is refused.
    pub publishers: usize,
    /// The same of one origin.
    pub publishers_of_origin: usize,
}

/// A connection's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ticket(u64);

/// All connections of encoders; with each, `H`, by which it is told that it has lost its place.
///
/// Who opens connections and says nothing takes places of its own kind only: a real encoder needs
/// its pending place for some round trips, is the newest there, and a publisher's place nobody
/// takes.
#[derive(Debug)]
pub(super) struct Admission<H> {
    places: Places,
    next: u64,
    connections: HashMap<Ticket, Connection<H>>,
    origins: HashMap<Origin, Connections>,
    /// Where connections are pending, by how many and whose turn it is: the last is to give up a
    /// place.
    crowded: BTreeMap<Crowd, Origin>,
    pending: usize,
    publishers: usize,
}

#[derive(Debug)]
struct Connection<H> {
    origin: Origin,
    /// Whether it has said something to the purpose.
    spoke: bool,
    /// `None` once it publishes.
    pending: Option<H>,
}

/// In what order places are given up: first by those that have not spoken, then by age.
type Turn = (bool, Ticket);

/// Those of an origin.
#[derive(Debug, Default)]
struct Connections {
    pending: BTreeSet<Turn>,
    publishers: usize,
}

/// How many are pending, and whose turn it is.
type Crowd = (usize, Reverse<Turn>);

/// Why there is no place for one more publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All of them are taken.
    Node,
    /// This origin has as many as it may have.
    Origin,
}

impl<H> Admission<H> {
    /// Nobody is there yet.
    pub(super) fn new(places: Places) -> Self {
        Self {
            places,
            next: 0,
            connections: HashMap::new(),
            origins: HashMap::new(),
            crowded: BTreeMap::new(),
            pending: 0,
            publishers: 0,
        }
    }

    /// Somebody connects. It has a place at once; who has lost one for it is to be told by what is
    /// answered.
    pub(super) fn arrive(&mut self, origin: Origin, handle: H) -> (Ticket, Option<H>) {
        let of_origin = self.origins.get(&origin);
        let of_origin = of_origin.map(|connections| &connections.pending);
        let loses = match of_origin {
            Some(pending) if pending.len() >= self.places.pending_of_origin.max(1) => {
                pending.first().map(|(_, ticket)| *ticket)
            }
            _ if self.pending >= self.places.pending.max(1) => self
                .crowded
                .last_key_value()
                .map(|((_, Reverse((_, ticket))), _)| *ticket),
            _ => None,
        };
        let displaced = loses.and_then(|ticket| self.remove(ticket)?.pending);
        let ticket = Ticket(self.next);
        self.next += 1;
        let pending = Some(handle);
        self.connections.insert(
            ticket,
            Connection {
                origin,
                spoke: false,
                pending,
            },
        );
        self.change(origin, |connections| {
            connections.pending.insert((false, ticket));
        });
        self.pending += 1;
        (ticket, displaced)
    }

    /// A connection has said something to the purpose, which is more than to be there: those that
    /// have not give up their places before it.
    pub(super) fn speaks(&mut self, ticket: Ticket) {
        let Some(connection) = self.connections.get_mut(&ticket) else {
            return;
        };
        if connection.pending.is_none() || connection.spoke {
            return;
        }
        connection.spoke = true;
        let origin = connection.origin;
        self.change(origin, |connections| {
            connections.pending.remove(&(false, ticket));
            connections.pending.insert((true, ticket));
        });
    }

    /// One that is pending wants to publish: from here on nobody takes its place.
    ///
    /// # Errors
    ///
    /// There are enough. It stays pending, to be told so.
    pub(super) fn seat(&mut self, ticket: Ticket) -> Result<(), Full> {
        let Some(connection) = self.connections.get_mut(&ticket) else {
            // It has lost its place, and is about to hear of it.
            return Err(Full::Node);
        };
        if connection.pending.is_none() {
            return Ok(());
        }
        let origin = connection.origin;
        let of_origin = self.origins.get(&origin);
        let of_origin = of_origin.map_or(0, |connections| connections.publishers);
        if self.publishers >= self.places.publishers {
            return Err(Full::Node);
        }
        if of_origin >= self.places.publishers_of_origin {
            return Err(Full::Origin);
        }
        connection.pending = None;
        let turn = (connection.spoke, ticket);
        self.change(origin, |connections| {
            connections.pending.remove(&turn);
            connections.publishers += 1;
        });
        self.pending -= 1;
        self.publishers += 1;
        Ok(())
    }

    /// A connection is gone. One that has lost its place may say so too.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        self.remove(ticket);
    }

    /// Connections that have not begun to publish.
    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    /// Encoders that publish, or wait for the answer whether they may.
    pub(super) fn publishers(&self) -> usize {
        self.publishers
    }

    fn remove(&mut self, ticket: Ticket) -> Option<Connection<H>> {
        let connection = self.connections.remove(&ticket)?;
        let is_pending = connection.pending.is_some();
        self.change(connection.origin, |connections| match is_pending {
            true => {
                connections.pending.remove(&(connection.spoke, ticket));
            }
            false => connections.publishers -= 1,
        });
        match is_pending {
            true => self.pending -= 1,
            false => self.publishers -= 1,
        }
        Some(connection)
    }

    /// Changes what there is of an origin, and its place in the order of the crowded.
    fn change(&mut self, origin: Origin, change: impl FnOnce(&mut Connections)) {
        let connections = self.origins.entry(origin).or_default();
        if let Some(crowd) = connections.crowd() {
            self.crowded.remove(&crowd);
        }
        change(connections);
        if let Some(crowd) = connections.crowd() {
            self.crowded.insert(crowd, origin);
        } else if connections.publishers == 0 {
            self.origins.remove(&origin);
        }
    }
}

impl Connections {
    fn crowd(&self) -> Option<Crowd> {
        Some((self.pending.len(), Reverse(*self.pending.first()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: Places = Places {
        pending: 6,
        pending_of_origin: 4,
        publishers: 3,
        publishers_of_origin: 2,
    };

    fn origin(last: u8) -> Origin {
        Origin::of(Some(IpAddr::from([192, 0, 2, last])))
    }

    fn admission() -> Admission<&'static str> {
        Admission::new(PLACES)
    }

    #[test]
    fn an_origin_is_an_address_of_ipv4_or_a_network_of_ipv6() {
        let of = |text: &str| Origin::of(Some(text.parse().unwrap()));
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
        assert_eq!(of("2001:db8:0:1::1"), of("2001:db8:0:1:ffff::2"));
        assert_ne!(of("2001:db8:0:1::1"), of("2001:db8:0:2::1"));
        assert_eq!(Origin::of(None), Origin::of(None));
    }

    #[test]
    fn one_more_of_an_origin_takes_the_place_of_its_oldest() {
        let mut admission = admission();
        let (other, _) = admission.arrive(origin(2), "other");
        for name in ["a", "b", "c", "d"] {
            assert_eq!(admission.arrive(origin(1), name).1, None);
        }
        assert_eq!(admission.arrive(origin(1), "e").1, Some("a"));
        assert_eq!(admission.arrive(origin(1), "f").1, Some("b"));
        assert_eq!(admission.seat(other), Ok(()));
        assert_eq!((admission.pending(), admission.publishers()), (4, 1));
    }

    #[test]
    fn one_more_takes_the_place_of_the_oldest_of_the_most_crowded_origin() {
        let mut admission = admission();
        admission.arrive(origin(1), "1a");
        for name in ["2a", "2b", "2c"] {
            admission.arrive(origin(2), name);
        }
        admission.arrive(origin(3), "3a");
        admission.arrive(origin(4), "4a");
        assert_eq!(admission.arrive(origin(5), "5a").1, Some("2a"));
        assert_eq!(admission.arrive(origin(6), "6a").1, Some("2b"));
        // All have one: the oldest.
        assert_eq!(admission.arrive(origin(7), "7a").1, Some("1a"));
        assert_eq!(admission.pending(), PLACES.pending);
    }

    #[test]
    fn who_has_not_spoken_gives_way_first() {
        let mut admission = admission();
        let arrived = ["a", "b", "c", "d"].map(|name| admission.arrive(origin(1), name).0);
        admission.speaks(arrived[0]);
        admission.speaks(arrived[0]);
        admission.speaks(arrived[2]);
        for loses in ["b", "d", "e", "f"] {
            let name = if loses == "b" { "e" } else { "f" };
            assert_eq!(admission.arrive(origin(1), name).1, Some(loses));
        }
        // Of another origin in the same way.
        let mut admission = Admission::new(PLACES);
        let spoke = [1, 1, 2, 2, 3, 3].map(|last| admission.arrive(origin(last), "spoke").0);
        for ticket in &spoke[..4] {
            admission.speaks(*ticket);
        }
        admission.leave(spoke[5]);
        admission.arrive(origin(3), "silent");
        assert_eq!(admission.arrive(origin(4), "").1, Some("spoke"));
        assert_eq!(
            admission.seat(spoke[4]),
            Err(Full::Node),
            "the silent one of two lost it"
        );
        assert_eq!(admission.seat(spoke[0]), Ok(()));
        admission.leave(spoke[0]);
    }

    #[test]
    fn a_publishers_place_nobody_takes() {
        let mut admission = admission();
        let (publisher, _) = admission.arrive(origin(1), "publisher");
        admission.seat(publisher).unwrap();
        admission.seat(publisher).unwrap();
        for _ in 0..20 {
            assert_ne!(admission.arrive(origin(1), "idle").1, Some("publisher"));
        }
        assert_eq!((admission.pending(), admission.publishers()), (4, 1));
        admission.leave(publisher);
        assert_eq!(admission.publishers(), 0);
    }

    #[test]
    fn one_publisher_more_is_refused() {
        let mut admission = admission();
        let mut arrive = |last| admission.arrive(origin(last), "").0;
        let [a, b, c, d, e] = [1, 1, 1, 2, 3].map(&mut arrive);
        assert_eq!(admission.seat(a), Ok(()));
        assert_eq!(admission.seat(b), Ok(()));
        assert_eq!(admission.seat(c), Err(Full::Origin));
        assert_eq!(admission.seat(d), Ok(()));
        assert_eq!(admission.seat(e), Err(Full::Node));
        // One that goes makes room, whether it is refused or has published.
        admission.leave(c);
        admission.leave(a);
        assert_eq!(admission.seat(e), Ok(()));
        assert_eq!((admission.pending(), admission.publishers()), (0, 3));
    }

    #[test]
    fn who_has_lost_its_place_counts_nowhere() {
        let mut admission = admission();
        let (first, _) = admission.arrive(origin(1), "first");
        for _ in 0..4 {
            admission.arrive(origin(1), "later");
        }
        assert_eq!(admission.seat(first), Err(Full::Node));
        admission.leave(first);
        assert_eq!(admission.pending(), 4);
    }

    #[test]
    fn nothing_is_left_of_who_is_gone() {
        let mut admission = admission();
        let tickets = [1, 2, 3].map(|last| admission.arrive(origin(last), "").0);
        admission.seat(tickets[0]).unwrap();
        for ticket in tickets {
            admission.leave(ticket);
            admission.leave(ticket);
        }
        assert!(admission.origins.is_empty() && admission.connections.is_empty());
        assert!(admission.crowded.is_empty());
        assert_eq!((admission.pending(), admission.publishers()), (0, 0));
    }
}
