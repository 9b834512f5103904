//! Products looked up in a table of no structure, on uniformly random codes: the library's kernels beside a plain one.

use approx_cpu::Conv2dShape;
use approx_multiplier::{Multiplier, OperandFormat};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Int, Tensor, TensorData};
use burn_approx::PreparedMultiplier;
use burn_approx::ops::{conv2d_accumulators, matmul_accumulators};
use burn_approx::plan::{PlanChoice, Workload};
use burn_approx_benches::random;

use crate::plain_gather::PlainGather;
use crate::report::{Goal, Operation};
use crate::session::{Session, Work};
use crate::works::describe;

const GOAL: Goal = Goal {
    operations_per_second: Some(3e12),
    ..Goal::NONE
};

/// Signed 8-bit codes, in the order in which layers have them.
struct Codes {
    activation: Vec<i32>,
    weight: Vec<i32>,
}

/// A product by the library.
enum Library {
    Matmul([Tensor<2, Int>; 2]),
    Conv2d(Conv2dShape, [Tensor<4, Int>; 2]),
}

/// The shape of a product of matrices, its patterns, and where its sums are among those of the layer.
struct Unfolded {
    shape: [usize; 3],
    activation: Vec<u32>,
    weight: Vec<u32>,
    /// The number of positions per image; 1 where rows are rows.
    positions: usize,
}

pub(crate) fn run(session: &mut Session) {
    let mut next = random(1);
    // As wide as products of 8 bits, and wider, which leaves no room for them in 16 bits.
    let tables: [(&str, Vec<i32>); 2] = [
        (
            "16-bit entries",
            (0..1 << 16).map(|_| next() as i32 % 32_000).collect(),
        ),
        (
            "20-bit entries",
            (0..1 << 16).map(|_| next() as i32 % 500_000).collect(),
        ),
    ];
    for workload in session.size().lookups() {
        let work = Work {
            name: format!("table gather, {}", describe(&workload)),
            operation: Operation::Lookups,
            operations: Some(workload.products() as u64),
        };
        if !session.selects(&work.name) {
            continue;
        }
        let codes = Codes::random(&workload, &mut next);
        let unfolded = Unfolded::new(&workload, &codes);
        let library = Library::new(&workload, codes, session);
        let mut measured_plain = false;
        for (name, entries) in &tables {
            let plain = PlainGather::new(
                session.client(),
                unfolded.shape,
                &unfolded.activation,
                &unfolded.weight,
                entries,
            );
            let expected = unfolded.fold(&plain.read(plain.launch()));
            // It takes the same time for every table.
            if !measured_plain {
                session.measure(&work, "plain 16x16 tiles", None, || plain.launch());
                measured_plain = true;
            }
            let format = OperandFormat::INT8;
            let multiplier = Multiplier::from_slice("random", format, format, entries)
                .expect("one entry for each pair of 8-bit codes");
            let multiplier = PreparedMultiplier::new(multiplier).with_plan(PlanChoice::Gather);
            let sums: Vec<i32> = library.sums(&multiplier).into_data().iter().collect();
            assert!(sums == expected, "both kernels give the same sums");
            session.measure(&work, name, Some(GOAL), || library.sums(&multiplier));
        }
    }
}

impl Codes {
    fn random(workload: &Workload, next: &mut impl FnMut() -> u64) -> Self {
        let mut codes = |count| (0..count).map(|_| i32::from(next() as i8)).collect();
        Self {
            activation: codes(workload.inputs()),
            weight: codes(workload.weights()),
        }
    }
}

