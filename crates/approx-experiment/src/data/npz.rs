//! NumPy's archives of arrays, `.npz`: `inputs`, as images N x C x H x W of float32 or uint8, as rows N x C x L, or as
//! features N x F, and `labels` or `targets`, N whole numbers. One file is one part of a data set; a folder has
//! `train.npz` and `test.npz` (or `val.npz`).
//!
//! What a stranger's file announces is checked before memory is taken for it.

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use approx_multiplier::import::npy_header;
use npyz::npz::NpzArchive;
use npyz::{DType, NpyFile, NpyHeader, Order, TypeChar};

use super::dataset::{Augmentation, Dataset, Splits, numbered_classes};
use super::error::DataError;
use super::images::Images;

/// What the files in a folder are called.
pub(super) const FILES: [&str; 3] = ["train.npz", "val.npz", "test.npz"];

const INPUTS: &str = "inputs";
const LABELS: [&str; 2] = ["labels", "targets"];

/// How many bytes one compressed byte can stand for at most, with room for what an archive says beside.
const MAX_EXPANSION: u64 = 1100;

/// Reads a file as images to test on.
///
/// # Errors
///
/// A file that cannot be read, or arrays that are missing, of other types or of other shapes.
pub fn read_file(path: &Path) -> Result<Dataset, DataError> {
    let splits = Splits {
        test: Some(read_part(path)?),
        ..Splits::default()
    };
    dataset(path, splits)
}

/// Reads whichever of `train.npz`, `val.npz` and `test.npz` a folder has. Where there is no `test.npz`, `val.npz`
/// stands for it.
///
/// # Errors
///
/// As [`read_file`], or parts that do not fit each other.
pub fn read_directory(directory: &Path) -> Result<Dataset, DataError> {
    let part = |name: &str| -> Result<Option<Images>, DataError> {
        let path = directory.join(name);
        path.exists().then(|| read_part(&path)).transpose()
    };
    let [train, validation, test] = FILES.map(part);
    let (validation, test) = match test? {
        None => (None, validation?),
        test => (validation?, test),
    };
    let splits = Splits {
        train: train?,
        validation,
        test,
    };
    dataset(directory, splits)
}

/// A data set of arrays, whose classes have numbers for names: as many as the labels ask for.
fn dataset(path: &Path, splits: Splits) -> Result<Dataset, DataError> {
    let parts = [&splits.train, &splits.validation, &splits.test];
    let labels = parts.into_iter().flatten().flat_map(Images::labels);
    let classes = labels.max().map_or(0, |label| label + 1);
    let name = path.file_stem().unwrap_or(path.as_os_str());
    Dataset::new(
        &name.to_string_lossy(),
        numbered_classes(classes),
        splits,
        Augmentation::NONE,
    )
}

fn read_part(path: &Path) -> Result<Images, DataError> {
    let error = |source| DataError::Read {
        path: path.into(),
        source,
    };
    let file = File::open(path).map_err(error)?;
    let mut archive = Archive {
        path: path.into(),
        length: file.metadata().map_err(error)?.len(),
        arrays: NpzArchive::new(BufReader::new(file)).map_err(error)?,
    };
    let (shape, values) = archive.inputs()?;
    let labels = archive.labels()?;
    let count = shape[0];
    if labels.len() != count {
        return Err(DataError::LabelCount {
            images_path: path.into(),
            images: count,
            labels_path: path.into(),
            labels: labels.len(),
        });
    }
    let shape = match shape[1..] {
        [features] => [features, 1, 1],
        [channels, length] => [channels, 1, length],
        _ => [shape[1], shape[2], shape[3]],
    };
    Ok(match values {
        Inputs::Levels(levels) => Images::new(shape, levels, labels),
        Inputs::Reals(reals) => Images::of_reals(shape, reals, labels),
    })
}

/// An archive that is open.
struct Archive<R: Read + Seek> {
    path: PathBuf,
    /// The file's bytes.
    length: u64,
    arrays: NpzArchive<R>,
}

/// The values of inputs.
enum Inputs {
    Levels(Vec<u8>),
    Reals(Vec<f32>),
}

