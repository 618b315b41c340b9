//! How broadcasts are doing, as the control plane is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use broadcast::{AudioFacts, IngestFacts, VideoFacts, Warning};
use rtmp::flv::Codec;
use rtmp::server::Refusal;
use shared::id::{AccountId, InputUid, OutputUid};
use shared::link::{
    self, AudioFigures, Fault, IngestFigures, InputFigures, OutputFigures, VideoFigures,
};

use super::on_air::{Ending, OnAir};
use super::{Broadcasts, Registry};
use crate::clock;
use crate::egress::Figures;

impl Registry {
    /// How every broadcast on air is doing that the control plane knows of, in the order of the
    /// inputs.
    pub fn figures(&self) -> Vec<InputFigures> {
        let now = clock::now();
        let broadcasts = self.lock();
        let on_air = broadcasts.on_air.iter();
        on_air
            .filter(|(_, on_air)| !on_air.is_unconfirmed())
            .map(|(input, on_air)| of(*input, on_air, now))
            .collect()
    }

    /// Looks at what the encoders send: tells what has begun to be wrong with it, and cuts who
    /// sends more than they may. To be called once a second.
    pub fn inspect(&self) {
        let now = clock::now();
        let mut broadcasts = self.lock();
        let mut refused = Vec::new();
        for (input, on_air) in &broadcasts.on_air {
            let facts = facts(on_air, now);
            for warning in on_air.feed.onsets(now, &facts.warnings) {
                tracing::info!(%input, code = warning.code(), "{warning}");
                on_air.teller().faulted(fault(&warning, &facts));
            }
            let bitrate = on_air.feed.steady_bitrate(now);
            let bitrate = bitrate.filter(|_| on_air.seat.session().is_some());
            if let (Some(bitrate), Some(max)) = (bitrate, self.media.max_bitrate)
                && bitrate > max
            {
                let fault = too_fast(bitrate, max, &facts);
                tracing::info!(%input, code = fault.code, "{}", fault.message);
                on_air.teller().faulted(fault);
                refused.push(*input);
            }
        }
        for input in refused {
            self.end(&mut broadcasts, input, Ending::Cut(Refusal::TooFast));
        }
        self.weigh(&mut broadcasts, now);
    }

    /// Adds up what each account sends. Where that was too much for long, the broadcast that sends
    /// most is cut.
    fn weigh(&self, broadcasts: &mut Broadcasts, now: Instant) {
        let mut sent: BTreeMap<AccountId, (u64, Option<(u64, InputUid)>)> = BTreeMap::new();
        for (input, on_air) in &broadcasts.on_air {
            let Some(of) = &on_air.membership else {
                continue;
            };
            let outputs = on_air.outputs.values();
            let bits: u64 = outputs.map(|output| output.figures().bitrate).sum();
            let (all, most) = sent.entry(of.account.id()).or_default();
            *all += bits;
            *most = (*most).max(Some((bits, *input)));
        }
        broadcasts.accounts.retain(|id, _| sent.contains_key(id));
        let mut refused = Vec::new();
        for (id, (bits, most)) in sent {
            let account = broadcasts.accounts.get(&id);
            if let Some(excess) = account.and_then(|account| account.sends(now, bits))
                && let Some((_, input)) = most
            {
                tracing::info!(%input, account = %id, %excess, "broadcast cut");
                refused.push((input, excess));
            }
        }
        for (input, excess) in refused {
            if let Some(on_air) = broadcasts.on_air.get(&input) {
                let facts = facts(on_air, now);
                let fault = fault_of("account_limit", excess.to_string(), &facts);
                on_air.teller().faulted(fault);
            }
            self.end(broadcasts, input, Ending::Cut(Refusal::AccountLimit));
        }
    }
}

/// Of one broadcast.
fn of(input: InputUid, on_air: &OnAir, now: Instant) -> InputFigures {
    InputFigures {
        input,
        epoch: on_air.guard.applied().epoch,
        ingest: ingest(&facts(on_air, now)),
        outputs: on_air
            .outputs
            .iter()
            .map(|(id, output)| of_output(*id, &output.figures()))
            .collect(),
    }
}

/// What there is to know of what comes in. While nobody feeds a broadcast that waits for its
/// publisher, nothing is wrong with what comes.
pub(super) fn facts(on_air: &OnAir, now: Instant) -> IngestFacts {
    let mut facts = on_air.feed.facts(now);
    if on_air.seat.session().is_none() {
        facts.warnings.clear();
    }
    facts
}

fn fault(warning: &Warning, facts: &IngestFacts) -> Fault {
    fault_of(warning.code(), warning.to_string(), facts)
}

fn too_fast(bitrate: u64, max: u64, facts: &IngestFacts) -> Fault {
    let message = format!(
        "The stream has {} kbps, and this relay takes at most {}: lower the bitrate in OBS → \
         Settings → Output.",
        bitrate / 1000,
        max / 1000,
    );
    fault_of("bitrate_refused", message, facts)
}

fn fault_of(code: &str, message: String, facts: &IngestFacts) -> Fault {
    let video = facts.video.and_then(|video| video.codec);
    let audio = facts.audio.and_then(|audio| audio.codec);
    Fault {
        code: code.to_owned(),
        message,
        video_codec: name(video),
        audio_codec: name(audio),
    }
}

/// What comes from the encoder.
pub(super) fn ingest(facts: &IngestFacts) -> IngestFigures {
    IngestFigures {
        bytes: facts.bytes,
        bitrate: facts.bitrate,
        idle_ms: millis(facts.idle),
        video: facts.video.map(video),
        audio: facts.audio.map(audio),
        audio_ahead_ms: facts.audio_ahead_ms,
        warnings: facts.warnings.iter().map(warning).collect(),
    }
}

fn video(facts: VideoFacts) -> VideoFigures {
    VideoFigures {
        codec: name(facts.codec),
        width: facts.size.map(|size| size.width),
        height: facts.size.map(|size| size.height),
        frame_rate: facts.frame_rate,
        keyframe_interval_ms: facts.keyframe_interval.map(millis),
    }
}

fn audio(facts: AudioFacts) -> AudioFigures {
    AudioFigures {
        codec: name(facts.codec),
        sample_rate: facts.format.map(|format| format.sample_rate),
        channels: facts.format.map(|format| format.channels),
    }
}

fn warning(warning: &Warning) -> link::Warning {
    link::Warning {
        code: warning.code().to_owned(),
        message: warning.to_string(),
    }
}

fn of_output(output: OutputUid, figures: &Figures) -> OutputFigures {
    OutputFigures {
        output,
        bytes: figures.sent,
        bitrate: figures.bitrate,
        skipped_ms: millis(figures.skipped.media),
        connects: figures.connects,
    }
}

fn name(codec: Option<Codec>) -> String {
    codec.map_or_else(String::new, |codec| codec.name().to_owned())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
