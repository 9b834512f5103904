//! A folder of images: `train/<class>/*.png` and `test/<class>/*.png`, PNG or JPEG, of any sizes.

use std::path::{Path, PathBuf};

use image::imageops::FilterType;

use super::directory::{entries, entries_expecting};
use super::{Augmentation, DataError, Dataset, Images};
use crate::progress::Display;

const EXPECTED: &str = "train/<class>/*.png and test/<class>/*.png (or .jpg, .jpeg)";

/// Reads a folder of images, each cut to its central square and scaled to `size` x `size` pixels in three channels.
///
/// # Errors
///
/// A directory that is missing or empty, a class that only the test images have, or a file that is no image.
pub fn read_directory(
    directory: &Path,
    size: usize,
    display: Display,
) -> Result<Dataset, DataError> {
    entries_expecting(directory, EXPECTED)?;
    let train_directory = subdirectory(directory, "train")?;
    let test_directory = subdirectory(directory, "test")?;

    let train_classes = classes(&train_directory)?;
    let names: Vec<String> = train_classes.iter().map(|(name, _)| name.clone()).collect();
    let test_classes = classes(&test_directory)?;
    for (name, path) in &test_classes {
        if !names.contains(name) {
            return Err(DataError::UnknownClass {
                path: path.clone(),
                train: train_directory.join(name),
            });
        }
    }
    let train = read_split(&train_classes, &names, size, display)?;
    let test = read_split(&test_classes, &names, size, display)?;
    let augmentation = Augmentation {
        shift: size / 8,
        mirror: true,
    };
    Dataset::new("folder", names, train, test, augmentation)
}

fn subdirectory(directory: &Path, name: &str) -> Result<PathBuf, DataError> {
    let path = directory.join(name);
    if !path.is_dir() {
        return Err(DataError::MissingFile {
            directory: directory.into(),
            file: format!("directory {name}"),
            expected: EXPECTED.into(),
        });
    }
    Ok(path)
}

/// The class directories in a split's directory, by name.
fn classes(directory: &Path) -> Result<Vec<(String, PathBuf)>, DataError> {
    let found: Vec<_> = entries(directory)?
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some((path.file_name()?.to_string_lossy().into_owned(), path)))
        .collect();
    if found.is_empty() {
        return Err(DataError::EmptyDirectory {
            path: directory.into(),
            expected: "one directory of images per class".into(),
        });
    }
    Ok(found)
}

fn read_split(
    classes: &[(String, PathBuf)],
    names: &[String],
    size: usize,
    display: Display,
) -> Result<Images, DataError> {
    let mut files = Vec::new();
    for (name, path) in classes {
        let class = names
            .iter()
            .position(|known| known == name)
            .expect("the caller has compared the classes");
        let before = files.len();
        files.extend(
            entries(path)?
                .into_iter()
                .filter(|path| is_image(path))
                .map(|path| (path, class)),
        );
        if files.len() == before {
            return Err(DataError::EmptyDirectory {
                path: path.clone(),
                expected: "PNG or JPEG images".into(),
            });
        }
    }

    let bar = display.bar("images", files.len());
    let mut pixels = Vec::with_capacity(files.len() * 3 * size * size);
    let mut labels = Vec::with_capacity(files.len());
    for (path, class) in files {
        let decoded = image::open(&path).map_err(|source| match source {
            image::ImageError::IoError(source) => DataError::Read {
                path: path.clone(),
                source,
            },
            source => DataError::Image {
                path: path.clone(),
                source,
            },
        })?;
        let scaled = decoded
            .resize_to_fill(size as u32, size as u32, FilterType::Triangle)
            .into_rgb8();
        for channel in 0..3 {
            pixels.extend(scaled.pixels().map(|pixel| pixel[channel]));
        }
        labels.push(class);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Images::new([3, size, size], pixels, labels))
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        ["png", "jpg", "jpeg"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::{Rgb, RgbImage};

    fn write(root: &Path, path: &str, colour: [u8; 3]) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        RgbImage::from_pixel(10, 14, Rgb(colour))
            .save(path)
            .unwrap();
    }

    fn write_all(root: &Path) {
        write(root, "train/cat/1.png", [200, 0, 0]);
        write(root, "train/dog/1.png", [0, 200, 0]);
        write(root, "train/dog/2.jpg", [0, 0, 200]);
        write(root, "test/dog/3.PNG", [0, 100, 0]);
    }

    fn read(root: &Path) -> Result<Dataset, DataError> {
        read_directory(root, 8, Display::hidden())
    }

    #[test]
    fn classes_are_numbered_by_name_and_images_scaled() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        std::fs::write(directory.path().join("train/cat/notes.txt"), "not an image").unwrap();
        let dataset = read(directory.path()).unwrap();
        assert_eq!(dataset.classes, ["cat", "dog"]);
        assert_eq!(dataset.train.labels(), [0, 1, 1]);
        assert_eq!(dataset.test.labels(), [1]);
        assert_eq!(dataset.train.shape(), [3, 8, 8]);
        assert_eq!(dataset.train.pixels(0)[..64], [200; 64]);
        assert_eq!(dataset.test.pixels(0)[64..128], [100; 64]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(matches!(read(root), Err(DataError::EmptyDirectory { .. })));
        write(root, "train/cat/1.png", [1; 3]);
        assert!(matches!(
            read(root),
            Err(DataError::MissingFile { file, .. }) if file == "directory test"
        ));
        std::fs::create_dir_all(root.join("test")).unwrap();
        assert!(matches!(
            read(root),
            Err(DataError::EmptyDirectory { path, .. }) if path.ends_with("test")
        ));
        write(root, "test/bird/1.png", [1; 3]);
        assert!(matches!(
            read(root),
            Err(DataError::UnknownClass { path, .. }) if path.ends_with("test/bird")
        ));
        std::fs::create_dir_all(root.join("train/bird")).unwrap();
        assert!(matches!(
            read(root),
            Err(DataError::EmptyDirectory { path, .. }) if path.ends_with("train/bird")
        ));
    }

    #[test]
    fn a_file_that_is_no_image_is_named() {
        let directory = tempfile::tempdir().unwrap();
        write_all(directory.path());
        let path = directory.path().join("train/dog/1.png");
        let whole = std::fs::read(&path).unwrap();
        for content in [&b"not an image"[..], &whole[..whole.len() / 2], b""] {
            std::fs::write(&path, content).unwrap();
            let error = read(directory.path()).unwrap_err().to_string();
            assert!(error.contains("train/dog/1.png"), "{error}");
        }
    }
}
