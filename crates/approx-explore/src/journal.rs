//! What was measured, written down so that it is never measured again.
//!
//! A journal is a file of lines, each a JSON object. The first one is a header with the number of the format and the
//! caller's key: a text that stands for everything that a measurement depends on besides the assignment and the block
//! of images, such as a hash of the model, the data and the settings. Every other line is a measurement. Lines are only
//! ever added, a batch of them at a time, and synchronised with the disk before the batch counts as measured. A process
//! that is killed leaves at most a torn last line, which is cut off when the journal is opened.
//!
//! An assignment is known by a [hash](Digest) of its multipliers' own hashes, layer by layer. So measurements stay
//! valid when multipliers join the space, and when layers are grouped otherwise.
//!
//! Journals of several processes are joined by [`Journal::join`], or as files, one behind the other.

use std::collections::HashMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::measure::Outcome;
use crate::space::{Assignment, Space};

mod error;
mod line;

pub use error::JournalError;
use line::Line;

/// The format of the lines.
const FORMAT: u32 = 2;

/// What an assignment is known by: the SHA-256 of the layers' paths and the hashes of what their multipliers compute.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digest(String);

impl Digest {
    /// The digest of an assignment.
    ///
    /// # Panics
    ///
    /// If it is an assignment of another space.
    pub fn of(space: &Space, assignment: &Assignment) -> Self {
        let mut hash = Sha256::new();
        for (layer, choice) in space.layers().iter().zip(space.of_layers(assignment)) {
            for text in [&layer.path, &space.choices()[choice].hash] {
                // Lengths first, so that no two lists of texts give the same bytes.
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text.as_bytes());
            }
        }
        Self(hex::encode(hash.finalize()))
    }

    /// 64 of its bits, as evenly spread as the whole.
    pub(crate) fn bits(&self) -> u64 {
        let digits = self
            .0
            .chars()
            .take(16)
            .map(|digit| digit.to_digit(16).unwrap_or(0));
        digits.fold(0, |bits, digit| bits << 4 | u64::from(digit))
    }
}

/// The measurements made so far, on disk or in memory only.
#[derive(Debug, Default)]
pub struct Journal {
    known: HashMap<(Digest, usize), Outcome>,
    file: Option<(PathBuf, File, String)>,
}

impl Journal {
    /// A journal that is forgotten at the end.
    pub fn in_memory() -> Self {
        Self::default()
    }

    /// Opens a file, or creates it, and holds it against other processes until the journal is dropped.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("journal.jsonl");
    /// use approx_explore::journal::Journal;
    ///
    /// let journal = Journal::open(&path, "hash of the model, the data and the settings")?;
    /// assert!(journal.is_empty());
    /// drop(journal);
    /// let refused = Journal::open(&path, "hash of another model");
    /// assert!(refused.is_err_and(|error| error.to_string().contains("another model")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// A file that cannot be opened, that another process holds, that has another key or format, or that is no journal.
    pub fn open(path: impl Into<PathBuf>, key: &str) -> Result<Self, JournalError> {
        let path = path.into();
        let failed = |source| JournalError::File {
            path: path.clone(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            // Some shared file systems know no locks; they are a help, not a need.
            Err(TryLockError::Error(_)) | Ok(()) => {}
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |last| last + 1);
        let mut journal = Self::default();
        journal.read(&path, key, &bytes[..whole])?;
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(failed)?;
        }
        if whole == 0 {
            append(&mut file, &line::header(key)).map_err(failed)?;
        }
        journal.file = Some((path, file, key.to_owned()));
        Ok(journal)
    }

