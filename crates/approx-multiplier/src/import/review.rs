//! What is said of every multiplier that was read, whatever its file: how far from the exact one it was measured to be,
//! whether the file claims something else, and whether it is one that is known. Strict callers get an error where
//! anything is in doubt.

use super::claims::Claims;
use super::reading::{self, Draft, ReadingError};
use super::{ImportError, ImportOptions, Imported, Location, Note, known};
use crate::table::index_bits;
use crate::{ErrorMetrics, MAX_INDEX_BITS, Multiplier};

/// How many random operand pairs are measured where all of them are too many to be gone through on the side, from which
/// seed.
const SAMPLED_PAIRS: u64 = 1 << 16;
const SAMPLING_SEED: u64 = 0;

/// Measures what was read and adds what is to be said of it.
pub(super) fn review(
    draft: Draft,
    claims: &Claims,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let Draft {
        multiplier,
        mut notes,
        others,
    } = draft;
    let metrics = measured(&multiplier)?;
    let error = ReadingError {
        mean: metrics.mae,
        mean_squared: metrics.mse,
        index_bits: index_bits(multiplier.activation(), multiplier.weight()),
    };
    if error.is_far() {
        notes.push(reading::far(&multiplier, error, &others));
    }
    if metrics.coverage.is_exhaustive() {
        notes.extend(claims.compare(&metrics));
    } else if !claims.is_empty() {
        notes.push(Note::information(
            "What the file claims of its errors was not compared: there are too many pairs of operands.",
        ));
    }
    notes.extend(known::note(&multiplier));
    let imported = Imported {
        multiplier,
        notes,
        metrics: Some(metrics),
    };
    match options.strict {
        true => strictly(imported),
        false => Ok(imported),
    }
}

/// Over all operand pairs of whatever has a table, else over a sample.
pub(super) fn measured(multiplier: &Multiplier) -> Result<ErrorMetrics, ImportError> {
    let metrics = match index_bits(multiplier.activation(), multiplier.weight()) {
        ..=MAX_INDEX_BITS => ErrorMetrics::measure(multiplier),
        _ => ErrorMetrics::measure_sampled(multiplier, SAMPLED_PAIRS, SAMPLING_SEED),
    };
    Ok(metrics?)
}

/// What was read, if nothing about it is in doubt.
fn strictly(imported: Imported) -> Result<Imported, ImportError> {
    let doubts = imported.notes.iter().filter(|note| note.kind.is_doubt());
    let doubts: Vec<Note> = doubts.cloned().collect();
    match doubts.is_empty() {
        true => Ok(imported),
        false => Err(ImportError::InDoubt {
            location: Location::default(),
            doubts,
        }),
    }
}
