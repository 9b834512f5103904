//! Families of multipliers that a formula describes, for operands of any width.
//!
//! Each family's file says what its circuit does and who published it. Where the function is an exact sum of few
//! products of one-operand functions it is built from those, so that it exists for 16 x 16 bits too; the others are
//! tabulated.

mod array;
mod drum;
mod mitchell;
mod roba;
mod specification;

pub use specification::FamilySpecification;

use crate::table::index_bits;
use crate::{Factorization, Multiplier, MultiplierError, OperandFormat, ProductTable};

pub(crate) use array::broken_array;

/// Up to so many index bits, 8 x 8, a multiplier is given as a table, as the bundled circuits are.
const TABULATED_INDEX_BITS: u32 = 16;

/// A family of multipliers with its parameters: a formula for the product, whatever the operands' widths.
///
/// | text | multiplier | published by |
/// |---|---|---|
/// | `exact` | the exact product | |
/// | `truncated:columns=D` | an array multiplier without its D lowest columns: of the partial products `2^(i + j) a_i b_j` those with `i + j >= D` are left. No constant is added in their place | M. J. Schulte and E. E. Swartzlander, "Truncated Multiplication with Correction Constant", VLSI Signal Processing VI, 1993 |
/// | `broken-array:horizontal=H,vertical=V` | those with `i >= H` and `i + j >= V` are left | H. R. Mahdiani, A. Ahmadi, S. M. Fakhraie and C. Lucas, "Bio-Inspired Imprecise Computational Blocks for Efficient VLSI Implementation of Soft-Computing Applications", IEEE Transactions on Circuits and Systems I, 2010 |
/// | `lower-or:columns=D` | an array multiplier whose rows are added one after the other by lower-part-OR adders (LOA), which take the OR of the D lowest bits and the carry into the others from bit D - 1 of both addends | the adder: Mahdiani et al., as above |
/// | `drum:k=K` | DRUM: of each operand the K bits from its leading one on, the lowest of them set to 1 | S. Hashemi, R. I. Bahar and S. Reda, "DRUM: A Dynamic Range Unbiased Multiplier for Approximate Applications", ICCAD 2015 |
/// | `mitchell` | the sum of piecewise linear logarithms | J. N. Mitchell, "Computer Multiplication and Division Using Binary Logarithms", IRE Transactions on Electronic Computers, 1962 |
/// | `truncated-mitchell:fraction-bits=F` | the same with the F highest bits of each logarithm's fraction | M. S. Kim, A. A. Del Barrio, L. T. Oliveira, R. Hermida and N. Bagherzadeh, "Efficient Mitchell's Approximate Log Multipliers for Convolutional Neural Networks", IEEE Transactions on Computers, 2019 |
/// | `roba` | RoBA: `ra b + a rb - ra rb`, with `ra` and `rb` the operands rounded to powers of two | R. Zendegani, M. Kamal, M. Bahadori, A. Afzali-Kusha and M. Pedram, "RoBA Multiplier: A Rounding-Based Approximate Multiplier for High-Speed yet Energy-Efficient Digital Signal Processing", IEEE Transactions on VLSI Systems, 2017 |
///
/// # Signed operands
///
/// In `truncated` and `broken-array` a signed operand's highest bit counts negatively, as in a two's-complement array.
/// All others multiply magnitudes, and the product gets the product of the signs; `-2^(bits - 1)` has the magnitude
/// `2^(bits - 1)`.
///
/// # Widths
///
/// `truncated`, `broken-array`, `drum` and `roba` are exact sums of few products of one-operand functions, and exist up
/// to 16 x 16 bits; `mitchell`, `truncated-mitchell` and `lower-or` are tabulated, up to 12 x 12 bits.
///
/// ```
/// use approx_multiplier::{MultiplierFamily, OperandFormat};
///
/// let format = OperandFormat::unsigned(16)?;
/// let drum = MultiplierFamily::Drum { k: 6 }.multiplier(format, format)?;
/// // 0b1100_1110_... becomes 0b1100_11 << 10.
/// assert_eq!(drum.product(0b1100_1110_0000_0000, 3), Some((0b11_0011 << 10) * 3));
/// # Ok::<(), approx_multiplier::MultiplierError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MultiplierFamily {
    /// The exact product.
    Exact,
    /// An array multiplier without its lowest columns.
    Truncated {
        /// How many columns are dropped, up to one less than the bits of both operands together, which is all of them.
        columns: u8,
    },
    /// An array multiplier without its lowest rows and columns. The rows are those of the activation's bits;
    /// [`Multiplier::swapped`] makes them the weight's.
    BrokenArray {
        /// How many rows are dropped, the horizontal break level: up to the activation's bits.
        horizontal: u8,
        /// How many columns are dropped, the vertical break level: as for [`Truncated`](Self::Truncated).
        vertical: u8,
    },
    /// An array multiplier whose rows are added by lower-part-OR adders.
    LowerOr {
        /// How many bits of each adder are ORed: as for [`Truncated`](Self::Truncated).
        columns: u8,
    },
    /// The dynamic-range unbiased multiplier.
    Drum {
        /// How many bits of each operand are multiplied, at least 2. From the operands' bits on it is exact.
        k: u8,
    },
    /// Mitchell's logarithmic multiplier.
    Mitchell,
    /// Mitchell's logarithmic multiplier with shortened logarithms.
    TruncatedMitchell {
        /// How many bits of each logarithm's fraction are kept.
        fraction_bits: u8,
    },
    /// The rounding-based multiplier.
    Roba,
}

