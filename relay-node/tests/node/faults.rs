//! What destinations do wrong, and by which reason it is known: rows of the fault matrix
//! (docs/reliability.md).

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{fs, io};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use relay_node::config::Source;
use relay_node::crypto;
use relay_node::registry::OutputStatus;
use rtmp::server::{ServerConfig, ServerEvent, ServerSession};
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::support::destination::Destination;
use crate::support::{KEY, Rig, Tls, config, group, headers};

/// How the second output stands, when it is as wanted, and how long that took.
async fn until(rig: &Rig, is_so: impl Fn(&OutputStatus) -> bool) -> (OutputStatus, Duration) {
    let began = Instant::now();
    let wait = async {
        loop {
            let status = rig.node.registry().status();
            if let Some(found) = status[0].outputs.get(1).filter(|output| is_so(output)) {
                return found.clone();
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let found = timeout(Duration::from_secs(30), wait).await;
    (found.expect("no such status"), began.elapsed())
}

fn has_failed(output: &OutputStatus) -> bool {
    matches!(output.state, "backoff" | "failed") && output.reason.is_some()
}

/// A steady destination, and a node that sends to it and to `url`, with an encoder on air.
async fn beside(
    url: String,
    tls: Tls,
    authority: Option<&str>,
) -> (Destination, Rig, crate::support::encoder::Encoder) {
    let mut steady = Destination::plain(1).await;
    let mut other = Destination::plain(2).await;
    other.url = url;
    let mut inputs = format!("[[input]]\nstream_key = \"{KEY}\"\n");
    for destination in [&steady, &other] {
        inputs += &format!(
            "[[input.output]]\nurl = \"{}\"\nstream_key = \"{}\"\n",
            destination.url, destination.key
        );
    }
    fs::write(tls.path("inputs.toml"), inputs).unwrap();
    let mut config = config(&tls, Source::File(tls.path("inputs.toml")));
    if let Some(authority) = authority {
        fs::write(tls.path("authority.pem"), authority).unwrap();
        config.ca_file = Some(tls.path("authority.pem"));
    }
    let rig = Rig::start(tls, &config).await;
    let mut encoder = rig.encoder(KEY).await.publishing().await;
    encoder.send(&headers()).await;
    encoder.send(&group(0)).await;
    steady.publishing().await;
    let begun = [headers(), group(0)].concat();
    assert!(steady.pieces(begun.len()).await == begun);
    (steady, rig, encoder)
}

/// Takes a stream as a server does, and says `first` in the place of an answer to `publish`, or
/// accepts and says `later` after so long.
#[derive(Clone, Copy)]
enum Says {
    First(&'static str, &'static str),
    Later(&'static str, &'static str, Duration),
    /// Nothing, and closes after so long.
    Closes(Duration),
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, says: Says) -> io::Result<()> {
    let mut session = ServerSession::new(ServerConfig::default(), Instant::now());
    let mut last_words = None;
    loop {
        while let Some(event) = session.poll_event() {
            if let ServerEvent::PublishRequested(_) = event {
                match says {
                    Says::First(name, code) => {
                        last_words = Some((said(name, code), Duration::ZERO));
                    }
                    Says::Later(name, code, after) => {
                        session.accept(Instant::now()).unwrap();
                        last_words = Some((said(name, code), after));
                    }
                    Says::Closes(after) => {
                        session.accept(Instant::now()).unwrap();
                        last_words = Some((Vec::new(), after));
                    }
                }
            }
        }
        while let Some(bytes) = session.poll_output() {
            stream.write_all(&bytes).await?;
        }
        stream.flush().await?;
        let read = stream.read_buf(session.read_buf());
        match &last_words {
            Some((words, after)) => match timeout(*after, drain(&mut stream)).await {
                Ok(ended) => return ended,
                Err(_) if words.is_empty() => return Ok(()),
                Err(_) => {
                    stream.write_all(words).await?;
                    stream.flush().await?;
                    return drain(&mut stream).await;
                }
            },
            None if read.await? == 0 => return Ok(()),
            None => session.process(Instant::now()).unwrap(),
        }
    }
}

/// Reads to the end.
async fn drain(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut sink = vec![0; 64 * 1024];
    while stream.read(&mut sink).await? > 0 {}
    Ok(())
}

/// A message by hand: `name` with an information object, short enough for one chunk.
fn said(name: &str, code: &str) -> Vec<u8> {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let body = [
        &[2][..],
        &text(name),
        // Of no call, and no command object.
        &[0, 0, 0, 0, 0, 0, 0, 0, 0, 5],
        &[3],
        &text("level"),
        &[2],
        &text("error"),
        &text("code"),
        &[2],
        &text(code),
        &[0, 0, 9],
    ]
    .concat();
    assert!(body.len() <= 128, "it does not fit one chunk");
    let length = body.len() as u8;
    [&[5, 0, 0, 0, 0, 0, length, 20, 1, 0, 0, 0][..], &body].concat()
}

/// A server on a port of its own.
async fn server<F: Future<Output = io::Result<()>> + Send>(
    serve: impl Fn(TcpStream) -> F + Send + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // The node may leave whenever it likes.
            let _ = serve(stream).await;
        }
    });
    port
}

