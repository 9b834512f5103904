//! A multiplier as the kernels take it: a table of products, or tables of one-operand functions by bit pattern,
//! uploaded once per device.

use std::sync::Arc;

use approx_cpu::FactorTerm;
use approx_multiplier::{Definition, Feature, HtpModel, OperandFormat};
use burn_cubecl::CubeDevice;
use kernels_cubecl::{DeviceFactors, DeviceTable};

use crate::backends::checked;
use crate::plan::ProductOperation;

/// The table of products of a lookup plan.
pub(super) fn table(operation: &ProductOperation, device: &CubeDevice) -> Arc<DeviceTable> {
    let multiplier = operation.multiplier();
    checked(multiplier.on_devices().get(device, || {
        let table = checked(multiplier.multiplier().to_table());
        let (activation, weight) = (table.activation().bits(), table.weight().bits());
        DeviceTable::new(
            &device.client(),
            table.entries(),
            activation.into(),
            weight.into(),
        )
    }))
}

/// The integer factors of an exact or a factored plan, their scales in the weights'.
pub(super) fn integer_factors(
    operation: &ProductOperation,
    device: &CubeDevice,
) -> Arc<DeviceFactors<i32>> {
    let factors = operation.factors();
    checked(factors.on_devices.get(device, || {
        // Where a value has more than 32 bits, accumulators of 32 bits are known to hold the sums, and wrap as the
        // values do.
        let values = |of: fn(&FactorTerm) -> (i64, &[i64])| -> Vec<i32> {
            let scaled = |term| {
                let (scale, values) = of(term);
                values
                    .iter()
                    .map(move |value| scale.wrapping_mul(*value) as i32)
            };
            factors.terms.iter().flat_map(scaled).collect()
        };
        let activation = values(|term| (1, &term.activation));
        let weight = values(|term| (term.scale, &term.weight));
        let [activation_bits, weight_bits] = bits(operation);
        DeviceFactors::new(
            &device.client(),
            &activation,
            &weight,
            activation_bits,
            weight_bits,
        )
    }))
}

/// The widths of both operands' patterns.
fn bits(operation: &ProductOperation) -> [u32; 2] {
    let (activation, weight) = operation.multiplier().formats();
    [activation, weight].map(|format| format.bits().into())
}

/// An HTP model as factors, one term for each function of the activation.
pub(super) fn model_factors(
    operation: &ProductOperation,
    device: &CubeDevice,
) -> Arc<DeviceFactors<f32>> {
    let multiplier = operation.multiplier();
    checked(multiplier.on_devices().get(device, || {
        let Definition::Htp(model) = multiplier.definition() else {
            unreachable!("HTP plans are for HTP models");
        };
        let (activation, weight) = model_tables(model);
        let [activation_bits, weight_bits] = bits(operation);
        let (activation, weight) = (activation.concat(), weight.concat());
        DeviceFactors::new(
            &device.client(),
            &activation,
            &weight,
            activation_bits,
            weight_bits,
        )
    }))
}

/// The functions of both operands by bit pattern, joined by activation function.
fn model_tables(model: &HtpModel) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let mut features: Vec<(Feature, Vec<f64>)> = Vec::new();
    for term in model.terms() {
        let position = features
            .iter()
            .position(|(feature, _)| *feature == term.first)
            .unwrap_or_else(|| {
                let sums = vec![0.0; 1 << model.weight().bits()];
                features.push((term.first, sums));
                features.len() - 1
            });
        for (sum, code) in features[position].1.iter_mut().zip(model.weight().codes()) {
            *sum += term.coefficient * term.second.evaluate(code);
        }
    }
    features
        .into_iter()
        .map(|(feature, sums)| {
            let activation = model
                .activation()
                .codes()
                .map(|code| feature.evaluate(code) as f32);
            let weight = sums.into_iter().map(|sum| sum as f32);
            (activation.collect::<Vec<_>>(), weight.collect::<Vec<_>>())
        })
        .unzip()
}

/// Integer factors for products in float32, where every value is to be exact.
#[derive(Debug)]
pub(super) struct FloatFactors {
    /// The activation's function of each term by bit pattern.
    pub(super) activation: Vec<Vec<f32>>,
    /// The weight's, scaled.
    pub(super) weight: Vec<Vec<f32>>,
}

