//! Which derivative of a multiplier training uses, and that as a text.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Multiplier, MultiplierError};

/// Which derivative of a multiplier `m(a, b)` training uses.
///
/// Of the exact multiplier all but [`Custom`](Self::Custom) are `b` by the activation and `a` by the weight.
///
/// As text ([`FromStr`], and what is serialised) it is `straight_through`, `difference` with the default half window,
/// `difference:half_window=4`, `linear_regression`, or `custom`.
///
/// ```
/// use approx_multiplier::GradientRule;
///
/// let rule: GradientRule = "difference:half_window=4".parse()?;
/// assert_eq!(rule, GradientRule::Difference { half_window: 4 });
/// assert_eq!(GradientRule::default().to_string(), "straight_through");
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum GradientRule {
    /// That of the exact product, whatever the multiplier is.
    #[default]
    StraightThrough,
    /// The central difference of the smoothed multiplier, after F. Meng et al., "AppMult-Aware Retraining", DATE 2025,
    /// equations 4 to 6.
    ///
    /// The line of products of all codes of one operand with a fixed code of the other is smoothed: every product becomes
    /// the mean of those at most `half_window` codes away. The derivative at a code is the difference between the
    /// smoothed products of the next code and the one before, over the distance of the codes' own means; at both ends
    /// of the line, between the end and its neighbour. (The paper has another rule there, which is never negative.)
    Difference {
        /// How many codes are averaged on either side, fewer at the ends. With 0 nothing is smoothed.
        half_window: u16,
    },
    /// The slope of the straight line that fits the products of all codes of one operand, with a fixed code of the
    /// other, best in the mean square.
    LinearRegression,
    /// The [tables](crate::GradientTables) that the multiplier [has](crate::Multiplier::gradient_tables), as sums of few
    /// products: exactly, if they are such sums, and else with an error that
    /// [`Derivative::rms_error`](crate::Derivative::rms_error) tells.
    Custom,
}

impl GradientRule {
    /// The half window of a [`Difference`](Self::Difference) that does not say another: wide enough for the steps of
    /// multipliers that drop three low bits.
    pub const DEFAULT_HALF_WINDOW: u16 = 8;

    /// Checks that the rule can be applied to a multiplier.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::HalfWindowTooLarge`] if a window is wider than an operand has codes, and
    /// [`MultiplierError::NoGradientTables`] for [`Custom`](Self::Custom) if the multiplier has none.
    pub fn check(self, multiplier: &Multiplier) -> Result<(), MultiplierError> {
        match self {
            Self::StraightThrough | Self::LinearRegression => Ok(()),
            Self::Difference { half_window } => {
                let mut formats = [multiplier.activation(), multiplier.weight()].into_iter();
                match formats.find(|format| 2 * usize::from(half_window) >= format.cardinality()) {
                    Some(format) => Err(MultiplierError::HalfWindowTooLarge {
                        half_window,
                        format,
                    }),
                    None => Ok(()),
                }
            }
            Self::Custom if multiplier.gradient_tables().is_some() => Ok(()),
            Self::Custom => Err(MultiplierError::NoGradientTables {
                name: multiplier.name().into(),
            }),
        }
    }

    const STRAIGHT_THROUGH: &str = "straight_through";
    const DIFFERENCE: &str = "difference";
    const LINEAR_REGRESSION: &str = "linear_regression";
    const CUSTOM: &str = "custom";
}

impl fmt::Display for GradientRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StraightThrough => f.pad(Self::STRAIGHT_THROUGH),
            Self::Difference {
                half_window: Self::DEFAULT_HALF_WINDOW,
            } => f.pad(Self::DIFFERENCE),
            Self::Difference { half_window } => {
                f.pad(&format!("{}:half_window={half_window}", Self::DIFFERENCE))
            }
            Self::LinearRegression => f.pad(Self::LINEAR_REGRESSION),
            Self::Custom => f.pad(Self::CUSTOM),
        }
    }
}

impl FromStr for GradientRule {
    type Err = MultiplierError;

    fn from_str(text: &str) -> Result<Self, MultiplierError> {
        let refuse = |reason: String| {
            Err(MultiplierError::UnknownGradient {
                text: text.into(),
                reason,
            })
        };
        match text.split_once(':') {
            None if text == Self::STRAIGHT_THROUGH => Ok(Self::StraightThrough),
            None if text == Self::LINEAR_REGRESSION => Ok(Self::LinearRegression),
            None if text == Self::CUSTOM => Ok(Self::Custom),
            None if text == Self::DIFFERENCE => Ok(Self::Difference {
                half_window: Self::DEFAULT_HALF_WINDOW,
            }),
            Some((Self::DIFFERENCE, setting)) => match setting.split_once('=') {
                Some(("half_window", value)) => match value.parse() {
                    Ok(half_window) => Ok(Self::Difference { half_window }),
                    Err(_) => refuse(format!(
                        "`{value}` is no half window: write a whole number of codes up to {}",
                        u16::MAX
                    )),
                },
                _ => refuse(format!(
                    "`{setting}` is no setting of it: write half_window=NUMBER"
                )),
            },
            _ => refuse(format!(
                "write {}, {}, {}:half_window=NUMBER, {} or {}",
                Self::STRAIGHT_THROUGH,
                Self::DIFFERENCE,
                Self::DIFFERENCE,
                Self::LINEAR_REGRESSION,
                Self::CUSTOM
            )),
        }
    }
}

impl Serialize for GradientRule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GradientRule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("straight_through", GradientRule::StraightThrough)]
    #[case("difference", GradientRule::Difference { half_window: 8 })]
    #[case("difference:half_window=0", GradientRule::Difference { half_window: 0 })]
    #[case("difference:half_window=65535", GradientRule::Difference { half_window: 65535 })]
    #[case("linear_regression", GradientRule::LinearRegression)]
    #[case("custom", GradientRule::Custom)]
    fn a_rule_is_a_text(#[case] text: &str, #[case] rule: GradientRule) {
        assert_eq!(text.parse::<GradientRule>().unwrap(), rule);
        assert_eq!(rule.to_string(), text);
        let json = serde_json::to_string(&rule).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<GradientRule>(&json).unwrap(), rule);
    }

    #[rstest]
    #[case("", "straight_through")]
    #[case("Difference", "linear_regression")]
    #[case("difference:", "half_window=NUMBER")]
    #[case("difference:window=3", "half_window=NUMBER")]
    #[case("difference:half_window=65536", "up to 65535")]
    #[case("difference:half_window=-1", "up to 65535")]
    #[case("linear_regression:half_window=3", "straight_through")]
    fn what_is_no_rule_says_what_would_be(#[case] text: &str, #[case] expected: &str) {
        let error = text.parse::<GradientRule>().unwrap_err();
        assert!(matches!(error, MultiplierError::UnknownGradient { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }
}
