//! What a product is expected to cost on this machine, so that a planner can compare ways to compute it before it has run.
//!
//! Each way is a sum of its parts: work per input (quantising, encoding), per multiplication, per output (rescaling),
//! and what every call costs. The constants were fitted to measured layers, one thread each, on an Intel Xeon with AVX-512 VNNI at
//! 2.6 GHz; lesser instruction sets are slower by the ratio of their kernels' rates. What matters is the ratio of two
//! estimates, so another machine's clock does not. `cargo bench --workspace --bench planner` compares them with
//! what it measures, on shapes of which half were not used for fitting.

use crate::arch::{Family, InstructionSet};
use crate::factored::FactoredProduct;
use crate::lookup::gather;
use crate::shapes::Conv2dShape;
use crate::shapes::MatmulShape;

/// The shape of a product of activations and weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// A matrix product.
    Matmul(MatmulShape),
    /// A convolution whose shape [`Conv2dShape::validate`] accepts.
    Conv2d(Conv2dShape),
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
}

impl Sizes {
    /// Values in all windows (or rows) together.
    fn windows(&self) -> f64 {
        (self.groups * self.positions * self.inner) as f64
    }
}

impl Workload {
    /// Products per output.
    pub fn inner(&self) -> usize {
        self.sizes().inner
    }

    /// Values of the activation.
    pub fn inputs(&self) -> usize {
        self.sizes().inputs as usize
    }

    /// Values of the weight.
    pub fn weights(&self) -> usize {
        let Sizes {
            groups,
            channels,
            inner,
            ..
        } = self.sizes();
        groups * channels * inner
    }

    /// Values of the result.
    pub fn outputs(&self) -> usize {
        self.sizes().outputs as usize
    }

    /// Products of all outputs.
    pub fn products(&self) -> usize {
        let Sizes {
            groups,
            channels,
            positions,
            inner,
            ..
        } = self.sizes();
        groups * channels * positions * inner
    }

    fn sizes(&self) -> Sizes {
        match self {
            Self::Matmul(shape) => Sizes {
                inputs: (shape.rows * shape.inner) as f64,
                outputs: (shape.rows * shape.columns) as f64,
                inner: shape.inner,
                groups: 1,
                channels: shape.columns,
                positions: shape.rows,
                planes: 1,
            },
            Self::Conv2d(shape) => {
                let positions = shape.batch * shape.output().iter().product::<usize>();
                Sizes {
                    inputs: shape.input_length() as f64,
                    outputs: (positions * shape.out_channels) as f64,
                    inner: shape.inner(),
                    groups: shape.groups,
                    channels: shape.out_channels / shape.groups,
                    positions,
                    planes: shape.batch * shape.groups,
                }
            }
        }
    }

    /// Whether every output channel has one input channel of its own.
    fn is_depthwise(&self) -> bool {
        matches!(self, Self::Conv2d(shape) if shape.groups > 1 && shape.in_channels == shape.groups)
    }
}

/// Of the clock in whose cycles `gather` estimates.
const SECONDS_PER_CYCLE: f64 = 1.06 / 2.6e9;
const NANOSECONDS: f64 = 1e-9;

/// How much longer encoding and products take on lesser instruction sets than on AVX-512 with VNNI and VBMI: by the
/// rates of each set's kernels, measured on one machine.
fn slowdown() -> (f64, f64) {
    let set = InstructionSet::best();
    match set.family() {
        Family::Portable => (4.0, 10.0),
        #[cfg(target_arch = "x86_64")]
        Family::Avx2 if set.multiplies_and_adds() => (2.5, 1.9),
        #[cfg(target_arch = "x86_64")]
        Family::Avx2 => (2.5, 5.0),
        #[cfg(target_arch = "x86_64")]
        Family::Avx512 if set.multiplies_and_adds() => (2.0, 1.1),
        #[cfg(target_arch = "x86_64")]
        Family::Avx512 => (2.0, 4.0),
        #[cfg(target_arch = "x86_64")]
        Family::Avx512Vbmi => (1.0, 1.0),
    }
}

