//! Processes within limits of time and memory: programs that read files for us, and such that compute products.
//!
//! The system's shell sets the limits and then becomes the program. Its script is ours and always the same: what the
//! program is called and what it is told are arguments, which no shell reads. A process leads a group of its own, so that
//! what it starts ends with it.

use std::ffi::OsStr;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::ImportError;

/// What a process may take. Where the system knows no limit of a kind, there is none but that of the time in all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long it may compute.
    pub processor: Duration,
    /// How long it may take in all.
    pub wall: Duration,
    /// How much memory it may have, in bytes of addresses.
    pub memory: u64,
}

impl Limits {
    /// For programs that read files for us. Of addresses they take more than they use of memory.
    pub const TOOL: Self = Self {
        processor: Duration::from_secs(60),
        wall: Duration::from_secs(120),
        memory: 16 << 30,
    };
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory as f64 / (1u64 << 30) as f64;
        write!(f, "{} s and {memory} GiB", self.processor.as_secs_f64())
    }
}

/// How large a file it may write, in bytes.
const FILE: u64 = 1 << 28;

/// Sets the limits, one by one, for not every shell takes several at once, then becomes the program.
const LIMITED: &str =
    r#"{ ulimit -t "$1"; ulimit -v "$2"; ulimit -f "$3"; } 2>/dev/null; shift 3; exec "$@""#;

/// A program that is to run within limits.
pub(super) fn command(program: impl AsRef<OsStr>, limits: &Limits) -> Command {
    if cfg!(not(unix)) {
        return Command::new(program);
    }
    let seconds = limits.processor.as_secs_f64().ceil().max(1.0) as u64;
    // Kibibytes, and blocks of 512 bytes.
    let limits = [seconds, limits.memory >> 10, FILE >> 9].map(|limit| limit.to_string());
    let mut command = Command::new("sh");
    command
        .args(["-c", LIMITED, "sh"])
        .args(limits)
        .arg(program);
    command
}

/// A process with all that it starts. What still runs is killed when it is dropped.
pub(super) struct Process {
    child: Child,
    deadline: Instant,
    has_ended: bool,
}

impl Process {
    /// Starts a command, which has so long from now on.
    pub fn start(command: &mut Command, wall: Duration) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        let deadline = Instant::now() + wall;
        Ok(Self {
            child: command.spawn()?,
            deadline,
            has_ended: false,
        })
    }

    /// Its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How long it still may take.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    /// Waits for its end; `None` if that does not come in time.
    pub fn wait(&mut self) -> io::Result<Option<ExitStatus>> {
        let mut pause = Duration::from_millis(1);
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.has_ended = true;
                return Ok(Some(status));
            }
            if self.left().is_zero() {
                return Ok(None);
            }
            std::thread::sleep(pause.min(self.left()));
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Asks it to end, as far as the system can ask.
    pub fn ask_to_end(&mut self) {
        self.signal(false);
    }

    /// Ends it with all that it has started.
    pub fn kill(&mut self) {
        if self.has_ended {
            return;
        }
        self.signal(true);
        // Both fail for what has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.has_ended = true;
    }

    #[cfg(unix)]
    fn signal(&self, is_final: bool) {
        use rustix::process::{Pid, Signal, kill_process_group};
        let signal = match is_final {
            true => Signal::KILL,
            false => Signal::TERM,
        };
        // The process has not been waited for, so that its number is still its own and its group's.
        let _ = kill_process_group(Pid::from_child(&self.child), signal);
    }

    #[cfg(not(unix))]
    fn signal(&self, _is_final: bool) {}
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What came of a program that reads files for us.
pub(super) struct Finished {
    /// How it has ended; `None` if that was not to be waited for.
    pub status: Option<ExitStatus>,
    /// All that it said.
    pub log: String,
}

const LOG: &str = "log.txt";

/// Runs a program that reads files for us, in a folder of its own.
pub(super) fn run_tool(
    program: &str,
    arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    folder: &Path,
) -> Result<Finished, ImportError> {
    let fault = |name: &str| {
        let path = folder.join(name);
        move |source| ImportError::Io { path, source }
    };
    let log = File::create(folder.join(LOG)).map_err(fault(LOG))?;
    let errors = log.try_clone().map_err(fault(LOG))?;
    let limits = Limits::TOOL;
    let mut command = command(program, &limits);
    // What it puts aside belongs there, too.
    let command = command.args(arguments).env("TMPDIR", folder);
    let command = command.current_dir(folder).stdin(Stdio::null());
    let command = command.stdout(log).stderr(errors);
    let mut process = Process::start(command, limits.wall).map_err(fault(program))?;
    let status = process.wait().map_err(fault(program))?;
    process.kill();
    let log = std::fs::read(folder.join(LOG)).map_err(fault(LOG))?;
    Ok(Finished {
        status,
        log: String::from_utf8_lossy(&log).into_owned(),
    })
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn finished(script: &str) -> Finished {
        let folder = tempfile::tempdir().unwrap();
        run_tool("sh", ["-c", script], folder.path()).unwrap()
    }

    #[test]
    fn every_limit_is_set() {
        let Finished { status, log } = finished("ulimit -t; ulimit -f; ulimit -v");
        assert!(status.is_some_and(|status| status.success()), "{log}");
        let limits: Vec<&str> = log.lines().collect();
        assert_eq!(limits[..2], ["60", "524288"]);
        if cfg!(target_os = "linux") {
            assert_eq!(limits[2], "16777216");
        }
    }

    /// What a process is told reaches no shell.
    #[test]
    fn arguments_are_no_scripts() {
        let folder = tempfile::tempdir().unwrap();
        let words = [
            "%s|",
            "$(touch made)",
            "`touch made`",
            "a b; touch made",
            "'\"*",
        ];
        let Finished { log, .. } = run_tool("printf", words, folder.path()).unwrap();
        assert_eq!(log, "$(touch made)|`touch made`|a b; touch made|'\"*|");
        assert!(!folder.path().join("made").exists());
    }

    #[test]
    fn what_a_process_starts_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("alive");
        let script = "(while :; do echo >> alive; sleep 0.02; done) & wait";
        let mut command = command("sh", &Limits::TOOL);
        command.args(["-c", script]).current_dir(folder.path());
        let mut process = Process::start(&mut command, Duration::from_millis(300)).unwrap();
        assert_eq!(process.wait().unwrap(), None);
        process.kill();
        let size = || std::fs::metadata(&alive).unwrap().len();
        let before = size();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(size(), before);
    }
}
