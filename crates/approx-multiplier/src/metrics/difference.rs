//! Where two multipliers differ, in words that a person can use.
//!
//! Conditions on a pair of operands are tried one by one: the signs, single codes, bits, and ranges. Of those that all
//! differing pairs meet, the one that fewest pairs meet is named first, and others as long as they say more. So the answer
//! may be "both operands are negative", or that nothing of the kind holds.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::rows::Rows;
use crate::table::index_bits;
use crate::{MAX_INDEX_BITS, Multiplier, MultiplierError, OperandFormat};

/// How many differing pairs are kept as examples.
const EXAMPLES: usize = 8;
/// How many conditions are named at most.
const MOST_NAMED: usize = 3;
/// A further condition is named if no more than this part of the pairs meets it too.
const SAYS_MORE: f64 = 0.8;

/// Where and by how much two multipliers differ.
///
/// ```
/// use approx_multiplier::{Difference, Multiplier, OperandFormat};
///
/// let int8 = OperandFormat::INT8;
/// let exact = Multiplier::exact(int8, int8);
/// let other = Multiplier::from_fn("other", int8, int8, |a, b| if a < 0 && b < 0 { a * b - 1 } else { a * b })?;
/// let difference = Difference::between(&exact, &other)?;
/// assert_eq!((difference.differing, difference.largest_difference), (128 * 128, 1.0));
/// assert_eq!(difference.in_words(), "exactly where both operands are negative");
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Difference {
    /// How many pairs of codes there are.
    pub pairs: u64,
    /// How many of them have different products.
    pub differing: u64,
    /// The largest magnitude of a difference.
    pub largest_difference: f64,
    /// The mean magnitude of the differences over all pairs, equal ones included.
    pub mean_difference: f64,
    /// Conditions that all differing pairs meet, the narrowest first. Empty if none was found, or none differs.
    pub conditions: Vec<Condition>,
    /// How many pairs meet all conditions: at least as many as differ.
    pub meeting: u64,
    /// The first differing pairs.
    pub examples: Vec<DifferingPair>,
}

/// A pair of operands of which two multipliers have different products.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DifferingPair {
    /// The activation's code.
    pub activation: i32,
    /// The weight's code.
    pub weight: i32,
    /// The product of the first multiplier, and that of the second one.
    pub products: [f64; 2],
}

/// A condition on a pair of operands: the activation `a` and the weight `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Condition {
    /// Both are negative.
    BothNegative,
    /// Neither is negative.
    NeitherNegative,
    /// One is negative and the other one is not.
    OneNegative,
    /// At least one is negative.
    AnyNegative,
    /// Neither is 0.
    NeitherZero,
    /// At least one has this code.
    AnyIs(i32),
    /// One operand is from one code to another one.
    Between {
        /// Which one.
        operand: Operand,
        /// The lowest code.
        from: i32,
        /// The highest code.
        to: i32,
    },
    /// A bit of an operand is 1, or 0.
    Bit {
        /// Which operand.
        operand: Operand,
        /// Which bit, 0 for the lowest.
        bit: u8,
        /// Its value.
        value: bool,
    },
}

/// An operand of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operand {
    /// `a`.
    Activation,
    /// `b`.
    Weight,
}

impl Operand {
    fn of(self, a: i32, b: i32) -> i32 {
        match self {
            Self::Activation => a,
            Self::Weight => b,
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Activation => "a",
            Self::Weight => "b",
        })
    }
}

impl Condition {
    /// Whether a pair of codes meets it.
    pub fn is_met(self, a: i32, b: i32) -> bool {
        match self {
            Self::BothNegative => a < 0 && b < 0,
            Self::NeitherNegative => a >= 0 && b >= 0,
            Self::OneNegative => (a < 0) != (b < 0),
            Self::AnyNegative => a < 0 || b < 0,
            Self::NeitherZero => a != 0 && b != 0,
            Self::AnyIs(code) => a == code || b == code,
            Self::Between { operand, from, to } => (from..=to).contains(&operand.of(a, b)),
            Self::Bit {
                operand,
                bit,
                value,
            } => (operand.of(a, b) >> bit & 1 == 1) == value,
        }
    }

