//! A server that takes a stream from one user only, as Adobe's do: it refuses `connect`, says what it
//! wants to hear, and closes. Written from what encoders say to such servers, which log in to it in
//! these tests too.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use md5::{Digest as _, Md5};
use rtmp::amf0::{Decoder, Value, encode};
use rtmp::{ChunkReader, ChunkSize, ChunkStreamId, ChunkedMessage, Handshake, Limits, MessageType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::{Piece, scan, soon};

pub(crate) const USER: &str = "somebody";
pub(crate) const PASSWORD: &str = "pa%ss";
const SALT: &str = "AAQAAA==";
const CHALLENGE: &str = "vgoAAA==";

pub(crate) struct Adobe {
    pub(crate) address: SocketAddr,
    seen: mpsc::UnboundedReceiver<Seen>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    /// A `connect` was refused with a description that ends so.
    Refused(&'static str),
    /// One was taken.
    Connected {
        tc_url: String,
    },
    Publishing(String),
    Media(Piece),
    Closed,
}

impl Adobe {
    pub(crate) async fn new() -> Self {
        scan::know(PASSWORD);
        scan::know("pa%25ss");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (see, seen) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut connection = Connection::new(stream, see.clone());
                connection.serve().await;
                let _ = see.send(Seen::Closed);
            }
        });
        Self { address, seen }
    }

    /// Its URL for a user, who is written before the host as it stands.
    pub(crate) fn url(&self, user: &str) -> String {
        format!("rtmp://{user}{}/live", self.address)
    }

    pub(crate) async fn next(&mut self) -> Seen {
        soon(self.seen.recv()).await.unwrap()
    }

    /// Waits for an encoder that names itself, then proves itself, each on a connection of its own.
    pub(crate) async fn logs_in(&mut self, key: &str) {
        for said in [NAME_YOURSELF, PROVE_YOURSELF] {
            assert_eq!(self.next().await, Seen::Refused(said));
            assert_eq!(self.next().await, Seen::Closed);
        }
        let Seen::Connected { tc_url } = self.next().await else {
            panic!("it was not taken");
        };
        // The password goes over no wire, not even to the one who knows it.
        let bare = format!("rtmp://{}/live?authmod=adobe&user={USER}&", self.address);
        assert!(tc_url.starts_with(&bare), "{tc_url}");
        assert!(!tc_url.contains(PASSWORD), "{tc_url}");
        assert_eq!(self.next().await, Seen::Publishing(key.to_owned()));
    }

    pub(crate) async fn media(&mut self) -> Piece {
        match self.next().await {
            Seen::Media(piece) => piece,
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) const NAME_YOURSELF: &str = "code=403 need auth; authmod=adobe ] : ";
pub(crate) const PROVE_YOURSELF: &str = "?reason=needauth";
pub(crate) const NO_SUCH_USER: &str = "?reason=nosuchuser";
pub(crate) const WRONG_PASSWORD: &str = "?reason=authfailed";

struct Connection {
    stream: TcpStream,
    reader: ChunkReader,
    see: mpsc::UnboundedSender<Seen>,
}

impl Connection {
    fn new(stream: TcpStream, see: mpsc::UnboundedSender<Seen>) -> Self {
        Self {
            stream,
            reader: ChunkReader::new(Limits::default()),
            see,
        }
    }

    /// Until either side ends it.
    async fn serve(&mut self) -> Option<()> {
        let mut handshake = Handshake::server();
        let rest = loop {
            let mut bytes = [0; 4096];
            let read = self.stream.read(&mut bytes).await.ok().filter(|n| *n > 0)?;
            let progress = handshake.process(&bytes[..read]).unwrap();
            self.stream.write_all(&progress.reply).await.ok()?;
            if let Some(rest) = progress.done {
                break rest;
            }
        };
        self.reader.push(&rest);
        loop {
            while let Some(message) = self.reader.next_message().unwrap() {
                match message.kind {
                    MessageType::COMMAND_AMF0 => self.command(&message.payload).await?,
                    MessageType::AUDIO | MessageType::VIDEO | MessageType::DATA_AMF0 => {
                        let piece = (message.kind, message.timestamp, message.payload);
                        let _ = self.see.send(Seen::Media(piece));
                    }
                    _ => {}
                }
            }
            let read = self.stream.read_buf(self.reader.read_buf()).await;
            read.ok().filter(|n| *n > 0)?;
        }
    }

    async fn command(&mut self, payload: &[u8]) -> Option<()> {
        let mut decoder = Decoder::new(payload);
        let mut next = || decoder.next_value().unwrap();
        let (name, transaction, object) = (next()?, next()?, next()?);
        let name = name.as_str()?.to_owned();
        let transaction = transaction.as_number()?;
        match name.as_str() {
            "connect" => {
                let text = |name| object.get(name).unwrap().as_str().unwrap().to_owned();
                let (app, tc_url) = (text("app"), text("tcUrl"));
                let query = app.strip_prefix("live").unwrap();
                assert!(tc_url.ends_with(query), "{tc_url} is not about {app}");
                if let Err((said, description)) = judge(query) {
                    let info = info("error", "NetConnection.Connect.Rejected", &description);
                    self.say("_error", transaction, info).await?;
                    self.say("close", 0.0, Value::Null).await?;
                    let _ = self.see.send(Seen::Refused(said));
                    return None;
                }
                let info = info("status", "NetConnection.Connect.Success", "welcome");
                self.say("_result", transaction, info).await?;
                let _ = self.see.send(Seen::Connected { tc_url });
            }
            "createStream" => self.say("_result", transaction, Value::Number(1.0)).await?,
            "publish" => {
                let key = next()?.as_str()?.to_owned();
                let _ = self.see.send(Seen::Publishing(key));
                let info = info("status", "NetStream.Publish.Start", "go");
                self.say("onStatus", 0.0, info).await?;
            }
            _ => {}
        }
        Some(())
    }

    async fn say(&mut self, name: &str, transaction: f64, value: Value) -> Option<()> {
        let mut payload = Vec::new();
        for value in [
            Value::string(name),
            Value::Number(transaction),
            Value::Null,
            value,
        ] {
            encode(&value, &mut payload);
        }
        let message = ChunkedMessage::new(
            ChunkStreamId::COMMAND,
            u32::from(name == "onStatus"),
            MessageType::COMMAND_AMF0,
            0,
            Bytes::from(payload),
            ChunkSize::INITIAL,
        );
        let bytes = message.unwrap().to_bytes();
        self.stream.write_all(&bytes).await.ok()
    }
}

fn info(level: &str, code: &str, description: &str) -> Value {
    Value::object(
        [
            ("level", level),
            ("code", code),
            ("description", description),
        ]
        .map(|(name, text)| (name, Value::string(text))),
    )
}

/// What is wrong with what was said of the user: how it ends, and all of it.
fn judge(query: &str) -> Result<(), (&'static str, String)> {
    let refuse = |said: &'static str, more: &str| {
        let scheme = if said == NAME_YOURSELF {
            ""
        } else {
            "authmod=adobe ] : "
        };
        Err((
            said,
            format!("[ AccessManager.Reject ] : [ {scheme}{said}{more}"),
        ))
    };
    if query.is_empty() {
        return refuse(NAME_YOURSELF, "");
    }
    let value = |name: &str| {
        let pairs = query.trim_start_matches('?').split('&');
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find_map(|(key, value)| (key == name).then_some(value))
    };
    assert_eq!(value("authmod"), Some("adobe"));
    if value("user") != Some(USER) {
        return refuse(NO_SUCH_USER, "");
    }
    let Some(response) = value("response") else {
        let more = format!("&user={USER}&salt={SALT}&challenge={CHALLENGE}&opaque={CHALLENGE}");
        return refuse(PROVE_YOURSELF, &more);
    };
    assert_eq!(value("opaque"), Some(CHALLENGE));
    let hash = |text: String| STANDARD.encode(Md5::digest(text));
    let secret = hash(format!("{USER}{SALT}{PASSWORD}"));
    let own = value("challenge").unwrap();
    match response == hash(format!("{secret}{CHALLENGE}{own}")) {
        true => Ok(()),
        false => refuse(WRONG_PASSWORD, &format!("&opaque={CHALLENGE}")),
    }
}
