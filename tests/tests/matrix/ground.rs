//! The destinations, and what each makes of a stream.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use system_tests::destination::Destination;
use system_tests::listening::{Listening, Read};
use system_tests::node::{Input, Node};
use system_tests::process::show_end;
use system_tests::streams::Stream;
use system_tests::strict::{Calls, Strict};
use system_tests::tap::Tap;
use system_tests::tls::Fronts;
use system_tests::wire::{AUDIO, DATA, Tag, VIDEO, difference, read_flv, write_flv};

use crate::beginning;
use crate::cases::{Case, Started};
use crate::report::Row;

/// What stays for all cases.
pub(crate) struct Ground {
    nginx: Destination,
    strict: Strict,
    fronts: Fronts,
    ffmpeg: PathBuf,
}

/// One stream: a case over one transport.
struct Run<'a> {
    case: &'a Case,
    secure: bool,
    key: String,
    listening: [Listening; 2],
}

impl Ground {
    /// Starts what all cases share; `ffmpeg` is the one that listens.
    pub(crate) fn new(ffmpeg: &Path) -> Result<Self> {
        let nginx = Destination::start()?;
        let authority = nginx.certificates();
        Ok(Self {
            strict: Strict::start(authority)?,
            fronts: Fronts::new(authority)?,
            ffmpeg: ffmpeg.to_owned(),
            nginx,
        })
    }

    /// Publishes each case by RTMP and by RTMPS, all at the same time.
    pub(crate) fn run(&self, cases: &[Case]) -> Result<Vec<Row>> {
        let mut runs = Vec::new();
        for case in cases {
            for secure in [false, true] {
                let key = system_tests::secrets::output_key()?;
                let listen = |secure| Listening::start(&self.ffmpeg, &output(&key, FFMPEG, secure));
                let listening = [listen(false)?, listen(true)?];
                runs.push(Run {
                    case,
                    secure,
                    key,
                    listening,
                });
            }
        }
        let authority = self.nginx.certificates();
        let inputs: Result<Vec<_>> = runs.iter().map(|run| self.input(run)).collect();
        let node = Node::start(&inputs?, authority)?;
        let (rtmp, rtmps) = (node.rtmp(), node.rtmps());
        let tap = Tap::start(rtmp, rtmps, authority, &authority.certificate)?;
        let logs = tempfile::tempdir()?;
        let started: Result<Vec<Started>> = runs
            .iter()
            .map(|run| {
                let url = tap.url(run.secure);
                let log = logs.path().join(format!("{}.log", run.key));
                run.case.start(&url, &run.key, &authority.certificate, &log)
            })
            .collect();
        let mut ended = Vec::new();
        for (run, started) in runs.iter().zip(started?) {
            ended.push(started.end(tap.streams(), &run.key));
        }
        let mut rows = Vec::new();
        for (run, ended) in runs.into_iter().zip(ended) {
            let sent = ended.and_then(|()| {
                let sent = tap
                    .streams()
                    .ended(&run.key, Instant::now() + ENDED_WITHIN)?;
                ensure!(sent.problem.is_none(), "the tap: {:?}", sent.problem);
                Ok(sent)
            });
            rows.push(match sent {
                Ok(sent) => self.row(run, &sent)?,
                Err(error) => Row::new(run.case, run.secure, Err(error)),
            });
        }
        if rows.iter().any(Row::is_failed) {
            show_end("relay-node", &node.log()?);
        }
        Ok(rows)
    }

    /// Publishes to the node itself by RTMPS, with one destination, which must have got something
    /// and its end at once.
    pub(crate) fn run_directly(&self, case: &Case) -> Result<()> {
        let key = system_tests::secrets::output_key()?;
        let authority = self.nginx.certificates();
        let url = self.strict.url(Calls::Silence, true);
        let input = Input {
            key: key.clone(),
            outputs: vec![(url, output(&key, STRICT, true))],
        };
        let node = Node::start(&[input], authority)?;
        let url = format!("rtmps://localhost:{}/live", node.rtmps());
        let logs = tempfile::tempdir()?;
        let log = logs.path().join("encoder.log");
        let started = case.start(&url, &key, &authority.certificate, &log)?;
        let streams = self.strict.streams();
        started.end(streams, &key)?;
        let got = streams.ended(&output(&key, STRICT, true), Instant::now() + AT_ONCE);
        let got =
            got.with_context(|| format!("the node said: {}", node.log().unwrap_or_default()))?;
        ensure!(got.problem.is_none(), "{:?}", got.problem);
        ensure!(got.tags.len() > SOME_TAGS, "{} tags", got.tags.len());
        Ok(())
    }

    fn input(&self, run: &Run<'_>) -> Result<Input> {
        let mut outputs = Vec::new();
        for secure in [false, true] {
            let url = match secure {
                true => self.nginx.rtmps_url(),
                false => self.nginx.rtmp_url(),
            };
            outputs.push((url, output(&run.key, NGINX, secure)));
            let [plain, ciphered] = &run.listening;
            let url = match secure {
                true => format!(
                    "rtmps://localhost:{}/live",
                    self.fronts.add(ciphered.port())?
                ),
                false => format!("rtmp://127.0.0.1:{}/live", plain.port()),
            };
            outputs.push((url, output(&run.key, FFMPEG, secure)));
            for calls in Calls::ALL {
                let url = self.strict.url(calls, secure);
                outputs.push((url, output(&run.key, calls.application(), secure)));
            }
        }
        let key = run.key.clone();
        Ok(Input { key, outputs })
    }