impl<R: Read + Seek> Archive<R> {
    /// The shape and the values of the inputs.
    fn inputs(&mut self) -> Result<(Vec<usize>, Inputs), DataError> {
        const EXPECTED: &str = "float32 or uint8 of N x C x H x W, N x C x L or N x F";
        self.read(&[INPUTS], EXPECTED, |array| {
            if !(2..=4).contains(&array.shape.len()) {
                return Err(format!("has {} dimensions", array.shape.len()));
            }
            let shape = array.shape.clone();
            let values = match array.element() {
                Some((TypeChar::Uint, 1)) => Inputs::Levels(array.bytes()?),
                Some((TypeChar::Float, 4)) => Inputs::Reals(array.values::<f32>()?),
                Some((TypeChar::Float, 8)) => {
                    let values = array.values::<f64>()?.into_iter();
                    Inputs::Reals(values.map(|value| value as f32).collect())
                }
                _ => return Err(array.wrong_type()),
            };
            if let Inputs::Reals(reals) = &values
                && let Some(place) = reals.iter().position(|real| !real.is_finite())
            {
                return Err(format!("has {} at place {place}", reals[place]));
            }
            Ok((shape, values))
        })
    }

    fn labels(&mut self) -> Result<Vec<usize>, DataError> {
        const EXPECTED: &str = "N whole numbers from 0, the number of each input's class,";
        self.read(&LABELS, EXPECTED, |array| {
            // A column of labels is as good as a row.
            if !matches!(array.shape[..], [_] | [_, 1]) {
                return Err(format!("has the shape {:?}", array.shape));
            }
            fn whole<T: TryInto<usize> + std::fmt::Display + Copy>(
                labels: Vec<T>,
            ) -> Result<Vec<usize>, String> {
                let label = |label: T| {
                    // A class number is far below what would take memory for its name.
                    let number = label.try_into().ok().filter(|number| *number < 1 << 24);
                    number.ok_or_else(|| format!("has the label {label}"))
                };
                labels.into_iter().map(label).collect()
            }
            match array.element() {
                Some((TypeChar::Int, 1)) => whole(array.values::<i8>()?),
                Some((TypeChar::Int, 2)) => whole(array.values::<i16>()?),
                Some((TypeChar::Int, 4)) => whole(array.values::<i32>()?),
                Some((TypeChar::Int, 8)) => whole(array.values::<i64>()?),
                Some((TypeChar::Uint, 1)) => whole(array.values::<u8>()?),
                Some((TypeChar::Uint, 2)) => whole(array.values::<u16>()?),
                Some((TypeChar::Uint, 4)) => whole(array.values::<u32>()?),
                Some((TypeChar::Uint, 8)) => whole(array.values::<u64>()?),
                _ => Err(array.wrong_type()),
            }
        })
    }

    /// What `take` makes of the first array of these names that there is.
    fn read<T>(
        &mut self,
        names: &[&'static str],
        expected: &'static str,
        take: impl FnOnce(Array<'_>) -> Result<T, String>,
    ) -> Result<T, DataError> {
        let mut there: Vec<String> = self.arrays.array_names().map(Into::into).collect();
        there.sort();
        let Some(name) = names
            .iter()
            .find(|name| there.iter().any(|there| there == *name))
        else {
            return Err(DataError::MissingArray {
                path: self.path.clone(),
                expected: if names.len() == 1 {
                    INPUTS
                } else {
                    "labels or targets"
                },
                found: match there.is_empty() {
                    true => "none".into(),
                    false => there.join(", "),
                },
            });
        };
        let wrong = |problem: String| DataError::Array {
            path: self.path.clone(),
            array: (*name).into(),
            problem,
            expected,
        };
        let mut entry = self
            .arrays
            .zip_archive()
            .by_name(&npyz::npz::file_name_from_array_name(name))
            .map_err(|error| wrong(unreadable(error)))?;
        // What the archive says of sizes is a stranger's word, too.
        let compressed = entry.compressed_size().min(self.length);
        let size = entry.size().min(compressed.saturating_mul(MAX_EXPANSION));
        let mut reader = BufReader::new(&mut entry);
        let array = Array::open(&mut reader, size).map_err(wrong)?;
        take(array).map_err(wrong)
    }
}

fn unreadable(error: impl std::fmt::Display) -> String {
    format!("cannot be read: {error}")
}

/// An array whose header was read.
struct Array<'a> {
    header: NpyHeader,
    shape: Vec<usize>,
    /// How many elements it has.
    count: usize,
    /// What follows the header.
    reader: &'a mut dyn Read,
}

impl<'a> Array<'a> {
    /// Reads the header of an array that has at most so many bytes.
    fn open(mut reader: &'a mut dyn Read, size: u64) -> Result<Self, String> {
        let header = npy_header(&mut reader).map_err(unreadable)?;
        let header = NpyHeader::from_reader(&header[..]).map_err(unreadable)?;
        let shape = header.shape().iter().map(|&size| usize::try_from(size));
        let shape: Vec<usize> = shape.collect::<Result<_, _>>().map_err(unreadable)?;
        let product = |first: usize| {
            let mut sizes = shape.iter();
            sizes.try_fold(first, |product, &size| product.checked_mul(size))
        };
        let bytes = product(header.dtype().num_bytes().unwrap_or(1));
        let (Some(count), Some(_)) = (product(1), bytes.filter(|bytes| *bytes as u64 <= size))
        else {
            return Err(format!(
                "announces {shape:?}, which is more than the file holds"
            ));
        };
        if header.order() == Order::Fortran && shape.len() > 1 {
            return Err("is in Fortran's order, which numpy.ascontiguousarray would change".into());
        }
        Ok(Self {
            header,
            shape,
            count,
            reader,
        })
    }

