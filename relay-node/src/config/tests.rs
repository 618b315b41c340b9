use clap::Parser;
use rtmp::server::ServerConfig;
use rtmp::{Limits, amf0};

use super::*;
use crate::ingest::{Places, WrongKeys};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    flags: Written,
}

const EVERY_KEY: &str = r#"
node = "fra-1"
[rtmps]
listen = ["127.0.0.1:8443", "[::1]:8443"]
certificate = "cert.pem"
private_key = "/etc/key.pem"
[rtmp]
listen = "127.0.0.1:1935"
[ingest]
max_bitrate_kbps = 20000
max_pending = 500
max_pending_per_address = 50
max_publishers = 100
max_publishers_per_address = 10
publish_within_s = 20
idle_s = 40
max_message_kib = 4096
max_unfinished_kib = 6144
max_chunk_streams = 32
max_amf_depth = 8
max_amf_values = 1000
max_messages_per_second = 2000
wrong_keys_at_once = 5
wrong_key_every_s = 30
wrong_key_remembered_s = 20
[control]
url = "http://127.0.0.1:8780"
token_file = "token"
key_cache_hours = 48
[state]
directory = "state"
[admin]
listen = "127.0.0.1:8782"
[outputs]
ca_file = "extra-ca.pem"
allow = ["10.0.0.0/8", "fd00::/8"]
allow_loopback = true
allow_ports = ["25", "6000-6063"]
nodes = ["198.51.100.0/24"]
gather = 50
[media]
memory_mib = 512
[accounts]
inputs = 20
outputs = 200
mbps = 800
[log]
level = "debug"
format = "json"
"#;

const EVERY_FLAG: [&str; 38] = [
    "--node=ams-1",
    "--rtmps-listen=127.0.0.2:1,127.0.0.2:2",
    "--rtmps-certificate=c",
    "--rtmps-private-key=k",
    "--rtmp-listen=127.0.0.2:3",
    "--ingest-max-bitrate-kbps=1",
    "--ingest-max-pending=1",
    "--ingest-max-pending-per-address=1",
    "--ingest-max-publishers=1",
    "--ingest-max-publishers-per-address=1",
    "--ingest-publish-within-s=1",
    "--ingest-idle-s=1",
    "--ingest-max-message-kib=64",
    "--ingest-max-unfinished-kib=128",
    "--ingest-max-chunk-streams=8",
    "--ingest-max-amf-depth=4",
    "--ingest-max-amf-values=64",
    "--ingest-max-messages-per-second=100",
    "--ingest-wrong-keys-at-once=1",
    "--ingest-wrong-key-every-s=1",
    "--ingest-wrong-key-remembered-s=1",
    "--control-url=https://control.example/",
    "--control-token-file=t",
    "--control-key-cache-hours=0",
    "--state-directory=s",
    "--admin-listen=127.0.0.2:4",
    "--outputs-ca-file=a",
    "--outputs-allow=192.168.0.0/16,fd01::/16",
    "--outputs-allow-loopback=false",
    "--outputs-allow-ports=25,8086",
    "--outputs-nodes=198.51.100.7/32",
    "--outputs-gather=0",
    "--media-memory-mib=256",
    "--accounts-inputs=1",
    "--accounts-outputs=2",
    "--accounts-mbps=3",
    "--log-level=trace",
    "--log-format=text",
];

fn flags<const N: usize>(flags: [&str; N]) -> Written {
    Line::parse_from(["relay-node"].into_iter().chain(flags)).flags
}

fn file(text: &str) -> Written {
    toml::from_str(text).unwrap()
}

#[test]
fn cli_does_not_clobber_toml() {
    assert_eq!(flags([]), Written::default());
    assert_eq!(flags([]).over(file(EVERY_KEY)), file(EVERY_KEY));
}

#[test]
fn cli_wins_where_it_speaks() {
    let every = flags(EVERY_FLAG);
    assert_eq!(every.clone().over(file(EVERY_KEY)), every);
    let level = flags(["--log-level=trace"]).over(file(EVERY_KEY));
    assert_eq!(level.log.level, Some(LogLevel::Trace));
    assert_eq!(level.log.format, Some(LogFormat::Json));
    assert_eq!(level.node, file(EVERY_KEY).node);
    assert_eq!(
        flags(["--outputs-allow-loopback"]).outputs.allow_loopback,
        Some(true)
    );
}

#[test]
fn messages_are_gathered_for_so_long_and_no_longer() {
    for (text, is_right) in [("0", true), ("100", true), ("101", false), ("-1", false)] {
        let in_file = toml::from_str::<Written>(&format!("[outputs]\ngather = {text}"));
        let flag = format!("--outputs-gather={text}");
        let in_flag = Line::try_parse_from(["relay-node", &flag]);
        assert_eq!(
            (in_file.is_ok(), in_flag.is_ok()),
            (is_right, is_right),
            "{text}"
        );
    }
}

