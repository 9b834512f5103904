//! What images are made of: values in memory, or files and other images that are decoded and scaled when they are asked
//! for.

use std::borrow::Cow;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{ImageError, ImageReader};

use super::super::error::DataError;
use super::super::scaling::Scaling;
use super::Values;

/// What images are made of.
pub enum Store {
    /// Grey levels, one image after the other.
    Levels(Vec<u8>),
    /// Real numbers, one image after the other.
    Reals(Vec<f32>),
    /// Images that are made on demand.
    Scaled(Scaled),
}

/// Images that are decoded and scaled on demand, and kept as long as there is room.
pub struct Scaled {
    origin: Origin,
    scaling: Scaling,
    kept: Vec<OnceLock<Box<[u8]>>>,
    /// How many bytes may still be kept.
    room: AtomicUsize,
}

/// What scaled images are made of.
pub enum Origin {
    /// PNG and JPEG files of any sizes.
    Files(Vec<PathBuf>),
    /// Images in memory, of one shape.
    Images(Arc<Store>, [usize; 3]),
}

impl Store {
    /// How many images of a shape there are.
    pub fn len(&self, shape: [usize; 3]) -> usize {
        let size = shape.iter().product::<usize>().max(1);
        match self {
            Self::Levels(levels) => levels.len() / size,
            Self::Reals(reals) => reals.len() / size,
            Self::Scaled(scaled) => scaled.kept.len(),
        }
    }

    /// The values of the image at `place`, which has this shape.
    pub fn values(&self, place: usize, shape: [usize; 3]) -> Result<Values<'_>, DataError> {
        let size = shape.iter().product::<usize>();
        Ok(match self {
            Self::Levels(levels) => Values::Levels(Cow::Borrowed(&levels[place * size..][..size])),
            Self::Reals(reals) => Values::Reals(&reals[place * size..][..size]),
            Self::Scaled(scaled) => Values::Levels(scaled.levels(place)?),
        })
    }

    /// How many images were made and kept.
    #[cfg(test)]
    pub fn kept(&self) -> usize {
        match self {
            Self::Levels(_) | Self::Reals(_) => 0,
            Self::Scaled(scaled) => scaled
                .kept
                .iter()
                .filter(|kept| kept.get().is_some())
                .count(),
        }
    }

    /// What the image at `place` was made of, in bytes: its file, or its values.
    pub fn source(&self, place: usize, shape: [usize; 3]) -> Result<Vec<u8>, DataError> {
        match self {
            Self::Scaled(scaled) => match &scaled.origin {
                Origin::Files(files) => read(&files[place]),
                Origin::Images(store, shape) => store.source(place, *shape),
            },
            Self::Levels(_) | Self::Reals(_) => Ok(self.values(place, shape)?.to_bytes().into()),
        }
    }
}

impl Scaled {
    /// So many images, of which at most `memory` bytes are kept.
    pub fn new(count: usize, origin: Origin, scaling: Scaling, memory: usize) -> Self {
        Self {
            origin,
            scaling,
            kept: (0..count).map(|_| OnceLock::new()).collect(),
            room: AtomicUsize::new(memory),
        }
    }

    fn levels(&self, place: usize) -> Result<Cow<'_, [u8]>, DataError> {
        if let Some(kept) = self.kept[place].get() {
            return Ok(Cow::Borrowed(kept));
        }
        let made = self.make(place)?;
        let size = made.len();
        let take = |room: usize| room.checked_sub(size);
        if (self.room)
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_err()
        {
            return Ok(Cow::Owned(made));
        }
        if self.kept[place].set(made.into()).is_err() {
            // Another thread has made the same.
            self.room.fetch_add(size, Ordering::Relaxed);
        }
        Ok(Cow::Borrowed(
            self.kept[place].get().map_or(&[], |kept| kept),
        ))
    }

    fn make(&self, place: usize) -> Result<Vec<u8>, DataError> {
        let mut levels = Vec::new();
        match &self.origin {
            Origin::Files(files) => {
                let decoded = decode(&files[place])?;
                let size = [decoded.height() as usize, decoded.width() as usize];
                for channel in 0..3 {
                    let plane: Vec<u8> = decoded.as_raw()[channel..]
                        .iter()
                        .step_by(3)
                        .copied()
                        .collect();
                    self.scaling.append(&plane, size, &mut levels);
                }
            }
            Origin::Images(store, shape) => {
                let values = store.values(place, *shape)?;
                let [_, height, width] = *shape;
                for plane in values.to_bytes().chunks_exact(height * width) {
                    self.scaling.append(plane, [height, width], &mut levels);
                }
            }
        }
        Ok(levels)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, DataError> {
    std::fs::read(path).map_err(|source| DataError::Read {
        path: path.into(),
        source,
    })
}

/// The pixels of an image file, whatever its name says of its format. Grey images are given three channels,
/// transparency is left out.
fn decode(path: &Path) -> Result<image::RgbImage, DataError> {
    let content = read(path)?;
    let mut reader = ImageReader::new(Cursor::new(content));
    if let Ok(format) = image::ImageFormat::from_path(path) {
        reader.set_format(format);
    }
    let decoded = reader
        .with_guessed_format()
        .map_err(ImageError::IoError)
        .and_then(ImageReader::decode);
    match decoded {
        Ok(decoded) => Ok(decoded.into_rgb8()),
        Err(ImageError::IoError(source)) => Err(DataError::Read {
            path: path.into(),
            source,
        }),
        Err(source) => Err(DataError::Image {
            path: path.into(),
            source,
        }),
    }
}
