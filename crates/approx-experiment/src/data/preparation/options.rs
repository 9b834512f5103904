//! What is asked of a preparation, and what is assumed where nothing is.

use super::{Assumption, Crop, Preparation, PreparationError, Resize, Scaling};

/// How many bytes of decoded and scaled images are kept, if nothing else is said: 7,000 images of 224 x 224 in colour.
pub const DEFAULT_MEMORY: usize = 1 << 30;

/// The mean and the deviation of ImageNet's channels, by which most published networks expect images to be normalised.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];

/// How a data set is read: what is asked for. What is not is assumed, and said by
/// [`PreparedData::assumptions`](crate::data::PreparedData::assumptions).
///
/// ```
/// use approx_experiment::data::ReadOptions;
///
/// let options = ReadOptions {
///     resize: Some("256".parse()?),
///     crop: Some("224".parse()?),
///     ..ReadOptions::default()
/// };
/// # Ok::<(), approx_experiment::data::SizeError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOptions {
    /// To what size images are scaled.
    pub resize: Option<Resize>,
    /// What is cut out of their middle.
    pub crop: Option<Crop>,
    /// The mean that is subtracted once grey levels are divided by 255, for all channels or for each.
    pub mean: Option<Vec<f32>>,
    /// The standard deviation that is divided by, likewise.
    pub std: Option<Vec<f32>>,
    /// Height and width of the images that the network takes. With neither of the sizes above, images of another size
    /// are scaled until they cover it, and what is left over is cut off.
    pub network_size: Option<[usize; 2]>,
    /// How many bytes of decoded and scaled images are kept. Images that go beyond are decoded every time.
    pub memory: usize,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            resize: None,
            crop: None,
            mean: None,
            std: None,
            network_size: None,
            memory: DEFAULT_MEMORY,
        }
    }
}

/// How the images of a data set are normalised if nobody says it.
pub enum DefaultNormalisation {
    /// As ImageNet's.
    ImageNet,
    /// By the mean and the deviation that they have, as parts of 255.
    Measured([Vec<f32>; 2]),
    /// Not at all.
    None,
}

impl ReadOptions {
    /// What images are scaled and cut to; `size` is what they have, where all have one.
    pub(in crate::data) fn scaling(
        &self,
        size: Option<[usize; 2]>,
    ) -> Result<(Scaling, Option<Assumption>), PreparationError> {
        let Self { resize, crop, .. } = *self;
        let given = Scaling { resize, crop };
        if crop.is_some() || matches!(resize, Some(Resize::Exact { .. })) {
            return Ok((given, None));
        }
        let wanted = self
            .network_size
            .map(|[height, width]| Crop { height, width });
        let cut = |crop: Crop| {
            let scaling = Scaling {
                crop: Some(crop),
                ..given
            };
            (scaling, Some(Assumption::Cut(crop)))
        };
        match (resize, wanted, size) {
            (None, Some(Crop { height, width }), size) if size != Some([height, width]) => {
                let wanted = Crop { height, width };
                let scaling = Scaling {
                    resize: Some(Resize::Shorter(height.max(width))),
                    crop: Some(wanted),
                };
                Ok((scaling, Some(Assumption::NetworkSize(wanted))))
            }
            (None, _, Some(_)) => Ok((Scaling::NONE, None)),
            (None, _, None) => Err(PreparationError::NoSize),
            (Some(_), Some(wanted), size)
                if size.map(|size| given.size(size)) != Some([wanted.height, wanted.width]) =>
            {
                Ok(cut(wanted))
            }
            (Some(Resize::Shorter(side)), None, None) => Ok(cut(Crop {
                height: side,
                width: side,
            })),
            (Some(_), ..) => Ok((given, None)),
        }
    }

    /// The whole preparation of images of `channels` channels, real numbers or grey levels, once it is known how they
    /// are scaled.
    pub(in crate::data) fn complete(
        &self,
        scaling: Scaling,
        channels: usize,
        are_reals: bool,
        default: impl FnOnce() -> Result<DefaultNormalisation, crate::data::DataError>,
    ) -> Result<(Preparation, Option<Assumption>), crate::data::DataError> {
        const MEAN: &str = "the mean";
        const STD: &str = "the standard deviation";
        let ([mean, std], assumption) = match (&self.mean, &self.std) {
            (Some(mean), Some(std)) => ([mean.clone(), std.clone()], None),
            (Some(_), None) => {
                let (given, missing) = (MEAN, STD);
                return Err(PreparationError::Half { given, missing }.into());
            }
            (None, Some(_)) => {
                let (given, missing) = (STD, MEAN);
                return Err(PreparationError::Half { given, missing }.into());
            }
            (None, None) => match default()? {
                DefaultNormalisation::ImageNet => (
                    IMAGENET.map(Vec::from),
                    Some(Assumption::ImageNetNormalisation),
                ),
                DefaultNormalisation::Measured(moments) => {
                    (moments, Some(Assumption::MeasuredNormalisation))
                }
                DefaultNormalisation::None if are_reals => {
                    ([vec![0.0], vec![1.0]], Some(Assumption::RealsAsTheyAre))
                }
                DefaultNormalisation::None => {
                    ([vec![0.0], vec![1.0]], Some(Assumption::LevelsAsTheyAre))
                }
            },
        };
        let mean = by_channel(MEAN, mean, channels, "a finite number", f32::is_finite)?;
        let fine = |std: f32| std.is_finite() && std > 0.0;
        let std = by_channel(STD, std, channels, "a finite number above 0", fine)?;
        let preparation = Preparation {
            resize: scaling.resize,
            crop: scaling.crop,
            whole: if are_reals { 1.0 } else { 255.0 },
            mean,
            std,
        };
        Ok((preparation, assumption))
    }
}

