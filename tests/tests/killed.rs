//! Processes that vanish: what they had acknowledged, and how soon the next one does their work.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use system_tests::api::{self, Api};
use system_tests::encoder::Source;
use system_tests::process;
use system_tests::secrets::output_key;
use system_tests::shared::Shared;
use system_tests::wait;

static SHARED: Shared = Shared::new();

/// `dev` notices a death, starts the part again, and the part answers: wrangler takes seconds.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// From the start of FFmpeg until outputs publish.
const ON_AIR_WITHIN: Duration = Duration::from_secs(10);

/// Promised: from the encoder's start to its being taken, by a node that has just started.
const TAKEN_WITHIN: Duration = Duration::from_secs(2);

/// Promised: from there until every output is live.
const LIVE_WITHIN: Duration = Duration::from_secs(3);

/// Row 11, the node.
#[test]
fn a_killed_nodes_successor_takes_the_encoder_at_once() -> Result<()> {
    let house = SHARED.enter()?;
    let (dev, destination) = (&house.dev, &house.destination);
    let source = Source::new(60)?;
    let input = dev.api.create_input("killed node")?;
    let keys = (0..5).map(|_| output_key()).collect::<Result<Vec<_>>>()?;
    for (number, key) in keys.iter().enumerate() {
        let url = match number % 2 {
            0 => destination.rtmps_url(),
            _ => destination.rtmp_url(),
        };
        dev.api.add_output(&input, &url, key)?;
    }
    let authority = house.ingest_authority();
    let mut encoder = source.publish(&input.url, &input.key, authority)?;
    for key in &keys {
        destination.published(key, 1, Instant::now() + ON_AIR_WITHIN)?;
    }
    let relay = process::descendants(dev.pid())?;
    let relay = relay.iter().find(|process| process.name == "relay-node");
    let relay = relay.context("the relay node")?.pid;
    let killed = Instant::now();
    dev.kill("relay", relay, BACK_WITHIN)?;
    ensure!(
        !encoder.wait(ON_AIR_WITHIN)?.success(),
        "FFmpeg was not cut"
    );
    let health = format!("{}/health", dev.line.relay_admin);
    wait::until("the next process", BACK_WITHIN, || {
        Ok(api::get(&health).is_ok().then_some(()))
    })?;
    eprintln!(
        "the next process answers {:?} after the death",
        killed.elapsed()
    );

    let began = Instant::now();
    let mut encoder = source.publish(&input.url, &input.key, authority)?;
    wait::until("the encoder is taken", TAKEN_WITHIN, || {
        let status: Value =
            serde_json::from_str(&api::get(&format!("{}/status", dev.line.relay_admin))?)?;
        let broadcasts = status.get("broadcasts").and_then(Value::as_array);
        Ok(broadcasts.is_some_and(|all| !all.is_empty()).then_some(()))
    })?;
    let taken = Instant::now();
    eprintln!(
        "the encoder was taken after {:?}, FFmpeg's start included",
        taken - began
    );
    let mut last = taken;
    for key in &keys {
        last = last.max(destination.published(key, 2, taken + LIVE_WITHIN)?);
    }
    eprintln!("every output published {:?} after that", last - taken);
    for key in &keys {
        destination.receives(key, 10_000, ON_AIR_WITHIN)?;
    }
    encoder.end(ON_AIR_WITHIN)?;
    let sent = source.packets()?;
    for key in &keys {
        destination.recorded(key, 2)?.begin(&sent)?;
    }
    house.pass()
}

/// The key of each output, and whether it is on, by uid.
type Outputs = BTreeMap<String, (String, bool)>;

/// What the clients of the API were told, by uid.
#[derive(Default)]
struct Acknowledged {
    /// The name of each input that is there, and its outputs.
    inputs: BTreeMap<String, (String, Outputs)>,
    deleted: Vec<String>,
}

/// Row 11, the runtime of the control plane.
#[test]
fn a_killed_runtime_loses_no_acknowledged_change_and_leaves_nothing_half_made() -> Result<()> {
    let house = SHARED.enter()?;
    let dev = &house.dev;
    for round in 0..2 {
        let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Acknowledged::default()));
        let control = process::descendants(dev.pid())?;
        let control: Vec<_> = control.iter().filter(|one| one.name == "workerd").collect();
        // The second one serves the Worker.
        let control = control.iter().map(|one| one.pid).max().context("workerd")?;
        thread::scope(|scope| {
            let writers: Vec<_> = (0..WRITERS)
                .map(|writer| {
                    let (stop, acknowledged) = (&stop, &acknowledged);
                    scope.spawn(move || write(dev, writer, stop, acknowledged))
                })
                .collect();
            wait::until("writes", ON_AIR_WITHIN, || {
                let known = acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                Ok((known.inputs.len() >= 5 * WRITERS).then_some(()))
            })?;
            dev.kill("control", control, BACK_WITHIN)?;
            stop.store(true, Ordering::SeqCst);
            for writer in writers {
                let ended = writer.join();
                ended.map_err(|_| anyhow::anyhow!("a writer panicked"))??;
            }
            anyhow::Ok(())
        })?;
        wait::until("the control plane's answer", BACK_WITHIN, || {
            Ok(dev.api.answers().then_some(()))
        })?;
        let known = acknowledged
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        eprintln!(
            "round {round}: {} inputs with {} outputs, and {} deletions were acknowledged",
            known.inputs.len(),
            known
                .inputs
                .values()
                .map(|(_, outputs)| outputs.len())
                .sum::<usize>(),
            known.deleted.len(),
        );
        compare(&dev.api, &known)?;
    }
    house.pass()
}

