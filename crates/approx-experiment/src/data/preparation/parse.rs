//! Means and deviations from text, as a command line gives them.

use super::PreparationError;

/// Numbers by channel, `0.485,0.456,0.406`, or one for all.
///
/// ```
/// use approx_experiment::data::parse_channels;
///
/// assert_eq!(parse_channels("0.485, 0.456,0.406"), Ok(vec![0.485, 0.456, 0.406]));
/// assert!(parse_channels("0.5;0.5").is_err());
/// ```
///
/// # Errors
///
/// A text that is no list of finite numbers.
pub fn parse_channels(text: &str) -> Result<Vec<f32>, PreparationError> {
    let numbers = text.split(',').map(|number| {
        let number = number.trim().parse::<f32>().ok();
        number.filter(|number| number.is_finite())
    });
    numbers
        .collect::<Option<Vec<f32>>>()
        .ok_or(PreparationError::Numbers { text: text.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_refused() {
        for wrong in ["", ",", "0.5,", "a", "nan", "0.5 0.5", "inf"] {
            let error = parse_channels(wrong).unwrap_err();
            assert!(error.to_string().contains("0.485,0.456,0.406"), "{error}");
        }
    }
}
