//! Tables as `.npy` files, the format in which multiplier tables are exchanged.
//!
//! Other tools store them with whatever integer type and memory order NumPy chose, so all of them are read. The header
//! is checked in full before a table's memory is taken.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use npyz::{DType, NpyFile, NpyHeader, Order, TypeChar, WriterBuilder};
use py_literal::Value;

use super::product::{ProductTable, checked_entry, entry_count};
use crate::{MultiplierError, OperandFormat, file};

/// The longest header accepted. NumPy's for an array of a simple type has 118 bytes.
const MAX_HEADER_LENGTH: u32 = 1024;

/// The most brackets of a header accepted: its parser recurses into them. NumPy's has the dictionary's and the shape's.
const MAX_HEADER_BRACKETS: usize = 8;

impl ProductTable {
    /// The table in a `.npy` file: an integer array of any width and byte order, of shape
    /// `[2^activation bits, 2^weight bits]`, in C or Fortran order.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::Io`] if the file cannot be read; [`MultiplierError::InvalidNpy`] if it is no `.npy` file or
    /// goes on after the array; [`MultiplierError::NpyElementType`], [`MultiplierError::NpyShape`] or
    /// [`MultiplierError::NpyTruncated`] if the array is another than the formats ask for;
    /// [`MultiplierError::EntryOutOfRange`] and [`MultiplierError::TableTooLarge`].
    pub fn from_npy(
        path: impl AsRef<Path>,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Self, MultiplierError> {
        let path = path.as_ref();
        let file = File::open(path).map_err(|source| MultiplierError::Io {
            operation: "read",
            path: path.into(),
            source,
        })?;
        let origin = path.display().to_string();
        read(BufReader::new(file), &origin, |_| Ok((activation, weight)))
    }

    /// Writes the table as a little-endian 32-bit `.npy` file. An existing file is replaced in one step: it is never
    /// seen half-written.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::Io`] if the file cannot be written.
    pub fn to_npy(&self, path: impl AsRef<Path>) -> Result<(), MultiplierError> {
        file::replace(path.as_ref(), |writer| write(self, writer))
    }
}

/// Reads a table from an array that ends where the input does. The operand formats are given once it is known what the
/// header announces; entries are read one by one, so the input should be buffered.
pub(crate) fn read<E: From<MultiplierError>>(
    mut reader: impl Read,
    origin: &str,
    formats: impl FnOnce(&Announced) -> Result<(OperandFormat, OperandFormat), E>,
) -> Result<ProductTable, E> {
    let invalid = |reason: String| MultiplierError::InvalidNpy {
        origin: origin.into(),
        reason,
    };
    let header = read_header(&mut reader).map_err(|error| invalid(error.to_string()))?;
    let announced = announced_by(&header).map_err(invalid)?;
    let (activation, weight) = formats(&announced)?;
    let table = read_entries(&mut reader, origin, header, announced, activation, weight)?;
    // A header that announces less than there is may well be a damaged one.
    match reader.read(&mut [0]) {
        Ok(0) => Ok(table),
        Ok(_) => Err(invalid("the file goes on after the array's last entry".into()).into()),
        Err(error) => Err(invalid(error.to_string()).into()),
    }
}

/// Reads the entries that follow a header, if it announces an array of the right shape.
fn read_entries(
    reader: impl Read,
    origin: &str,
    header: Vec<u8>,
    announced: Announced,
    activation: OperandFormat,
    weight: OperandFormat,
) -> Result<ProductTable, MultiplierError> {
    let count = entry_count(activation, weight)?;
    let shape = [activation, weight].map(|format| format.cardinality().to_string());
    if announced.shape != shape {
        return Err(MultiplierError::NpyShape {
            origin: origin.into(),
            activation,
            weight,
            found: announced.shape,
        });
    }
    let invalid = |reason: String| MultiplierError::InvalidNpy {
        origin: origin.into(),
        reason,
    };
    let header =
        NpyHeader::from_reader(header.as_slice()).map_err(|error| invalid(error.to_string()))?;
    let array = NpyFile::with_header(header, reader);
    let order = array.order();
    let dtype = array.dtype();
    let destination = Destination {
        origin,
        activation,
        weight,
        order,
        count,
    };
    let element = match &dtype {
        DType::Plain(element) => Some((element.type_char(), element.size_field())),
        DType::Array(..) | DType::Record(_) => None,
    };
    match element {
        Some((TypeChar::Int, 1)) => destination.fill::<i8, _>(array),
        Some((TypeChar::Int, 2)) => destination.fill::<i16, _>(array),
        Some((TypeChar::Int, 4)) => destination.fill::<i32, _>(array),
        Some((TypeChar::Int, 8)) => destination.fill::<i64, _>(array),
        Some((TypeChar::Uint, 1)) => destination.fill::<u8, _>(array),
        Some((TypeChar::Uint, 2)) => destination.fill::<u16, _>(array),
        Some((TypeChar::Uint, 4)) => destination.fill::<u32, _>(array),
        Some((TypeChar::Uint, 8)) => destination.fill::<u64, _>(array),
        _ => Err(MultiplierError::NpyElementType {
            origin: origin.into(),
            found: dtype.descr(),
        }),
    }
}

/// Where the entries of an array go.
struct Destination<'a> {
    origin: &'a str,
    activation: OperandFormat,
    weight: OperandFormat,
    order: Order,
    count: usize,
}