/// Row 1: a destination accepts TCP and never answers.
#[tokio::test]
async fn a_mute_destination_is_given_up_by_its_name_and_nobody_waits_for_it() {
    let port = server(|stream| async move {
        let (mut read, _write) = stream.into_split();
        drain(&mut read).await
    })
    .await;
    let url = format!("rtmp://127.0.0.1:{port}/live");
    let (mut steady, rig, mut encoder) = beside(url, Tls::new(), None).await;
    let given_up = until(&rig, has_failed);
    let goes_on = async {
        for number in 1.. {
            encoder.send(&group(number)).await;
            assert!(steady.pieces(group(number).len()).await == group(number));
            // In real time.
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (failed, took) = tokio::select! {
        given_up = given_up => given_up,
        () = goes_on => unreachable!("it never ends"),
    };
    assert_eq!(
        (failed.state, failed.reason),
        ("backoff", Some("handshake_timeout"))
    );
    assert!(took < Duration::from_secs(11), "after {took:?}");
    eprintln!("given up after {took:?}");
    assert_eq!(rig.node.registry().status()[0].outputs[0].skipped_ms, 0);
}

/// Row 3: what destinations say, before and after they have taken a stream.
#[tokio::test]
async fn each_refusal_has_its_reason() {
    let late = Duration::from_secs(10);
    let cases = [
        (
            Says::First("onStatus", "NetStream.Publish.BadName"),
            "bad_name",
        ),
        (
            Says::First("onStatus", "NetStream.Publish.Denied"),
            "rejected",
        ),
        (
            Says::First("onStatus", "NetStream.Publish.Rejected"),
            "rejected",
        ),
        (
            Says::First("onStatus", "NetConnection.Connect.InvalidApp"),
            "rejected",
        ),
        (
            Says::First("_error", "NetConnection.Call.Failed"),
            "rejected",
        ),
        (
            Says::Later("_error", "NetStream.Publish.Failed", late),
            "rejected",
        ),
        (
            Says::Later("onStatus", "NetStream.Publish.BadName", late),
            "bad_name",
        ),
        (Says::Closes(Duration::from_millis(200)), "closed_by_peer"),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (says, reason) in cases {
        running.spawn(async move {
            let port = server(move |stream| serve(stream, says)).await;
            let url = format!("rtmp://127.0.0.1:{port}/live");
            let (mut steady, rig, mut encoder) = beside(url, Tls::new(), None).await;
            let (failed, _) = until(&rig, has_failed).await;
            assert_eq!(failed.reason, Some(reason));
            let words = failed.message.unwrap_or_default();
            if let Says::First(_, code) | Says::Later(_, code, _) = says {
                assert!(words.contains(code), "{words}");
            }
            encoder.send(&group(1)).await;
            assert!(steady.pieces(group(1).len()).await == group(1));
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

/// An authority, and servers by its certificates.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    fn acceptor(
        &self,
        name: &str,
        expired: bool,
        versions: &[&'static SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2020, 2, 1);
        }
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let config = rustls::ServerConfig::builder_with_provider(crypto::provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
            )
            .unwrap();
        Arc::new(config).into()
    }
}

/// Row 6: certificates, versions, and ways to begin and to end.
#[tokio::test]
async fn each_trouble_with_tls_has_its_reason_and_what_is_only_slow_works() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("a stranger"));
    let newest = [&TLS13, &TLS12];
    let soon = Duration::ZERO;
    let stays = Says::Later("onStatus", "late", Duration::from_secs(3600));
    let cut = Says::Closes(Duration::from_millis(200));
    let cases = [
        (
            authority.acceptor("example.org", false, &newest),
            soon,
            stays,
            Err(("tls_certificate", "another name")),
        ),
        (
            authority.acceptor("localhost", true, &newest),
            soon,
            stays,
            Err(("tls_certificate", "expired")),
        ),
        (
            stranger.acceptor("localhost", false, &newest),
            soon,
            stays,
            Err(("tls_certificate", "authority")),
        ),
        (
            authority.acceptor("localhost", false, &[&TLS12]),
            soon,
            stays,
            Ok(()),
        ),
        (
            authority.acceptor("localhost", false, &newest),
            Duration::from_secs(3),
            stays,
            Ok(()),
        ),
        // Without close_notify, which looks like an attack.
        (
            authority.acceptor("localhost", false, &newest),
            soon,
            cut,
            Err(("closed_by_peer", "")),
        ),
    ];
    for (acceptor, delay, says, expected) in cases {
        let port = server(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                sleep(delay).await;
                serve(acceptor.accept(stream).await?, says).await
            }
        })
        .await;
        let url = format!("rtmps://localhost:{port}/live");
        let (_steady, rig, _encoder) = beside(url, Tls::new(), Some(&authority.pem)).await;
        match expected {
            Ok(()) => {
                until(&rig, |output| output.state == "live").await;
            }
            Err((reason, words)) => {
                let (failed, _) = until(&rig, has_failed).await;
                assert_eq!(failed.reason, Some(reason));
                let message = failed.message.unwrap_or_default();
                assert!(message.contains(words), "{message}");
            }
        }
    }
}
