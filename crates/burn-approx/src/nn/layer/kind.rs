//! The kinds of layer, and what each says of itself: everything else treats layers alike.

use crate::geometry::Geometry;

/// The kinds of layer that have a drop-in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LayerKind {
    /// [`Linear`](crate::nn::Linear)
    Linear,
    /// [`Conv1d`](crate::nn::Conv1d)
    Conv1d,
    /// [`Conv2d`](crate::nn::Conv2d)
    Conv2d,
    /// [`Conv3d`](crate::nn::Conv3d)
    Conv3d,
    /// [`ConvTranspose1d`](crate::nn::ConvTranspose1d)
    #[serde(rename = "conv_transpose1d")]
    ConvTranspose1d,
    /// [`ConvTranspose2d`](crate::nn::ConvTranspose2d)
    #[serde(rename = "conv_transpose2d")]
    ConvTranspose2d,
    /// [`Matmul`](crate::nn::Matmul), a product of two activations: the second one takes the weight's place.
    Matmul,
}

/// What is to be known of a kind of layer.
struct Facts {
    /// The name of the layer's type.
    name: &'static str,
    /// The container that Burn's own layer of the kind shows to visitors while its weight is visited.
    container: Option<&'static str>,
    /// The axis of the output channels in the weight, as products take it.
    channel_axis: usize,
    /// That axis in the layer's own weight.
    own_channel_axis: usize,
}

impl LayerKind {
    /// Every kind.
    const ALL: [Self; 7] = [
        Self::Linear,
        Self::Conv1d,
        Self::Conv2d,
        Self::Conv3d,
        Self::ConvTranspose1d,
        Self::ConvTranspose2d,
        Self::Matmul,
    ];

    const fn facts(self) -> Facts {
        match self {
            Self::Linear => Facts {
                name: "Linear",
                container: Some("Struct:Linear"),
                channel_axis: 1,
                own_channel_axis: 1,
            },
            Self::Conv2d => Facts {
                name: "Conv2d",
                container: Some("Struct:Conv2d"),
                channel_axis: 0,
                own_channel_axis: 0,
            },
            Self::Conv1d => Facts {
                name: "Conv1d",
                container: Some("Struct:Conv1d"),
                channel_axis: 0,
                own_channel_axis: 0,
            },
            Self::Conv3d => Facts {
                name: "Conv3d",
                container: Some("Struct:Conv3d"),
                channel_axis: 0,
                own_channel_axis: 0,
            },
            Self::ConvTranspose1d => Facts {
                name: "ConvTranspose1d",
                container: Some("Struct:ConvTranspose1d"),
                channel_axis: 0,
                own_channel_axis: 1,
            },
            Self::ConvTranspose2d => Facts {
                name: "ConvTranspose2d",
                container: Some("Struct:ConvTranspose2d"),
                channel_axis: 0,
                own_channel_axis: 1,
            },
            Self::Matmul => Facts {
                name: "Matmul",
                container: None,
                channel_axis: 1,
                own_channel_axis: 1,
            },
        }
    }

    /// Whether the second operand is a weight, which stays while inputs pass, and not another activation.
    pub(crate) fn has_weight(self) -> bool {
        self != Self::Matmul
    }

    /// The axis of the output channels in the weight, as products take it.
    pub(crate) fn channel_axis(self) -> usize {
        self.facts().channel_axis
    }

    /// The axis of the output channels in the layer's own weight; of transposed convolutions in groups, of those of one
    /// group.
    pub(crate) fn own_channel_axis(self) -> usize {
        self.facts().own_channel_axis
    }

    /// Whether a container of this name, with a weight in it, is a layer of Burn's own that a drop-in could replace.
    pub(crate) fn is_container_of_any(container: &str) -> bool {
        let mut containers = Self::ALL.iter().filter_map(|kind| kind.facts().container);
        containers.any(|own| own == container)
    }
}

impl std::fmt::Display for LayerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.facts().name)
    }
}

/// The geometry of a layer, whatever its input: what its weight says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerShape {
    /// The kind of layer.
    pub kind: LayerKind,
    /// The weight's shape: `[in, out]`, `[out, in / groups, sizes of the kernel..]`, or of a transposed convolution
    /// `[in, out / groups, sizes of the kernel..]`; empty where two activations are multiplied.
    pub weight: Vec<usize>,
    /// The groups of a convolution; 1 for other layers.
    pub groups: usize,
    fan_in: Option<usize>,
    outputs: Option<usize>,
}

impl LayerShape {
    /// A linear layer with a weight of this shape.
    pub(crate) fn linear([inner, columns]: [usize; 2]) -> Self {
        Self {
            kind: LayerKind::Linear,
            weight: vec![inner, columns],
            groups: 1,
            fan_in: Some(inner),
            outputs: Some(columns),
        }
    }

    /// A product of two activations, whose sizes each pass brings along.
    pub(crate) fn of_activations() -> Self {
        Self {
            kind: LayerKind::Matmul,
            weight: Vec::new(),
            groups: 1,
            fan_in: None,
            outputs: None,
        }
    }

    /// A convolution with a weight of shape `[out, in / groups, sizes of the kernel..]`.
    pub(crate) fn convolution(kind: LayerKind, weight: &[usize], groups: usize) -> Self {
        Self {
            kind,
            weight: weight.to_vec(),
            groups,
            fan_in: Some(weight[1..].iter().product()),
            outputs: Some(weight[0]),
        }
    }

    /// A transposed convolution with a weight of shape `[in, out / groups, sizes of the kernel..]`, with so many
    /// strides and dilations.
    pub(crate) fn transposed_convolution(
        kind: LayerKind,
        weight: &[usize],
        groups: usize,
        [stride, dilation]: [Vec<usize>; 2],
    ) -> Self {
        // The taps that meet an output lie so many taps apart.
        let apart = stride.iter().zip(&dilation).map(|(stride, dilation)| {
            let (mut left, mut right) = (*stride, *dilation);
            while right > 0 {
                (left, right) = (right, left % right);
            }
            stride / left.max(1)
        });
        let taps = weight[2..].iter().zip(apart);
        let taps = taps.map(|(kernel, apart)| kernel.div_ceil(apart.max(1)));
        Self {
            kind,
            weight: weight.to_vec(),
            groups,
            fan_in: Some(weight[0] / groups.max(1) * taps.product::<usize>()),
            outputs: Some(weight[1] * groups),
        }
    }

    /// The shape of a layer that took this parameter in a forward pass, as such a weight of a product.
    pub(super) fn of_pass(
        kind: LayerKind,
        parameter: &[usize],
        weight: &[usize],
        geometry: &Geometry,
    ) -> Self {
        match geometry {
            _ if !kind.has_weight() => Self::of_activations(),
            Geometry::Matmul(_) => Self::linear([weight[0], weight[1]]),
            Geometry::Conv2d(shape) => Self::convolution(kind, parameter, shape.groups),
            Geometry::ConvTranspose2d(shape) => {
                // Lines are images of height 1.
                let axes = parameter.len() - 2;
                let sizes = [shape.stride, shape.dilation].map(|sizes| sizes[2 - axes..].to_vec());
                Self::transposed_convolution(kind, parameter, shape.groups, sizes)
            }
        }
    }

    /// The most products that one output accumulates; `None` where two activations are multiplied, whose sizes may
    /// differ from pass to pass.
    pub fn fan_in(&self) -> Option<usize> {
        self.fan_in
    }

    /// The number of output channels; `None` where two activations are multiplied, whose sizes may differ from pass to
    /// pass.
    pub fn outputs(&self) -> Option<usize> {
        self.outputs
    }
}