impl Destination<'_> {
    /// Reads an array whose shape is known to be right.
    fn fill<T, R>(self, array: NpyFile<R>) -> Result<ProductTable, MultiplierError>
    where
        T: npyz::Deserialize + Into<i128>,
        R: Read,
    {
        let values = array
            .data::<T>()
            .map_err(|error| self.invalid(error.to_string()))?;
        let (rows, columns) = (self.activation.cardinality(), self.weight.cardinality());
        let mut entries = vec![0; self.count];
        for (position, value) in values.enumerate() {
            let value = value.map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => MultiplierError::NpyTruncated {
                    origin: self.origin.into(),
                    expected: self.count,
                    found: position,
                },
                _ => self.invalid(error.to_string()),
            })?;
            let index = match self.order {
                Order::C => position,
                Order::Fortran => position % rows * columns + position / rows,
            };
            entries[index] = checked_entry(self.activation, self.weight, index, value.into())?;
        }
        Ok(ProductTable::from_checked(
            self.activation,
            self.weight,
            entries.into(),
        ))
    }

    fn invalid(&self, reason: String) -> MultiplierError {
        MultiplierError::InvalidNpy {
            origin: self.origin.into(),
            reason,
        }
    }
}

/// Reads what a `.npy` array begins with, as the bytes that `npyz` parses; what follows are the entries.
///
/// A stranger's header is bounded here: `npyz` would take the memory that its length field asks for, up to 4 GiB, recurse
/// into nested brackets until the stack ends, and multiply the sizes without regard to overflow.
///
/// ```
/// use approx_multiplier::import::npy_header;
///
/// let mut file = &b"\x93NUMPY\x01\x00\x0f\x00{'shape': (7,)}entries"[..];
/// assert_eq!(npy_header(&mut file)?.len(), 25);
/// assert_eq!(file, b"entries");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// An input that does not begin with such a header, or with one that is longer or nested deeper than a simple array's, or
/// that announces more elements than 64 bits can count.
pub fn npy_header(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let header = read_header(reader)?;
    let shape = announced_by(&header).map_err(invalid_data)?.shape;
    // Where one size is 0, the product of the others still is computed on the way.
    let mut sizes = shape.iter().map(|size| size.parse::<u64>().ok());
    let elements = sizes.try_fold(1_u64, |product, size| product.checked_mul(size?.max(1)));
    match elements {
        Some(_) => Ok(header),
        None => Err(invalid_data(format!(
            "its shape is [{}], which no array can have",
            shape.join(", ")
        ))),
    }
}

