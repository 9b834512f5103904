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

    fn groups(&self) -> usize {
        1
    }

    fn joining_axes(&self, rank: usize) -> [usize; 2] {
        [rank - 1, rank - 2]
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

#[cfg(all(test, any(feature = "flex", feature = "ndarray")))]
mod tests {
    use super::*;

    /// The matrix that a coordinate among a batch's leading sizes takes of an operand, whose sizes of 1 are broadcast.
    fn matrix(at: &[usize], leading: &[usize]) -> usize {
        let axes = at.iter().zip(leading);
        axes.fold(0, |matrix, (index, size)| {
            matrix * size + index.min(&(size - 1))
        })
    }

    /// The whole product by a plain loop, output by output.
    fn plain(
        left: &[i64],
        right: &[i64],
        [leading_left, leading_right]: [&[usize]; 2],
    ) -> Vec<i64> {
        let batch: Vec<usize> = (leading_left.iter().zip(leading_right))
            .map(|(left, right)| *left.max(right))
            .collect();
        let mut sums = Vec::new();
        for index in 0..batch.iter().product() {
            let mut rest = index;
            let mut at = vec![0; batch.len()];
            for axis in (0..batch.len()).rev() {
                at[axis] = rest % batch[axis];
                rest /= batch[axis];
            }
            let left = &left[matrix(&at, leading_left) * ROWS * INNER..];
            let right = &right[matrix(&at, leading_right) * INNER * COLUMNS..];
            for row in 0..ROWS {
                for column in 0..COLUMNS {
                    let products =
                        (0..INNER).map(|k| left[row * INNER + k] * right[k * COLUMNS + column]);
                    sums.push(products.sum());
                }
            }
        }
        sums
    }

    const ROWS: usize = 2;
    const INNER: usize = 3;
    const COLUMNS: usize = 4;

    /// Leading sizes that broadcast in every way: on either side, on both, on several axes, not at all.
    const LEADING: [[&[usize]; 2]; 9] = [
        [&[], &[]],
        [&[5], &[1]],
        [&[1], &[5]],
        [&[5], &[5]],
        [&[2, 3], &[1, 1]],
        [&[2, 1], &[1, 3]],
        [&[1, 3], &[2, 3]],
        [&[2, 3], &[2, 1]],
        [&[2, 1, 3], &[1, 4, 3]],
    ];

    #[test]
    fn batched_products_are_those_of_a_plain_loop() {
        for leading in LEADING {
            let [left_shape, right_shape] = [(0, [ROWS, INNER]), (1, [INNER, COLUMNS])]
                .map(|(operand, matrix): (usize, [usize; 2])| [leading[operand], &matrix].concat());
            let values = |shape: &[usize], first: i64| -> Vec<i64> {
                let count = shape.iter().product::<usize>() as i64;
                (0..count).map(|index| first + index * index).collect()
            };
            let (left, right) = (values(&left_shape, 1), values(&right_shape, -7));
            let batched = BatchedMatmul::new(
                &Shape::from(left_shape.clone()),
                &Shape::from(right_shape.clone()),
            );
            let MatmulShape {
                rows,
                inner,
                columns,
            } = batched.shape;
            let product = |left: &[i64], matrix: usize| {
                assert_eq!(left.len(), rows * inner);
                let right = &right[batched.weight_matrix(matrix)];
                let mut sums = Vec::new();
                for row in left.chunks(inner) {
                    for column in 0..columns {
                        let products = (row.iter().enumerate())
                            .map(|(k, left)| left * right[k * columns + column]);
                        sums.push(products.sum::<i64>());
                    }
                }
                Ok::<_, ApproxError>(sums)
            };
            let found = batched.try_for_each(&left, product).unwrap();
            assert_eq!(found, plain(&left, &right, leading), "{leading:?}");
            let elements = |shape: &[usize]| shape.iter().product::<usize>();
            assert_eq!(found.len(), batched.output.num_elements(), "{leading:?}");
            assert_eq!(
                batched.weight_count() * inner * columns,
                elements(&right_shape),
                "{leading:?}"
            );
        }
    }

    /// One weight for a whole batch is one product of all rows: a kernel that is asked once has the most to share.
    #[test]
    fn one_weight_makes_one_product() {
        let shapes = [[5, 7, ROWS, INNER], [1, 1, INNER, COLUMNS]].map(Shape::from);
        let batched = BatchedMatmul::new(&shapes[0], &shapes[1]);
        assert_eq!(batched.pairs().collect::<Vec<_>>(), [(0, 0)]);
        assert_eq!(batched.shape.rows, 5 * 7 * ROWS);
    }

    #[test]
    fn the_first_error_ends_a_batched_product() {
        let shapes = [[3, ROWS, INNER], [3, INNER, COLUMNS]].map(Shape::from);
        let batched = BatchedMatmul::new(&shapes[0], &shapes[1]);
        let failing = |_: &[i64], matrix: usize| match matrix {
            0 => Ok(vec![0i64; ROWS * COLUMNS]),
            matrix => Err(matrix),
        };
        let found = batched.try_for_each(&[0i64; 3 * ROWS * INNER], failing);
        assert_eq!(found, Err(1));
    }
}
