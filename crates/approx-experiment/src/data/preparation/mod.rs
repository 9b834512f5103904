//! From a data set's images to a network's inputs, as a value that can be printed and stored: `options` says what was
//! asked for and fills in the rest, `parse` reads means and deviations.

mod options;
mod parse;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(in crate::data) use self::options::DefaultNormalisation;
pub use self::options::{DEFAULT_MEMORY, ReadOptions};
pub use self::parse::parse_channels;
use super::normalisation::Normalisation;
use super::scaling::{Crop, Resize, Scaling};

/// How images become a network's inputs, in torchvision's conventions: scaled, cut, divided by `whole`, and normalised
/// by mean and standard deviation.
///
/// ```
/// use approx_experiment::data::{Preparation, Resize};
///
/// let preparation = Preparation {
///     resize: Some(Resize::Shorter(256)),
///     crop: Some("224".parse()?),
///     whole: 255.0,
///     mean: vec![0.5; 3],
///     std: vec![0.25; 3],
/// };
/// assert_eq!(
///     preparation.to_string(),
///     "shorter side scaled to 256, middle of 224x224 cut out, (x / 255 - [0.5, 0.5, 0.5]) / [0.25, 0.25, 0.25]"
/// );
/// # Ok::<(), approx_experiment::data::SizeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    /// To what size images are scaled, if at all.
    pub resize: Option<Resize>,
    /// What is cut out of their middle, if not all is taken.
    pub crop: Option<Crop>,
    /// What values are divided by first: 255 for grey levels, 1 for real numbers.
    pub whole: f32,
    /// The mean that is subtracted, by channel.
    pub mean: Vec<f32>,
    /// The standard deviation that is divided by, by channel.
    pub std: Vec<f32>,
}

impl Preparation {
    /// What maps stored values to inputs, once images are scaled.
    pub fn normalisation(&self) -> Arc<Normalisation> {
        Arc::new(Normalisation::scaled(self.whole, &self.mean, &self.std))
    }

    /// What brings images to one size.
    pub fn scaling(&self) -> Scaling {
        Scaling {
            resize: self.resize,
            crop: self.crop,
        }
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resize {
            Some(Resize::Shorter(length)) => write!(f, "shorter side scaled to {length}, ")?,
            Some(exact) => write!(f, "scaled to {exact}, ")?,
            None => {}
        }
        if let Some(crop) = self.crop {
            write!(f, "middle of {crop} cut out, ")?;
        }
        let channels = |values: &[f32]| match values {
            // A mean for each of hundreds of features says nothing to a reader.
            [first, rest @ ..] if rest.len() > 7 && rest.iter().all(|value| value == first) => {
                first.to_string()
            }
            values => format!("{values:?}"),
        };
        let (mean, std) = (channels(&self.mean), channels(&self.std));
        if self.whole == 1.0 {
            write!(f, "(x - {mean}) / {std}")
        } else {
            write!(f, "(x / {} - {mean}) / {std}", self.whole)
        }
    }
}

/// What was assumed of a preparation because nobody said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assumption {
    /// Images are scaled and cut to the size that the network takes.
    NetworkSize(Crop),
    /// Scaled images are cut to this size.
    Cut(Crop),
    /// Channels are normalised by ImageNet's mean and deviation.
    ImageNetNormalisation,
    /// Channels are normalised by their mean and deviation over the training images, before scaling.
    MeasuredNormalisation,
    /// Grey levels are divided by 255, and not normalised further.
    LevelsAsTheyAre,
    /// Real numbers are taken as they are.
    RealsAsTheyAre,
}

impl fmt::Display for Assumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NetworkSize(size) => {
                write!(
                    f,
                    "images are scaled and cut to {size}, the size that the network takes"
                )
            }
            Self::Cut(size) => write!(f, "the middle of {size} is cut out of scaled images"),
            Self::ImageNetNormalisation => {
                f.write_str("channels are normalised by ImageNet's mean and deviation")
            }
            Self::MeasuredNormalisation => f.write_str(
                "channels are normalised by their mean and deviation over the training images",
            ),
            Self::LevelsAsTheyAre => {
                f.write_str("grey levels are divided by 255, and not normalised further")
            }
            Self::RealsAsTheyAre => f.write_str("real numbers are taken as they are"),
        }
    }
}

/// A preparation that cannot be.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PreparationError {
    /// A text that is no list of numbers.
    #[error(
        "`{text}` is no list of numbers; 0.5, or one for each channel as in 0.485,0.456,0.406, would be right"
    )]
    Numbers {
        /// The text.
        text: String,
    },
    /// Not as many numbers as channels.
    #[error(
        "{what} has {found} numbers and the images have {channels} channels; one number, or one for each, would be right"
    )]
    Channels {
        /// The mean or the deviation.
        what: &'static str,
        /// How many numbers it has.
        found: usize,
        /// How many channels there are.
        channels: usize,
    },
    /// A deviation that cannot be divided by, or a mean that is no number.
    #[error("{what} is {value}; {expected} would be right")]
    Value {
        /// The mean or the deviation.
        what: &'static str,
        /// The number.
        value: f32,
        /// What it should be.
        expected: &'static str,
    },
    /// One of mean and deviation without the other.
    #[error("{given} is given and {missing} is not; give both, or neither")]
    Half {
        /// What is given.
        given: &'static str,
        /// What is not.
        missing: &'static str,
    },
    /// Images of many sizes, and no size to bring them to.
    #[error(
        "the images are files of any sizes; say to what size they are scaled, 224 for instance"
    )]
    NoSize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preparation_is_stored_as_it_is_written() {
        let preparation = Preparation {
            resize: Some(Resize::Exact {
                height: 32,
                width: 48,
            }),
            crop: None,
            whole: 1.0,
            mean: vec![0.1],
            std: vec![0.3],
        };
        assert_eq!(
            preparation.to_string(),
            "scaled to 32x48, (x - [0.1]) / [0.3]"
        );
        let json = serde_json::to_string(&preparation).unwrap();
        assert!(json.contains(r#""resize":"32x48""#), "{json}");
        assert_eq!(
            serde_json::from_str::<Preparation>(&json).unwrap(),
            preparation
        );
        let features = Preparation {
            mean: vec![0.0; 784],
            std: vec![1.0; 784],
            resize: None,
            ..preparation
        };
        assert_eq!(features.to_string(), "(x - 0) / 1");
    }
}