    /// Adds what other journals of the same key hold to this one (one in memory has the empty text for a key). Gives
    /// the number of measurements that were new. The others are only read; a torn last line of theirs is passed over.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, that is no journal or one of another key, or that contradicts this one.
    pub fn join(&mut self, others: &[impl AsRef<Path>]) -> Result<usize, JournalError> {
        let key = self
            .file
            .as_ref()
            .map(|(.., key)| key.clone())
            .unwrap_or_default();
        let mut count = 0;
        for path in others {
            let path = path.as_ref();
            let failed = |source| JournalError::File {
                path: path.to_owned(),
                source,
            };
            let bytes = std::fs::read(path).map_err(failed)?;
            let whole = bytes
                .iter()
                .rposition(|byte| *byte == b'\n')
                .map_or(0, |last| last + 1);
            let mut both = Self {
                known: self.known.clone(),
                file: None,
            };
            both.read(path, &key, &bytes[..whole])?;
            let mut new: Vec<_> = both.known.into_iter().collect();
            new.retain(|(place, _)| !self.known.contains_key(place));
            new.sort_by(|(one, _), (other, _)| one.cmp(other));
            count += new.len();
            self.add(new)?;
        }
        Ok(count)
    }

    /// How many measurements it holds.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What an assignment gave on a block, if that was measured.
    pub fn get(&self, digest: &Digest, block: usize) -> Option<&Outcome> {
        self.known.get(&(digest.clone(), block))
    }

    /// Writes a batch of measurements down; it is on the disk when this returns.
    ///
    /// # Errors
    ///
    /// If the file cannot be written. Then none of the batch counts.
    pub fn add(&mut self, batch: Vec<((Digest, usize), Outcome)>) -> Result<(), JournalError> {
        if let Some((path, file, _)) = &mut self.file
            && !batch.is_empty()
        {
            let line = |((digest, block), outcome): &_| line::measurement(digest, *block, outcome);
            let lines: String = batch.iter().map(line).collect();
            append(file, &lines).map_err(|source| JournalError::File {
                path: path.clone(),
                source,
            })?;
        }
        self.known.extend(batch);
        Ok(())
    }

    /// Reads whole lines.
    fn read(&mut self, path: &Path, key: &str, bytes: &[u8]) -> Result<(), JournalError> {
        let path = path.to_owned();
        let mut has_header = false;
        for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = number + 1;
            if text.is_empty() {
                continue;
            }
            match Line::parse(text).map_err(|reason| JournalError::Line {
                path: path.clone(),
                line,
                reason,
            })? {
                Line::Header { format, .. } if format != FORMAT => {
                    return Err(JournalError::Format {
                        path,
                        found: format,
                    });
                }
                Line::Header { key: found, .. } if found != key => {
                    return Err(JournalError::Key {
                        path,
                        found,
                        expected: key.to_owned(),
                    });
                }
                Line::Header { .. } => has_header = true,
                Line::Measurement { .. } if !has_header => {
                    let reason = "a measurement before any header".to_owned();
                    return Err(JournalError::Line { path, line, reason });
                }
                Line::Measurement {
                    digest,
                    block,
                    outcome,
                } => {
                    let earlier = self.known.get(&(digest.clone(), block));
                    if earlier.is_some_and(|earlier| !is_same(earlier, &outcome)) {
                        return Err(JournalError::Contradiction { path, line, block });
                    }
                    self.known.insert((digest, block), outcome);
                }
            }
        }
        Ok(())
    }
}

/// Whether two outcomes are the same bit for bit.
fn is_same(one: &Outcome, other: &Outcome) -> bool {
    one.right == other.right && one.loss.to_bits() == other.loss.to_bits()
}

