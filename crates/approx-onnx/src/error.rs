//! What can be wrong with a file, a node or an input.

use std::fmt;
use std::path::PathBuf;

use burn_approx::ApproxError;

/// Why a file cannot be read, run or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// A file that cannot be opened or read.
    #[error("{} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file that is no ONNX model, or a damaged one.
    #[error("{file} is not a whole ONNX model: {problem}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// Operators, attributes or forms of them that are not covered.
    #[error("{file} has {} that cannot be computed here:{}", count(.places), list(.places))]
    NotCovered {
        /// The file.
        file: String,
        /// Every place where one was found.
        places: Vec<Place>,
    },
    /// A file that is made for one batch, and whose graph mixes or drops the rows of any other one.
    #[error(
        "{file} is made for a batch of {batch}, and its graph does not give the same for each row of another one; export it \
         with an open batch, or run it with that one"
    )]
    FixedBatch {
        /// The file.
        file: String,
        /// The batch that it is made for.
        batch: usize,
    },
    /// Quantisers that cannot be written into a file.
    #[error("{file} cannot be written with these quantisers: {problem}")]
    Quantizers {
        /// The file that is copied.
        file: String,
        /// What stands in the way.
        problem: String,
    },
    /// Inputs that the model does not take.
    #[error("the model does not take these inputs: {problem}")]
    Input {
        /// What does not fit and what would.
        problem: String,
    },
    /// A node that cannot be computed with what it is given.
    #[error(transparent)]
    Node(Box<Place>),
    /// What the rest of the library says.
    #[error(transparent)]
    Approx(#[from] ApproxError),
}

/// A node of a graph, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{operator} {node:?}: {problem}")]
pub struct Place {
    /// The operator, with its domain unless it is ONNX's own.
    pub operator: String,
    /// The node's name, or that of its first output where it has none.
    pub node: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

/// What is wrong with one node; its place is added by whoever runs the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem(pub(crate) String);

impl Problem {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn count(places: &[Place]) -> String {
    match places.len() {
        1 => "a node".to_string(),
        count => format!("{count} nodes"),
    }
}

/// The places below each other, the first of many.
fn list(places: &[Place]) -> String {
    const SHOWN: usize = 20;
    let shown = places.iter().take(SHOWN);
    let mut lines: Vec<String> = shown.map(|place| format!("\n  {place}")).collect();
    if places.len() > SHOWN {
        lines.push(format!("\n  and {} more", places.len() - SHOWN));
    }
    lines.concat()
}
