//! A timer for what is to end on time, and often.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};
use std::time::Duration;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A timer of the kernel's. Tokio's wake their thread once more when they are set, often once more
/// before they are due, and fire up to two milliseconds late; this one does none of it, for a file of its own
/// ([0115](../../docs/decisions/0115-a-window-is-two-wake-ups.md)).
#[derive(Debug)]
pub struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// One that is not set, for a task of the runtime that this is called in.
    ///
    /// # Errors
    ///
    /// The system gives no more files.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let file = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        #[expect(
            deprecated,
            reason = "as it takes what may not own its file; this does"
        )]
        let file = AsyncFd::with_interest(file, Interest::READABLE)?;
        Ok(Self(file))
    }

    /// Goes off once, after that time; what it was set to before is forgotten.
    ///
    /// # Errors
    ///
    /// The kernel takes no such time, which is longer than a process lives.
    pub fn set(&self, wait: Duration) -> io::Result<()> {
        // That it has gone off may be known and not asked for yet.
        let _ = self.0.try_io(Interest::READABLE, |_| -> io::Result<()> {
            Err(io::ErrorKind::WouldBlock.into())
        });
        // None at all would unset it.
        let wait = wait.max(Duration::from_nanos(1));
        let once = Itimerspec {
            it_interval: Timespec::default(),
            it_value: wait.try_into().map_err(io::Error::other)?,
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        Ok(())
    }

    /// Whether it has gone off since it was set; only the first that asks hears of it.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_read_ready(cx).map(|gone_off| {
            // Nothing is read: to be set again makes it silent, too. Without its runtime nobody waits.
            if let Ok(mut gone_off) = gone_off {
                gone_off.clear_ready();
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn it_goes_off_once_and_never_early() {
        let alarm = Alarm::new().unwrap();
        for wait in [Duration::ZERO, Duration::from_millis(3)] {
            let began = Instant::now();
            alarm.set(wait).unwrap();
            poll_fn(|cx| alarm.poll(cx)).await;
            assert!(began.elapsed() >= wait);
            let again = timeout(Duration::from_millis(5), poll_fn(|cx| alarm.poll(cx)));
            again.await.unwrap_err();
        }
    }

    #[tokio::test]
    async fn what_it_was_set_to_before_is_forgotten() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Duration::ZERO).unwrap();
        // It has gone off, and the runtime knows.
        drop(alarm.0.readable().await.unwrap());
        alarm.set(Duration::from_secs(3600)).unwrap();
        let early = timeout(Duration::from_millis(20), poll_fn(|cx| alarm.poll(cx)));
        early.await.unwrap_err();
        alarm.set(Duration::MAX).unwrap_err();
    }
}