    /// What its elements are, and how many bytes they have.
    fn element(&self) -> Option<(TypeChar, u64)> {
        match self.header.dtype() {
            DType::Plain(element) => Some((element.type_char(), element.size_field())),
            DType::Array(..) | DType::Record(_) => None,
        }
    }

    fn wrong_type(&self) -> String {
        format!("has elements of the type {}", self.header.dtype().descr())
    }

    /// Its elements.
    fn values<T: npyz::Deserialize>(self) -> Result<Vec<T>, String> {
        let values = NpyFile::with_header(self.header, &mut *self.reader).into_vec();
        let values = values.map_err(unreadable)?;
        // The end is where an archive notices that its content is damaged.
        match self.reader.read(&mut [0]).map_err(unreadable)? {
            0 => Ok(values),
            _ => Err(format!("goes on after its {} elements", self.count)),
        }
    }

    /// Its elements, if they are bytes: all at once, for there may be many.
    fn bytes(self) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::new();
        let wanted = self.count as u64;
        self.reader
            .take(wanted + 1)
            .read_to_end(&mut bytes)
            .map_err(unreadable)?;
        match bytes.len() == self.count {
            true => Ok(bytes),
            false => Err(format!("has other than its {} elements", self.count)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Split, Values};
    use npyz::WriterBuilder;
    use npyz::npz::NpzWriter;

    type Writer = NpzWriter<std::io::BufWriter<File>>;

    fn add<T: npyz::AutoSerialize + Copy>(
        writer: &mut Writer,
        name: &str,
        shape: &[u64],
        values: &[T],
    ) {
        let mut array = writer
            .array(name, Default::default())
            .unwrap()
            .default_dtype()
            .shape(shape)
            .begin_nd()
            .unwrap();
        array.extend(values.iter().copied()).unwrap();
        array.finish().unwrap();
    }

    fn write(path: &Path, fill: impl FnOnce(&mut Writer)) {
        fill(&mut NpzWriter::create(path).unwrap());
    }

    #[test]
    fn arrays_of_every_shape_and_type_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine.npz");
        write(&path, |writer| {
            add(
                writer,
                "inputs",
                &[2, 1, 2, 3],
                &[0u8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
            );
            add(writer, "labels", &[2], &[4i64, 0]);
        });
        let dataset = read_file(&path).unwrap();
        assert_eq!((&*dataset.name, dataset.classes.len()), ("mine", 5));
        assert_eq!(dataset.shape(), [1, 2, 3]);
        let images = dataset.images(Split::Test).unwrap();
        assert_eq!(images.labels(), [4, 0]);
        assert_eq!(*images.values(1).unwrap().to_bytes(), [6, 7, 8, 9, 10, 11]);

        for (shape, expected) in [
            (&[2, 4][..], [4, 1, 1]),
            (&[2, 2, 2], [2, 1, 2]),
            (&[2, 1, 2, 2], [1, 2, 2]),
        ] {
            let reals = [0.5f32, -1.0, 2.0, 3.5, 1.0, 1.5, -0.25, 0.0];
            write(&path, |writer| {
                add(writer, "inputs", shape, &reals);
                add(writer, "targets", &[2, 1], &[1u8, 1]);
            });
            let dataset = read_file(&path).unwrap();
            assert_eq!(dataset.shape(), expected);
            let images = dataset.images(Split::Test).unwrap();
            assert_eq!(images.values(1).unwrap(), Values::Reals(&reals[4..]));
        }
        write(&path, |writer| {
            add(writer, "inputs", &[1, 1], &[0.5f64]);
            add(writer, "labels", &[1], &[0i32]);
        });
        let dataset = read_file(&path).unwrap();
        let images = dataset.images(Split::Test).unwrap();
        assert_eq!(images.values(0).unwrap(), Values::Reals(&[0.5]));
    }

    #[test]
    fn a_folder_has_the_parts_of_one_data_set() {
        let folder = tempfile::tempdir().unwrap();
        let part = |name: &str, label: u8| {
            write(&folder.path().join(name), |writer| {
                add(writer, "inputs", &[2, 3], &[label; 6]);
                add(writer, "labels", &[2], &[label, 0]);
            });
        };
        let parts = || {
            let dataset = read_directory(folder.path()).unwrap();
            let parts = [Split::Train, Split::Validation, Split::Test];
            (
                dataset.classes.len(),
                parts.map(|part| dataset.images(part).ok().map(|images| images.labels()[0])),
            )
        };
        part("val.npz", 1);
        assert_eq!(parts(), (2, [None, None, Some(1)]));
        part("train.npz", 6);
        part("test.npz", 3);
        assert_eq!(parts(), (7, [Some(6), Some(1), Some(3)]));
    }

    #[test]
    fn what_is_wrong_is_said_with_the_array() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wrong.npz");
        let refused = |expected: &str, fill: fn(&mut Writer)| {
            write(&path, fill);
            let error = read_file(&path).unwrap_err().to_string();
            assert!(
                error.contains("wrong.npz") && error.contains(expected),
                "{error}"
            );
        };
        refused("no array inputs; it has none", |_| {});
        refused("no array labels or targets; it has inputs", |writer| {
            add(writer, "inputs", &[1, 1], &[0u8]);
        });
        refused("1 images but", |writer| {
            add(writer, "inputs", &[1, 1], &[0u8]);
            add(writer, "labels", &[2], &[0u8, 0]);
        });
        refused("the array inputs has 1 dimensions", |writer| {
            add(writer, "inputs", &[2], &[0u8, 0]);
        });
        refused(
            "the array inputs has elements of the type '<i4'",
            |writer| {
                add(writer, "inputs", &[1, 1], &[0i32]);
            },
        );
        refused("the array inputs has NaN at place 1", |writer| {
            add(writer, "inputs", &[1, 2], &[0.0, f32::NAN]);
        });
        refused("the array labels has the label -1", |writer| {
            add(writer, "inputs", &[1, 1], &[0u8]);
            add(writer, "labels", &[1], &[-1i64]);
        });
        refused("the array labels has the label 999999999999", |writer| {
            add(writer, "inputs", &[1, 1], &[0u8]);
            add(writer, "labels", &[1], &[999_999_999_999i64]);
        });
        refused(
            "the array targets has elements of the type '<f4'",
            |writer| {
                add(writer, "inputs", &[1, 1], &[0u8]);
                add(writer, "targets", &[1], &[0.0f32]);
            },
        );
        refused("the array labels has the shape [1, 2]", |writer| {
            add(writer, "inputs", &[1, 1], &[0u8]);
            add(writer, "labels", &[1, 2], &[0u8, 1]);
        });
    }

