use rtmp::Handshake;

use crate::pieces::Pieces;

/// C0, C1 and C2, or S0, S1 and S2.
const ALL: usize = 1 + 1536 + 1536;

/// Both sides of the handshake: `[seed of the split, bytes…]`.
///
/// No more is answered than the protocol has; it is over when the peer has said all that it has to
/// say and not before, whatever the split, and what came after it comes out whole.
pub fn handshake(data: &[u8]) {
    let Some((&seed, bytes)) = data.split_first() else {
        return;
    };
    let Ok((client, _)) = Handshake::client() else {
        return;
    };
    for (mut side, answer) in [(Handshake::server(), ALL), (client, 1536)] {
        let mut answered = 0;
        let mut over = None;
        let mut taken = 0;
        for piece in Pieces::new(bytes, seed) {
            taken += piece.len();
            match side.process(piece) {
                Ok(progress) => {
                    answered += progress.reply.len();
                    if let Some(after) = progress.done {
                        assert_eq!(after, bytes.get(ALL..taken).unwrap_or_default());
                        over = Some(true);
                        break;
                    }
                }
                Err(_) => {
                    over = Some(false);
                    break;
                }
            }
        }
        assert!(answered <= answer, "{answered} bytes of answer");
        if over == Some(true) {
            assert!(taken >= ALL);
        } else {
            // What has the right version and is long enough is a handshake.
            assert!(bytes.first() != Some(&3) || bytes.len() < ALL || over == Some(false));
        }
        if over.is_some() {
            assert!(side.process(&[3]).is_err(), "it goes on after its end");
        }
    }
}
