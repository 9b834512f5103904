//! What is to be said of a file that was read, and of which kind it is: strict callers refuse what is more than
//! information.

use std::fmt;

use serde::Serialize;

/// What a [`Note`] says of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum NoteKind {
    /// What the file says, what the options asked for, or what was found and proved.
    Information,
    /// The file leaves something open: what was taken for it, and what speaks for that.
    Assumption,
    /// What was read is unlike any multiplier: the file may hold something else.
    Warning,
    /// The file says something of itself that is not true of what was read.
    Contradiction,
}

impl NoteKind {
    /// Whether it may be that something else is meant than what was read, as for all kinds but information.
    ///
    /// ```
    /// use approx_multiplier::import::NoteKind;
    ///
    /// assert!(NoteKind::Assumption.is_doubt() && !NoteKind::Information.is_doubt());
    /// ```
    pub fn is_doubt(self) -> bool {
        self != Self::Information
    }
}

/// A remark on a file that was read, in whole sentences, which is what it is displayed as.
///
/// ```
/// use approx_multiplier::import::{self, FileKind, ImportOptions, NoteKind};
///
/// let table = "0 0 0 0\n0 1 2 3\n0 2 4 6\n0 3 6 9\n";
/// let imported = import::parse(table.as_bytes(), FileKind::Text, "mine", &ImportOptions::default())?;
/// let note = &imported.notes[0];
/// assert_eq!(note.kind, NoteKind::Assumption);
/// assert!(note.to_string().contains("taken as unsigned"));
/// # Ok::<(), approx_multiplier::import::ImportError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Note {
    /// What it says of the file.
    pub kind: NoteKind,
    /// The remark.
    pub text: String,
}

impl Note {
    pub(super) fn information(text: impl Into<String>) -> Self {
        Self::new(NoteKind::Information, text)
    }

    pub(super) fn assumption(text: impl Into<String>) -> Self {
        Self::new(NoteKind::Assumption, text)
    }

    pub(super) fn warning(text: impl Into<String>) -> Self {
        Self::new(NoteKind::Warning, text)
    }

    pub(super) fn contradiction(text: impl Into<String>) -> Self {
        Self::new(NoteKind::Contradiction, text)
    }

    fn new(kind: NoteKind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