    /// No cut or changed byte is more than an error, and none takes memory that the file does not justify.
    #[test]
    fn damage_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("damaged.npz");
        write(&path, |writer| {
            add(writer, "inputs", &[2, 2], &[0u8, 1, 2, 3]);
            add(writer, "labels", &[2], &[0u8, 1]);
        });
        let whole = std::fs::read(&path).unwrap();
        for cut in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..cut]).unwrap();
            read_file(&path).unwrap_err();
        }
        for place in (0..whole.len()).step_by(3) {
            let mut content = whole.clone();
            content[place] ^= 0xff;
            std::fs::write(&path, content).unwrap();
            let _ = read_file(&path);
        }
        // An array that announces much more than there is.
        let announced = |shape: &str, refusal: &str| {
            let text = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
            let mut array = b"\x93NUMPY\x01\x00".to_vec();
            array.extend((text.len() as u16).to_le_bytes());
            array.extend(text.as_bytes());
            array.extend([1, 2, 3, 4]);
            let problem = Array::open(&mut &array[..], 4).err();
            problem.is_some_and(|problem| problem.contains(refusal))
        };
        const MORE: &str = "more than the file holds";
        assert!(!announced("(2, 2)", ""));
        assert!(announced("(2, 3)", MORE));
        assert!(announced("(4000000000, 4000000000)", MORE));
        // More elements than 64 bits can count, also on the way to a product that is 0.
        const NONE: &str = "which no array can have";
        assert!(announced("(4000000000, 4000000000, 4000000000)", NONE));
        assert!(announced("(0, 4000000000, 4000000000, 4)", NONE));
        assert!(announced("(4, 4000000000, 4000000000, 0)", NONE));
        assert!(announced("(99999999999999999999, 1)", NONE));
        assert!(announced("(-1, 1)", NONE));
    }
}
