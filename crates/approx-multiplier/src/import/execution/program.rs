//! A program that gets pairs of operands and gives products: started, fed, listened to within limits. It may answer at
//! once or at the end, say anything, or nothing, or never end: what it takes of our memory is bounded.

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::{ExecutionError, ExecutionLimits, Remark};
use crate::import::process::{self, Limits, Process};

/// Bytes that are read at a time, and how many such chunks may wait.
const CHUNK: usize = 1 << 16;
const CHUNKS: usize = 4;

/// The longest line that may hold a number.
const LONGEST: usize = 128;

/// How much is kept of what it writes to standard error.
const TAIL: usize = 1 << 12;

/// How long answers are waited for that a program which is stopped gives at last.
const GRACE: Duration = Duration::from_millis(500);

/// What a shell ends with that finds no program, or one that cannot be run.
const NOT_STARTED: [i32; 2] = [126, 127];

/// The operands at each position of what is asked.
pub(super) type Pairs = Arc<dyn Fn(u64) -> [i64; 2] + Send + Sync>;

/// A program, and what it has taken so far.
pub(super) struct Program {
    words: Vec<OsString>,
    /// The folder that it runs in, if not the current one. There its answers are known to be written before it ends.
    home: Option<PathBuf>,
    limits: ExecutionLimits,
    spent: Cell<Duration>,
    remark: RefCell<Remark>,
}

impl Program {
    /// A program of these words, which runs in a folder of our own if there is one for it, as one of ours does.
    pub fn new(words: &[&OsStr], home: Option<&Path>, limits: ExecutionLimits) -> Self {
        Self {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            home: home.map(Path::to_owned),
            limits,
            spent: Cell::default(),
            remark: RefCell::default(),
        }
    }

    /// What it last wrote to standard error, if it ever did.
    pub fn remark(&self) -> Option<Remark> {
        Some(self.remark.borrow().clone()).filter(|remark| !remark.is_empty())
    }

    /// Starts it, asks for products and takes them one by one in their order.
    pub fn ask(
        &self,
        pairs: Pairs,
        asked: u64,
        take: &mut dyn FnMut(i64) -> Result<(), ExecutionError>,
    ) -> Result<(), ExecutionError> {
        let begun = Instant::now();
        let result = Conversation::begin(self, pairs, asked)
            .and_then(|mut conversation| conversation.hold(take));
        self.spent.set(self.spent.get() + begun.elapsed());
        result
    }

    fn not_started(&self, problem: impl ToString) -> ExecutionError {
        ExecutionError::NotStarted {
            program: self.words[0].to_string_lossy().into_owned(),
            problem: problem.to_string(),
        }
    }
}

/// A run of a program.
struct Conversation<'a> {
    program: &'a Program,
    process: Process,
    pairs: Pairs,
    asked: u64,
    answered: u64,
    /// What it writes to standard output; closed at its end.
    chunks: Receiver<Vec<u8>>,
    tail: Tail,
}

impl<'a> Conversation<'a> {
    fn begin(program: &'a Program, pairs: Pairs, asked: u64) -> Result<Self, ExecutionError> {
        let left = program.limits.time.saturating_sub(program.spent.get());
        let limits = Limits {
            processor: left,
            wall: left,
            memory: program.limits.memory,
        };
        let mut command = process::command(&program.words[0], &limits);
        command.args(&program.words[1..]);
        if let Some(home) = &program.home {
            command.current_dir(home);
        }
        command.stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process =
            Process::start(&mut command, left).map_err(|error| program.not_started(error))?;
        let child = process.child();
        let (Some(input), Some(output), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(program.not_started("it has no pipes"));
        };
        // A program that answers as it goes would wait for us to read, while we wait for it to read.
        let asking = Arc::clone(&pairs);
        thread::spawn(move || write_pairs(input, &*asking, asked));
        let (sender, chunks) = mpsc::sync_channel(CHUNKS);
        thread::spawn(move || {
            read_chunks(output, |chunk| sender.send(chunk.to_vec()).is_ok());
        });
        Ok(Self {
            program,
            process,
            pairs,
            asked,
            answered: 0,
            chunks,
            tail: Tail::of(errors),
        })
    }