/// One number for each channel.
fn by_channel(
    what: &'static str,
    numbers: Vec<f32>,
    channels: usize,
    expected: &'static str,
    fine: impl Fn(f32) -> bool,
) -> Result<Vec<f32>, PreparationError> {
    if let Some(&value) = numbers.iter().find(|&&number| !fine(number)) {
        return Err(PreparationError::Value {
            what,
            value,
            expected,
        });
    }
    match numbers[..] {
        [number] => Ok(vec![number; channels]),
        _ if numbers.len() == channels => Ok(numbers),
        _ => Err(PreparationError::Channels {
            what,
            found: numbers.len(),
            channels,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataError;

    fn crop(height: usize, width: usize) -> Crop {
        Crop { height, width }
    }

    fn scaling(resize: Option<Resize>, crop: Option<Crop>) -> Scaling {
        Scaling { resize, crop }
    }

    #[test]
    fn sizes_that_nobody_gives_are_the_networks() {
        let any = ReadOptions::default();
        let of_network = ReadOptions {
            network_size: Some([224, 160]),
            ..any.clone()
        };
        let covering = (
            scaling(Some(Resize::Shorter(224)), Some(crop(224, 160))),
            Some(Assumption::NetworkSize(crop(224, 160))),
        );
        assert_eq!(of_network.scaling(None), Ok(covering));
        assert_eq!(of_network.scaling(Some([32, 32])), Ok(covering));
        assert_eq!(
            of_network.scaling(Some([224, 160])),
            Ok((Scaling::NONE, None))
        );
        assert_eq!(any.scaling(Some([32, 32])), Ok((Scaling::NONE, None)));
        assert_eq!(any.scaling(None), Err(PreparationError::NoSize));
    }

    #[test]
    fn what_is_scaled_is_cut_to_what_the_network_takes() {
        let resized = ReadOptions {
            resize: Some(Resize::Shorter(256)),
            ..ReadOptions::default()
        };
        let square = crop(256, 256);
        let expected = (
            scaling(resized.resize, Some(square)),
            Some(Assumption::Cut(square)),
        );
        assert_eq!(resized.scaling(None), Ok(expected));
        // Images of one size stay of one size.
        assert_eq!(
            resized.scaling(Some([32, 64])),
            Ok((scaling(resized.resize, None), None))
        );
        let of_network = ReadOptions {
            network_size: Some([224, 224]),
            ..resized.clone()
        };
        let wanted = crop(224, 224);
        let expected = (
            scaling(resized.resize, Some(wanted)),
            Some(Assumption::Cut(wanted)),
        );
        assert_eq!(of_network.scaling(None), Ok(expected));
        assert_eq!(of_network.scaling(Some([32, 32])), Ok(expected));
    }

    #[test]
    fn what_is_given_is_taken_as_it_is() {
        for (resize, crop) in [
            (None, Some(crop(20, 20))),
            (Some(Resize::Shorter(30)), Some(crop(20, 20))),
            (
                Some(Resize::Exact {
                    height: 3,
                    width: 4,
                }),
                None,
            ),
        ] {
            let options = ReadOptions {
                resize,
                crop,
                network_size: Some([224, 224]),
                ..ReadOptions::default()
            };
            assert_eq!(options.scaling(None), Ok((scaling(resize, crop), None)));
        }
    }

    fn completed(
        mean: Option<Vec<f32>>,
        std: Option<Vec<f32>>,
        channels: usize,
    ) -> Result<(Preparation, Option<Assumption>), DataError> {
        let options = ReadOptions {
            mean,
            std,
            ..ReadOptions::default()
        };
        options.complete(Scaling::NONE, channels, false, || {
            Ok(DefaultNormalisation::ImageNet)
        })
    }

    #[test]
    fn one_number_is_for_all_channels() {
        let (preparation, assumption) =
            completed(Some(vec![0.5]), Some(vec![0.1, 0.2]), 2).unwrap();
        assert_eq!(preparation.mean, [0.5, 0.5]);
        assert_eq!(preparation.std, [0.1, 0.2]);
        assert_eq!(assumption, None);
        let (preparation, assumption) = completed(None, None, 3).unwrap();
        assert_eq!(preparation.mean, IMAGENET[0]);
        assert_eq!(assumption, Some(Assumption::ImageNetNormalisation));
    }

    #[test]
    fn what_cannot_normalise_is_named() {
        let wrong = |mean: Option<f32>, std: Option<f32>| {
            let error = completed(mean.map(|x| vec![x]), std.map(|x| vec![x]), 3);
            error.unwrap_err().to_string()
        };
        assert!(wrong(Some(0.5), None).starts_with("the mean is given and the standard deviation"));
        assert!(wrong(None, Some(0.5)).starts_with("the standard deviation is given"));
        assert_eq!(
            wrong(Some(0.5), Some(0.0)),
            "the standard deviation is 0; a finite number above 0 would be right"
        );
        assert!(wrong(Some(f32::NAN), Some(1.0)).starts_with("the mean is NaN"));
        let error = completed(Some(vec![0.1, 0.2]), Some(vec![1.0]), 3).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("2 numbers and the images have 3 channels")
        );
    }
}