impl FloatFactors {
    /// The factors of a plan's terms on codes of some formats; in digits where matrix units would round them.
    pub(super) fn new(
        terms: &[FactorTerm],
        formats: [OperandFormat; 2],
        tensor_float32: bool,
    ) -> Self {
        let mut factors = Self {
            activation: Vec::new(),
            weight: Vec::new(),
        };
        for term in terms {
            // With the term's scale, which need not be a power of two.
            let scaled: Vec<i64> = term.weight.iter().map(|value| term.scale * value).collect();
            for (activation_scale, activation) in digits(&term.activation, tensor_float32) {
                for (weight_scale, weight) in digits(&scaled, tensor_float32) {
                    let scale = activation_scale * weight_scale;
                    let weight = weight.iter().map(|value| (scale * value) as f32);
                    factors.weight.push(weight.collect());
                    factors
                        .activation
                        .push(activation.iter().map(|value| *value as f32).collect());
                }
            }
        }
        if factors.activation.is_empty() {
            // Products of zeros, which have the right shape and keep a NaN.
            factors.activation.push(vec![0.0; formats[0].cardinality()]);
            factors.weight.push(vec![0.0; formats[1].cardinality()]);
        }
        factors
    }
}

/// Bits of a digit that matrix units do not round, nor the difference of two of them: TF32 has 11 significant bits.
const DIGIT_BITS: u32 = 10;

/// A function as a sum of scaled ones whose values, and differences of values, matrix units hold exactly.
///
/// ```text
/// values[i] = sum over d of scale_d * digit_d[i],    |digit_d[i]| <= 2^10,    scale_d a power of two
/// ```
fn digits(values: &[i64], in_digits: bool) -> Vec<(i64, Vec<i64>)> {
    const BASE: i64 = 1 << DIGIT_BITS;
    if !in_digits {
        return vec![(1, values.to_vec())];
    }
    // What all values are multiples of costs no digit.
    let shift = values
        .iter()
        .filter(|value| **value != 0)
        .map(|value| value.trailing_zeros())
        .min()
        .unwrap_or(0);
    let mut scale = 1i64 << shift;
    let mut rest: Vec<i64> = values.iter().map(|value| value >> shift).collect();
    let mut digits = Vec::new();
    while rest.iter().any(|value| value.abs() > BASE) {
        let low: Vec<i64> = rest
            .iter()
            .map(|value| (value + BASE / 2).rem_euclid(BASE) - BASE / 2)
            .collect();
        for (rest, low) in rest.iter_mut().zip(&low) {
            *rest = (*rest - low) / BASE;
        }
        digits.push((scale, low));
        scale *= BASE;
    }
    digits.push((scale, rest));
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_add_up_and_are_small_enough_for_tf32() {
        for values in [
            vec![2047, 2049, 4095, -4095, 0],
            vec![1 << 23, -(1 << 23), (1 << 23) - 1],
            vec![1024, -1024, 5],
            vec![4096, -8192],
            vec![0, 0],
        ] {
            let digits = digits(&values, true);
            for (index, value) in values.iter().enumerate() {
                let sum: i64 = digits
                    .iter()
                    .map(|(scale, digit)| scale * digit[index])
                    .sum();
                assert_eq!(sum, *value);
            }
            let largest = |digit: &[i64]| digit.iter().map(|value| value.abs()).max();
            assert!(digits.iter().all(|(_, digit)| largest(digit) <= Some(1024)));
        }
        assert_eq!(digits(&[1024, -1024, 5], true).len(), 1);
        assert_eq!(digits(&[4096, -8192], true).len(), 1);
        assert_eq!(digits(&[2049], false), [(1, vec![2049])]);
    }

    /// Whether TF32 holds a number: it has 10 bits of mantissa beside the leading one.
    fn is_exact_in_tf32(value: f32) -> bool {
        value.to_bits().trailing_zeros() >= 13
    }

    #[test]
    fn float_factors_are_the_terms_whatever_the_digits() {
        let formats = [OperandFormat::unsigned(2).unwrap(); 2];
        for (scale, activation, weight) in [
            (3, vec![0, 2049, -4095, 2047], vec![4095, -2049, 0, 1]),
            (17, vec![0, 1, -127, 5], vec![121, -121, 127, 2]),
            (1, vec![1535, 1536, 1537, 0], vec![-127, 127, 3, 0]),
        ] {
            let term = FactorTerm {
                scale,
                activation,
                weight,
            };
            for tensor_float32 in [false, true] {
                let factors =
                    FloatFactors::new(std::slice::from_ref(&term), formats, tensor_float32);
                for (a, left) in term.activation.iter().enumerate() {
                    for (b, right) in term.weight.iter().enumerate() {
                        let products = factors.activation.iter().zip(&factors.weight);
                        let sum: f64 = products
                            .map(|(u, v)| f64::from(u[a]) * f64::from(v[b]))
                            .sum();
                        assert_eq!(sum, (scale * left * right) as f64);
                    }
                }
                if tensor_float32 {
                    assert!(
                        factors
                            .weight
                            .iter()
                            .flatten()
                            .all(|value| is_exact_in_tf32(*value))
                    );
                    for values in &factors.activation {
                        for zero in values {
                            assert!(values.iter().all(|value| is_exact_in_tf32(value - zero)));
                        }
                    }
                }
            }
        }
    }
}
