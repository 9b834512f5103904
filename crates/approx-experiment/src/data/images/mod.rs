//! Labelled images of one size: `store` holds them, or makes them of files when they are asked for; `hash` says whether
//! they are what they were.

mod hash;
mod store;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rayon::prelude::*;

use self::store::{Origin, Scaled, Store};
use super::draw::{Purpose, draw};
use super::error::DataError;
use super::scaling::Scaling;
use crate::progress::Display;

/// Labelled images of one size. Copies and parts share what they are made of.
///
/// Images in files are decoded when they are asked for, and kept as long as there is room; see [`load`](Self::load).
#[derive(Clone)]
pub struct Images {
    shape: [usize; 3],
    labels: Arc<[usize]>,
    /// Which of the store's images these are.
    places: Arc<[usize]>,
    store: Arc<Store>,
}

/// The values of one image, each channel by rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Values<'a> {
    /// Grey levels, 0 to 255.
    Levels(Cow<'a, [u8]>),
    /// Real numbers.
    Reals(&'a [f32]),
}

impl Values<'_> {
    /// The values as bytes: levels, or little-endian numbers.
    pub fn to_bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Levels(levels) => Cow::Borrowed(levels),
            Self::Reals(reals) => {
                Cow::Owned(reals.iter().flat_map(|real| real.to_le_bytes()).collect())
            }
        }
    }
}

impl fmt::Debug for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, height, width] = self.shape();
        write!(
            f,
            "{} images of {channels} x {height} x {width}",
            self.len()
        )
    }
}