    /// Compares what every destination got.
    fn row(&self, run: Run<'_>, sent: &Stream) -> Result<Row> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("sent.flv");
        let wanted = beginning::of(&sent.tags);
        write_flv(&file, &wanted)?;
        let readable = Read::file(&self.ffmpeg, &file);
        let mut row = Row::new(run.case, run.secure, Ok(sent));
        for calls in Calls::ALL {
            let name = match calls {
                Calls::Silence => "strict, silent",
                Calls::Error => "strict, `_error`",
                Calls::Undefined => "strict, undefined",
            };
            let outcome = |secure| {
                self.compared(
                    &output(&run.key, calls.application(), secure),
                    sent,
                    &wanted,
                )
            };
            row.add(name, [false, true].map(outcome));
        }
        let outcome = |secure| self.recorded(&output(&run.key, NGINX, secure), sent, &wanted);
        row.add("nginx-rtmp", [false, true].map(outcome));
        let outcomes = run.listening.map(|mut listening| {
            let read = listening.read(ENDED_WITHIN);
            match (read, &readable) {
                (Ok(read), Ok(readable)) => match read.difference(readable) {
                    None => Ok(format!("{} packets", read.count())),
                    Some(difference) => bail!(difference),
                },
                // What it makes nothing of in a file, it makes nothing of here.
                (Err(_), Err(_)) => Ok("unreadable".to_owned()),
                (Err(error), Ok(_)) => Err(error),
                (Ok(read), Err(error)) => bail!("{} packets, but {error:#}", read.count()),
            }
        });
        row.add("FFmpeg", outcomes);
        Ok(row)
    }

    fn compared(&self, key: &str, sent: &Stream, wanted: &[Tag]) -> Result<String> {
        let found = self
            .strict
            .streams()
            .ended(key, Instant::now() + ENDED_WITHIN)?;
        if let Some(problem) = &found.problem {
            bail!("{problem}");
        }
        if let Some(difference) = difference(&found.tags, wanted) {
            bail!("{difference}");
        }
        let (Some(found_end), Some(sent_end)) = (found.end, sent.end) else {
            bail!("no end");
        };
        let after = found_end.at.saturating_duration_since(sent_end.at);
        ensure!(
            after < AT_ONCE,
            "its end came {} ms later",
            after.as_millis()
        );
        Ok(of(found.tags.len(), sent))
    }

    fn recorded(&self, key: &str, sent: &Stream, wanted: &[Tag]) -> Result<String> {
        let recorded = read_flv(&self.nginx.recording(key, 1)?)?;
        let wanted = nginx_keeps(wanted.to_vec());
        let media = nginx_keeps(recorded);
        match difference(&media, &wanted) {
            None => Ok(of(media.len(), sent)),
            Some(difference) => bail!(difference),
        }
    }
}

/// A number of tags, and of how many if they are not all.
fn of(count: usize, sent: &Stream) -> String {
    match sent.tags.len() {
        all if all == count => all.to_string(),
        all => format!("{count} of {all}"),
    }
}

/// What nginx-rtmp records of a stream: no data, no empty tag, no picture before the first that it
/// takes for a keyframe (which no picture of Enhanced RTMP is to it); and each header at its first
/// coming, since it writes those that it has before its first frame once more.
fn nginx_keeps(tags: Vec<Tag>) -> Vec<Tag> {
    let mut kept: Vec<Tag> = Vec::new();
    let mut headers: Vec<Tag> = Vec::new();
    let mut keyframe = false;
    for tag in tags {
        let is_key = tag.kind == VIDEO && tag.body.first().is_some_and(|first| first >> 4 == 1);
        keyframe |= is_key && !is_header(&tag);
        let is_early = tag.kind == VIDEO && !keyframe && !is_header(&tag);
        if tag.kind == DATA || tag.body.is_empty() || is_early {
            continue;
        }
        if is_header(&tag) {
            if headers.iter().any(|header| header.body == tag.body) {
                continue;
            }
            headers.push(tag.clone());
        }
        kept.push(tag);
    }
    kept
}

/// A sequence header of H.264 or AAC.
fn is_header(tag: &Tag) -> bool {
    matches!(
        (tag.kind, tag.body.as_slice()),
        (AUDIO, [0xA0..=0xAF, 0, ..]) | (VIDEO, [0x17, 0, ..])
    )
}

/// The key of an output, by its destination.
fn output(key: &str, destination: &str, secure: bool) -> String {
    format!(
        "{key}-{destination}-{}",
        if secure { "rtmps" } else { "rtmp" }
    )
}

const STRICT: &str = "strict";
const NGINX: &str = "nginx";
const FFMPEG: &str = "ffmpeg";

/// After a goodbye, nobody is waited for: the reconnect window would be a minute.
const AT_ONCE: Duration = Duration::from_secs(2);

/// Three seconds are more than two hundred.
const SOME_TAGS: usize = 150;

/// When all has come at a destination, on a busy machine.
const ENDED_WITHIN: Duration = Duration::from_secs(15);