    /// Takes all products.
    fn hold(
        &mut self,
        take: &mut dyn FnMut(i64) -> Result<(), ExecutionError>,
    ) -> Result<(), ExecutionError> {
        let mut line = Vec::new();
        loop {
            match self.chunks.recv_timeout(self.process.left()) {
                Ok(chunk) => self.lines(&chunk, &mut line, take)?,
                Err(RecvTimeoutError::Timeout) => return Err(self.out_of_time()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if !line.is_empty() {
            self.line(&line, take)?;
        }
        let status = self.process.wait();
        let status = status.map_err(|error| self.program.not_started(error))?;
        let Some(status) = status else {
            return Err(self.out_of_time());
        };
        let remark = self.tail.remark();
        if status.success() && self.answered == self.asked {
            if !remark.is_empty() {
                *self.program.remark.borrow_mut() = remark;
            }
            return Ok(());
        }
        let is_missing = status
            .code()
            .is_some_and(|code| NOT_STARTED.contains(&code));
        if self.answered == 0 && is_missing && self.program.home.is_none() {
            return Err(self.program.not_started(format!("{status}{remark}")));
        }
        // Those of other programs may be on their way when they end, and what is killed writes nothing any more.
        let is_known =
            self.program.home.is_some() && self.answered < self.asked && !was_killed(status);
        Err(ExecutionError::Ended {
            status,
            answered: self.answered,
            asked: self.asked,
            operands: is_known.then(|| (self.pairs)(self.answered)),
            limits: self.program.limits,
            remark,
        })
    }

    /// Takes the products in a chunk; what no line ends yet is kept.
    fn lines(
        &mut self,
        chunk: &[u8],
        line: &mut Vec<u8>,
        take: &mut dyn FnMut(i64) -> Result<(), ExecutionError>,
    ) -> Result<(), ExecutionError> {
        let mut rest = chunk;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            let (head, tail) = rest.split_at(end);
            rest = &tail[1..];
            if line.is_empty() {
                self.line(head, take)?;
            } else {
                line.extend_from_slice(head);
                self.line(line, take)?;
                line.clear();
            }
        }
        line.extend_from_slice(rest);
        match line.len() > LONGEST {
            // It is no number, and may never end.
            true => self.line(line, take),
            false => Ok(()),
        }
    }

    /// Takes the product in a line.
    fn line(
        &mut self,
        line: &[u8],
        take: &mut dyn FnMut(i64) -> Result<(), ExecutionError>,
    ) -> Result<(), ExecutionError> {
        let text = line.trim_ascii();
        if self.answered == self.asked {
            return Err(ExecutionError::TooManyProducts {
                asked: self.asked,
                found: excerpt(text),
                remark: self.last_words(),
            });
        }
        let product = std::str::from_utf8(text)
            .ok()
            .filter(|text| text.len() <= LONGEST)
            .and_then(|text| text.parse().ok());
        let Some(product) = product else {
            return Err(ExecutionError::NotAProduct {
                operands: (self.pairs)(self.answered),
                found: excerpt(text),
                remark: self.last_words(),
            });
        };
        self.answered += 1;
        take(product)
    }

    /// Stops the program. What it has computed tells how far it came.
    fn out_of_time(&mut self) -> ExecutionError {
        self.process.ask_to_end();
        let until = Instant::now() + GRACE;
        while let Ok(chunk) = self
            .chunks
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            let lines = chunk.iter().filter(|&&byte| byte == b'\n').count();
            self.answered = self.asked.min(self.answered + lines as u64);
        }
        ExecutionError::OutOfTime {
            answered: self.answered,
            asked: self.asked,
            limits: self.program.limits,
            remark: self.last_words(),
        }
    }

    /// What a program that has to end said at last.
    fn last_words(&mut self) -> Remark {
        self.process.kill();
        self.tail.remark()
    }
}

/// Whether the system ended a process, as it does at some limits.
fn was_killed(status: ExitStatus) -> bool {
    #[cfg(unix)]
    return std::os::unix::process::ExitStatusExt::signal(&status) == Some(KILLED);
    #[cfg(not(unix))]
    return !status.success();
}

/// The signal that no program can do anything about.
#[cfg(unix)]
const KILLED: i32 = 9;

fn excerpt(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(&text[..text.len().min(LONGEST)]).into_owned();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Writes all pairs, unless nobody reads them any more; the program's input ends then.
fn write_pairs(input: impl Write, pairs: &dyn Fn(u64) -> [i64; 2], asked: u64) {
    let mut input = BufWriter::with_capacity(CHUNK, input);
    for position in 0..asked {
        let [a, b] = pairs(position);
        if writeln!(input, "{a} {b}").is_err() {
            return;
        }
    }
    // Whether it was read, is for the answers to say.
    let _ = input.flush();
}

/// Reads until the end, or until somebody does not go on.
fn read_chunks(mut source: impl Read, mut go_on: impl FnMut(&[u8]) -> bool) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(length @ 1..) = source.read(&mut chunk) {
        if !go_on(&chunk[..length]) {
            return;
        }
    }
}

/// The end of what a program writes to standard error, however much that is.
struct Tail {
    bytes: Arc<Mutex<Vec<u8>>>,
    end: Receiver<()>,
}

impl Tail {
    fn of(errors: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (sender, end) = mpsc::channel();
        let kept = Arc::clone(&bytes);
        thread::spawn(move || {
            read_chunks(errors, |chunk| {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(chunk);
                let superfluous = kept.len().saturating_sub(TAIL);
                kept.drain(..superfluous);
                true
            });
            drop(sender);
        });
        Self { bytes, end }
    }

    /// What was said once the program has ended.
    fn remark(&self) -> Remark {
        // Something that it has started and that goes on may never close it.
        let _ = self.end.recv_timeout(GRACE);
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        Remark::of(&String::from_utf8_lossy(&bytes))
    }
}
