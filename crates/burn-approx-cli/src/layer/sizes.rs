//! The sizes of a layer: one kind of [`Sizes`] for each kind of layer, made only from operands that fit each other.
//! Whoever computes or reads a layer matches on the kind, so that the compiler names every place that a new one must be
//! added to.

use crate::error::CliError;

/// The most outputs and products of a layer.
const MOST_OUTPUTS: usize = 1 << 28;
const MOST_PRODUCTS: usize = 1 << 44;

/// What is multiplied with what.
pub enum Sizes {
    /// `[.., in]` times the transpose of `[out, in]`.
    Linear(Linear),
    /// A convolution of lines, as one of images of height 1.
    Conv1d(Convolution),
    /// A convolution of images.
    Conv2d(Convolution),
}

/// The sizes of a linear layer.
pub struct Linear {
    /// The leading sizes of activation and output.
    pub leading: Vec<usize>,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

/// The sizes of a convolution over images.
pub struct Convolution {
    /// The activation: images, channels, height and width.
    pub input: [usize; 4],
    /// The weight: output channels, input channels of a group, height and width.
    pub weight: [usize; 4],
    /// The output: images, channels, height and width.
    pub output: [usize; 4],
    /// Where the kernel is laid on.
    pub window: Window,
}

/// Where a kernel is laid on an image, by height and width.
#[derive(Clone, Copy)]
pub struct Window {
    /// Steps of the kernel.
    pub stride: [usize; 2],
    /// Padding on either side.
    pub padding: [usize; 2],
    /// Distance of the kernel's taps.
    pub dilation: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
}

impl Sizes {
    /// A linear layer on an activation of these leading sizes, with a weight `[out, in]`.
    ///
    /// # Errors
    /// A layer that is empty or too large.
    pub fn linear(leading: &[usize], [outputs, inputs]: [usize; 2]) -> Result<Self, CliError> {
        Self::Linear(Linear {
            leading: leading.into(),
            inputs,
            outputs,
        })
        .within_bounds()
    }

    /// A convolution of `[batch, in, width]` with `[out, in / groups, width]`.
    ///
    /// # Errors
    /// Sizes that do not fit each other; a layer that is empty or too large.
    pub fn conv1d(input: [usize; 3], weight: [usize; 3], window: Window) -> Result<Self, CliError> {
        Self::Conv1d(Convolution::new(input, weight, window)?).within_bounds()
    }

    /// A convolution of `[batch, in, height, width]` with `[out, in / groups, height, width]`.
    ///
    /// # Errors
    /// Sizes that do not fit each other; a layer that is empty or too large.
    pub fn conv2d(input: [usize; 4], weight: [usize; 4], window: Window) -> Result<Self, CliError> {
        Self::Conv2d(Convolution::new(input, weight, window)?).within_bounds()
    }

    /// The shape of the activation, as in its file.
    pub fn input_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear(linear) => linear.row_shape(linear.inputs),
            Self::Conv1d(lines) => of_lines(lines.input),
            Self::Conv2d(images) => images.input.into(),
        }
    }

    /// The shape of the weight, as in its file.
    pub fn weight_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear(linear) => vec![linear.outputs, linear.inputs],
            Self::Conv1d(lines) => of_lines(lines.weight),
            Self::Conv2d(images) => images.weight.into(),
        }
    }

    /// The shape of the output, as in its file.
    pub fn output_shape(&self) -> Vec<usize> {
        match self {
            Self::Linear(linear) => linear.row_shape(linear.outputs),
            Self::Conv1d(lines) => of_lines(lines.output),
            Self::Conv2d(images) => images.output.into(),
        }
    }

    /// The output channels.
    pub fn output_channels(&self) -> usize {
        match self {
            Self::Linear(linear) => linear.outputs,
            Self::Conv1d(convolution) | Self::Conv2d(convolution) => convolution.output[1],
        }
    }

    /// The sizes whose product is the number of products that an output sums.
    fn inner(&self) -> Vec<usize> {
        match self {
            Self::Linear(linear) => vec![linear.inputs],
            Self::Conv1d(convolution) | Self::Conv2d(convolution) => convolution.weight[1..].into(),
        }
    }

    fn within_bounds(self) -> Result<Self, CliError> {
        let output = self.output_shape();
        let outputs = count(&output);
        let products = count(&[output, self.inner()].concat());
        if products == 0 {
            return Err(CliError::Usage(format!(
                "the layer is empty: input {:?}, weight {:?}",
                self.input_shape(),
                self.weight_shape()
            )));
        }
        if outputs > MOST_OUTPUTS || products > MOST_PRODUCTS {
            return Err(CliError::Usage(format!(
                "the layer is too large: {outputs} outputs and {products} products, of {MOST_OUTPUTS} and {MOST_PRODUCTS} at most"
            )));
        }
        Ok(self)
    }
}

