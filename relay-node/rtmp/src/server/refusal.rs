use std::fmt;

use crate::command::{Level, Status};

/// The status code of [`Refusal::Loop`], which no other server sends.
pub const LOOP: &str = "NetConnection.Connect.Loop";

/// Why an encoder may not publish, or no longer.
///
/// Each has a sentence that a person reads in the encoder's log or window, and an RTMP code that
/// the encoder acts on. The codes are chosen by what OBS and FFmpeg do with them:
///
/// - FFmpeg ends on any status of level `error`, and prints the sentence.
/// - OBS's librtmp logs the sentence of `NetStream.Publish.Denied`, `.Rejected` and
///   `NetStream.Failed`, and of `.BadName` only in newer versions. It treats all of them alike: the
///   code does not decide whether OBS tries again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// The application is not the one that we serve.
    WrongApplication,
    /// The encoder is an output of this same system.
    Loop,
    /// The encoder gave no stream key.
    EmptyKey,
    /// No live input has this key.
    UnknownKey,
    /// The live input is switched off.
    Disabled,
    /// The live input was deleted.
    Deleted,
    /// The stream key was replaced by another, and is good no more.
    KeyReplaced,
    /// Another encoder came with the same key; the newest wins.
    Replaced,
    /// Another encoder is on air, and the live input takes no second one.
    Occupied,
    /// Another encoder is on air that took this one's place, or the like, a moment ago: two that
    /// each connect again would fight for ever.
    Contested,
    /// The encoder sends more bits a second than it may.
    TooFast,
    /// The encoder sends more messages a second than it may.
    TooManyMessages,
    /// From this address came too many keys that no live input has.
    TooManyWrongKeys,
    /// As many encoders publish here as may.
    Full,
    /// As many encoders publish from this address as may.
    FullForAddress,
    /// The encoder had not begun to publish when its place was needed for another.
    Displaced,
    /// The account has as many live inputs on air, or sends as much, as it may.
    AccountLimit,
    /// The control plane can't be asked whether the key is good.
    ///
    /// `NetStream.Failed` and not `NetStream.Publish.Denied`: nothing is wrong with the key, so an
    /// encoder that tells the two apart must keep it and try again, and a person must not go and
    /// change it. The connection is closed, rather than held until the control plane answers,
    /// since an encoder that waits shows "connecting" and no reason.
    TryAgain,
    /// The same, and the node has not seen the key before, so that it cannot be honoured meanwhile.
    ControlUnreachable,
    /// This node stops; another one, or its next process, takes the stream.
    ShuttingDown,
    /// The peer asked to play a stream.
    PlaybackNotServed,
}

