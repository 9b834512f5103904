//! Where a multiplier comes from, and how it is got from there.

use std::path::{Path, PathBuf};

use crate::import::{self, ImportOptions, Imported};
use crate::{
    ContentHash, FamilySpecification, Multiplier, MultiplierError, OperandFormat, evoapprox,
};

/// Where a multiplier comes from. [`resolve`](Self::resolve) gets it.
///
/// # As JSON
///
/// A text as below, or an object:
///
/// ```json
/// {"bundled": "mul8s_1L2J", "hash": "<64 hexadecimal digits>"}
/// {"bundled": "mul8u_17C8", "sign_magnitude": true}
/// {"exact": {"activation": {"bits": 8, "signedness": "signed"}, "weight": {"bits": 8, "signedness": "signed"}}}
/// {"htp": "mul12s_2PS"}
/// {"file": "tables/mine.csv"}
/// {"file": "tables/mine.npy", "activation": {"bits": 8, "signedness": "unsigned"},
///                             "weight": {"bits": 8, "signedness": "signed"}}
/// {"file": "tables/mine.bin", "activation": {"bits": 8, "signedness": "unsigned"},
///                             "weight": {"bits": 8, "signedness": "unsigned"}, "swap_operands": true}
/// {"family": "drum:k=6,bits=8,signed"}
/// {"inline": {"name": "mine", ...}}
/// ```
///
/// `hash`, `sign_magnitude` and `swap_operands` may always be left out. With a hash, another content is an error. Files
/// that were written by version 0.1.0 say `npy` in place of `file`, with both formats: they are read as before.
///
/// # As text
///
/// | text | meaning |
/// |---|---|
/// | `mul8s_1L2J`, `mul16s_GRU` | a bundled multiplier |
/// | `mul8u_17C8:sign-magnitude` | a bundled unsigned one with [sign-magnitude operands](Multiplier::sign_magnitude) |
/// | `exact` | the exact 8 x 8-bit signed multiplier |
/// | `exact:uint8` | the exact one with that format for both operands |
/// | `exact:uint8,int8` | the exact one with these formats for activation and weight |
/// | `htp:mul12s_2PS` | a bundled HTP model |
/// | `tables/mine.npy` | a table in a file, 8 x 8-bit signed |
/// | `tables/mine.npy:uint8` | a table with other formats, written as for `exact` |
/// | `tables/mine.npy:uint8:sign-magnitude` | an unsigned table with sign-magnitude operands |
/// | `mine.csv`, `mine.h`, `mine.c`, `mine.v`, `mine.json` | a file of any [kind](crate::import::FileKind) that can be imported, by its extension |
/// | `mine.csv:uint8,int8:swapped` | the same with operand formats, and with the weight as the file's first operand |
/// | `drum:k=6,bits=8,signed` | a member of a [family](FamilySpecification) |
///
/// Names are compared exactly, and a name that is not bundled is an error at once. Nothing that a source names is
/// compiled or run: a text that begins with `exec:`, as command lines name programs, is an error.
///
/// ```
/// use approx_multiplier::MultiplierSource;
///
/// let source: MultiplierSource = "mul8u_17C8:sign-magnitude".parse()?;
/// let multiplier = source.resolve()?;
/// assert!(multiplier.activation().is_signed());
///
/// // What is written to a file names the circuit and says what is meant by the name.
/// let described = MultiplierSource::describe(&multiplier);
/// assert!(matches!(
///     &described,
///     MultiplierSource::Bundled { name, hash: Some(hash), sign_magnitude: true }
///         if name == "mul8u_17C8" && *hash == multiplier.hash()
/// ));
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum MultiplierSource {
    /// A bundled circuit, by its name.
    Bundled {
        /// The name, one of [`evoapprox::names`].
        name: String,
        /// The hash that its content, in sign-magnitude form if so asked, must have.
        hash: Option<ContentHash>,
        /// Whether its [sign-magnitude form](Multiplier::sign_magnitude) is meant.
        sign_magnitude: bool,
    },
    /// A multiplier in a file of any kind that can be [imported](crate::import).
    File {
        /// The file. A relative path is relative to the folder given to
        /// [`resolve_relative_to`](MultiplierSource::resolve_relative_to).
        path: PathBuf,
        /// Formats of the activation and the weight, if the file does not say them or is to be read in another way.
        formats: Option<(OperandFormat, OperandFormat)>,
        /// Whether the file's first operand is the weight.
        swap_operands: bool,
        /// The hash that its content, in sign-magnitude form if so asked, must have.
        hash: Option<ContentHash>,
        /// Whether its [sign-magnitude form](Multiplier::sign_magnitude) is meant.
        sign_magnitude: bool,
    },
    /// A member of a family, by its formula.
    Family {
        /// The family, its parameters and the operand formats.
        specification: FamilySpecification,
        /// The hash that its content must have.
        hash: Option<ContentHash>,
    },
    /// The exact multiplier.
    Exact {
        /// Format of the activation.
        activation: OperandFormat,
        /// Format of the weight.
        weight: OperandFormat,
    },
    /// A bundled HTP model, by its name.
    Htp {
        /// The name, one of [`evoapprox::htp_names`].
        name: String,
        /// The hash that its content must have.
        hash: Option<ContentHash>,
    },
    /// The multiplier itself.
    Inline(Multiplier),
}

