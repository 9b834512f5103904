//! Why a journal cannot be used.

use std::io;
use std::path::PathBuf;

use super::FORMAT;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the journal {} cannot be read or written: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Another process writes to it.
    #[error(
        "the journal {} is in use by another process: give every process a journal of its own and join them \
         afterwards",
        path.display()
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It is of another model, other data or other settings.
    #[error(
        "the journal {} holds measurements of another model, data or settings (its key is `{found}`, that of \
         this run is `{expected}`): name another file, or remove this one if it is no longer needed",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Its key.
        found: String,
        /// The key of this run.
        expected: String,
    },
    /// It is of another version.
    #[error(
        "the journal {} has format {found}, this version reads format {FORMAT}: name another file, or read it \
         with the version that wrote it",
        path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// A line that is none of a journal's.
    #[error(
        "line {line} of {} is not one of a journal ({reason}): name another file, or remove the line; what it \
         held is measured again",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Two measurements that should be the same.
    #[error(
        "line {line} of {} contradicts an earlier measurement of the same assignment on block {block}: \
         measurements with the same key must be the same on every machine; keep the journals apart, or give \
         them different keys",
        path.display()
    )]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The block.
        block: usize,
    },
}
