//! A matrix product with broadcast leading dimensions, cut into plain products.

use std::ops::Range;

use approx_cpu::MatmulShape;
use burn::tensor::Shape;

use crate::ops::shapes::matmul_shape;

/// The plain products of a batched one.
pub(super) struct BatchedMatmul {
    /// The shape of the whole result.
    pub(super) output: Shape,
    /// The shape of each product.
    pub(super) shape: MatmulShape,
    /// How many matrices the operands have.
    counts: [usize; 2],
    /// The matrices of both operands that each product of the batch takes.
    pairs: Vec<(usize, usize)>,
}

impl BatchedMatmul {
    pub(super) fn new(activation: &Shape, weight: &Shape) -> Self {
        let rank = activation.num_dims();
        let leading: Vec<[usize; 2]> = (0..rank - 2)
            .map(|axis| [activation[axis], weight[axis]])
            .collect();
        let mut shape = MatmulShape {
            rows: activation[rank - 2],
            inner: activation[rank - 1],
            columns: weight[rank - 1],
        };
        let output = matmul_shape(activation, weight);
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
    pub(super) fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.pairs.iter().copied()
    }

    /// Where a weight's matrix lies in it.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(super) fn weight_matrix(&self, matrix: usize) -> Range<usize> {
        let size = self.shape.inner * self.shape.columns;
        matrix * size..(matrix + 1) * size
    }

    /// How many matrices the operands have.
    #[cfg(feature = "gpu")]
    pub(super) fn matrix_counts(&self) -> [usize; 2] {
        self.counts
    }

    /// How many matrices the weight has.
    #[cfg(any(feature = "flex", feature = "ndarray"))]
    pub(super) fn weight_count(&self) -> usize {
        self.counts[1]
    }

    /// The pairs as a device takes them; `None` for a single product of the first matrices.
    #[cfg(feature = "gpu")]
    pub(super) fn pair_indices(&self) -> Option<Vec<[u32; 2]>> {
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
    pub(super) fn try_for_each<A, T, E>(
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
