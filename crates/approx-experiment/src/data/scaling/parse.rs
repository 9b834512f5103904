//! Sizes from text, as a command line gives them: `224` or `224x160`, height first.

use std::str::FromStr;

use super::{Crop, MAX_SIDE, Resize};

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is no size of images; 224, or 224x160 for height and width, would be right, each from 1 to {MAX_SIDE}"
)]
pub struct SizeError {
    /// The text.
    pub text: String,
}

/// One length, or height and width.
fn lengths(text: &str) -> Result<(usize, Option<usize>), SizeError> {
    let length = |part: &str| {
        let length = part.trim().parse().ok();
        length
            .filter(|length| (1..=MAX_SIDE).contains(length))
            .ok_or(SizeError { text: text.into() })
    };
    Ok(match text.split_once('x') {
        None => (length(text)?, None),
        Some((height, width)) => (length(height)?, Some(length(width)?)),
    })
}

impl FromStr for Resize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        Ok(match lengths(text)? {
            (length, None) => Self::Shorter(length),
            (height, Some(width)) => Self::Exact { height, width },
        })
    }
}

impl FromStr for Crop {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (height, width) = lengths(text)?;
        Ok(Self {
            height,
            width: width.unwrap_or(height),
        })
    }
}

macro_rules! as_text {
    ($($size:ty),+) => {$(
        impl TryFrom<String> for $size {
            type Error = SizeError;

            fn try_from(text: String) -> Result<Self, SizeError> {
                text.parse()
            }
        }

        impl From<$size> for String {
            fn from(size: $size) -> Self {
                size.to_string()
            }
        }
    )+};
}

as_text!(Resize, Crop);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for resize in [
            Resize::Shorter(7),
            Resize::Exact {
                height: 1,
                width: MAX_SIDE,
            },
        ] {
            assert_eq!(resize.to_string().parse(), Ok(resize));
            let json = serde_json::to_string(&resize).unwrap();
            assert_eq!(serde_json::from_str::<Resize>(&json).unwrap(), resize);
        }
        for wrong in ["", "0", "x", "5x", "5x0", "-1", "99999", "5x5x5", "5,5"] {
            assert!(wrong.parse::<Resize>().is_err(), "{wrong}");
            assert!(wrong.parse::<Crop>().is_err(), "{wrong}");
        }
    }
}
