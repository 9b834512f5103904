//! Tables in `.npy` files whose formats follow from their shape and element type.

use super::table::{self, Stated};
use super::{ImportError, ImportOptions, Imported, Location};
use crate::{MultiplierError, Signedness, npy};

const ORIGIN: &str = "the .npy array";

pub(super) fn parse(
    bytes: &[u8],
    name: &str,
    options: &ImportOptions,
) -> Result<Imported, ImportError> {
    let announced = npy::announced(bytes).map_err(|reason| MultiplierError::InvalidNpy {
        origin: ORIGIN.into(),
        reason,
    })?;
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
        formats: None,
        signedness: announced.unsigned.then_some((
            Signedness::Unsigned,
            "an array of unsigned integers suggests",
        )),
    };
    let formats = table::formats_of_shape([rows, columns], &stated, name, options)?;
    let mut rest = bytes;
    let [row, column] = formats.formats;
    let table = npy::read(&mut rest, ORIGIN, row, column)?;
    if !rest.is_empty() {
        return Err(npy::goes_on(ORIGIN).into());
    }
    Ok(formats.multiplier(table, name, options))
}
