//! OBS Studio as the encoder, on a screen that nobody sees.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{self, Running, Signal, signal};

/// OBS Studio, streaming a coloured picture and silence.
pub struct Obs {
    // First, so that it ends before its folder goes.
    obs: Running,
    folder: TempDir,
}

impl Obs {
    /// Starts it with a profile of its own that streams to `url` with `key` at once.
    ///
    /// OBS trusts the system's certificate store only, so it gets a mount namespace in which
    /// `authority` is that store.
    pub fn start(url: &str, key: &str, authority: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let home = folder.path();
        configure(home, url, key)?;
        let store = home.join("certificates");
        fs::create_dir(&store)?;
        fs::copy(authority, store.join("authority.pem")).context("copying the authority")?;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c"])
            .arg("mount --bind \"$HOME/certificates\" /etc/ssl/certs && exec \"$@\"")
            .args(["sh", "xvfb-run", "-a", "-s", "-screen 0 1024x768x24"])
            .args(["obs", "--startstreaming", "--multi", "--disable-updater"])
            .arg("--disable-missing-files-check")
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env_remove("XDG_CONFIG_HOME")
            .env("LIBGL_ALWAYS_SOFTWARE", "1")
            .env("QT_QPA_PLATFORM", "xcb");
        let log = home.join("obs.log");
        Ok(Self {
            obs: Running::start("OBS Studio", &mut command, &log)?,
            folder,
        })
    }

    /// What it has said.
    pub fn said(&self) -> Result<String> {
        self.obs.printed()
    }

    /// Does what its button "Stop Streaming" does. It runs on.
    pub fn stop_streaming(&self) -> Result<()> {
        fs::write(self.folder.path().join(STOP), "").context("asking OBS to stop its stream")
    }

    /// Takes its life, which gives it no time for a goodbye.
    pub fn kill(self) -> Result<()> {
        let started = process::descendants(self.obs.pid())?;
        let obs = started.iter().find(|process| process.name == "obs");
        signal(obs.context("OBS is not running")?.pid, Signal::KILL)
    }
}

impl Drop for Obs {
    /// What was started is a shell, which does not pass a signal on to OBS and its screen.
    fn drop(&mut self) {
        let started = process::descendants(self.obs.pid()).unwrap_or_default();
        process::end_all(&started, STOP_WITHIN);
    }
}

/// For the screen and what OBS leaves to the kernel: OBS itself ends at once by a signal, without
/// a goodbye to whom it streams to.
const STOP_WITHIN: Duration = Duration::from_secs(5);

fn configure(home: &Path, url: &str, key: &str) -> Result<()> {
    let base = home.join(".config/obs-studio");
    let profile = base.join("basic/profiles/Test");
    let scenes = base.join("basic/scenes");
    fs::create_dir_all(&profile)?;
    fs::create_dir_all(&scenes)?;
    fs::write(base.join("global.ini"), GLOBAL)?;
    fs::write(profile.join("basic.ini"), PROFILE)?;
    let service = serde_json::json!({
        "type": "rtmp_custom",
        "settings": {"server": url, "key": key, "use_auth": false},
    });
    fs::write(profile.join("service.json"), service.to_string())?;
    let script = home.join("stop.lua");
    fs::write(
        &script,
        SCRIPT.replace("STOP", &home.join(STOP).to_string_lossy()),
    )?;
    let scenes_file = SCENES.replace("SCRIPT", &script.to_string_lossy());
    fs::write(scenes.join("Test.json"), scenes_file)?;
    Ok(())
}

const GLOBAL: &str = "[General]
FirstRun=true
EnableAutoUpdates=false
[Basic]
Profile=Test
ProfileDir=Test
SceneCollection=Test
SceneCollectionFile=Test
[BasicWindow]
SysTrayEnabled=false
";

/// Small and quick: without a graphics card, pictures are drawn and encoded by the processor.
const PROFILE: &str = "[General]
Name=Test
[Video]
BaseCX=640
BaseCY=360
OutputCX=640
OutputCY=360
FPSCommon=30
[Output]
Mode=Simple
[SimpleOutput]
VBitrate=800
ABitrate=96
StreamEncoder=x264
Preset=ultrafast
";

const SCENES: &str = r#"{
    "name": "Test",
    "current_scene": "Scene",
    "current_program_scene": "Scene",
    "scene_order": [{"name": "Scene"}],
    "sources": [
        {"id": "scene", "name": "Scene", "settings": {
            "items": [{"name": "Colour", "id": 1, "visible": true}], "id_counter": 1}},
        {"id": "color_source_v3", "versioned_id": "color_source_v3", "name": "Colour",
            "settings": {"color": 4278255360, "width": 640, "height": 360}}
    ],
    "modules": {"scripts-tool": [{"path": "SCRIPT", "settings": {}}]}
}
"#;

/// Its presence asks OBS to stop its stream.
const STOP: &str = "stop-streaming";

/// Nobody is there to press the button.
const SCRIPT: &str = r#"
obs = obslua
function look()
    local file = io.open("STOP")
    if file then
        file:close()
        os.remove("STOP")
        obs.obs_frontend_streaming_stop()
    end
end
function script_load(settings)
    obs.timer_add(look, 100)
end
"#;