fn invalid_data(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// Reads a header of bounded length and depth. What it announces is not looked at.
fn read_header(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    let mut extend = |header: &mut Vec<u8>, length: usize| {
        let start = header.len();
        header.resize(start + length, 0);
        reader.read_exact(&mut header[start..]).map_err(|error| {
            io::Error::new(error.kind(), format!("its header cannot be read: {error}"))
        })
    };
    extend(&mut header, 8)?;
    if !header.starts_with(b"\x93NUMPY") {
        return Err(invalid_data(
            "it does not begin with the .npy magic number".into(),
        ));
    }
    let text_length = match header[6] {
        1 => {
            extend(&mut header, 2)?;
            u32::from(u16::from_le_bytes([header[8], header[9]]))
        }
        2 | 3 => {
            extend(&mut header, 4)?;
            u32::from_le_bytes([header[8], header[9], header[10], header[11]])
        }
        version => {
            return Err(invalid_data(format!(
                "its format version {version} is unknown: 1 to 3 are known"
            )));
        }
    };
    if text_length > MAX_HEADER_LENGTH {
        return Err(invalid_data(format!(
            "its header has {text_length} bytes: a simple array's has at most {MAX_HEADER_LENGTH}"
        )));
    }
    extend(&mut header, text_length as usize)?;
    let brackets = header.iter().filter(|byte| b"([{".contains(byte)).count();
    if brackets > MAX_HEADER_BRACKETS {
        return Err(invalid_data(
            "its header is nested deeper than a simple array's".into(),
        ));
    }
    Ok(header)
}

/// What a header announces about its array.
pub(crate) struct Announced {
    /// The sizes of the dimensions, as decimal numbers of any size.
    pub(crate) shape: Vec<String>,
    /// Whether the entries are unsigned integers.
    pub(crate) unsigned: bool,
}

/// What a header announces, or what is wrong with it. It is looked at before `npyz` sees it, because `npyz` multiplies
/// the sizes without regard to overflow.
fn announced_by(header: &[u8]) -> Result<Announced, String> {
    let text_start = if header[6] == 1 { 10 } else { 12 };
    let text = std::str::from_utf8(&header[text_start..])
        .map_err(|error| format!("its header is not text: {error}"))?;
    let value: Value = text
        .trim_end()
        .parse()
        .map_err(|_| "its header is not a Python dictionary")?;
    let Value::Dict(fields) = value else {
        return Err("its header is not a Python dictionary".into());
    };
    let named = |name: &'static str| {
        fields
            .iter()
            .filter(move |(key, _)| key.as_string().is_some_and(|key| key == name))
            .map(|(_, value)| value)
    };
    let mut shapes = named("shape");
    let (Some(Value::Tuple(shape) | Value::List(shape)), None) = (shapes.next(), shapes.next())
    else {
        return Err("its header does not have one shape".into());
    };
    Ok(Announced {
        shape: shape.iter().map(ToString::to_string).collect(),
        unsigned: named("descr").any(|element| {
            element
                .as_string()
                .is_some_and(|element| element.contains('u'))
        }),
    })
}

