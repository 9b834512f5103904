//! The report: what was measured, where, and with what, as JSON has it. Other programs' reports have the same form.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cubecl::ir::DeviceIdentity;
use serde::{Deserialize, Serialize};

use crate::device::Runtime;
use crate::works::Size;

/// A program's times on one device.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Report {
    /// Names and versions, the program's first.
    pub(crate) software: Vec<String>,
    /// The features that the program was built with.
    pub(crate) features: Vec<String>,
    /// The device's own name.
    pub(crate) device: String,
    /// Whether kernels run on a processor in place of a GPU, so that times say nothing about GPUs.
    pub(crate) emulated: bool,
    /// What runs the kernels.
    pub(crate) runtime: String,
    /// The day, in UTC, as `year-month-day`.
    pub(crate) date: String,
    /// `full` or `small`.
    pub(crate) size: String,
    pub(crate) lines: Vec<Line>,
}

/// What a case of some work took.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) work: String,
    pub(crate) case: String,
    pub(crate) operation: Operation,
    /// Operations of one run, where they are counted.
    pub(crate) operations: Option<u64>,
    /// The median sample, per run.
    pub(crate) seconds: f64,
    /// The fastest.
    pub(crate) fastest_seconds: f64,
    pub(crate) samples: usize,
    #[serde(default)]
    pub(crate) goal: Option<Goal>,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Lookups,
    Multiplications,
}

/// What a case is meant to reach.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Goal {
    /// At least.
    pub(crate) operations_per_second: Option<f64>,
    /// The time at most, in units of that of the work's first case.
    pub(crate) times_reference: Option<f64>,
    /// The time at most, in units of that of other programs.
    pub(crate) times_others: Option<f64>,
}

/// Why another program's report cannot be joined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReportError {
    #[error("{path}: {source}")]
    Open {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("{path} is not a report of this benchmark or of benches/pytorch: {source}")]
    Form {
        path: PathBuf,
        source: serde_json::Error,
    },
}

impl Report {
    /// A report without lines.
    pub(crate) fn new(runtime: Runtime, device: &DeviceIdentity, size: Size) -> Self {
        let features = [
            ("wgpu", cfg!(feature = "wgpu")),
            ("cuda", cfg!(feature = "cuda")),
            ("cuda-nvrtc", cfg!(feature = "cuda-nvrtc")),
            ("autotune", cfg!(feature = "autotune")),
        ];
        Self {
            software: vec![
                format!("burn-approx {}", env!("CARGO_PKG_VERSION")),
                format!("Burn {}", burn_version()),
            ],
            features: features
                .into_iter()
                .filter(|(_, on)| *on)
                .map(|(name, _)| name.to_string())
                .collect(),
            device: device.name.clone(),
            emulated: device.physical.is_none(),
            runtime: runtime.name().to_string(),
            date: today(),
            size: size.name().to_string(),
            lines: Vec::new(),
        }
    }

    /// Reads other programs' reports.
    pub(crate) fn read_all(paths: &[PathBuf]) -> Result<Vec<Self>, ReportError> {
        paths.iter().map(|path| Self::read(path)).collect()
    }

    fn read(path: &Path) -> Result<Self, ReportError> {
        let text = std::fs::read_to_string(path).map_err(|source| ReportError::Open {
            path: path.into(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| ReportError::Form {
            path: path.into(),
            source,
        })
    }
}

impl Goal {
    /// No goal.
    pub(crate) const NONE: Self = Self {
        operations_per_second: None,
        times_reference: None,
        times_others: None,
    };
}

impl Line {
    /// Operations per second of the median run.
    pub(crate) fn operations_per_second(&self) -> Option<f64> {
        self.operations
            .map(|operations| operations as f64 / self.seconds)
    }

    /// The speed in words; empty where operations are not counted.
    pub(crate) fn speed(&self) -> String {
        let operation = match self.operation {
            Operation::Lookups => "lookups/s",
            Operation::Multiplications => "mult/s",
        };
        match self.operations_per_second() {
            Some(speed) if speed >= 1e12 => format!("{:.2} T {operation}", speed / 1e12),
            Some(speed) => format!("{:.2} G {operation}", speed / 1e9),
            None => String::new(),
        }
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:44} {:40} {:10.3} ms {:10.3} {:>18}",
            self.work,
            self.case,
            self.seconds * 1e3,
            self.fastest_seconds * 1e3,
            self.speed()
        )
    }
}

/// The version of Burn that the workspace is locked to.
fn burn_version() -> &'static str {
    let lock = include_str!("../../../Cargo.lock");
    let mut lines = lock.lines().skip_while(|line| *line != "name = \"burn\"");
    let version = lines.nth(1).expect("Burn is in the lock file");
    version.trim_start_matches("version = ").trim_matches('"')
}

/// The date.
fn today() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let mut day = now.expect("the clock is set").as_secs() / 86_400;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while day >= months[month] {
        day -= months[month];
        month += 1;
    }
    format!("{year}-{:02}-{:02}", month + 1, day + 1)
}