impl MultiplierSource {
    /// Gets the multiplier. A relative path is relative to the current folder.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::HashMismatch`] if it is not the one whose hash the source gives, and what is wrong with the
    /// name, the file or the operand formats.
    pub fn resolve(&self) -> Result<Multiplier, MultiplierError> {
        self.resolve_relative_to(Path::new(""))
    }

    /// Gets the multiplier. A relative path is relative to `folder`, that of the configuration file for instance.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](Self::resolve).
    pub fn resolve_relative_to(
        &self,
        folder: impl AsRef<Path>,
    ) -> Result<Multiplier, MultiplierError> {
        Ok(self.import_relative_to(folder)?.multiplier)
    }

    /// Gets the multiplier, with what was assumed where its file leaves something open.
    ///
    /// # Errors
    ///
    /// As for [`resolve`](Self::resolve).
    ///
    /// ```
    /// use approx_multiplier::MultiplierSource;
    ///
    /// let imported = "mul8s_1L2J".parse::<MultiplierSource>()?.import_relative_to("")?;
    /// assert!(imported.notes.is_empty());
    /// # Ok::<(), approx_multiplier::MultiplierError>(())
    /// ```
    pub fn import_relative_to(
        &self,
        folder: impl AsRef<Path>,
    ) -> Result<Imported, MultiplierError> {
        let mut notes = Vec::new();
        let mut metrics = None;
        let (multiplier, sign_magnitude, hash) = match self {
            Self::Bundled {
                name,
                hash,
                sign_magnitude,
            } => (evoapprox::multiplier(name)?, *sign_magnitude, *hash),
            Self::File {
                path,
                formats,
                swap_operands,
                hash,
                sign_magnitude,
            } => {
                let options = ImportOptions {
                    swap_operands: *swap_operands,
                    ..ImportOptions::default()
                };
                let options = match formats {
                    Some((activation, weight)) => options.with_formats(*activation, *weight),
                    None => options,
                };
                let imported = import::read(folder.as_ref().join(path), &options)?;
                notes = imported.notes;
                metrics = imported.metrics.filter(|_| !sign_magnitude);
                (imported.multiplier, *sign_magnitude, *hash)
            }
            Self::Family {
                specification,
                hash,
            } => (specification.multiplier()?, false, *hash),
            Self::Exact { activation, weight } => {
                (Multiplier::exact(*activation, *weight), false, None)
            }
            Self::Htp { name, hash } => (Multiplier::from_htp(evoapprox::htp(name)?), false, *hash),
            Self::Inline(multiplier) => (multiplier.clone(), false, None),
        };
        let multiplier = if sign_magnitude {
            multiplier.sign_magnitude()?
        } else {
            multiplier
        };
        Ok(Imported {
            multiplier: multiplier.verified(hash)?,
            notes,
            metrics,
        })
    }
}
