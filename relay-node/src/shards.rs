//! The threads that media is sent by.

use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A few threads, each with a runtime of its own. A broadcast and all its outputs stay on one of
/// them: a message wakes fifty outputs without a word to another thread, and they never wait for
/// each other's locks ([0051](../../docs/decisions/0051-a-broadcast-stays-on-one-thread.md)).
#[derive(Clone, Debug)]
pub struct Shards {
    shards: Arc<[Shard]>,
    _stop: Option<Arc<DropGuard>>,
}

/// One of the threads; each broadcast holds one of these.
pub type Shard = Arc<Handle>;

impl Shards {
    /// Starts so many threads, which end with the last of their users.
    ///
    /// # Errors
    ///
    /// The system gives no more threads or files.
    pub fn start(count: usize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        let shards = (0..count.max(1)).map(|number| {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let shard = Arc::new(runtime.handle().clone());
            let stop = stop.clone();
            thread::Builder::new()
                .name(format!("media-{number}"))
                .spawn(move || runtime.block_on(stop.cancelled()))?;
            Ok(shard)
        });
        Ok(Self {
            shards: shards.collect::<io::Result<_>>()?,
            _stop: Some(Arc::new(guard)),
        })
    }

    /// The runtime that this is called in, in place of threads: tests hold its clock.
    pub fn here() -> Self {
        Self {
            shards: Arc::new([Arc::new(Handle::current())]),
            _stop: None,
        }
    }

    /// Waits until each of them has done something that was asked of it just now: a thread that is
    /// stuck never does.
    pub async fn respond(&self) {
        let asked: Vec<_> = self
            .shards
            .iter()
            .map(|shard| shard.spawn(async {}))
            .collect();
        for asked in asked {
            // A thread that ends with the node has nothing more to do.
            let _ = asked.await;
        }
    }

    /// The one with the fewest broadcasts.
    pub fn pick(&self) -> Shard {
        let idlest = self
            .shards
            .iter()
            .min_by_key(|shard| Arc::strong_count(shard));
        idlest.map_or_else(|| Arc::new(Handle::current()), Arc::clone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasts_are_spread() {
        let shards = Shards::start(2).unwrap();
        let (first, second) = (shards.pick(), shards.pick());
        assert_ne!(first.id(), second.id());
        let kept = second.id();
        drop(second);
        let third = shards.pick();
        assert_eq!(third.id(), kept, "the one that has become free");
        let ran_on = |shard: &Shard| {
            let (tell, told) = std::sync::mpsc::channel();
            shard.spawn(async move { tell.send(thread::current().name().map(str::to_owned)) });
            told.recv().unwrap()
        };
        assert_eq!(ran_on(&first).as_deref(), Some("media-0"));
        assert_eq!(ran_on(&third).as_deref(), Some("media-1"));
    }
}
