//! What a product is expected to cost on one thread of this machine's CPU.
//!
//! Each way is a sum of its parts: work per input (quantising, encoding), per multiplication, per output (rescaling),
//! and what every call costs. The constants were fitted to measured layers, one thread each, on an Intel Xeon with
//! AVX-512 VNNI at 2.6 GHz; lesser instruction sets are slower by the ratio of their kernels' rates. What matters is
//! the ratio of two estimates, so another machine's clock does not. `cargo bench --workspace --bench planner` compares
//! them with what it measures, on shapes of which half were not used for fitting.

use approx_cpu::{Conv2dShape, ConvTranspose2dShape, FactoredProduct, Padding2d, RelativeTimes};

use super::Product;
use crate::geometry::Geometry;
use crate::multiplier::Route;

/// Of the clock in whose cycles lookups are estimated.
const SECONDS_PER_CYCLE: f64 = 1.06 / 2.6e9;
const NANOSECONDS: f64 = 1e-9;

/// The expected seconds of a product by a route.
pub(super) fn seconds(route: Route, product: &Product<'_>) -> f64 {
    let symmetric_weight = product.grids[1].symmetric;
    let geometry = product.geometry;
    match (route, product.factors) {
        (Route::Exact | Route::Factored, Some(factors)) => {
            factored(&factors.integer, symmetric_weight, geometry)
        }
        (Route::Exact | Route::Factored, None) => f64::INFINITY,
        (Route::Gather, _) => lookup(product.narrow_table, symmetric_weight, geometry),
        _ => float32(product.terms, geometry),
    }
}

/// The sizes on which costs depend.
#[derive(Clone, Copy)]
struct Sizes {
    /// Values of the activation.
    inputs: f64,
    outputs: f64,
    /// Products per output.
    inner: usize,
    groups: usize,
    /// Output channels of one group.
    channels: usize,
    /// Rows, or pixels of all images.
    positions: usize,
    /// Channels of all images' groups.
    planes: usize,
    /// Whether every output channel has one input channel of its own.
    is_depthwise: bool,
}

impl Sizes {
    fn of(geometry: &Geometry) -> Self {
        match geometry {
            Geometry::Matmul(shape) => Self {
                inputs: geometry.inputs() as f64,
                outputs: geometry.outputs() as f64,
                inner: shape.inner,
                groups: 1,
                channels: shape.columns,
                positions: shape.rows,
                planes: 1,
                is_depthwise: false,
            },
            Geometry::Conv2d(shape) => Self {
                inputs: geometry.inputs() as f64,
                outputs: geometry.outputs() as f64,
                inner: shape.inner(),
                groups: shape.groups,
                channels: shape.out_channels / shape.groups,
                positions: shape.batch * shape.output().iter().product::<usize>(),
                planes: shape.batch * shape.groups,
                is_depthwise: shape.groups > 1 && shape.in_channels == shape.groups,
            },
            Geometry::ConvTranspose2d(shape) => Self {
                inputs: geometry.inputs() as f64,
                ..Self::of(&Geometry::Conv2d(like(shape)))
            },
        }
    }

    /// Values in all windows (or rows) together.
    fn windows(&self) -> f64 {
        (self.groups * self.positions * self.inner) as f64
    }
}

/// The convolution of stride 1 that has as many outputs, and about as many products, as a transposed one, whose phases
/// are such convolutions.
fn like(shape: &ConvTranspose2dShape) -> Conv2dShape {
    let output = shape.output();
    let taps = [0, 1].map(|axis| shape.kernel[axis].div_ceil(shape.stride[axis]));
    Conv2dShape {
        batch: shape.batch,
        in_channels: shape.in_channels,
        out_channels: shape.out_channels,
        groups: shape.groups,
        input: [0, 1].map(|axis| output[axis] + taps[axis] - 1),
        kernel: taps,
        stride: [1; 2],
        dilation: [1; 2],
        padding: Padding2d::default(),
    }
}

/// The expected seconds, on one thread, of looking products up in a table whose entries span 16 bits (`narrow`) or
/// more.
///
/// `symmetric` says that every weight's zero point is 0, so that no sums of activations are needed.
fn lookup(narrow: bool, symmetric: bool, geometry: &Geometry) -> f64 {
    let sizes = Sizes::of(geometry);
    let taps = (sizes.groups * sizes.inner) as f64;
    let cycles = match geometry {
        Geometry::ConvTranspose2d(shape) => approx_cpu::transposed_lookup_cycles(shape, narrow),
        _ => taps * approx_cpu::lookup_cycles(sizes.channels, sizes.positions, narrow),
    };
    let scattered = if sizes.is_depthwise {
        // Taps of one channel are too few to stream over, and its planes to start on.
        0.20 * sizes.outputs * sizes.inner as f64 + 170.0 * sizes.planes as f64
    } else {
        0.0
    };
    let window_sums = if symmetric {
        0.0
    } else {
        0.85 * sizes.windows()
    };
    let nanoseconds =
        7650.0 + 16.0 * taps + 1.7 * sizes.inputs + 3.0 * sizes.outputs + scattered + window_sums;
    nanoseconds * NANOSECONDS + cycles * SECONDS_PER_CYCLE
}