/// Adds whole lines in one write, or, if that fails half way, nothing.
fn append(file: &mut File, lines: &str) -> io::Result<()> {
    let length = file.seek(io::SeekFrom::End(0))?;
    let written = file
        .write_all(lines.as_bytes())
        .and_then(|()| file.sync_data());
    if written.is_err() {
        file.set_len(length)?;
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(name: &str) -> Digest {
        Digest(hex::encode(Sha256::digest(name)))
    }

    fn outcome(right: &[bool], loss: f64) -> Outcome {
        Outcome {
            right: right.to_vec(),
            loss,
        }
    }

    fn written(path: &Path, key: &str, names: &[&str]) {
        let mut journal = Journal::open(path, key).unwrap();
        let entry = |name: &&str| {
            (
                (digest(name), 0),
                outcome(&[true, false, name.len() > 1], 0.5),
            )
        };
        journal.add(names.iter().map(entry).collect()).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn keeps_every_bit(
            entries in prop::collection::vec((prop::collection::vec(any::<bool>(), 0..40), any::<u64>()), 1..8)
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            let outcomes: Vec<Outcome> =
                entries.iter().map(|(right, bits)| outcome(right, f64::from_bits(*bits))).collect();
            let batch = outcomes.iter().enumerate().map(|(block, outcome)| ((digest("a"), block), outcome.clone()));
            Journal::open(&path, "key").unwrap().add(batch.collect()).unwrap();
            let journal = Journal::open(&path, "key").unwrap();
            let is_kept = |(block, outcome): (usize, &Outcome)| is_same(journal.get(&digest("a"), block).unwrap(), outcome);
            prop_assert!(outcomes.iter().enumerate().all(is_kept));
        }

        #[test]
        fn goes_on_wherever_it_was_torn(cut in 0_usize..400) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("journal");
            written(&path, "key", &["a", "b"]);
            let whole = std::fs::read(&path).unwrap();
            std::fs::write(&path, &whole[..cut.min(whole.len())]).unwrap();
            let left = Journal::open(&path, "key").unwrap().len();
            prop_assert_eq!(left, whole[..cut.min(whole.len())].iter().filter(|byte| **byte == b'\n').count().saturating_sub(1));
            written(&path, "key", &["a", "b"]);
            prop_assert_eq!(Journal::open(&path, "key").unwrap().len(), 2);
        }
    }

    #[test]
    fn files_join_one_behind_the_other() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        written(&file("one"), "key", &["a", "b"]);
        written(&file("other"), "key", &["b", "c"]);
        let mut bytes = std::fs::read(file("one")).unwrap();
        // The first process was killed while it wrote, and its torn line runs into the header of the second.
        let torn = line::measurement(&digest("d"), 0, &outcome(&[true], 0.5));
        bytes.extend_from_slice(&torn.as_bytes()[..40]);
        bytes.extend(std::fs::read(file("other")).unwrap());
        std::fs::write(file("both"), bytes).unwrap();
        assert_eq!(Journal::open(file("both"), "key").unwrap().len(), 3);

        let mut joined = Journal::open(file("joined"), "key").unwrap();
        assert_eq!(joined.join(&[file("one"), file("other")]).unwrap(), 3);
        drop(joined);
        assert_eq!(Journal::open(file("joined"), "key").unwrap().len(), 3);
    }

    #[test]
    fn refuses_what_is_not_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        written(&path, "key", &["a"]);
        assert!(matches!(
            Journal::open(&path, "other"),
            Err(JournalError::Key { .. })
        ));

        let held = Journal::open(&path, "key").unwrap();
        assert!(matches!(
            Journal::open(&path, "key"),
            Err(JournalError::InUse { .. })
        ));
        drop(held);

        let mut text = std::fs::read_to_string(&path).unwrap();
        text += &line::measurement(&digest("a"), 0, &outcome(&[false, false, false], 0.5));
        std::fs::write(&path, &text).unwrap();
        assert!(matches!(
            Journal::open(&path, "key"),
            Err(JournalError::Contradiction {
                line: 3,
                block: 0,
                ..
            })
        ));

        std::fs::write(&path, format!("{}no journal\n", line::header("key"))).unwrap();
        assert!(matches!(
            Journal::open(&path, "key"),
            Err(JournalError::Line { line: 2, .. })
        ));

        let changed = line::measurement(&digest("a"), 0, &outcome(&[false; 3], 0.5));
        let changed = changed.replace("\"block\":0", "\"block\":1");
        std::fs::write(&path, line::header("key") + &changed).unwrap();
        assert!(matches!(
            Journal::open(&path, "key"),
            Err(JournalError::Line { line: 2, reason, .. }) if reason.contains("changed")
        ));

        std::fs::write(&path, "{\"format\":99,\"key\":\"key\"}\n").unwrap();
        assert!(matches!(
            Journal::open(&path, "key"),
            Err(JournalError::Format { found: 99, .. })
        ));
    }
}