    /// All of them but ranges.
    fn all([activation, weight]: [OperandFormat; 2]) -> Vec<Self> {
        let signs = [
            Self::BothNegative,
            Self::NeitherNegative,
            Self::OneNegative,
            Self::AnyNegative,
            Self::NeitherZero,
        ];
        let formats = [(Operand::Activation, activation), (Operand::Weight, weight)];
        let ends = [activation, weight].map(|format| [format.min_code(), format.max_code()]);
        let bits = formats.into_iter().flat_map(|(operand, format)| {
            (0..format.bits()).flat_map(move |bit| {
                [false, true].map(|value| Self::Bit {
                    operand,
                    bit,
                    value,
                })
            })
        });
        let any = ends.concat().into_iter().map(Self::AnyIs);
        signs.into_iter().chain(any).chain(bits).collect()
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::BothNegative => f.write_str("both operands are negative"),
            Self::NeitherNegative => f.write_str("neither operand is negative"),
            Self::OneNegative => f.write_str("one operand is negative and the other is not"),
            Self::AnyNegative => f.write_str("an operand is negative"),
            Self::NeitherZero => f.write_str("neither operand is 0"),
            Self::AnyIs(code) => write!(f, "an operand is {code}"),
            Self::Between { operand, from, to } if from == to => write!(f, "{operand} = {from}"),
            Self::Between {
                operand, to: -1, ..
            } => write!(f, "{operand} is negative"),
            Self::Between { operand, from, to } => write!(f, "{operand} is from {from} to {to}"),
            Self::Bit {
                operand,
                bit: 0,
                value,
            } => write!(f, "{operand} is {}", if value { "odd" } else { "even" }),
            Self::Bit {
                operand,
                bit,
                value,
            } => write!(f, "bit {bit} of {operand} is {}", u8::from(value)),
        }
    }
}

impl Difference {
    /// Compares all products of two multipliers.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::DifferentFormats`] if they have other operand formats, and [`MultiplierError::TooManyPairs`] for
    /// more than [`MAX_INDEX_BITS`] index bits.
    pub fn between(first: &Multiplier, second: &Multiplier) -> Result<Self, MultiplierError> {
        super::measurement::check_formats(first, second)?;
        let formats = [first.activation(), first.weight()];
        let [activation, weight] = formats;
        let index_bits = index_bits(activation, weight);
        if index_bits > MAX_INDEX_BITS {
            return Err(MultiplierError::TooManyPairs {
                name: first.name().into(),
                index_bits,
            });
        }
        let mut found = Self {
            pairs: 1 << index_bits,
            differing: 0,
            largest_difference: 0.0,
            mean_difference: 0.0,
            conditions: Vec::new(),
            meeting: 0,
            examples: Vec::new(),
        };
        let mut candidates = Condition::all(formats);
        let mut ranges = [(i32::MAX, i32::MIN); 2];
        let rows = [first, second].map(Rows::of);
        let mut products = [
            vec![0.0; weight.cardinality()],
            vec![0.0; weight.cardinality()],
        ];
        for a in activation.min_code()..=activation.max_code() {
            for (rows, products) in rows.iter().zip(&mut products) {
                rows.read(activation.pattern(a), products);
            }
            let mut sum = 0.0;
            for b in weight.min_code()..=weight.max_code() {
                let place = weight.pattern(b);
                let pair = [products[0][place], products[1][place]];
                let difference = (pair[0] - pair[1]).abs();
                if difference == 0.0 {
                    continue;
                }
                found.differing += 1;
                found.largest_difference = found.largest_difference.max(difference);
                sum += difference;
                candidates.retain(|condition| condition.is_met(a, b));
                for ((low, high), code) in ranges.iter_mut().zip([a, b]) {
                    (*low, *high) = ((*low).min(code), (*high).max(code));
                }
                if found.examples.len() < EXAMPLES {
                    found.examples.push(DifferingPair {
                        activation: a,
                        weight: b,
                        products: pair,
                    });
                }
            }
            found.mean_difference += sum / found.pairs as f64;
        }
        if found.differing > 0 {
            let operands = [Operand::Activation, Operand::Weight];
            let ranges = operands
                .into_iter()
                .zip(ranges)
                .map(|(operand, (from, to))| Condition::Between { operand, from, to });
            // First, for they are named rather than a bit that says the same.
            candidates.splice(0..0, ranges);
        }
        found.name_conditions(candidates, formats);
        Ok(found)
    }

