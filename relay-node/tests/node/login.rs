//! Destinations that want a user name and a password.

use std::process::{Command, Output};

use rtmp::MessageType;
use shared::id::OutputUid;
use shared::link::{OutputChange, OutputState, Target, WantedOutput, What, Wish};
use shared::secret::Secret;

use crate::support::adobe::{
    Adobe, NAME_YOURSELF, NO_SUCH_USER, PASSWORD, PROVE_YOURSELF, Seen, USER, WRONG_PASSWORD,
};
use crate::support::control::Controlled;
use crate::support::{group, headers, soon};

/// A second of FFmpeg's, which takes user name and password as they stand.
async fn ffmpeg(url: String) -> Output {
    let source = "testsrc=duration=1:size=64x64:rate=10";
    let arguments = [
        "-v", "error", "-f", "lavfi", "-i", source, "-c:v", "flv1", "-f", "flv", &url,
    ];
    run("ffmpeg", &arguments).await
}

/// A second of GStreamer's `rtmp2sink`, which has an RTMP of its own. (Its other one, librtmp, writes
/// beyond its memory when it makes a proof, as Debian builds it.)
async fn rtmp2sink(server: &Adobe) -> Output {
    let location = format!("location={}/key", server.url(""));
    let (user, password) = (format!("username={USER}"), format!("password={PASSWORD}"));
    let source = ["-q", "audiotestsrc", "num-buffers=40", "!", "mulawenc"];
    let sink = ["!", "flvmux", "!", "rtmp2sink", &location, &user, &password];
    run("gst-launch-1.0", &[&source[..], &sink].concat()).await
}

async fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(arguments);
    let ended = tokio::task::spawn_blocking(move || command.output());
    soon(ended).await.unwrap().unwrap()
}

async fn took(server: &mut Adobe, output: &Output) {
    assert!(output.status.success(), "{output:?}");
    server.logs_in("key").await;
    while server.media().await.0 == MessageType::DATA_AMF0 {}
}

#[tokio::test]
async fn ffmpeg_logs_in_to_the_server_of_these_tests() {
    let mut server = Adobe::new().await;
    let url = server.url(&format!("{USER}:{PASSWORD}@"));
    let output = ffmpeg(format!("{url}/key")).await;
    took(&mut server, &output).await;

    let mut server = Adobe::new().await;
    let url = server.url(&format!("{USER}:wrong@"));
    assert!(!ffmpeg(format!("{url}/key")).await.status.success());
    for said in [NAME_YOURSELF, PROVE_YOURSELF, WRONG_PASSWORD] {
        assert_eq!(server.next().await, Seen::Refused(said));
        assert_eq!(server.next().await, Seen::Closed);
    }
}

#[tokio::test]
async fn gstreamer_logs_in_to_the_server_of_these_tests() {
    let mut server = Adobe::new().await;
    let output = rtmp2sink(&server).await;
    took(&mut server, &output).await;
}

/// Relay to that URL.
fn to(url: &str) -> Wish {
    Wish::relay(vec![WantedOutput {
        uid: OutputUid::from_random([1; 16]),
        enabled: true,
        retry: 0,
        target: Target::Rtmp {
            url: Secret::new(url),
            stream_key: Secret::new("key"),
        },
    }])
}

fn output(what: What) -> Option<OutputChange> {
    match what {
        What::Output(change) => Some(change),
        _ => None,
    }
}

#[tokio::test]
async fn an_output_logs_in_as_the_user_in_its_url() {
    let mut server = Adobe::new().await;
    let mut node = Controlled::new().await;
    let wish = to(&server.url("somebody:pa%25ss@"));
    let mut encoder = node.publish(0, wish).await;
    let sent = [headers(), group(0)].concat();
    encoder.send(&sent).await;
    server.logs_in("key").await;
    for piece in &sent {
        assert!(server.media().await == *piece);
    }
    // That it was asked twice is no failure, and nothing that a person is told.
    for state in [OutputState::Connecting, OutputState::Live] {
        let told = node.until(output).await;
        assert_eq!((told.state, told.reason, told.attempts), (state, None, 0));
    }
    for secret in [USER, PASSWORD, "pa%25ss"] {
        assert!(!node.said.contains(secret), "{}", node.said);
    }
}

#[tokio::test]
async fn who_is_not_let_in_is_told_what_to_change() {
    for (user, asked, reason, says) in [
        (
            "",
            &[NAME_YOURSELF][..],
            "auth_required",
            "wants a user name",
        ),
        (
            "nobody:pass@",
            &[NAME_YOURSELF, NO_SUCH_USER],
            "auth_failed",
            "does not accept",
        ),
        (
            "somebody:wrong@",
            &[NAME_YOURSELF, PROVE_YOURSELF, WRONG_PASSWORD],
            "auth_failed",
            "does not accept",
        ),
    ] {
        let mut server = Adobe::new().await;
        let mut node = Controlled::new().await;
        let _encoder = node.publish(0, to(&server.url(user))).await;
        for said in asked {
            assert_eq!(server.next().await, Seen::Refused(said));
            assert_eq!(server.next().await, Seen::Closed);
        }
        let told = node.until(output).await;
        assert_eq!(told.state, OutputState::Connecting);
        let told = node.until(output).await;
        assert_eq!((told.state, told.attempts), (OutputState::Failed, 1));
        assert_eq!(told.reason.as_deref(), Some(reason));
        assert!(told.message.unwrap().contains(says));
    }
}
