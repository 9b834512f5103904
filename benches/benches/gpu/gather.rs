//! Products looked up in a table of no structure, on uniformly random codes: the library's kernels beside a plain one.

use approx_cpu::Conv2dShape;
use burn_approx::plan::Geometry;
use burn_approx_benches::random;
use cubecl::client::Client;
use cubecl::prelude::*;
use cubecl::server::Handle;
use kernels_cubecl::{
    Conv2dProblem, DeviceTable, MatmulProblem, Operand, Output, PackedCodes, ScalarProduct, Words,
    conv2d, matmul,
};

use crate::plain_gather::PlainGather;
use crate::report::{Goal, Operation};
use crate::session::{Session, Work};
use crate::works::describe;

/// The width of codes.
const BITS: u32 = 8;

const GOAL: Goal = Goal {
    operations_per_second: Some(3e12),
    ..Goal::NONE
};

/// Signed 8-bit codes, in the order in which layers have them.
struct Codes {
    activation: Vec<i32>,
    weight: Vec<i32>,
}

/// A product by the library's kernels. Codes are packed beforehand, as those of a layer's weight are.
struct Library {
    client: Client,
    problem: Problem,
    activation: PackedCodes,
    weight: PackedCodes,
    results: usize,
}

enum Problem {
    Matmul(MatmulProblem<'static>),
    Conv2d(Conv2dProblem),
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
    for geometry in session.size().lookups() {
        let work = Work {
            name: format!("table gather, {}", describe(&geometry)),
            operation: Operation::Lookups,
            operations: Some(geometry.products() as u64),
        };
        if !session.selects(&work.name) {
            continue;
        }
        let codes = Codes::random(&geometry, &mut next);
        let unfolded = Unfolded::new(&geometry, &codes);
        let library = Library::new(session.client(), &geometry, &codes);
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
            let table = DeviceTable::new(session.client(), entries, BITS, BITS)
                .expect("one entry for each pair of codes");
            assert!(
                library.read(library.launch(&table)) == expected,
                "both kernels give the same sums"
            );
            session.measure(&work, name, Some(GOAL), || library.launch(&table));
        }
    }
}

impl Codes {
    fn random(geometry: &Geometry, next: &mut impl FnMut() -> u64) -> Self {
        let mut codes = |count| (0..count).map(|_| i32::from(next() as i8)).collect();
        Self {
            activation: codes(geometry.inputs()),
            weight: codes(geometry.weights()),
        }
    }
}

impl Library {
    fn new(client: &Client, geometry: &Geometry, codes: &Codes) -> Self {
        let packed = |codes: &[i32]| {
            PackedCodes::from_codes(client, codes, BITS, true).expect("codes of 8 bits")
        };
        let problem = match *geometry {
            Geometry::Matmul(shape) => Problem::Matmul(MatmulProblem::single(
                shape.rows,
                shape.inner,
                shape.columns,
            )),
            Geometry::Conv2d(shape) => Problem::Conv2d(Conv2dProblem {
                batch: shape.batch,
                in_channels: shape.in_channels,
                out_channels: shape.out_channels,
                groups: shape.groups,
                input: shape.input,
                kernel: shape.kernel,
                stride: shape.stride,
                dilation: shape.dilation,
                padding: [shape.padding.top, shape.padding.left],
                output: shape.output(),
            }),
            Geometry::ConvTranspose2d(_) => unreachable!("no work of this benchmark is transposed"),
        };
        Self {
            client: client.clone(),
            problem,
            activation: packed(&codes.activation),
            weight: packed(&codes.weight),
            results: geometry.outputs(),
        }
    }

    /// Queues the product; its sums are in the order in which the layer has them.
    fn launch(&self, table: &DeviceTable) -> Handle {
        let operands = [&self.activation, &self.weight].map(Operand::new);
        let product = ScalarProduct::Lookup {
            table,
            words: Words::One,
        };
        let output = Output::Accumulators { padding_code: 0 };
        match self.problem {
            Problem::Matmul(problem) => matmul(&self.client, problem, operands, product, output),
            Problem::Conv2d(problem) => conv2d(&self.client, problem, operands, product, output),
        }
        .expect("the lengths follow from the shape")
    }

    /// The sums of a launch, once they are computed.
    fn read(&self, sums: Handle) -> Vec<i32> {
        i32::from_bytes(&self.client.read_one_unchecked(sums))[..self.results].to_vec()
    }
}

impl Unfolded {
    fn new(geometry: &Geometry, codes: &Codes) -> Self {
        let pattern = |code: &i32| u32::from(*code as u8);
        match *geometry {
            Geometry::Matmul(shape) => Self {
                shape: [shape.rows, shape.inner, shape.columns],
                activation: codes.activation.iter().map(pattern).collect(),
                weight: codes.weight.iter().map(pattern).collect(),
                positions: 1,
            },
            Geometry::Conv2d(shape) => {
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
            Geometry::ConvTranspose2d(_) => unreachable!("no work of this benchmark is transposed"),
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

/// The codes that every output position of a convolution without groups meets, `[images, positions, inner]`; padding is
/// 0.
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
