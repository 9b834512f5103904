//! The one error type of the library: what was wrong, where, and what would be right.

use std::path::PathBuf;

use approx_cpu::KernelError;
use approx_multiplier::{MultiplierError, OperandFormat};

use crate::codes::{CodeRange, Operand};
use crate::plan::PlanChoice;

/// What can go wrong when a model is converted, calibrated, run, saved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ApproxError {
    /// The multiplier itself could not be had.
    #[error(transparent)]
    Multiplier(#[from] MultiplierError),

    /// A geometry that the kernels refuse.
    #[error(transparent)]
    Kernel(#[from] KernelError),

    /// Operands whose shapes do not fit each other.
    #[error("{operator}: {problem}")]
    Shape {
        /// The operator.
        operator: &'static str,
        /// What does not fit.
        problem: String,
    },

    /// Something else was given as an HTP model.
    #[error(
        "`{multiplier}` is not an HTP model: name one as {{\"htp\": \"mul8s_1L2J\"}}, or set it as the multiplier"
    )]
    NotHtp {
        /// The multiplier's name.
        multiplier: String,
    },

    /// Codes that the multiplier has no entry for.
    #[error(
        "{operand} codes {range} do not fit the multiplier `{multiplier}`, whose {operand} operand is {format}: \
         choose a code range within {}..={}, or a multiplier of that format (an unsigned one also takes signed codes \
         as `NAME:sign-magnitude`, in a program by `Multiplier::sign_magnitude`)",
        format.min_code(), format.max_code()
    )]
    CodesOutsideMultiplier {
        /// Which operand.
        operand: Operand,
        /// The codes that the quantiser can produce.
        range: CodeRange,
        /// The operand format of the multiplier.
        format: OperandFormat,
        /// The multiplier's name.
        multiplier: String,
    },

    /// A code among an operand's that its format does not have.
    #[error(
        "code {code} of the {operand} is outside the multiplier's {format} operand: codes lie within {}..={}",
        format.min_code(), format.max_code()
    )]
    CodeOutsideFormat {
        /// Which operand.
        operand: Operand,
        /// The code.
        code: i64,
        /// The operand's format.
        format: OperandFormat,
    },

    /// A code range that cannot hold the real value 0, or holds nothing else.
    #[error(
        "code range {low}..={high} is not usable: it needs low <= 0 <= high and low < high, so that 0 has a code"
    )]
    InvalidCodeRange {
        /// The lowest code.
        low: i32,
        /// The highest code.
        high: i32,
    },

    /// More bits than the simulated quantisers have.
    #[error("{bits}-bit codes are not supported here: quantisation takes 2 to 16 bits")]
    UnsupportedBits {
        /// The width asked for.
        bits: u8,
    },

    /// A plan that was forced cannot compute the multiplier, or none can.
    #[error(
        "plan `{plan}` cannot compute the multiplier `{multiplier}`: {problem}. {}",
        if .possible.is_empty() { "There is no other plan".to_string() } else { format!("Possible here: {}", list(.possible)) }
    )]
    ImpossiblePlan {
        /// The plan that was asked for.
        plan: PlanChoice,
        /// The multiplier's name.
        multiplier: String,
        /// Why not.
        problem: String,
        /// The plans that can.
        possible: Vec<String>,
    },

    /// Sums of products that might not fit in the accumulators.
    #[error(
        "sums of {products} products of the multiplier `{multiplier}` might not fit in {bits} bits: a single one can reach \
         {largest:.3e}. Use narrower codes or a smaller layer"
    )]
    SumsTooLarge {
        /// The bits of an accumulator.
        bits: u8,
        /// The multiplier's name.
        multiplier: String,
        /// The largest magnitude of a product.
        largest: f64,
        /// How many of them an output accumulates.
        products: usize,
    },

    /// Noise that cannot be drawn.
    #[error(
        "noise of mean {mean} and standard deviation {standard_deviation} is not usable: both must be finite, the latter 0 or more"
    )]
    InvalidNoise {
        /// The mean.
        mean: f64,
        /// The standard deviation.
        standard_deviation: f64,
    },

    /// An observer with a parameter out of its bounds.
    #[error("observer of the {operand}: {problem}")]
    InvalidObserver {
        /// Which operand it observes.
        operand: Operand,
        /// What is wrong and what would be right.
        problem: String,
    },

    /// A padded tap was to hold a code that the activation does not have.
    #[error("padding code {code} is not among the activation's codes {range}")]
    InvalidPaddingCode {
        /// The code.
        code: i32,
        /// The activation's codes.
        range: CodeRange,
    },

    /// A quantiser's numbers make no sense.
    #[error("quantiser of {what}: {problem}")]
    InvalidQuantizer {
        /// Which quantiser.
        what: String,
        /// What is wrong and what would be right.
        problem: String,
    },

    /// The device's backend has no approximate operators.
    #[error(
        "approximate operators are not available on {device}: use the Flex device (`Device::flex()`), a GPU of Burn's CubeCL backend \
         with this crate's feature of the same name (`wgpu`, `vulkan`, `metal`, `cuda`, ..), or mode BASELINE"
    )]
    UnsupportedDevice {
        /// The device.
        device: String,
    },

    /// A GPU that is too small for the kernels of approximate operators.
    #[error(
        "approximate operators do not run on {device}: {problem}. Use another GPU, or a CPU (`Device::flex()`)"
    )]
    DeviceLimits {
        /// The device.
        device: String,
        /// What there is too little of.
        problem: String,
    },

    /// Operands that do not lie on one device.
    #[error(
        "{operator}: the activation lies on {}, but the {operand} on {}: move both to one device", .devices[0], .devices[1]
    )]
    DifferentDevices {
        /// The operator.
        operator: &'static str,
        /// What lies elsewhere.
        operand: &'static str,
        /// The activation's device and the other.
        devices: [String; 2],
    },

    /// A tensor with more elements than a GPU's kernels can index.
    #[error(
        "the {tensor} has {elements} elements, but kernels on a GPU index fewer than 2^31: split the batch or the layer"
    )]
    TooManyElements {
        /// Which tensor.
        tensor: &'static str,
        /// How many elements it has.
        elements: usize,
    },

    /// A layer was to run quantised before any range was observed for it.
    #[error(
        "{} is not calibrated: run `calibrate` on some batches, or load a model that was saved with its \
         quantisation state, before mode {mode}",
        layer_name(.layer)
    )]
    NotCalibrated {
        /// The layer's path.
        layer: String,
        /// The mode it was to run in.
        mode: &'static str,
    },

    /// A NaN or an infinity reached an observer.
    #[error(
        "{}: a NaN or infinity reached the {operand} observer; the network diverged or its input is not \
         clean. Calibrate again on finite data",
        layer_name(.layer)
    )]
    NotFinite {
        /// The layer's path.
        layer: String,
        /// Which operand.
        operand: Operand,
    },

    /// A path pattern of a configuration is not a glob.
    #[error("layer pattern `{pattern}` is not a valid glob: {problem}")]
    InvalidPattern {
        /// The pattern.
        pattern: String,
        /// The parser's words.
        problem: String,
    },

    /// A path pattern of a configuration selects no layer.
    #[error("layer pattern `{pattern}` matches none of the model's layers: {}", list(.layers))]
    PatternMatchesNothing {
        /// The pattern.
        pattern: String,
        /// The paths there are.
        layers: Vec<String>,
    },

    /// The model has no drop-in layer at all.
    #[error(
        "the model has no `burn_approx::nn` layer to convert{}: a network from a file has no \
         convolution or product with a weight; in a program, replace `use burn::nn` by `use burn_approx::nn` for its layers, or \
         capture it as it is with `burn_approx::capture`",
        if .plain.is_empty() { String::new() } else { format!(" (plain Burn layers: {})", list(.plain)) }
    )]
    NothingToConvert {
        /// The paths of Burn's own layers.
        plain: Vec<String>,
    },

    /// A model's forward pass could not be recorded.
    #[error(
        "the model cannot be captured: {problem}. A forward pass can be recorded if it runs in evaluation mode, reads no values \
         of tensors and keeps every tensor that it uses in a field which moves with the model, or makes it on its input's device"
    )]
    Capture {
        /// What stands in the way.
        problem: String,
    },

    /// A model to be captured has layers that can be converted as it is.
    #[error(
        "the model has `burn_approx::nn` layers already ({}): pass it through `convert` as it is", list(.layers)
    )]
    DropInsToCapture {
        /// The paths of the layers.
        layers: Vec<String>,
    },

    /// A captured forward pass has an operation that a captured model cannot compute.
    #[error("the model cannot be captured: operation `{operation}` ({place}) is not supported")]
    UnsupportedOperation {
        /// The operation's name.
        operation: String,
        /// Where in the forward pass it is.
        place: String,
    },

    /// A captured forward pass depends on the batch size in a way that cannot be carried over to other sizes.
    #[error(
        "the captured model would only do for its example's batch size: operation `{operation}` ({place}): {problem}"
    )]
    BatchDependent {
        /// The operation's name.
        operation: String,
        /// Where in the forward pass it is.
        place: String,
        /// How it depends on the batch.
        problem: String,
    },

    /// Inputs that a captured model does not take.
    #[error("the captured model does not take this input: {problem}")]
    GraphInput {
        /// What does not fit and what would.
        problem: String,
    },

    /// Tensors of other kinds or ranks than a signature names.
    #[error("the tensors are {found}, but should be {expected}")]
    Signature {
        /// The kinds and ranks that there are.
        found: String,
        /// The kinds and ranks that were asked for.
        expected: String,
    },

    /// A setting for a layer that was never converted.
    #[error("{} is not converted: pass the model through `convert` first", layer_name(.layer))]
    NotConverted {
        /// The layer's path.
        layer: String,
    },

    /// The plan of a layer that has not seen an input.
    #[error(
        "{} has no plan yet, which is made for the shape of its input: run a forward pass first", layer_name(.layer)
    )]
    NoForwardPass {
        /// The layer's path.
        layer: String,
    },

    /// A model directory's settings and the model do not fit.
    #[error("`{path}` does not fit the model: {problem}")]
    ModelMismatch {
        /// The file.
        path: PathBuf,
        /// What differs.
        problem: String,
    },

    /// A file could not be read or written.
    #[error("{action} `{path}`: {source}")]
    File {
        /// "reading" or "writing".
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },

    /// A file's content is not what it should be.
    #[error("`{path}` is not a valid burn-approx file: {problem}")]
    Format {
        /// The file.
        path: PathBuf,
        /// The parser's words.
        problem: String,
    },

    /// A path that no layer of the model has.
    #[error("there is no layer `{path}`; there are {}", .known.join(", "))]
    UnknownLayer {
        /// The path.
        path: String,
        /// The paths of the layers.
        known: Vec<String>,
    },

    /// The codes of a layer could not be counted.
    #[error("{}: its codes cannot be read from the device: {problem}", layer_name(.layer))]
    Trace {
        /// The layer's path.
        layer: String,
        /// The device's words.
        problem: String,
    },

    /// Burn could not save or load a record.
    #[error("record `{path}`: {source}")]
    Record {
        /// The file, or the part of the model.
        path: PathBuf,
        /// Burn's words.
        source: burn::store::RecordError,
    },
}

/// A result, or a panic with the error's text at the place of the caller.
#[track_caller]
pub(crate) fn or_panic<T>(result: Result<T, ApproxError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}

/// A layer that is the model itself has no path.
pub(crate) fn layer_name(path: &str) -> String {
    match path {
        "" => "the layer".to_string(),
        path => format!("layer `{path}`"),
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 12;
    let name = |name: &String| match name.as_str() {
        "" => "the model itself, whose path is empty".to_string(),
        name => name.to_string(),
    };
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(name)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text += &format!(" and {} more", names.len() - SHOWN);
    }
    text
}
