//! Images brought to one size, as torchvision's `Resize` and `CenterCrop` do it to images of Pillow: `resample` is the
//! filter, `parse` reads sizes.

mod parse;
mod resample;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::parse::SizeError;
use self::resample::resample;

/// The largest side that an image is scaled to.
const MAX_SIDE: usize = 1 << 14;

/// To what size an image is scaled.
///
/// ```
/// use approx_experiment::data::Resize;
///
/// assert_eq!("256".parse(), Ok(Resize::Shorter(256)));
/// assert_eq!("224x160".parse(), Ok(Resize::Exact { height: 224, width: 160 }));
/// assert!("0".parse::<Resize>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Resize {
    /// The shorter side gets this length, the longer one what keeps the proportions, rounded down.
    Shorter(usize),
    /// Both sides get a length, whatever the proportions were.
    Exact {
        /// The height.
        height: usize,
        /// The width.
        width: usize,
    },
}

/// The size of what is cut out of an image's middle.
///
/// ```
/// use approx_experiment::data::Crop;
///
/// assert_eq!("224".parse(), Ok(Crop { height: 224, width: 224 }));
/// assert_eq!("224x160".parse(), Ok(Crop { height: 224, width: 160 }));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Crop {
    /// The height.
    pub height: usize,
    /// The width.
    pub width: usize,
}

impl Resize {
    /// The size of an image of height and width `size`, once it is scaled. No side vanishes.
    fn of(self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Exact { height, width } => [height, width],
            Self::Shorter(length) => {
                let longer = |long: usize, short: usize| (length * long / short).max(1);
                if width <= height {
                    [longer(height, width), length]
                } else {
                    [length, longer(width, height)]
                }
            }
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shorter(length) => write!(f, "{length}"),
            Self::Exact { height, width } => write!(f, "{height}x{width}"),
        }
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

/// What is done to an image to bring it to a size: first scaled, then cut.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scaling {
    /// To what size it is scaled, if at all.
    pub resize: Option<Resize>,
    /// What is cut out of its middle, if not all of it. An image that is too small gets a black border.
    pub crop: Option<Crop>,
}

impl Scaling {
    /// Images as they are.
    pub const NONE: Self = Self {
        resize: None,
        crop: None,
    };

    /// The central square of an image, scaled to `side` pixels each way.
    pub fn square(side: usize) -> Self {
        Self {
            resize: Some(Resize::Shorter(side)),
            crop: Some(Crop {
                height: side,
                width: side,
            }),
        }
    }

    /// Height and width of every image, where they do not depend on what the image was.
    pub fn fixed_size(self) -> Option<[usize; 2]> {
        match (self.crop, self.resize) {
            (Some(Crop { height, width }), _) => Some([height, width]),
            (None, Some(Resize::Exact { height, width })) => Some([height, width]),
            (None, Some(Resize::Shorter(_)) | None) => None,
        }
    }

    /// Height and width of an image that had `size`.
    pub fn size(self, size: [usize; 2]) -> [usize; 2] {
        self.fixed_size()
            .unwrap_or_else(|| self.resize.map_or(size, |resize| resize.of(size)))
    }

    /// Appends one channel of an image of height and width `size`, scaled and cut.
    pub(super) fn append(self, plane: &[u8], size: [usize; 2], pixels: &mut Vec<u8>) {
        let scaled = self.resize.map_or(size, |resize| resize.of(size));
        let [height, width] = self.size(size);
        let rows = Window::centred(scaled[0], height);
        let columns = Window::centred(scaled[1], width);
        let taken = resample(plane, size, scaled, rows.taken(), columns.taken());
        pixels.extend(std::iter::repeat_n(0, rows.before * width));
        for row in taken.chunks_exact(columns.length) {
            pixels.extend(std::iter::repeat_n(0, columns.before));
            pixels.extend(row);
            pixels.extend(std::iter::repeat_n(
                0,
                width - columns.before - columns.length,
            ));
        }
        pixels.extend(std::iter::repeat_n(
            0,
            (height - rows.before - rows.length) * width,
        ));
    }
}

/// Which part of an image's side lands in a cut.
#[derive(Debug, PartialEq, Eq)]
struct Window {
    /// The first of the image's pixels that are in it.
    start: usize,
    /// How many there are.
    length: usize,
    /// Border pixels in front of them.
    before: usize,
}

impl Window {
    /// The middle `wanted` of `side` pixels, rounded as torchvision does: a half to the even number.
    fn centred(side: usize, wanted: usize) -> Self {
        if wanted > side {
            return Self {
                start: 0,
                length: side,
                before: (wanted - side) / 2,
            };
        }
        let half = (side - wanted) / 2;
        Self {
            start: half + ((side - wanted) % 2) * (half % 2),
            length: wanted,
            before: 0,
        }
    }

    fn taken(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(scaling: Scaling, plane: &[u8], size: [usize; 2]) -> Vec<u8> {
        let mut pixels = Vec::new();
        scaling.append(plane, size, &mut pixels);
        pixels
    }

    #[test]
    fn the_longer_side_is_rounded_down() {
        assert_eq!(Resize::Shorter(256).of([375, 500]), [256, 341]);
        assert_eq!(Resize::Shorter(256).of([500, 375]), [341, 256]);
        assert_eq!(Resize::Shorter(2).of([9, 9]), [2, 2]);
    }

    #[test]
    fn the_middle_is_cut_out_and_small_images_get_a_border() {
        // The numbers are those of torchvision's center_crop.
        for (side, wanted, start) in [(5, 4, 0), (7, 4, 2), (6, 4, 1), (9, 4, 2), (4, 4, 0)] {
            let window = Window::centred(side, wanted);
            assert_eq!(
                (window.start, window.length, window.before),
                (start, wanted, 0)
            );
        }
        let crop = |height, width| Scaling {
            resize: None,
            crop: Some(Crop { height, width }),
        };
        let plane = [1, 2, 3, 4, 5, 6];
        assert_eq!(applied(crop(1, 3), &plane, [2, 3]), [1, 2, 3]);
        assert_eq!(applied(crop(2, 1), &plane, [2, 3]), [2, 5]);
        assert_eq!(
            applied(crop(3, 4), &plane, [2, 3]),
            [1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0, 0]
        );
        assert_eq!(applied(crop(1, 5), &plane, [2, 3]), [0, 1, 2, 3, 0]);
    }

    /// Cutting first what is needed afterwards gives what cutting afterwards gives.
    #[test]
    fn a_cut_is_a_part_of_the_scaled_image() {
        let size = [7, 11];
        let plane: Vec<u8> = (0..77u32).map(|index| (index * 37 % 251) as u8).collect();
        let resize = Some(Resize::Shorter(5));
        let whole = applied(Scaling { resize, crop: None }, &plane, size);
        assert_eq!(whole.len(), 5 * 7);
        let crop = Some(Crop {
            height: 3,
            width: 4,
        });
        let cut = applied(Scaling { resize, crop }, &plane, size);
        let expected: Vec<u8> = (1..4)
            .flat_map(|row| whole[row * 7 + 2..][..4].to_vec())
            .collect();
        assert_eq!(cut, expected);
    }
}