impl Linear {
    /// The rows of activation and output as matrices.
    pub fn rows(&self) -> usize {
        self.leading.iter().product()
    }

    /// A shape whose rows have this many values.
    fn row_shape(&self, values: usize) -> Vec<usize> {
        self.leading.iter().copied().chain([values]).collect()
    }
}

impl Convolution {
    /// A convolution of an activation and a weight whose last `AXES - 2` axes the kernel moves along.
    fn new<const AXES: usize>(
        input: [usize; AXES],
        weight: [usize; AXES],
        window: Window,
    ) -> Result<Self, CliError> {
        let Window {
            stride,
            padding,
            dilation,
            groups,
        } = window;
        if stride.contains(&0) || dilation.contains(&0) || groups == 0 {
            return Err(CliError::Usage(
                "stride, dilation and groups must be above 0".into(),
            ));
        }
        let [out_channels, group_inputs] = [weight[0], weight[1]];
        if group_inputs.checked_mul(groups) != Some(input[1]) || out_channels % groups != 0 {
            return Err(CliError::Usage(format!(
                "the weight {weight:?} in {groups} groups does not fit the input {input:?}: the input's channels must be \
                 {group_inputs} x {groups}, and the groups must divide {out_channels} output channels"
            )));
        }
        let kernel = weight[2..]
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" x ");
        let [input, weight] = [of_images(input), of_images(weight)];
        let size = |axis: usize| -> Option<usize> {
            let reach = weight[2 + axis]
                .checked_sub(1)?
                .checked_mul(dilation[axis])?
                .checked_add(1)?;
            let padded = padding[axis].checked_mul(2)?.checked_add(input[2 + axis])?;
            Some(padded.checked_sub(reach)? / stride[axis] + 1)
        };
        let (height, width) = size(0).zip(size(1)).ok_or_else(|| {
            CliError::Usage(format!(
                "the kernel, {kernel} at dilation {:?}, is empty or larger than the padded input",
                &dilation[4 - AXES..]
            ))
        })?;
        Ok(Self {
            input,
            weight,
            output: [input[0], out_channels, height, width],
            window,
        })
    }

    /// Output channels of a group.
    pub fn group_outputs(&self) -> usize {
        self.weight[0] / self.window.groups
    }
}

/// How many values of these sizes there are; the most that a number holds if there are more.
fn count(sizes: &[usize]) -> usize {
    let count = sizes
        .iter()
        .try_fold(1usize, |count, size| count.checked_mul(*size));
    count.unwrap_or(usize::MAX)
}

/// A shape over lines as one over images of height 1; one over images as it is.
fn of_images<const AXES: usize>(shape: [usize; AXES]) -> [usize; 4] {
    let mut images = [1; 4];
    images[..2].copy_from_slice(&shape[..2]);
    images[6 - AXES..].copy_from_slice(&shape[2..]);
    images
}

/// The shape over lines that is one over images of height 1.
fn of_lines([first, second, _, width]: [usize; 4]) -> Vec<usize> {
    vec![first, second, width]
}