/// Writes a table as a little-endian array of 32 bits.
pub(crate) fn write(table: &ProductTable, writer: &mut dyn Write) -> io::Result<()> {
    let shape = [
        table.activation().cardinality() as u64,
        table.weight().cardinality() as u64,
    ];
    let element = "<i4".parse().map_err(io::Error::other)?;
    let mut array = npyz::WriteOptions::<i32>::new()
        .dtype(DType::Plain(element))
        .shape(&shape)
        .writer(writer)
        .begin_nd()?;
    array.extend(table.entries().iter().copied())?;
    array.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn activation() -> OperandFormat {
        OperandFormat::signed(3).unwrap()
    }

    fn weight() -> OperandFormat {
        OperandFormat::unsigned(2).unwrap()
    }

    /// A version 1 file with any header text.
    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn header(element: &str, fortran: bool, shape: &str) -> String {
        let fortran = if fortran { "True" } else { "False" };
        format!("{{'descr': '{element}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n")
    }

    fn read_bytes(bytes: &[u8]) -> Result<ProductTable, MultiplierError> {
        read(bytes, "the .npy input", |_| Ok((activation(), weight())))
    }

    /// The bytes of `values` as a NumPy element type.
    fn encode(element: &str, values: &[i64]) -> Vec<u8> {
        let size: usize = element[2..].parse().unwrap();
        values
            .iter()
            .flat_map(|value| match &element[..1] {
                ">" => value.to_be_bytes()[8 - size..].to_vec(),
                _ => value.to_le_bytes()[..size].to_vec(),
            })
            .collect()
    }

    #[rstest]
    fn every_integer_type_and_order_is_read(
        #[values(
            "|i1", "|u1", "<i2", ">i2", "<u2", ">u2", "<i4", ">i4", "<u4", ">u4", "<i8", ">i8",
            "<u8", ">u8"
        )]
        element: &str,
        #[values(false, true)] fortran: bool,
    ) {
        let signed = element.contains('i');
        let function = |a: i64, b: i64| if signed { a * b - 7 } else { (a + 4) * b + 7 };
        let table = ProductTable::from_fn(activation(), weight(), function).unwrap();
        let source = if fortran {
            table.swapped()
        } else {
            table.clone()
        };
        let values: Vec<i64> = source.entries().iter().copied().map(i64::from).collect();
        let bytes = npy(
            &header(element, fortran, "(8, 4)"),
            &encode(element, &values),
        );
        assert_eq!(read_bytes(&bytes).unwrap(), table);
    }

    #[rstest]
    #[case("<f4")]
    #[case("<f8")]
    #[case("|b1")]
    #[case("<c8")]
    #[case("|S4")]
    #[case("<M8[s]")]
    #[case("|O")]
    fn other_element_types_are_refused(#[case] element: &str) {
        let error = read_bytes(&npy(&header(element, false, "(8, 4)"), &[0; 1024])).unwrap_err();
        assert!(
            matches!(error, MultiplierError::NpyElementType { .. }),
            "{error}"
        );
    }

    #[test]
    fn records_are_refused() {
        let text = "{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (8, 4)}";
        let error = read_bytes(&npy(text, &[0; 1024])).unwrap_err();
        assert!(
            matches!(error, MultiplierError::NpyElementType { .. }),
            "{error}"
        );
    }

    #[rstest]
    #[case("(4, 8)")]
    #[case("(32,)")]
    #[case("()")]
    #[case("(8, 4, 1)")]
    #[case("(8, -4)")]
    #[case("(9223372036854775808, 4)")]
    #[case("(4294967296, 4294967296, 4294967296)")]
    #[case("(99999999999999999999999999, 1)")]
    fn other_shapes_are_refused(#[case] shape: &str) {
        let error = read_bytes(&npy(&header("<i4", false, shape), &[0; 1024])).unwrap_err();
        assert!(matches!(error, MultiplierError::NpyShape { .. }), "{error}");
        assert!(error.to_string().contains("[8, 4]"), "{error}");
    }

    #[rstest]
    #[case(0)]
    #[case(17)]
    #[case(31)]
    fn a_truncated_array_is_refused(#[case] complete: usize) {
        // One byte of the next entry is there as well.
        let bytes = npy(&header("<i4", false, "(8, 4)"), &vec![0; complete * 4 + 1]);
        let error = read_bytes(&bytes).unwrap_err();
        assert!(
            matches!(error, MultiplierError::NpyTruncated { expected: 32, found, .. } if found == complete),
            "{error}"
        );
    }

    #[test]
    fn entries_beyond_32_bits_are_refused_with_their_codes() {
        let mut values = vec![0; 32];
        values[7 * 4 + 3] = -1;
        let unsigned = npy(&header("<u8", false, "(8, 4)"), &encode("<u8", &values));
        let error = read_bytes(&unsigned).unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::EntryOutOfRange { activation: -1, weight: 3, value } if value == i128::from(u64::MAX)
        ));
        values[7 * 4 + 3] = 0;
        values[2 * 8 + 5] = i64::from(i32::MIN) - 1;
        let transposed = npy(&header(">i8", true, "(8, 4)"), &encode(">i8", &values));
        let error = read_bytes(&transposed).unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::EntryOutOfRange {
                activation: -3,
                weight: 2,
                ..
            }
        ));
    }

    #[rstest]
    #[case::empty(vec![])]
    #[case::text(b"a, b, c, d, e, f".to_vec())]
    #[case::version(b"\x93NUMPY\x09\x00\x00\x00\x00\x00".to_vec())]
    #[case::minor_version([&b"\x93NUMPY\x01\x07"[..], &npy(&header("<i4", false, "(8, 4)"), &[0; 128])[8..]].concat())]
    #[case::long_header(b"\x93NUMPY\x02\x00\xff\xff\xff\xff".to_vec())]
    #[case::header_ends(b"\x93NUMPY\x01\x00\x76\x00{'descr'".to_vec())]
    #[case::no_dictionary(npy("17", &[]))]
    #[case::no_literal(npy("{'descr': ", &[]))]
    #[case::no_text([&b"\x93NUMPY\x01\x00\x02\x00"[..], b"\xff\xff"].concat())]
    #[case::nested(npy(&"(".repeat(1000), &[]))]
    #[case::no_shape(npy("{'descr': '<i4', 'fortran_order': False}", &[0; 128]))]
    #[case::two_shapes(npy("{'descr': '<i4', 'fortran_order': False, 'shape': (8, 4), 'shape': (4, 8)}", &[0; 128]))]
    #[case::shape_is_no_tuple(npy("{'descr': '<i4', 'fortran_order': False, 'shape': 32}", &[0; 128]))]
    #[case::no_descr(npy("{'fortran_order': False, 'shape': (8, 4)}", &[0; 128]))]
    #[case::no_order(npy("{'descr': '<i4', 'shape': (8, 4)}", &[0; 128]))]
    fn what_is_no_npy_array_is_refused(#[case] bytes: Vec<u8>) {
        let error = read_bytes(&bytes).unwrap_err();
        assert!(
            matches!(error, MultiplierError::InvalidNpy { .. }),
            "{error}"
        );
    }

    #[test]
    fn files_are_written_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.npy");
        let table = ProductTable::from_fn(activation(), weight(), |a, b| {
            i64::from(i32::MIN) + 31 * a + b + 124
        })
        .unwrap();
        ProductTable::exact(weight(), weight())
            .unwrap()
            .to_npy(&path)
            .unwrap();
        table.to_npy(&path).unwrap();
        assert_eq!(
            ProductTable::from_npy(&path, activation(), weight()).unwrap(),
            table
        );
        assert_eq!(
            std::fs::read_dir(folder.path()).unwrap().count(),
            1,
            "a temporary file is left"
        );
        // NumPy wants the entries aligned to 64 bytes.
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 128 + 128);
    }

    #[test]
    fn a_file_that_goes_on_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.npy");
        std::fs::write(&path, npy(&header("<i2", false, "(8, 4)"), &[0; 128])).unwrap();
        let error = ProductTable::from_npy(&path, activation(), weight()).unwrap_err();
        assert!(
            matches!(error, MultiplierError::InvalidNpy { .. }),
            "{error}"
        );
    }

    #[test]
    fn missing_files_and_folders_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("table.npy");
        let error = ProductTable::from_npy(&path, activation(), weight()).unwrap_err();
        assert!(
            matches!(&error, MultiplierError::Io { operation: "read", path: found, .. } if *found == path)
        );
        let error = ProductTable::exact(weight(), weight())
            .unwrap()
            .to_npy(&path)
            .unwrap_err();
        assert!(matches!(
            error,
            MultiplierError::Io {
                operation: "write",
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(text in "[ -~]{0,80}", data in proptest::collection::vec(any::<u8>(), 0..300), cut in 0usize..400) {
            let bytes = npy(&text, &data);
            prop_assert!(read_bytes(&bytes[..cut.min(bytes.len())]).is_err());
            let mut whole = npy(&header("<i4", false, "(8, 4)"), &[0; 128]);
            for (position, byte) in data.iter().enumerate().take(3) {
                let position = (position * 97 + cut) % whole.len();
                whole[position] = *byte;
            }
            let _ = read_bytes(&whole);
        }
    }
}