/// How a member of a family is given.
enum Formula {
    Exact,
    Factored(Factorization),
    /// The product of magnitudes.
    Magnitudes(Box<dyn Fn(u64, u64) -> u64>),
}

impl MultiplierFamily {
    /// The member of the family for these operand formats, under the text that [`FamilySpecification`] reads.
    ///
    /// # Errors
    ///
    /// [`MultiplierError::InvalidFamily`] if a parameter is out of its range, and [`MultiplierError::TableTooLarge`]
    /// for formats of more than [`MAX_INDEX_BITS`](crate::MAX_INDEX_BITS) where the family has to be tabulated.
    pub fn multiplier(
        self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Multiplier, MultiplierError> {
        self.check(activation, weight)?;
        let name = FamilySpecification {
            family: self,
            activation,
            weight,
        }
        .to_string();
        match self.formula(activation, weight)? {
            Formula::Exact => Ok(Multiplier::exact(activation, weight)),
            Formula::Factored(factorization)
                if index_bits(activation, weight) <= TABULATED_INDEX_BITS =>
            {
                Ok(Multiplier::from_table(name, factorization.to_table()?))
            }
            Formula::Factored(factorization) => Multiplier::from_factorization(name, factorization),
            Formula::Magnitudes(product) => {
                let table = ProductTable::from_fn(activation, weight, |a, b| {
                    // Products of magnitudes have far less than 63 bits.
                    let magnitude = product(a.unsigned_abs(), b.unsigned_abs()) as i64;
                    if (a < 0) == (b < 0) {
                        magnitude
                    } else {
                        -magnitude
                    }
                })?;
                Ok(Multiplier::from_table(name, table))
            }
        }
    }

    fn formula(
        self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<Formula, MultiplierError> {
        Ok(match self {
            Self::Exact => Formula::Exact,
            Self::Truncated { columns } => {
                Formula::Factored(broken_array(activation, weight, 0, columns.into())?)
            }
            Self::BrokenArray {
                horizontal,
                vertical,
            } => Formula::Factored(broken_array(
                activation,
                weight,
                horizontal.into(),
                vertical.into(),
            )?),
            Self::LowerOr { columns } => {
                Formula::Magnitudes(Box::new(move |a, b| array::lower_or(a, b, columns.into())))
            }
            Self::Drum { k } => Formula::Factored(drum::factorization(activation, weight, k)?),
            Self::Mitchell => Formula::Magnitudes(Box::new(mitchell::product)),
            Self::TruncatedMitchell { fraction_bits } => {
                Formula::Magnitudes(Box::new(move |a, b| {
                    mitchell::truncated_product(a, b, fraction_bits)
                }))
            }
            Self::Roba => Formula::Factored(roba::factorization(activation, weight)?),
        })
    }

    /// Checks the parameters' ranges.
    fn check(
        self,
        activation: OperandFormat,
        weight: OperandFormat,
    ) -> Result<(), MultiplierError> {
        let columns = activation.bits() + weight.bits() - 1;
        let ranges = match self {
            Self::Exact | Self::Mitchell | Self::Roba => vec![],
            Self::Truncated { columns: dropped } | Self::LowerOr { columns: dropped } => {
                vec![("columns", dropped, 0..=columns)]
            }
            Self::BrokenArray {
                horizontal,
                vertical,
            } => vec![
                ("horizontal", horizontal, 0..=activation.bits()),
                ("vertical", vertical, 0..=columns),
            ],
            Self::Drum { k } => vec![("k", k, 2..=OperandFormat::MAX_BITS)],
            Self::TruncatedMitchell { fraction_bits } => {
                vec![("fraction-bits", fraction_bits, 0..=OperandFormat::MAX_BITS)]
            }
        };
        for (parameter, value, range) in ranges {
            if !range.contains(&value) {
                return Err(MultiplierError::InvalidFamily {
                    text: self.name().into(),
                    reason: format!(
                        "{parameter} is {value}: for {activation} activations and {weight} weights it must be {} to {}",
                        range.start(),
                        range.end()
                    ),
                });
            }
        }
        Ok(())
    }
}

/// A function of an operand's magnitude, with the operand's sign, for all codes in the order of bit patterns.
fn odd_factors(format: OperandFormat, magnitude: impl Fn(u64) -> u64) -> Vec<i64> {
    format
        .codes()
        .map(|code| {
            // Magnitudes have at most 17 bits.
            let factor = magnitude(code.unsigned_abs().into()) as i64;
            if code < 0 { -factor } else { factor }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;
    use crate::{Definition, ErrorMetrics, Signedness, evoapprox};

    fn format(bits: u8, signed: bool) -> OperandFormat {
        let signedness = if signed {
            Signedness::Signed
        } else {
            Signedness::Unsigned
        };
        OperandFormat::new(bits, signedness).unwrap()
    }

    fn families() -> impl Strategy<Value = MultiplierFamily> {
        prop_oneof![
            Just(MultiplierFamily::Exact),
            (0u8..=3).prop_map(|columns| MultiplierFamily::Truncated { columns }),
            (0u8..=2, 0u8..=3).prop_map(|(horizontal, vertical)| MultiplierFamily::BrokenArray {
                horizontal,
                vertical
            }),
            (0u8..=3).prop_map(|columns| MultiplierFamily::LowerOr { columns }),
            (2u8..=9).prop_map(|k| MultiplierFamily::Drum { k }),
            Just(MultiplierFamily::Mitchell),
            (0u8..=8)
                .prop_map(|fraction_bits| MultiplierFamily::TruncatedMitchell { fraction_bits }),
            Just(MultiplierFamily::Roba),
        ]
    }

    /// A parameter at the end of its range that leaves nothing out.
    #[rstest]
    #[case(MultiplierFamily::Exact)]
    #[case(MultiplierFamily::Truncated { columns: 0 })]
    #[case(MultiplierFamily::BrokenArray { horizontal: 0, vertical: 0 })]
    #[case(MultiplierFamily::LowerOr { columns: 0 })]
    #[case(MultiplierFamily::Drum { k: 8 })]
    fn families_contain_the_exact_multiplier(
        #[case] family: MultiplierFamily,
        #[values(false, true)] signed: bool,
    ) {
        let format = format(8, signed);
        let multiplier = family.multiplier(format, format).unwrap();
        assert_eq!(
            multiplier.to_table().unwrap(),
            ProductTable::exact(format, format).unwrap()
        );
    }

    #[rstest]
    #[case(MultiplierFamily::Truncated { columns: 16 }, "0 to 15")]
    #[case(MultiplierFamily::LowerOr { columns: 16 }, "columns is 16")]
    #[case(MultiplierFamily::BrokenArray { horizontal: 9, vertical: 0 }, "0 to 8")]
    #[case(MultiplierFamily::BrokenArray { horizontal: 0, vertical: 16 }, "vertical")]
    #[case(MultiplierFamily::Drum { k: 1 }, "2 to 16")]
    #[case(MultiplierFamily::TruncatedMitchell { fraction_bits: 17 }, "fraction-bits")]
    fn parameters_out_of_range_are_refused(
        #[case] family: MultiplierFamily,
        #[case] expected: &str,
    ) {
        let error = family
            .multiplier(format(8, true), format(8, true))
            .unwrap_err();
        assert!(matches!(error, MultiplierError::InvalidFamily { .. }));
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[rstest]
    #[case(MultiplierFamily::Truncated { columns: 31 })]
    #[case(MultiplierFamily::BrokenArray { horizontal: 7, vertical: 20 })]
    #[case(MultiplierFamily::Drum { k: 6 })]
    #[case(MultiplierFamily::Roba)]
    fn families_of_low_rank_exist_at_16_bits(
        #[case] family: MultiplierFamily,
        #[values(false, true)] signed: bool,
    ) {
        let (narrow, wide) = (format(8, signed), format(16, signed));
        let multiplier = family.multiplier(wide, wide).unwrap();
        assert!(matches!(multiplier.definition(), Definition::Factored(_)));
        // Of the families that look at magnitudes only, the narrow member is part of the wide one.
        if matches!(
            family,
            MultiplierFamily::Drum { .. } | MultiplierFamily::Roba
        ) {
            let part = family.multiplier(narrow, narrow).unwrap();
            for a in narrow.codes() {
                for b in narrow.codes() {
                    assert_eq!(multiplier.product(a, b), part.product(a, b), "{a} {b}");
                }
            }
        }
    }

    #[rstest]
    #[case(MultiplierFamily::Mitchell)]
    #[case(MultiplierFamily::TruncatedMitchell { fraction_bits: 5 })]
    #[case(MultiplierFamily::LowerOr { columns: 4 })]
    fn the_others_say_how_wide_they_can_be(#[case] family: MultiplierFamily) {
        assert!(
            family
                .multiplier(format(12, false), format(4, true))
                .is_ok()
        );
        let error = family
            .multiplier(format(13, true), format(12, true))
            .unwrap_err();
        assert!(matches!(error, MultiplierError::TableTooLarge { .. }));
        assert!(error.to_string().contains("12 x 12 bits"), "{error}");
    }

    /// EvoApproxLib's wide circuits that are members.
    #[rstest]
    #[case("mul12s_2PR", MultiplierFamily::Truncated { columns: 2 })]
    #[case("mul12s_2PT", MultiplierFamily::Truncated { columns: 4 })]
    #[case("mul12s_2R5", MultiplierFamily::BrokenArray { horizontal: 2, vertical: 5 })]
    #[case("mul16s_GRU", MultiplierFamily::BrokenArray { horizontal: 2, vertical: 5 })]
    #[case("mul16s_GV3", MultiplierFamily::BrokenArray { horizontal: 6, vertical: 0 })]
    fn published_circuits_are_members(#[case] name: &str, #[case] family: MultiplierFamily) {
        let circuit = evoapprox::multiplier(name).unwrap();
        let member = family
            .multiplier(circuit.activation(), circuit.weight())
            .unwrap();
        assert_eq!(member.hash(), circuit.hash());
    }

    /// The mean relative error of DRUM6 that its authors publish for 16 bits.
    #[test]
    fn drum6_has_the_published_mean_relative_error() {
        let format = format(16, false);
        let drum = MultiplierFamily::Drum { k: 6 }
            .multiplier(format, format)
            .unwrap();
        let metrics = ErrorMetrics::measure_sampled(&drum, 1 << 20, 1).unwrap();
        assert!((metrics.mre_percent - 1.47).abs() < 0.01, "{metrics:?}");
        // Both operands an exact power of two that is one step of the last bit too large.
        let worst = 100.0 * ((1.0 + 1.0f64 / 32.0).powi(2) - 1.0);
        assert!(metrics.wcre_percent <= worst);
        assert_eq!(drum.product(1 << 15, 1 << 14), Some((33 << 10) * (33 << 9)));
    }

    /// One ninth, at the product of two numbers of the form `3 * 2^k`.
    #[rstest]
    #[case(MultiplierFamily::Mitchell)]
    #[case(MultiplierFamily::Roba)]
    fn the_largest_relative_error_is_one_ninth(
        #[case] family: MultiplierFamily,
        #[values(6, 8)] bits: u8,
    ) {
        let format = format(bits, false);
        let metrics = ErrorMetrics::measure(&family.multiplier(format, format).unwrap()).unwrap();
        assert!(
            (metrics.wcre_percent - 100.0 / 9.0).abs() < 1e-9,
            "{metrics:?}"
        );
    }

    /// Mitchell's logarithm is never too large, and 3.8 percent too small on average; its error has one sign.
    #[test]
    fn mitchell_has_the_published_mean_relative_error() {
        let format = format(12, false);
        let metrics = ErrorMetrics::measure(
            &MultiplierFamily::Mitchell
                .multiplier(format, format)
                .unwrap(),
        )
        .unwrap();
        assert!((metrics.mre_percent - 3.85).abs() < 0.05, "{metrics:?}");
        assert_eq!(metrics.bias, -metrics.mae);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        /// What multiplies magnitudes is odd in each operand.
        #[test]
        fn signs_are_handled_outside_of_the_circuit(family in families(), bits in (3u8..=7, 3u8..=7)) {
            prop_assume!(!matches!(family, MultiplierFamily::Truncated { .. } | MultiplierFamily::BrokenArray { .. }));
            let unsigned = family.multiplier(format(bits.0, false), format(bits.1, false)).unwrap();
            let mixed = family.multiplier(format(bits.0, true), format(bits.1, false)).unwrap();
            let signed = family.multiplier(format(bits.0, true), format(bits.1, true)).unwrap();
            prop_assert_eq!(
                signed.to_table().unwrap(),
                unsigned.sign_magnitude().unwrap().to_table().unwrap()
            );
            for a in mixed.activation().codes() {
                for b in mixed.weight().codes() {
                    let magnitude = unsigned.product(a.abs(), b).unwrap();
                    prop_assert_eq!(mixed.product(a, b), Some(magnitude * i64::from(a.signum())));
                }
            }
        }

        #[test]
        fn a_family_means_the_same_as_a_table_and_in_factors(family in families(), signed: bool, a: u16, b: u16) {
            // 8 x 8 bits are tabulated, 9 x 8 bits are not where there are factors.
            let (narrow, wide) = (format(8, signed), format(9, signed));
            let table = family.multiplier(narrow, narrow).unwrap();
            let factored = family.multiplier(wide, narrow).unwrap();
            let (a, b) = (narrow.code(a.into()), narrow.code(b.into()));
            // The activation's sign bit has moved: arrays with dropped columns see its copies.
            prop_assume!(!signed || a >= 0);
            prop_assert_eq!(table.product(a, b), factored.product(a, b));
        }
    }
}
