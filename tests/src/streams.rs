//! What went over connections that a test serves or passes on, stream by stream.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::wire::{AUDIO, DATA, Message, Tag, VIDEO, values};

/// One published stream, from its `connect` to the end of its connection.
#[derive(Clone, Debug, Default)]
pub struct Stream {
    /// What it was published as; nothing before that.
    pub name: String,
    /// The names of the publisher's commands, in order.
    pub commands: Vec<String>,
    /// Its audio, video and data.
    pub tags: Vec<Tag>,
    /// What was against the rules, if anything.
    pub problem: Option<String>,
    /// How its connection ended, once it has.
    pub end: Option<End>,
}

/// The end of a publisher's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// When.
    pub at: Instant,
    /// By FIN, and under TLS by close_notify before it; not cut.
    pub clean: bool,
}

/// All connections of a server or a tap.
#[derive(Clone, Default)]
pub struct Streams {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    streams: Mutex<Vec<Stream>>,
    news: Condvar,
}

/// One connection's place among the others.
pub(crate) struct Entry {
    streams: Streams,
    index: usize,
}

/// The commands by which a publisher says goodbye.
pub const GOODBYES: [&str; 3] = ["FCUnpublish", "deleteStream", "closeStream"];

impl Stream {
    /// The goodbyes among its commands.
    pub fn goodbyes(&self) -> Vec<&str> {
        let commands = self.commands.iter().map(String::as_str);
        commands
            .filter(|command| GOODBYES.contains(command))
            .collect()
    }

    /// Takes a message in. A command is also handed back, with its values.
    pub(crate) fn take(&mut self, message: Message) -> Result<Option<Command>> {
        let Message {
            kind,
            stream,
            time,
            body,
        } = message;
        match kind {
            AUDIO | VIDEO | DATA => self.tags.push(Tag { kind, time, body }),
            COMMAND => {
                let mut values = values(&body)?.into_iter();
                let (name, number) = (values.next(), values.next());
                let name = name.as_ref().and_then(Value::as_str);
                let name = name.context("a command without a name")?.to_owned();
                self.commands.push(name.clone());
                return Ok(Some(Command {
                    name,
                    number: number.and_then(|number| number.as_f64()),
                    arguments: values.collect(),
                    stream,
                }));
            }
            _ => {}
        }
        Ok(None)
    }
}

const COMMAND: u8 = 20;

/// A command as it came.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: String,
    pub(crate) number: Option<f64>,
    pub(crate) arguments: Vec<Value>,
    pub(crate) stream: u32,
}

impl Command {
    /// An argument that is a string; the first is the command object.
    pub(crate) fn text(&self, index: usize) -> Result<&str> {
        let text = self.arguments.get(index).and_then(Value::as_str);
        text.with_context(|| format!("{}: argument {index} is no string", self.name))
    }
}

impl Entry {
    /// Changes the stream, and tells those who wait for something in it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Stream) -> T) -> Option<T> {
        let mut streams = self.streams.lock();
        let changed = streams.get_mut(self.index).map(change);
        self.streams.shared.news.notify_all();
        changed
    }

    /// Notes the end of the connection, and the error that it ended with.
    pub(crate) fn end(&self, result: Result<bool>) {
        let at = Instant::now();
        self.change(|stream| {
            let clean = *result.as_ref().unwrap_or(&false);
            stream.end = Some(End { at, clean });
            stream.problem = result.err().map(|error| format!("{error:#}"));
        });
    }
}

impl Streams {
    /// A connection that nothing has come by yet.
    pub(crate) fn open(&self) -> Entry {
        let mut streams = self.lock();
        streams.push(Stream::default());
        Entry {
            streams: self.clone(),
            index: streams.len() - 1,
        }
    }

    /// The only stream of that name, once its connection has ended.
    pub fn ended(&self, name: &str, deadline: Instant) -> Result<Stream> {
        let ended = self.wait(name, deadline, |stream| stream.end.is_some());
        let stream = ended.with_context(|| format!("the end of {name}"))?;
        let streams = self.lock();
        let count = streams.iter().filter(|stream| stream.name == name).count();
        ensure!(count == 1, "{name} was published {count} times");
        Ok(stream)
    }

    /// The first stream of that name, once something is true of it.
    pub fn wait(
        &self,
        name: &str,
        deadline: Instant,
        is: impl Fn(&Stream) -> bool,
    ) -> Result<Stream> {
        let mut streams = self.lock();
        loop {
            let first = streams.iter().find(|stream| stream.name == name);
            if let Some(stream) = first.filter(|stream| is(stream)) {
                return Ok(stream.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "not in time; so far {}", told(first));
            let woken = self.shared.news.wait_timeout(streams, left);
            streams = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stream>> {
        let streams = self.shared.streams.lock();
        streams.unwrap_or_else(PoisonError::into_inner)
    }
}

fn told(stream: Option<&Stream>) -> String {
    let Some(stream) = stream else {
        return "nothing".to_owned();
    };
    let (tags, commands) = (stream.tags.len(), &stream.commands);
    format!("{tags} tags, {commands:?}, {:?}", stream.problem)
}
