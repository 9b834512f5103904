//! NumPy arrays from and to .npy files. What a stranger's file announces is checked before memory is taken for it.

use std::fs::File;
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use approx_multiplier::export::replace_file;
use approx_multiplier::import::npy_header;
use npyz::{DType, NpyFile, Order, TypeChar, WriterBuilder};

use crate::error::CliError;

/// The most bytes of an array that is read: more than any single layer has.
const MAX_BYTES: u64 = 1 << 30;

/// An array, row by row.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Its sizes.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Values,
}

/// The values of an array.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Codes, of 8- or 16-bit integers.
    Codes(Vec<i32>),
    /// Real values.
    Reals(Vec<f32>),
}

/// Reads an array of int8, uint8, int16, uint16, int32 or int64 codes that fit 32 bits, float32 or float64.
pub fn read_array(path: &Path) -> Result<Array, CliError> {
    let fail = |problem: String| CliError::file(path, problem);
    let file = File::open(path).map_err(|error| fail(error.to_string()))?;
    let mut bytes = Vec::new();
    BufReader::new(file)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| fail(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(format!("it has more than {MAX_BYTES} bytes")));
    }
    parse_array(&bytes).map_err(fail)
}

fn parse_array(bytes: &[u8]) -> Result<Array, String> {
    npy_header(&mut &*bytes).map_err(|error| error.to_string())?;
    let array = NpyFile::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    let shape: Vec<usize> = array
        .shape()
        .iter()
        .map(|size| usize::try_from(*size))
        .collect::<Result<_, _>>()
        .map_err(|_| "its shape is too large".to_string())?;
    // The memory is taken for what is announced: that must be there.
    let count = shape
        .iter()
        .try_fold(1usize, |count, size| count.checked_mul(*size))
        .filter(|count| *count <= bytes.len())
        .ok_or_else(|| format!("its shape {shape:?} announces more than the file holds"))?;
    let order = array.order();
    let element = match array.dtype() {
        DType::Plain(element) => (element.type_char(), element.size_field()),
        other => return Err(wrong_type(&other)),
    };
    fn read<T: npyz::Deserialize>(array: NpyFile<Cursor<&[u8]>>) -> Result<Vec<T>, String> {
        array
            .into_vec()
            .map_err(|error| format!("its values cannot be read: {error}"))
    }
    fn narrow<T: Copy + TryInto<i32> + std::fmt::Display>(
        values: Vec<T>,
    ) -> Result<Vec<i32>, String> {
        values
            .into_iter()
            .map(|value| {
                value
                    .try_into()
                    .map_err(|_| format!("{value} is no code of at most 16 bits"))
            })
            .collect()
    }
    let values = match element {
        (TypeChar::Int, 1) => Values::Codes(narrow(read::<i8>(array)?)?),
        (TypeChar::Int, 2) => Values::Codes(narrow(read::<i16>(array)?)?),
        (TypeChar::Int, 4) => Values::Codes(read::<i32>(array)?),
        (TypeChar::Int, 8) => Values::Codes(narrow(read::<i64>(array)?)?),
        (TypeChar::Uint, 1) => Values::Codes(narrow(read::<u8>(array)?)?),
        (TypeChar::Uint, 2) => Values::Codes(narrow(read::<u16>(array)?)?),
        (TypeChar::Float, 4) => Values::Reals(read::<f32>(array)?),
        (TypeChar::Float, 8) => Values::Reals(
            read::<f64>(array)?
                .into_iter()
                .map(|value| value as f32)
                .collect(),
        ),
        _ => return Err(wrong_type(&array.dtype())),
    };
    if values.len() != count {
        return Err(format!(
            "its shape is {shape:?}, but it has {} values",
            values.len()
        ));
    }
    let values = match order {
        Order::C => values,
        Order::Fortran => values.reordered(&shape),
    };
    Ok(Array { shape, values })
}

fn wrong_type(found: &DType) -> String {
    format!(
        "its elements are {}; int8, uint8, int16, float32 or float64 would be right",
        found.descr()
    )
}

impl Values {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Codes(values) => values.len(),
            Self::Reals(values) => values.len(),
        }
    }

    /// From Fortran's order to C's.
    fn reordered(self, shape: &[usize]) -> Self {
        fn reorder<T: Copy>(values: &[T], shape: &[usize]) -> Vec<T> {
            (0..values.len())
                .map(|index| {
                    // The index in C's order, digit by digit from the last axis, put together from the first.
                    let mut rest = index;
                    let mut digits = vec![0; shape.len()];
                    for (digit, size) in digits.iter_mut().zip(shape).rev() {
                        *digit = rest % size;
                        rest /= size;
                    }
                    let place = digits
                        .iter()
                        .zip(shape)
                        .rev()
                        .fold(0, |place, (digit, size)| place * size + digit);
                    values[place]
                })
                .collect()
        }
        match self {
            Self::Codes(values) => Self::Codes(reorder(&values, shape)),
            Self::Reals(values) => Self::Reals(reorder(&values, shape)),
        }
    }
}

impl Array {
    /// The array as real values.
    pub fn into_reals(self) -> Vec<f32> {
        match self.values {
            Values::Codes(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Reals(values) => values,
        }
    }
}

/// Writes an array.
pub fn write_array<T: npyz::AutoSerialize + Copy>(
    path: &Path,
    shape: &[usize],
    values: &[T],
) -> Result<(), CliError> {
    let shape: Vec<u64> = shape.iter().map(|size| *size as u64).collect();
    replace_file(path, |writer| {
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&shape)
            .writer(writer)
            .begin_nd()?;
        writer.extend(values.iter().copied())?;
        writer.finish()
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str, values: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        bytes.extend(values);
        bytes
    }

    #[test]
    fn arrays_are_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write_array(&path, &[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let array = read_array(&path).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.into_reals(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        write_array(&path, &[1], &[-5i64]).unwrap();
        assert_eq!(read_array(&path).unwrap().values, Values::Codes(vec![-5]));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_order_of_fortran_is_undone() {
        let text = "{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }";
        let array = parse_array(&header(text, &[1, 4, 2, 5, 3, 6])).unwrap();
        assert_eq!(array.values, Values::Codes(vec![1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn other_content_is_refused() {
        let shape = |shape: &str| {
            header(
                &format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"),
                &[0; 8],
            )
        };
        for bytes in [
            b"".to_vec(),
            b"not an array".to_vec(),
            b"\x93NUMPY\x01\x00\xff\xff".to_vec(),
            b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec(),
            shape("(3,)"),
            shape("(1, 1, 1, 4000000000, 4000000000, 4000000000)"),
            shape("(999999999999999999999,)"),
            shape("((((((((((1,),),),),),),),),),)"),
            shape("(-1,)"),
            header(
                "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }",
                &[0; 8],
            ),
            header(
                "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }",
                &[0; 8],
            ),
            header(
                "{'descr': '<i8', 'fortran_order': False, 'shape': (1,), }",
                &[255, 255, 255, 255, 255, 255, 255, 127],
            ),
        ] {
            assert!(parse_array(&bytes).is_err(), "{bytes:?}");
        }
    }
}
