//! Tensors that a GPU's kernels cannot index are refused, and not computed wrongly.

use approx_multiplier::{Multiplier, OperandFormat};
use burn::prelude::*;
use burn_approx::quantization::{CodeQuantizer, CodeRange};
use burn_approx::{ApproxError, PreparedMultiplier, ops};

use crate::device;

/// Every matrix of the batch is small, and so is the result; only all matrices of the weight together are not. (The
/// weight is one value, seen many times: it takes no memory.)
#[test]
fn a_batch_of_too_many_weights_is_refused() {
    let device = device();
    let multiplier =
        PreparedMultiplier::new(Multiplier::exact(OperandFormat::INT8, OperandFormat::INT8));
    let (batch, inner, columns) = (1 << 10, 1 << 10, 1 << 11);
    let activation = Tensor::<3>::zeros([batch, 1, inner], &device);
    let weight = Tensor::<3>::zeros([1, 1, 1], &device).expand([batch, inner, columns]);
    let codes = CodeRange::new(-127, 127).unwrap();
    let quantizer = CodeQuantizer::per_tensor(1.0, 0, codes, &device).unwrap();
    let product = ops::matmul(activation, weight, &quantizer, &quantizer, &multiplier);
    match product.map(|product| product.dims()) {
        Err(ApproxError::TooManyElements { tensor, elements }) => {
            assert_eq!((tensor, elements), ("weight", 1 << 31));
        }
        other => panic!("{other:?}"),
    }

    let activation = Tensor::<3, Int>::zeros([batch, 1, inner], &device);
    let weight = Tensor::<3, Int>::zeros([1, 1, 1], &device).expand([batch, inner, columns]);
    let sums = ops::matmul_accumulators(activation, weight, &multiplier);
    assert!(matches!(
        sums,
        Err(ApproxError::TooManyElements {
            tensor: "weight",
            ..
        })
    ));
}