impl Images {
    /// Images of the shape `[channels, height, width]`, their levels one image after the other, each channel by rows.
    ///
    /// ```
    /// use approx_experiment::data::Images;
    ///
    /// let images = Images::new([1, 2, 2], vec![0, 50, 100, 150, 9, 9, 9, 9], vec![3, 7]);
    /// assert_eq!(images.labels(), [3, 7]);
    /// assert_eq!(*images.values(1)?.to_bytes(), [9, 9, 9, 9]);
    /// # Ok::<(), approx_experiment::data::DataError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If there are not as many pixels as the labels and the shape ask for: readers check before they call.
    #[track_caller]
    pub fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<usize>) -> Self {
        assert_eq!(pixels.len(), labels.len() * shape.iter().product::<usize>());
        Self::of_store(shape, labels, Store::Levels(pixels))
    }

    /// As [`new`](Self::new), of real numbers.
    ///
    /// # Panics
    ///
    /// If there are not as many numbers as the labels and the shape ask for.
    #[track_caller]
    pub fn of_reals(shape: [usize; 3], reals: Vec<f32>, labels: Vec<usize>) -> Self {
        assert_eq!(reals.len(), labels.len() * shape.iter().product::<usize>());
        Self::of_store(shape, labels, Store::Reals(reals))
    }

    /// Images in PNG and JPEG files, in three channels of height and width `size` after a `scaling` that gives this
    /// size to all. At most `memory` bytes of decoded images are kept.
    pub(super) fn of_files(
        files: Vec<PathBuf>,
        labels: Vec<usize>,
        scaling: Scaling,
        [height, width]: [usize; 2],
        memory: usize,
    ) -> Self {
        let scaled = Scaled::new(files.len(), Origin::Files(files), scaling, memory);
        Self::of_store([3, height, width], labels, Store::Scaled(scaled))
    }

    fn of_store(shape: [usize; 3], labels: Vec<usize>, store: Store) -> Self {
        Self {
            shape,
            places: (0..labels.len()).collect(),
            labels: labels.into(),
            store: Arc::new(store),
        }
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// `[channels, height, width]`.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// The class of every image.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Whether the values are real numbers, not grey levels.
    pub fn are_reals(&self) -> bool {
        matches!(&*self.store, Store::Reals(_))
    }

    /// Whether the images are decoded or scaled when they are asked for.
    pub(crate) fn are_made_on_demand(&self) -> bool {
        matches!(&*self.store, Store::Scaled(_))
    }

    /// The values of image `index`, each channel by rows.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or decoded.
    pub fn values(&self, index: usize) -> Result<Values<'_>, DataError> {
        self.store.values(self.places[index], self.shape)
    }

    /// The images with these numbers, in this order.
    #[must_use]
    pub fn choose(&self, numbers: &[usize]) -> Self {
        Self {
            labels: numbers.iter().map(|&number| self.labels[number]).collect(),
            places: numbers.iter().map(|&number| self.places[number]).collect(),
            ..self.clone()
        }
    }

    /// At most so many images, spread evenly over all.
    #[must_use]
    pub fn spread(&self, count: usize) -> Self {
        let count = count.min(self.len());
        let chosen: Vec<usize> = (0..count).map(|index| index * self.len() / count).collect();
        self.choose(&chosen)
    }

    /// At most so many images, drawn by a seed, in the order in which they are here.
    #[must_use]
    pub fn drawn(&self, count: usize, seed: u64) -> Self {
        let count = count.min(self.len());
        self.choose(&draw(count, self.len(), seed, Purpose::Part))
    }

    /// Every image scaled and cut when it is asked for; at most `memory` bytes of the results are kept.
    ///
    /// # Errors
    ///
    /// Images of real numbers.
    pub fn scaled(&self, scaling: Scaling, memory: usize) -> Result<Self, DataError> {
        if scaling == Scaling::NONE {
            return Ok(self.clone());
        }
        if self.are_reals() {
            return Err(DataError::NotScalable);
        }
        let [channels, height, width] = self.shape;
        let [to_height, to_width] = scaling.size([height, width]);
        let origin = Origin::Images(self.store.clone(), self.shape);
        let scaled = Scaled::new(self.store.len(self.shape), origin, scaling, memory);
        Ok(Self {
            shape: [channels, to_height, to_width],
            store: Arc::new(Store::Scaled(scaled)),
            ..self.clone()
        })
    }

    /// Decodes all images now, on all processors, so that none turns out to be damaged later, and keeps those that
    /// there is room for.
    ///
    /// # Errors
    ///
    /// The first file that cannot be read or decoded.
    pub fn load(&self, display: Display) -> Result<(), DataError> {
        if !self.are_made_on_demand() {
            return Ok(());
        }
        let bar = display.bar("images", self.len());
        let fault = (0..self.len()).into_par_iter().find_map_first(|index| {
            let fault = self.values(index).err();
            bar.inc(1);
            fault
        });
        bar.finish_and_clear();
        fault.map_or(Ok(()), Err)
    }

    /// Every image enlarged by a whole factor, with pixels in between interpolated linearly.
    ///
    /// # Errors
    ///
    /// Images of real numbers, or files that cannot be read or decoded.
    pub fn enlarged(&self, factor: usize) -> Result<Self, DataError> {
        let [channels, height, width] = self.shape;
        let mut pixels = Vec::new();
        for index in 0..self.len() {
            let Values::Levels(levels) = self.values(index)? else {
                return Err(DataError::NotScalable);
            };
            for plane in levels.chunks_exact(height * width) {
                enlarge(plane, [height, width], factor, &mut pixels);
            }
        }
        let shape = [channels, height * factor, width * factor];
        Ok(Self::new(shape, pixels, self.labels.to_vec()))
    }
}