#[test]
fn what_encoders_may_have_is_all_of_it_configured() {
    let complete = |written| Config::complete(written, None).unwrap().bounds;
    let bounds = complete(file(EVERY_KEY));
    let expected = Bounds {
        places: Places {
            pending: 500,
            pending_of_origin: 50,
            publishers: 100,
            publishers_of_origin: 10,
        },
        wrong_keys: WrongKeys {
            remembered: Duration::from_secs(20),
            burst: 5,
            every: Duration::from_secs(30),
        },
        session: ServerConfig {
            limits: Limits {
                max_message: 4 << 20,
                max_partial_bytes: 6 << 20,
                max_chunk_streams: 32,
                ..Limits::default()
            },
            amf0: amf0::Bounds {
                depth: 8,
                values: 1000,
            },
            request_timeout: Duration::from_secs(20),
            idle_timeout: Duration::from_secs(40),
            messages_per_second: 2000,
            ..ServerConfig::default()
        },
    };
    assert_eq!(bounds, expected);
    let mut written = file(EVERY_KEY);
    written.ingest = Ingest::default();
    assert_eq!(complete(written), Bounds::default());
    // What is unfinished may be the longest message.
    let mut written = file(EVERY_KEY);
    written.ingest = toml::from_str("max_message_kib = 4096\nmax_unfinished_kib = 128").unwrap();
    assert_eq!(complete(written).session.limits.max_partial_bytes, 4 << 20);
}

#[test]
fn numbers_are_within_their_bounds() {
    for (number, is_right) in [(3, false), (4, true), (16, true), (17, false)] {
        let in_file = toml::from_str::<Ingest>(&format!("max_amf_depth = {number}"));
        let flag = format!("--ingest-max-amf-depth={number}");
        let in_flag = Line::try_parse_from(["relay-node", &flag]);
        assert_eq!((in_file.is_ok(), in_flag.is_ok()), (is_right, is_right));
    }
    let wrong = toml::from_str::<Ingest>("max_amf_depth = 17").unwrap_err();
    assert!(wrong.to_string().contains("from 4 to 16"), "{wrong}");
}

#[test]
fn paths_are_relative_to_the_file() {
    let written = file(EVERY_KEY).relative_to(Path::new("/etc/relay"));
    assert_eq!(
        written.rtmps.certificate.unwrap(),
        Path::new("/etc/relay/cert.pem")
    );
    assert_eq!(
        written.rtmps.private_key.unwrap(),
        Path::new("/etc/key.pem")
    );
    assert_eq!(
        written.control.token_file.unwrap(),
        Path::new("/etc/relay/token")
    );
    assert_eq!(
        written.state.directory.unwrap(),
        Path::new("/etc/relay/state")
    );
    assert_eq!(
        written.outputs.ca_file.unwrap(),
        Path::new("/etc/relay/extra-ca.pem")
    );
}

