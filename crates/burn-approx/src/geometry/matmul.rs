//! Matrix products whose leading dimensions broadcast, and linear layers, which are matrix products of all rows with
//! one matrix.

use std::ops::Range;

use approx_cpu::MatmulShape;
use burn::tensor::Shape;

use super::{Geometry, Rules, shape_error};
use crate::error::ApproxError;

impl Rules for MatmulShape {
    fn name(&self) -> &'static str {
        "matmul"
    }

    fn inner(&self) -> usize {
        self.inner
    }

    fn inputs(&self) -> usize {
        self.rows * self.inner
    }

    fn weights(&self) -> usize {
        self.inner * self.columns
    }

    fn outputs(&self) -> usize {
        self.rows * self.columns
    }

    fn products(&self) -> usize {
        self.outputs() * self.inner
    }

    fn output_shape(&self, activation: &Shape, weight: &Shape) -> Shape {
        let rank = activation.num_dims();
        let leading = activation.iter().zip(weight.iter()).take(rank - 2);
        let mut shape: Vec<usize> = leading
            .map(|(left, right)| if *left == 1 { *right } else { *left })
            .collect();
        shape.extend([activation[rank - 2], weight[rank - 1]]);
        Shape::from(shape)
    }

    fn weight_channel_axis(&self, rank: usize) -> usize {
        rank - 1
    }

    fn output_channel_axis(&self, rank: usize) -> usize {
        rank - 1
    }

    fn joining_axes(&self, rank: usize) -> Option<[usize; 2]> {
        Some([rank - 1, rank - 2])
    }

    fn taps(&self) -> usize {
        1
    }

    fn of_weight(&self) -> Geometry {
        Geometry::Matmul(Self { rows: 0, ..*self })
    }
}

/// The product of `[.., m, k]` and `[.., k, n]`; leading dimensions broadcast.
///
/// # Errors
/// [`ApproxError::Shape`] if the shapes do not fit each other.
pub(crate) fn matmul(activation: &[usize], weight: &[usize]) -> Result<Geometry, ApproxError> {
    let rank = activation.len();
    let refuse = |problem| Err(shape_error("matmul", problem));
    if rank < 2 {
        return refuse(format!(
            "a product needs rank 2 or more, not {activation:?}"
        ));
    }
    let inner = (activation[rank - 1], weight[rank - 2]);
    if inner.0 != inner.1 {
        return refuse(format!(
            "{activation:?} times {weight:?}: the inner sizes {} and {} differ",
            inner.0, inner.1
        ));
    }
    let leading = || activation[..rank - 2].iter().zip(&weight[..rank - 2]);
    for (left, right) in leading() {
        if left != right && *left != 1 && *right != 1 {
            return refuse(format!(
                "{activation:?} times {weight:?}: the leading sizes {left} and {right} do not broadcast"
            ));
        }
    }
    let batch: usize = leading()
        .map(|(left, right)| if *left == 1 { right } else { left })
        .product();
    Ok(Geometry::Matmul(MatmulShape {
        rows: batch * activation[rank - 2],
        inner: inner.0,
        columns: weight[rank - 1],
    }))
}

/// A linear layer's product of `[.., in]` with `[in, out]`.
///
/// # Errors
/// [`ApproxError::Shape`] if the input's last size is not the layer's.
pub(crate) fn linear(
    input: &[usize],
    [inner, columns]: [usize; 2],
) -> Result<Geometry, ApproxError> {
    match input.split_last() {
        Some((last, rows)) if *last == inner => Ok(Geometry::Matmul(MatmulShape {
            rows: rows.iter().product(),
            inner,
            columns,
        })),
        _ => Err(shape_error(
            "linear",
            format!(
                "the weight takes {inner} inputs, but the activation's shape is {input:?}: its last size differs"
            ),
        )),
    }
}