/// The expected seconds, on one thread, of looking products up in a table whose entries span 16 bits (`narrow`) or more.
///
/// `symmetric` says that every weight's zero point is 0, so that no sums of activations are needed.
///
/// ```
/// use approx_cpu::MatmulShape;
/// use approx_cpu::cost::{Workload, lookup};
///
/// let large = Workload::Matmul(MatmulShape { rows: 512, inner: 512, columns: 512 });
/// let small = Workload::Matmul(MatmulShape { rows: 8, inner: 512, columns: 512 });
/// assert!(lookup(true, true, &small) < lookup(true, true, &large));
/// ```
pub fn lookup(narrow: bool, symmetric: bool, workload: &Workload) -> f64 {
    let sizes = workload.sizes();
    let set = InstructionSet::best();
    let (_, cycles) = gather::cheapest(sizes.channels, sizes.positions, set, narrow, false);
    let taps = (sizes.groups * sizes.inner) as f64;
    let scattered = if workload.is_depthwise() {
        // Taps of one channel are too few to stream over.
        0.20 * sizes.outputs * sizes.inner as f64
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
    nanoseconds * NANOSECONDS + taps * cycles * SECONDS_PER_CYCLE
}

/// The expected seconds, on one thread, of a product of factors in integers; `symmetric` as for [`lookup`].
///
/// ```
/// use approx_cpu::cost::{Workload, factored};
/// use approx_cpu::{FactorTerm, FactoredProduct, MatmulShape, OperandWidth};
///
/// let operand = OperandWidth { bits: 4, signed: false };
/// let codes = FactorTerm { scale: 1, activation: (0..16).collect(), weight: (0..16).collect() };
/// let squares = FactorTerm { scale: 1, activation: (0..16).map(|a| a * a).collect(), ..codes.clone() };
/// let [one, two] = [vec![codes.clone()], vec![codes, squares]]
///     .map(|terms| FactoredProduct::new(operand, operand, &terms).unwrap());
/// let work = Workload::Matmul(MatmulShape { rows: 512, inner: 512, columns: 512 });
/// assert!(factored(&one, true, &work) < factored(&two, true, &work));
/// ```
pub fn factored(product: &FactoredProduct, symmetric: bool, workload: &Workload) -> f64 {
    let sizes = workload.sizes();
    let cost = product.cost();
    let products = cost.byte_products() as f64;
    let multiplications = sizes.outputs * sizes.inner as f64 * products;
    let encoded = sizes.inputs * products;
    let wide = if product.has_wide_activations() {
        encoded
    } else {
        0.0
    };
    let (encoding, multiplying) = slowdown();
    let window_sums = if symmetric && !cost.window_sum {
        0.0
    } else {
        sizes.windows()
    };
    let nanoseconds = if workload.is_depthwise() {
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

/// The expected seconds, on one thread, of `products` float32 products by Burn's CPU backend, operands mapped by tables.
///
/// ```
/// use approx_cpu::MatmulShape;
/// use approx_cpu::cost::{Workload, float32};
///
/// let work = Workload::Matmul(MatmulShape { rows: 512, inner: 512, columns: 512 });
/// assert!(float32(1, &work) < float32(2, &work));
/// ```
pub fn float32(products: usize, workload: &Workload) -> f64 {
    let sizes = workload.sizes();
    let encoded = sizes.inputs * products as f64;
    let nanoseconds = if workload.is_depthwise() {
        130_000.0 + 7.6 * encoded + 21_700.0 * (sizes.inner * products) as f64
    } else {
        let multiplications = sizes.outputs * (sizes.inner * products) as f64;
        let packed = (sizes.inner * sizes.channels * products) as f64;
        5000.0 + 7.9 * encoded + 0.0292 * multiplications + 0.27 * packed
    };
    nanoseconds * NANOSECONDS
}