/// Makes, changes and deletes inputs and outputs until nobody answers, and notes what was answered.
fn write(
    dev: &system_tests::dev::Dev,
    writer: usize,
    stop: &AtomicBool,
    acknowledged: &Mutex<Acknowledged>,
) -> Result<()> {
    let line = &dev.line;
    let api = Api::new(&line.api, &line.account, &line.token, dev.secrets().clone())?;
    let known = || acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
    for number in 0.. {
        if stop.load(Ordering::SeqCst) {
            return Ok(());
        }
        let name = format!("writer {writer}, {number}");
        let Ok(input) = api.create_input(&name) else {
            continue;
        };
        known()
            .inputs
            .insert(input.uid.clone(), (name, BTreeMap::new()));
        let mut last = None;
        for _ in 0..2 {
            let key = output_key()?;
            let Ok(output) = api.add_output(&input, "rtmp://destination.example/live", &key) else {
                continue;
            };
            if let Some((_, outputs)) = known().inputs.get_mut(&input.uid) {
                outputs.insert(output.uid.clone(), (key, true));
            }
            last = Some(output);
        }
        if let Some(output) = &last {
            // What is not answered is either way.
            let changed = api.enable_output(&input, output, false);
            if let Some((_, outputs)) = known().inputs.get_mut(&input.uid) {
                match changed {
                    Ok(_) => {
                        if let Some((_, enabled)) = outputs.get_mut(&output.uid) {
                            *enabled = false;
                        }
                    }
                    Err(_) => drop(outputs.remove(&output.uid)),
                }
            }
        }
        if number % 3 == 2 {
            let deleted = api.delete_input(&input);
            let mut known = known();
            known.inputs.remove(&input.uid);
            if deleted.is_ok() {
                known.deleted.push(input.uid);
            }
        }
    }
    Ok(())
}

fn compare(api: &Api, known: &Acknowledged) -> Result<()> {
    for (uid, (name, outputs)) in &known.inputs {
        let input = api
            .input(uid)
            .with_context(|| format!("input {uid} is lost"))?;
        let found = input.pointer("/result/meta/name");
        ensure!(found == Some(&json!(name)), "{uid}: {found:?} for {name}");
        let listed = outputs_of(api, uid)?;
        for (output, (key, enabled)) in outputs {
            let found = listed.get(output);
            let found = found.with_context(|| format!("output {output} of {uid} is lost"))?;
            ensure!(
                found.get("streamKey") == Some(&json!(key))
                    && found.get("enabled") == Some(&json!(enabled)),
                "output {output} of {uid} is another"
            );
        }
    }
    for uid in &known.deleted {
        let answer = api.request(Method::GET, &format!("/live_inputs/{uid}"), None)?;
        ensure!(answer.status == 404, "{uid} is back: {}", answer.status);
    }
    // Whatever is there, acknowledged or not, is whole: it reads, has its key, and can be changed
    // and deleted.
    let list = api.request(Method::GET, "/live_inputs?limit=1000", None)?;
    let inputs = list.body.pointer("/result/liveInputs");
    let inputs = inputs.or_else(|| list.body.get("result"));
    let inputs = inputs.and_then(Value::as_array).context("the list")?;
    let mut unacknowledged = 0;
    for listed in inputs {
        let uid = listed.get("uid").and_then(Value::as_str).context("a uid")?;
        if known.inputs.contains_key(uid) {
            continue;
        }
        unacknowledged += 1;
        let input = api.input(uid)?;
        let key = input
            .pointer("/result/rtmps/streamKey")
            .and_then(Value::as_str);
        ensure!(
            key.is_some_and(|key| key.ends_with(uid)),
            "{uid} has no key"
        );
        for output in outputs_of(api, uid)?.into_values() {
            ensure!(
                output.get("streamKey").is_some_and(Value::is_string),
                "{output}"
            );
        }
        let path = format!("/live_inputs/{uid}");
        for (method, body) in [
            (Method::PUT, Some(json!({"meta": {"name": "whole"}}))),
            (Method::DELETE, None),
        ] {
            let answer = api.request(method.clone(), &path, body.as_ref())?;
            ensure!(answer.status == 200, "{method} {uid}: {}", answer.status);
        }
    }
    eprintln!("{unacknowledged} inputs were there that nobody was told of, all of them whole");
    for uid in known.inputs.keys() {
        let deleted = api.request(Method::DELETE, &format!("/live_inputs/{uid}"), None)?;
        ensure!(deleted.status == 200, "{uid} cannot be deleted");
    }
    Ok(())
}

fn outputs_of(api: &Api, uid: &str) -> Result<BTreeMap<String, Value>> {
    let path = format!("/live_inputs/{uid}/outputs");
    let answer = api.request(Method::GET, &path, None)?;
    let outputs = answer.body.get("result").and_then(Value::as_array);
    let outputs = outputs.with_context(|| format!("the outputs of {uid}: {}", answer.status))?;
    let named = outputs.iter().map(|output| {
        let uid = output.get("uid").and_then(Value::as_str);
        Ok((uid.context("a uid")?.to_owned(), output.clone()))
    });
    named.collect()
}

/// Who writes at the same time.
const WRITERS: usize = 4;