/// Checks the sizes of input and output that a linear layer is made from.
///
/// # Errors
/// [`ApproxError::Shape`] if one of them is 0.
pub(crate) fn check_config(operator: &'static str, sizes: [usize; 2]) -> Result<(), ApproxError> {
    match sizes.contains(&0) {
        false => Ok(()),
        true => Err(shape_error(
            operator,
            format!("sizes of input and output {sizes:?} must both be above 0"),
        )),
    }
}

/// The plain products of a batched one.
pub(crate) struct BatchedMatmul {
    /// The shape of the whole result.
    pub(crate) output: Shape,
    /// The shape of each product.
    pub(crate) shape: MatmulShape,
    /// How many matrices the operands have.
    counts: [usize; 2],
    /// The matrices of both operands that each product of the batch takes.
    pairs: Vec<(usize, usize)>,
}

impl BatchedMatmul {
    pub(crate) fn new(activation: &Shape, weight: &Shape) -> Self {
        let rank = activation.num_dims();
        let leading: Vec<[usize; 2]> = (0..rank - 2)
            .map(|axis| [activation[axis], weight[axis]])
            .collect();
        let mut shape = MatmulShape {
            rows: activation[rank - 2],
            inner: activation[rank - 1],
            columns: weight[rank - 1],
        };
        let output = shape.output_shape(activation, weight);
        let batch: usize = output.iter().take(rank - 2).product();
        if leading.iter().all(|[_, right]| *right == 1) {
            // One weight for the whole batch: a single product of all rows.
            shape.rows *= batch;
            return Self {
                output,
                shape,
                counts: [1, 1],
                pairs: vec![(0, 0)],
            };
        }
        let matrix = |index: usize, operand: usize| {
            let mut rest = index;
            let mut stride = 1;
            let mut matrix = 0;
            for (axis, sizes) in leading.iter().enumerate().rev() {
                let size = output[axis];
                matrix += if sizes[operand] == 1 {
                    0
                } else {
                    rest % size * stride
                };
                stride *= sizes[operand];
                rest /= size;
            }
            matrix
        };
        let pairs = (0..batch)
            .map(|index| (matrix(index, 0), matrix(index, 1)))
            .collect();
        Self {
            output,
            shape,
            counts: [0, 1].map(|operand| leading.iter().map(|sizes| sizes[operand]).product()),
            pairs,
        }
    }

    /// The matrices of activation and weight that each product takes.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pairs.iter().copied()
    }

    /// Where a weight's matrix lies in it.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(crate) fn weight_matrix(&self, matrix: usize) -> Range<usize> {
        let size = self.shape.inner * self.shape.columns;
        matrix * size..(matrix + 1) * size
    }

    /// How many matrices the operands have.
    #[cfg(feature = "gpu")]
    pub(crate) fn matrix_counts(&self) -> [usize; 2] {
        self.counts
    }

    /// How many matrices the weight has.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(crate) fn weight_count(&self) -> usize {
        self.counts[1]
    }

    /// The pairs as a device takes them; `None` for a single product of the first matrices.
    #[cfg(feature = "gpu")]
    pub(crate) fn pair_indices(&self) -> Option<Vec<[u32; 2]>> {
        match self.pairs[..] {
            [(0, 0)] => None,
            _ => Some(
                self.pairs()
                    .map(|(left, right)| [left as u32, right as u32])
                    .collect(),
            ),
        }
    }

    /// Runs `product` on every activation matrix and the index of its weight matrix, and joins the results.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(crate) fn try_for_each<A, T, E>(
        &self,
        activation: &[A],
        product: impl Fn(&[A], usize) -> Result<Vec<T>, E>,
    ) -> Result<Vec<T>, E> {
        let size = self.shape.rows * self.shape.inner;
        let product = |(left, right): (usize, usize)| {
            product(&activation[left * size..(left + 1) * size], right)
        };
        if let [pair] = self.pairs[..] {
            return product(pair);
        }
        let mut joined = Vec::new();
        for pair in self.pairs() {
            joined.extend(product(pair)?);
        }
        Ok(joined)
    }
}