#[test]
fn wrong_keys_are_named_with_their_line() {
    for (text, line, column, key) in [
        ("nod = \"a\"\n", 1, 1, "nod"),
        (
            "node = \"a\"\n\n[rtmps]\n  certificat = \"c\"\n",
            4,
            3,
            "certificat",
        ),
        ("node = \"a\"\n[rtmpz]\n", 2, 2, "rtmpz"),
        ("[control]\ntoken = \"hunter2\"\n", 2, 1, "token"),
        ("[log]\nlevel = \"loud\"\n", 2, 9, "loud"),
        ("[rtmps]\nlisten = []\n", 2, 10, "array"),
        ("[rtmps]\nlisten = \"443\"\n", 2, 10, "port"),
        ("[rtmp]\n", 1, 1, "listen"),
        ("[ingest]\nmax_bitrate_kbps = 0\n", 2, 20, "nonzero"),
        ("node = \"A b\"\n", 1, 8, "a-z"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("relay.toml");
        fs::write(&path, text).unwrap();
        let Err(ConfigError::Mistake { error, .. }) =
            Config::load(Some(&path), Written::default(), None)
        else {
            panic!("{text} passes");
        };
        assert_eq!(
            (error.line, error.column),
            (line, column),
            "{text}: {error}"
        );
        assert!(error.message.contains(key), "{text}: {error}");
        assert!(!error.message.contains("hunter2"), "{error}");
    }
}

#[test]
fn defaults_fill_what_is_absent() {
    let config = Config::complete(
        file(
            "node = \"a\"\n[rtmps]\ncertificate = \"c\"\nprivate_key = \"k\"\n\
             [control]\nurl = \"https://control.example\"",
        ),
        None,
    )
    .unwrap();
    assert_eq!(config.rtmps.unwrap().listen, ["[::]:443".parse().unwrap()]);
    assert!(config.rtmp.is_empty());
    assert_eq!(config.destinations, AddressPolicy::default());
    assert_eq!(config.max_bitrate, None);
    assert_eq!(config.admin, "127.0.0.1:8781".parse().unwrap());
    assert_eq!(config.gather.duration().as_millis(), 20);
    assert_eq!(config.media_memory, 1024 * 1024 * 1024);
    assert_eq!(
        (config.log_level, config.log_format),
        (LogLevel::Info, LogFormat::Text)
    );
}

#[test]
fn destinations_may_be_where_the_operator_allows() {
    let judge = |outputs: &str, address: &str| {
        let text = format!("[rtmp]\nlisten = \"127.0.0.1:0\"\n[outputs]\n{outputs}");
        let config = Config::complete(file(&text), Some("inputs.toml".into())).unwrap();
        config.destinations.judge(address.parse().unwrap()).is_ok()
    };
    let (private, loopback) = ("allow = [\"10.0.0.0/8\"]", "allow_loopback = true");
    assert!(!judge("", "10.1.1.1") && !judge("", "127.0.0.1"));
    assert!(judge(private, "10.1.1.1") && !judge(private, "127.0.0.1"));
    assert!(!judge(loopback, "10.1.1.1") && judge(loopback, "127.0.0.1"));
    assert!(toml::from_str::<Written>("[outputs]\nallow = [\"10.0.0.1/8\"]").is_err());
}

#[test]
fn destinations_may_have_the_ports_that_the_operator_allows() {
    let judge = |outputs: &str, port| {
        let text = format!("[rtmp]\nlisten = \"127.0.0.1:0\"\n[outputs]\n{outputs}");
        let config = Config::complete(file(&text), Some("inputs.toml".into())).unwrap();
        config.destinations.judge_port(port).is_ok()
    };
    let allowed = "allow_ports = [\"25\", \"6000-6001\"]";
    for port in [25, 6000, 6001] {
        assert!(!judge("", port) && judge(allowed, port), "{port}");
    }
    assert!(!judge(allowed, 26) && judge("", 1935));
    assert!(toml::from_str::<Written>("[outputs]\nallow_ports = [\"0\"]").is_err());
}

#[test]
fn bitrates_are_written_in_kilobits_and_counted_in_bits() {
    let config = |kbps| {
        let text =
            format!("[rtmp]\nlisten = \"127.0.0.1:1935\"\n[ingest]\nmax_bitrate_kbps = {kbps}\n");
        Config::complete(file(&text), Some("inputs.toml".into())).unwrap()
    };
    assert_eq!(config(12_000).max_bitrate, Some(12_000_000));
    assert_eq!(config(u32::MAX).max_bitrate, Some(4_294_967_295_000));
}

#[test]
fn what_is_missing_is_named() {
    let complete = |text: &str| Config::complete(file(text), None).unwrap_err();
    assert_eq!(complete(""), Incomplete::Listener);
    assert_eq!(
        complete("[rtmps]\nprivate_key = \"k\""),
        Incomplete::Certificate
    );
    assert_eq!(
        complete("[rtmps]\ncertificate = \"c\""),
        Incomplete::PrivateKey
    );
    let listening = "[rtmp]\nlisten = \"127.0.0.1:1935\"\n";
    assert_eq!(complete(listening), Incomplete::Control);
    let with_url = |url| format!("{listening}[control]\nurl = \"{url}\"");
    assert_eq!(complete(&with_url("ftp://a")), Incomplete::ControlScheme);
    assert_eq!(complete(&with_url("https://a")), Incomplete::Node);
}

#[test]
fn a_file_of_inputs_replaces_the_control_plane() {
    let config = Config::complete(
        flags(["--rtmp-listen=127.0.0.1:1935"]),
        Some("inputs.toml".into()),
    )
    .unwrap();
    assert_eq!(config.source, Source::File("inputs.toml".into()));
    assert_eq!(config.node.as_str(), "static");
}

#[test]
fn the_shipped_example_is_right() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/relay-node.toml");
    let as_shipped = Config::load(Some(&example), Written::default(), None);
    assert!(as_shipped.is_ok(), "{as_shipped:?}");

    // Each key that is commented out must be right too.
    let text = fs::read_to_string(&example).unwrap();
    let everything: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(key) if !key.starts_with([' ', '#']) => key,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let written = file(&everything);
    let Written {
        node,
        rtmps,
        rtmp,
        ingest,
        control,
        state,
        admin,
        outputs,
        media,
        hand_over,
        accounts,
        log,
    } = written;
    assert!(control.key_cache_hours.is_some() && state.directory.is_some());
    assert!(node.is_some() && rtmps.listen.is_some() && rtmp.listen.is_some());
    assert!(rtmps.certificate.is_some() && rtmps.private_key.is_some());
    assert!(ingest.max_bitrate_kbps.is_some());
    assert!(control.url.is_some() && control.token_file.is_some() && admin.listen.is_some());
    assert!(outputs.ca_file.is_some() && outputs.allow_loopback.is_some());
    assert!(outputs.allow.is_some() && outputs.allow_ports.is_some());
    assert!(outputs.nodes.is_some());
    assert_eq!(outputs.gather, Some(Gather::default()));
    assert!(media.memory_mib.is_some());
    assert!(hand_over.socket.is_some() && hand_over.max_minutes == Some(1440));
    assert!(accounts.inputs.is_some() && accounts.outputs.is_some() && accounts.mbps.is_some());
    assert!(log.level.is_some() && log.format.is_some());
}