    /// Names the narrowest of the conditions that all differing pairs meet, and what says more.
    fn name_conditions(&mut self, candidates: Vec<Condition>, formats: [OperandFormat; 2]) {
        let [activation, weight] = formats;
        self.meeting = self.pairs;
        if self.differing == 0 {
            return;
        }
        while self.conditions.len() < MOST_NAMED && self.meeting > self.differing {
            let mut meeting = vec![0_u64; candidates.len()];
            for a in activation.min_code()..=activation.max_code() {
                for b in weight.min_code()..=weight.max_code() {
                    if !self
                        .conditions
                        .iter()
                        .all(|condition| condition.is_met(a, b))
                    {
                        continue;
                    }
                    for (count, condition) in meeting.iter_mut().zip(&candidates) {
                        *count += u64::from(condition.is_met(a, b));
                    }
                }
            }
            let narrowest = candidates
                .iter()
                .zip(meeting)
                .min_by_key(|(_, count)| *count);
            match narrowest {
                Some((condition, count)) if count as f64 <= SAYS_MORE * self.meeting as f64 => {
                    self.conditions.push(*condition);
                    self.meeting = count;
                }
                _ => break,
            }
        }
    }

    /// Where they differ, to follow "they differ" or the like: "only where both operands are negative". What differs
    /// without a condition in common is "in all parts of the range".
    pub fn in_words(&self) -> String {
        let conditions: Vec<String> = self.conditions.iter().map(Condition::to_string).collect();
        match (self.differing, conditions.as_slice()) {
            (0, _) => "nowhere".to_owned(),
            (differing, _) if differing == self.pairs => "everywhere".to_owned(),
            (_, []) => "in all parts of the range".to_owned(),
            (differing, conditions) => {
                let extent = if differing == self.meeting {
                    "exactly"
                } else {
                    "only"
                };
                format!("{extent} where {}", conditions.join(" and "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn words(format: OperandFormat, differs: fn(i64, i64) -> bool) -> (String, Difference) {
        let exact = Multiplier::exact(format, format);
        let product = |a: i64, b: i64| a * b + 3 * i64::from(differs(a, b));
        let other = Multiplier::from_fn("other", format, format, product).unwrap();
        let difference = Difference::between(&other, &exact).unwrap();
        (difference.in_words(), difference)
    }

    #[rstest]
    #[case(|_, _| false, "nowhere")]
    #[case(|_, _| true, "everywhere")]
    #[case(|a, b| a < 0 && b < 0, "exactly where both operands are negative")]
    #[case(|a, b| a < 0 && b < 0 && (a + b) % 3 == 0, "only where both operands are negative")]
    #[case(|a, b| a < 0 || b < 0, "exactly where an operand is negative")]
    #[case(|a, b| (a < 0) != (b < 0), "exactly where one operand is negative and the other is not")]
    #[case(|_, b| b == -128, "exactly where b = -128")]
    #[case(|a, b| a == -128 || b == -128, "exactly where an operand is -128")]
    #[case(|a, b| a & 1 == 1 && b & 1 == 1, "exactly where a is odd and b is odd")]
    #[case(|a, _| a < 0, "exactly where a is negative")]
    #[case(|a, b| a > 99 && b == 7, "exactly where b = 7 and a is from 100 to 127")]
    #[case(|a, b| (a * b) % 5 == 3, "in all parts of the range")]
    fn conditions_are_found(#[case] differs: fn(i64, i64) -> bool, #[case] expected: &str) {
        let (words, difference) = words(OperandFormat::INT8, differs);
        assert_eq!(words, expected);
        let codes = || OperandFormat::INT8.codes().map(i64::from);
        let pairs = codes().flat_map(|a| codes().map(move |b| (a, b)));
        assert_eq!(
            difference.differing,
            pairs.filter(|(a, b)| differs(*a, *b)).count() as u64
        );
        assert_eq!(
            difference.mean_difference,
            3.0 * difference.differing as f64 / 65536.0
        );
        let in_conditions = |pair: &DifferingPair| {
            let mut conditions = difference.conditions.iter();
            conditions.all(|condition| condition.is_met(pair.activation, pair.weight))
        };
        assert!(difference.examples.iter().all(in_conditions));
    }

    #[test]
    fn a_single_wrong_entry_is_named() {
        let (words, difference) = words(OperandFormat::UINT8, |a, b| a == 255 && b == 254);
        assert_eq!(words, "exactly where a = 255 and b = 254");
        assert_eq!(
            difference.examples[0].products,
            [255.0 * 254.0 + 3.0, 255.0 * 254.0]
        );
    }

    #[test]
    fn what_cannot_be_compared_is_refused() {
        let wide = OperandFormat::signed(13).unwrap();
        let wide = Multiplier::exact(wide, wide);
        let narrow = Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8);
        let refused = |one, other| Difference::between(one, other).unwrap_err();
        assert!(matches!(
            refused(&wide, &wide),
            MultiplierError::TooManyPairs { index_bits: 26, .. }
        ));
        assert!(matches!(
            refused(&wide, &narrow),
            MultiplierError::DifferentFormats { .. }
        ));
    }
}