impl Library {
    fn new(workload: &Workload, codes: Codes, session: &Session) -> Self {
        let Codes { activation, weight } = codes;
        let device = session.device();
        match *workload {
            Workload::Matmul(shape) => {
                let matrix = |codes, dims: [usize; 2]| {
                    Tensor::<2, Int>::from_data(TensorData::new(codes, dims), device)
                };
                Self::Matmul([
                    matrix(activation, [shape.rows, shape.inner]),
                    matrix(weight, [shape.inner, shape.columns]),
                ])
            }
            Workload::Conv2d(shape) => {
                let images = |codes, channels: [usize; 2], [height, width]: [usize; 2]| {
                    let dims = [channels[0], channels[1], height, width];
                    Tensor::<4, Int>::from_data(TensorData::new(codes, dims), device)
                };
                let operands = [
                    images(activation, [shape.batch, shape.in_channels], shape.input),
                    images(
                        weight,
                        [shape.out_channels, shape.in_channels],
                        shape.kernel,
                    ),
                ];
                Self::Conv2d(shape, operands)
            }
        }
    }

    /// The accumulators, in the order in which the layer has them.
    fn sums(&self, multiplier: &PreparedMultiplier) -> Tensor<1, Int> {
        match self {
            Self::Matmul([activation, weight]) => {
                let sums = matmul_accumulators(activation.clone(), weight.clone(), multiplier);
                sums.expect("the shapes fit").flatten(0, 1)
            }
            Self::Conv2d(shape, [activation, weight]) => {
                let padding = [shape.padding.top, shape.padding.left];
                let options = ConvOptions::new(shape.stride, padding, shape.dilation, shape.groups);
                let operands = (activation.clone(), weight.clone());
                let sums = conv2d_accumulators(operands.0, operands.1, 0, multiplier, options);
                sums.expect("the shapes fit").flatten(0, 3)
            }
        }
    }
}

impl Unfolded {
    fn new(workload: &Workload, codes: &Codes) -> Self {
        let pattern = |code: &i32| u32::from(*code as u8);
        match *workload {
            Workload::Matmul(shape) => Self {
                shape: [shape.rows, shape.inner, shape.columns],
                activation: codes.activation.iter().map(pattern).collect(),
                weight: codes.weight.iter().map(pattern).collect(),
                positions: 1,
            },
            Workload::Conv2d(shape) => {
                let positions = shape.output().iter().product::<usize>();
                let columns = shape.out_channels;
                let inner = shape.inner();
                let weight = &codes.weight;
                Self {
                    shape: [shape.batch * positions, inner, columns],
                    activation: unfold(&shape, &codes.activation)
                        .iter()
                        .map(pattern)
                        .collect(),
                    weight: (0..inner)
                        .flat_map(|k| (0..columns).map(move |o| pattern(&weight[o * inner + k])))
                        .collect(),
                    positions,
                }
            }
        }
    }

    /// Sums of the product, `[images, positions, columns]`, in the layer's order, `[images, columns, positions]`.
    fn fold(&self, sums: &[i32]) -> Vec<i32> {
        let [_, _, columns] = self.shape;
        let mut folded = Vec::with_capacity(sums.len());
        for image in sums.chunks_exact(self.positions * columns) {
            for column in 0..columns {
                folded.extend(image.iter().skip(column).step_by(columns));
            }
        }
        folded
    }
}

/// The codes that every output position of a convolution without groups meets, `[images, positions, inner]`; padding is 0.
fn unfold(shape: &Conv2dShape, codes: &[i32]) -> Vec<i32> {
    let [height, width] = shape.input;
    let [out_height, out_width] = shape.output();
    let mut unfolded = Vec::with_capacity(shape.batch * out_height * out_width * shape.inner());
    for image in codes.chunks_exact(shape.in_channels * height * width) {
        for y in 0..out_height {
            for x in 0..out_width {
                for channel in image.chunks_exact(height * width) {
                    for dy in 0..shape.kernel[0] {
                        let row = y * shape.stride[0] + dy * shape.dilation[0];
                        let row = row.wrapping_sub(shape.padding.top);
                        for dx in 0..shape.kernel[1] {
                            let column = x * shape.stride[1] + dx * shape.dilation[1];
                            let column = column.wrapping_sub(shape.padding.left);
                            let inside = row < height && column < width;
                            unfolded.push(if inside {
                                channel[row * width + column]
                            } else {
                                0
                            });
                        }
                    }
                }
            }
        }
    }
    unfolded
}
