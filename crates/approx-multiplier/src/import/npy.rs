//! Tables in `.npy` files whose formats follow from their shape and element type.

use super::reading::Draft;
use super::table::{self, Formats, Stated};
use super::{ImportError, ImportOptions, Location};
use crate::Signedness;
use crate::table::npy::{self, Announced};

const ORIGIN: &str = "the .npy array";

pub(super) fn parse(
    bytes: &[u8],
    name: &str,
    options: &ImportOptions,
) -> Result<Draft, ImportError> {
    let mut found = None;
    let table = npy::read(bytes, ORIGIN, |announced| {
        let formats = formats(announced, name, options)?;
        let [row, column] = formats.formats;
        found = Some(formats);
        Ok::<_, ImportError>((row, column))
    })?;
    let formats = found.expect("no table is read without formats");
    formats.multiplier(&table, name, options)
}

/// The operand formats of an array.
fn formats(
    announced: &Announced,
    name: &str,
    options: &ImportOptions,
) -> Result<Formats, ImportError> {
    let shape: Option<Vec<usize>> = announced
        .shape
        .iter()
        .map(|size| size.parse().ok())
        .collect();
    let Some(&[rows, columns]) = shape.as_deref() else {
        return Err(ImportError::Unexpected {
            location: Location::default(),
            found: format!("an array of shape [{}]", announced.shape.join(", ")),
            expected: "two dimensions, for the activation and the weight".into(),
        });
    };
    let stated = Stated {
        signedness: announced.unsigned.then_some((
            Signedness::Unsigned,
            "an array of unsigned integers suggests",
        )),
        ..Stated::default()
    };
    table::formats_of_shape([rows, columns], &stated, name, options)
}