impl Refusal {
    /// The RTMP status code.
    pub fn code(self) -> &'static str {
        match self {
            Self::WrongApplication => "NetConnection.Connect.InvalidApp",
            Self::Loop => LOOP,
            Self::EmptyKey
            | Self::UnknownKey
            | Self::Disabled
            | Self::Deleted
            | Self::KeyReplaced => "NetStream.Publish.Denied",
            Self::Replaced
            | Self::Occupied
            | Self::Contested
            | Self::TooFast
            | Self::AccountLimit
            | Self::TooManyMessages
            | Self::FullForAddress => "NetStream.Publish.Rejected",
            Self::TryAgain
            | Self::ControlUnreachable
            | Self::ShuttingDown
            | Self::TooManyWrongKeys
            | Self::Full
            | Self::Displaced => "NetStream.Failed",
            Self::PlaybackNotServed => "NetStream.Play.Failed",
        }
    }

    /// A word for logs and metrics, which stays what it is.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WrongApplication => "wrong_application",
            Self::Loop => "loop",
            Self::EmptyKey => "empty_key",
            Self::UnknownKey => "unknown_key",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
            Self::KeyReplaced => "key_replaced",
            Self::Replaced => "replaced",
            Self::Occupied => "occupied",
            Self::Contested => "contested",
            Self::TooFast => "too_fast",
            Self::AccountLimit => "account_limit",
            Self::TooManyMessages => "too_many_messages",
            Self::TooManyWrongKeys => "too_many_wrong_keys",
            Self::Full => "full",
            Self::FullForAddress => "full_for_address",
            Self::Displaced => "displaced",
            Self::TryAgain => "try_again",
            Self::ControlUnreachable => "control_unreachable",
            Self::ShuttingDown => "shutting_down",
            Self::PlaybackNotServed => "playback_not_served",
        }
    }

    /// A sentence for the person at the encoder. Under 200 bytes: FFmpeg cuts at 256.
    pub fn description(self) -> &'static str {
        match self {
            Self::WrongApplication => {
                "This server has no such application: the server URL must end in /live/, and the \
                 stream key goes in its own field or follows it."
            }
            Self::Loop => {
                "This is an output of the system that this server belongs to: the feed would go in \
                 a circle."
            }
            Self::EmptyKey => "The stream key is missing: copy it from the live input.",
            Self::UnknownKey => {
                "No live input has this stream key: copy it from the live input once more."
            }
            Self::Disabled => {
                "This live input is disabled: enable it, then start the stream again."
            }
            Self::Deleted => "This live input was deleted: create another one and use its key.",
            Self::KeyReplaced => {
                "This stream key was replaced: copy the new one from the live input."
            }
            Self::Replaced => {
                "Another encoder started to publish with this stream key, and took this one's place."
            }
            Self::Occupied => {
                "Another encoder is streaming with this stream key, and the live input takes no \
                 second one: stop the other one first."
            }
            Self::Contested => {
                "Another encoder started with this stream key a moment ago, from another address: \
                 stop one of them, or try again in half a minute."
            }
            Self::TooFast => {
                "This stream has more bitrate than this server takes: lower it in the encoder's \
                 output settings."
            }
            Self::TooManyMessages => {
                "This stream has more frames and other messages a second than this server takes."
            }
            Self::TooManyWrongKeys => {
                "Too many wrong stream keys came from this address: check the key, and try again \
                 in a minute."
            }
            Self::Full => {
                "This server has no room for another encoder: try again in a minute, or at another \
                 server."
            }
            Self::FullForAddress => {
                "Too many encoders publish to this server from this address: stop one of them first."
            }
            Self::Displaced => "This server has many connections to answer: connect again.",
            Self::AccountLimit => {
                "This account has as many streams on air, or sends as much, as it may: stop another \
                 one, or ask for more."
            }
            Self::TryAgain => {
                "The stream key can't be checked at the moment. Nothing is wrong with it: try again."
            }
            Self::ControlUnreachable => {
                "This server cannot reach its control plane to check the stream key, and has not \
                 seen this key before: try again in a minute."
            }
            Self::ShuttingDown => "This server is being restarted: connect again.",
            Self::PlaybackNotServed => {
                "Streams can't be played from this server, only published to it."
            }
        }
    }

    pub(super) fn status(self) -> Status<'static> {
        Status {
            level: Level::Error,
            code: self.code(),
            description: self.description(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const ALL: [Refusal; 20] = [
        Refusal::WrongApplication,
        Refusal::EmptyKey,
        Refusal::UnknownKey,
        Refusal::Disabled,
        Refusal::Deleted,
        Refusal::KeyReplaced,
        Refusal::Replaced,
        Refusal::Occupied,
        Refusal::Contested,
        Refusal::TooFast,
        Refusal::TooManyMessages,
        Refusal::TooManyWrongKeys,
        Refusal::Full,
        Refusal::FullForAddress,
        Refusal::Displaced,
        Refusal::AccountLimit,
        Refusal::TryAgain,
        Refusal::ControlUnreachable,
        Refusal::ShuttingDown,
        Refusal::PlaybackNotServed,
    ];

    #[test]
    fn each_has_its_own_sentence_that_encoders_can_show() {
        let sentences: BTreeSet<_> = ALL.iter().map(|refusal| refusal.description()).collect();
        assert_eq!(sentences.len(), ALL.len());
        let words: BTreeSet<_> = ALL.iter().map(|refusal| refusal.as_str()).collect();
        assert_eq!(words.len(), ALL.len());
        for sentence in sentences {
            assert!(sentence.len() < 200 && sentence.is_ascii(), "{sentence}");
            // librtmp and FFmpeg look for these words, and would ask for a password.
            assert!(
                !sentence.contains("code=403") && !sentence.contains("authmod"),
                "{sentence}"
            );
        }
    }

    #[test]
    fn obs_logs_the_sentence_of_every_code() {
        // Those that the librtmp in old and new versions of it takes for an end with a reason.
        const KNOWN: [&str; 5] = [
            "NetStream.Failed",
            "NetStream.Play.Failed",
            "NetConnection.Connect.InvalidApp",
            "NetStream.Publish.Rejected",
            "NetStream.Publish.Denied",
        ];
        for refusal in ALL {
            assert!(KNOWN.contains(&refusal.code()), "{refusal:?}");
        }
    }
}