/// Appends one channel, enlarged by a whole factor.
fn enlarge(plane: &[u8], [height, width]: [usize; 2], factor: usize, pixels: &mut Vec<u8>) {
    // Where output pixel `position` lies between the input's pixel centres: the lower pixel and the upper one's weight.
    let between = |position: usize, size: usize| {
        let centre = (position as f32 + 0.5) / factor as f32 - 0.5;
        let centre = centre.clamp(0.0, (size - 1) as f32);
        let low = centre as usize;
        (low, (low + 1).min(size - 1), centre - low as f32)
    };
    for row in 0..height * factor {
        let (top, bottom, down) = between(row, height);
        for column in 0..width * factor {
            let (left, right, along) = between(column, width);
            let at = |row: usize, column: usize| f32::from(plane[row * width + column]);
            let upper = at(top, left) * (1.0 - along) + at(top, right) * along;
            let lower = at(bottom, left) * (1.0 - along) + at(bottom, right) * along;
            pixels.push((upper * (1.0 - down) + lower * down).round() as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::scaling::Resize;
    use super::*;

    fn levels(images: &Images, index: usize) -> Vec<u8> {
        images.values(index).unwrap().to_bytes().into_owned()
    }

    fn numbered(count: usize) -> Images {
        let pixels = (0..count).map(|number| number as u8).collect();
        Images::new([1, 1, 1], pixels, (0..count).collect())
    }

    #[test]
    fn a_part_of_the_images_is_spread_over_all() {
        let images = numbered(10);
        let part = images.spread(4);
        assert_eq!(part.labels(), [0, 2, 5, 7]);
        assert_eq!(levels(&part, 2), [5]);
        assert_eq!(images.spread(11).labels(), images.labels());
    }

    #[test]
    fn drawn_images_keep_their_labels_and_order() {
        let part = numbered(50).drawn(7, 3).drawn(5, 4);
        assert_eq!(part.len(), 5);
        assert!(part.labels().is_sorted());
        for (index, &label) in part.labels().iter().enumerate() {
            assert_eq!(levels(&part, index), [label as u8]);
        }
    }

    #[test]
    fn enlarging_keeps_flat_images_and_interpolates_edges() {
        let flat = Images::new([1, 2, 2], vec![7; 4], vec![0])
            .enlarged(3)
            .unwrap();
        assert_eq!(flat.shape(), [1, 6, 6]);
        assert!(levels(&flat, 0).iter().all(|&pixel| pixel == 7));

        let edge = Images::new([1, 1, 2], vec![0, 100], vec![0])
            .enlarged(2)
            .unwrap();
        assert_eq!(levels(&edge, 0), [0, 25, 75, 100, 0, 25, 75, 100]);
    }

    /// What is kept is what would be made again, and no more is kept than there is room for.
    #[test]
    fn scaled_images_are_kept_as_far_as_there_is_room() {
        let pixels: Vec<u8> = (0..3 * 2 * 16)
            .map(|index| (index * 5 % 256) as u8)
            .collect();
        let images = Images::new([2, 4, 4], pixels, vec![0, 1, 2]);
        let scaling = Scaling {
            resize: Some(Resize::Shorter(2)),
            crop: None,
        };
        let size = 2 * 2 * 2;
        for (memory, kept) in [(0, 0), (size, 1), (2 * size + 1, 2), (usize::MAX, 3)] {
            let scaled = images.scaled(scaling, memory).unwrap();
            assert_eq!(scaled.shape(), [2, 2, 2]);
            scaled.load(Display::hidden()).unwrap();
            assert_eq!(scaled.store.kept(), kept);
            let unkept = images.scaled(scaling, 0).unwrap();
            for index in 0..3 {
                assert_eq!(levels(&scaled, index), levels(&unkept, index));
            }
            // A part shares what is kept.
            assert_eq!(levels(&scaled.choose(&[2]), 0), levels(&unkept, 2));
        }
    }

    #[test]
    fn real_numbers_are_not_scaled() {
        let images = Images::of_reals([1, 1, 2], vec![0.5, -1.5], vec![0]);
        assert_eq!(images.values(0).unwrap(), Values::Reals(&[0.5, -1.5]));
        assert!(images.scaled(Scaling::NONE, 0).is_ok());
        assert!(matches!(
            images.scaled(Scaling::square(4), 0),
            Err(DataError::NotScalable)
        ));
    }
}
