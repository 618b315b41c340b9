use std::time::{Duration, Instant};

use broadcast::{Backlog, Cursor, ENTRY_COST, Ingest, LOG_MAX_BYTES, Log, Read, Room, StartPolicy};
use bytes::Bytes;
use rtmp::flv;
use rtmp::{Message, MessageType};

/// What a publisher's messages do to the log and to the outputs that read it: a list of acts, each
/// of them `[what, time…, length, payload…]`.
///
/// The log keeps to its bound, its entries are numbered without a gap, and a reader that asks until
/// there is nothing more comes to an end.
pub fn broadcast_log(data: &[u8]) {
    let mut now = Instant::now();
    let mut log = Log::default();
    let mut ingest = Ingest::new(now);
    let mut cursors = [
        Cursor::new(StartPolicy::FirstKeyframe),
        Cursor::new(StartPolicy::CachedGop),
    ];
    let mut timestamp = 0_u32;
    let mut rest = data;
    while let Some((&[what, wait, step_high, step_low, length], after)) = rest.split_first_chunk() {
        rest = after;
        // Up to four minutes at once, but usually nothing.
        now += Duration::from_millis(u64::from(wait) * u64::from(wait) * 4);
        let kind = match what % 8 {
            0..3 => MessageType::VIDEO,
            3..5 => MessageType::AUDIO,
            5 => MessageType::DATA_AMF0,
            6 => {
                act(&mut log, &mut ingest, &mut cursors, now, what);
                continue;
            }
            _ => MessageType(what / 8),
        };
        // Mostly small steps, some of them back, and a jump where the peer likes one.
        let step = i16::from_be_bytes([step_high, step_low]);
        let scale = if what & 0x80 == 0 { 1 } else { 40_000 };
        timestamp = timestamp.wrapping_add_signed(i32::from(step).wrapping_mul(scale));
        let (payload, after) = rest.split_at(rest.len().min(length.into()));
        rest = after;
        let message = Message {
            kind,
            timestamp,
            stream_id: 1,
            payload: Bytes::copy_from_slice(payload),
        };
        let tag = flv::inspect(kind, &message.payload);
        ingest.observe(now, tag, &message);
        log.append_inspected(now, tag, message);
        check(&log);
    }
    let _ = ingest.facts(now);
    for cursor in &mut cursors {
        drain(cursor, &log, now, Backlog::default());
    }
}

/// Something happens that is no message.
fn act(log: &mut Log, ingest: &mut Ingest, cursors: &mut [Cursor; 2], now: Instant, what: u8) {
    let backlog = Backlog {
        unwritten: 0,
        unacknowledged: u64::from(what) * 64,
        may_be_less: what & 0x40 != 0,
    };
    let [first, second] = cursors;
    match what / 8 % 8 {
        0 => {
            log.begin_session();
            ingest.begin_session(now);
        }
        1 => log.let_format_change(true),
        2 => log.let_format_change(false),
        3 => *second = Cursor::new(StartPolicy::CachedGop),
        4 | 5 => drain(first, log, now, backlog),
        _ => drain(second, log, now, backlog),
    }
}

fn check(log: &Log) {
    let mut held = 0;
    for seq in log.front()..log.end() {
        let entry = log.entry(seq);
        assert!(entry.is_some_and(|entry| entry.seq == seq), "a gap");
        held += entry.map_or(0, |entry| entry.payload.len() + ENTRY_COST);
    }
    assert!(held <= LOG_MAX_BYTES, "{held} bytes held");
}

/// Reads until there is nothing more.
fn drain(cursor: &mut Cursor, log: &Log, now: Instant, backlog: Backlog) {
    let room = Room {
        messages: 3,
        bytes: 300,
    };
    let mut items = Vec::new();
    // Each read that is full gave something, and headers may be given again.
    let most = 16 + 16 * (log.end() - log.front());
    for _ in 0..most {
        match cursor.read(log, now, backlog, room, &mut items) {
            Read::Full => {}
            Read::Unsure => {
                assert!(backlog.may_be_less);
                return;
            }
            Read::CaughtUp | Read::TooSlow | Read::FormatChanged => return,
        }
    }
    assert!(most > 0 && items.is_empty(), "a read without an end");
}