/// The expected seconds, on one thread, of a product of factors in integers; `symmetric` as for [`lookup`].
fn factored(product: &FactoredProduct, symmetric: bool, geometry: &Geometry) -> f64 {
    let sizes = Sizes::of(geometry);
    let cost = product.cost();
    let products = cost.byte_products() as f64;
    let multiplications = sizes.outputs * sizes.inner as f64 * products;
    let encoded = sizes.inputs * products;
    let wide = if product.has_wide_activations() {
        encoded
    } else {
        0.0
    };
    let RelativeTimes {
        encoding,
        multiplying,
    } = approx_cpu::relative_times();
    let window_sums = if symmetric && !cost.window_sum {
        0.0
    } else {
        sizes.windows()
    };
    let are_small = match geometry {
        Geometry::Conv2d(shape) => product.has_small_planes(shape),
        _ => false,
    };
    let nanoseconds = if are_small {
        34_600.0
            + 140.0 * (sizes.groups * sizes.channels) as f64
            + 34.0 * sizes.planes as f64
            + encoding * (0.8 * sizes.inputs + 0.64 * encoded)
            + multiplying * (0.276 * multiplications + 0.276 * window_sums)
    } else if sizes.is_depthwise {
        34_600.0
            + 156.0 * sizes.planes as f64
            + encoding * (0.068 * sizes.inputs + 0.116 * encoded + 0.024 * wide)
            + multiplying * (0.0184 * multiplications + 0.111 * window_sums)
            + 0.57 * sizes.outputs * cost.passes as f64
    } else {
        let packed = (sizes.inner * sizes.channels) as f64 * products;
        2000.0
            + encoding * (0.105 * sizes.inputs + 0.0845 * encoded + 0.108 * wide)
            + multiplying * (0.00447 * multiplications + 0.65 * window_sums)
            + 0.44 * sizes.outputs
            + 0.031 * packed
    };
    nanoseconds * NANOSECONDS
}

/// The expected seconds, on one thread, of `products` float32 products by Burn's CPU backend, operands mapped by
/// tables.
fn float32(products: usize, geometry: &Geometry) -> f64 {
    let sizes = Sizes::of(geometry);
    let encoded = sizes.inputs * products as f64;
    let nanoseconds = if sizes.is_depthwise {
        130_000.0 + 7.6 * encoded + 21_700.0 * (sizes.inner * products) as f64
    } else {
        let multiplications = sizes.outputs * (sizes.inner * products) as f64;
        let packed = (sizes.inner * sizes.channels * products) as f64;
        5000.0 + 7.9 * encoded + 0.0292 * multiplications + 0.27 * packed
    };
    nanoseconds * NANOSECONDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx_cpu::{FactorTerm, MatmulShape, OperandWidth};

    fn square(rows: usize) -> Geometry {
        Geometry::Matmul(MatmulShape {
            rows,
            inner: 512,
            columns: 512,
        })
    }

    #[test]
    fn more_rows_cost_more_by_every_route() {
        let (small, large) = (square(8), square(512));
        assert!(lookup(true, true, &small) < lookup(true, true, &large));
        assert!(float32(1, &small) < float32(1, &large));
    }

    #[test]
    fn more_terms_cost_more() {
        let operand = OperandWidth {
            bits: 4,
            signed: false,
        };
        let codes = FactorTerm {
            scale: 1,
            activation: (0..16).collect(),
            weight: (0..16).collect(),
        };
        let squares = FactorTerm {
            scale: 1,
            activation: (0..16).map(|code| code * code).collect(),
            weight: (0..16).collect(),
        };
        let [one, two] = [vec![codes.clone()], vec![codes, squares]].map(|terms| {
            FactoredProduct::new(operand, operand, &terms).expect("a factor for every code")
        });
        let geometry = square(512);
        assert!(factored(&one, true, &geometry) < factored(&two, true, &geometry));
        assert!(float32(1, &geometry) < float32(2, &geometry));
    }

    #[test]
    fn a_transposed_convolution_costs_about_what_its_phases_cost() {
        let shape = ConvTranspose2dShape {
            batch: 2,
            in_channels: 16,
            out_channels: 8,
            groups: 1,
            input: [8, 8],
            kernel: [4, 4],
            stride: [2, 2],
            dilation: [1, 1],
            padding: [1, 1],
            output_padding: [0, 0],
        };
        let alike = like(&shape);
        assert_eq!(alike.output(), shape.output());
        assert_eq!(alike.inner(), shape.inner());
    }
}
