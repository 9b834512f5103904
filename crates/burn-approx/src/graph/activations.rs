//! Products of two activations, such as those of attention: where their operands come from, and how they run as layers.
//!
//! No weight gives such a layer its place, so it hangs below the module that both operands come from: the innermost one
//! that holds all layers which were last on the way to them. Burn's attention operation is two such products in one.
//! While neither is simulated it is computed as the one operation that it is; else by its steps
//!
//! ```text
//! weights = softmax(cap tanh(scale Q K^T / cap) masked + bias)        context = weights V
//! ```

use burn::backend::ir::{
    AttentionOpIr, FloatOperationIr, MatmulOpIr, ModuleOperationIr, OperationIr, TensorIr,
};
use burn::backend::ops::ModuleOps;
use burn::backend::{Dispatch, TensorMetadata};
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Int, Tensor};

use super::batch::{Extents, Sizes};
use super::capture::Recording;
use super::layers::{Product, float_matmul, operand, with_rank};
use super::parameters::GraphLayer;
use super::program::{Frame, Kernel};
use super::slots::slot;
use super::sources::{Source, Sources};
use crate::error::ApproxError;
use crate::nn::{Approximation, LayerShape, matmul};

/// Where activations come from.
pub(super) struct Origins {
    /// The module of the layers that were last on the way to a slot; `None` where there were none, or it is no
    /// activation.
    modules: Vec<Option<String>>,
    /// Whether the matrices of a slot have the same size for every batch.
    fixed: Vec<bool>,
}

impl Origins {
    pub(super) fn new(
        recording: &Recording,
        (inputs, sizes): (&[Extents], &[Sizes]),
        sources: &Sources,
        parameters: &[String],
    ) -> Self {
        let mut origins = Self {
            modules: vec![None; recording.slots],
            fixed: vec![false; recording.slots],
        };
        for (input, extents) in recording.inputs.iter().zip(inputs) {
            origins.fixed[slot(input)] = extents.has_fixed_matrices();
        }
        for (operation, sizes) in recording.operations.iter().zip(sizes) {
            let module = match Product::of(operation, sources) {
                Some(product) => Some(parent(product.module(parameters)).to_string()),
                None => origins.common(operation.inputs()),
            };
            for (output, extents) in operation.outputs().zip(&sizes.outputs) {
                let is_activation = sources.of(output) == Source::Inputs;
                origins.fixed[slot(output)] = extents.has_fixed_matrices();
                origins.modules[slot(output)] = module.clone().filter(|_| is_activation);
            }
        }
        origins
    }

    /// The module that holds all that tensors come from.
    fn common<'a>(&self, tensors: impl Iterator<Item = &'a TensorIr>) -> Option<String> {
        let modules = tensors.filter_map(|tensor| self.modules[slot(tensor)].as_deref());
        modules.map(str::to_string).reduce(|all, module| {
            let pairs = all.split('.').zip(module.split('.'));
            let same: Vec<&str> = pairs
                .take_while(|(own, other)| own == other)
                .map(|(own, _)| own)
                .collect();
            same.join(".")
        })
    }

    /// Whether these can be the operands of a layer.
    fn can_multiply(&self, first: &TensorIr, second: &TensorIr, sources: &Sources) -> bool {
        [first, second].map(|tensor| sources.of(tensor)) == [Source::Inputs; 2]
            && self.fixed[slot(second)]
            && first.shape.len() == second.shape.len()
            && (2..=6).contains(&first.shape.len())
    }
}

/// The module that a module is in.
fn parent(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(parent, _)| parent)
}

/// The products of activations in an operation.
pub(super) struct ActivationProducts<'a> {
    form: Form<'a>,
    module: String,
}

enum Form<'a> {
    Matmul(&'a MatmulOpIr),
    Attention(&'a AttentionOpIr),
}

impl<'a> ActivationProducts<'a> {
    /// The products in an operation, if it has any.
    pub(super) fn of(
        operation: &'a OperationIr,
        origins: &Origins,
        sources: &Sources,
    ) -> Option<Self> {
        let (form, operands) = match operation {
            OperationIr::Float(_, FloatOperationIr::Matmul(op)) => {
                if !origins.can_multiply(&op.lhs, &op.rhs, sources) {
                    return None;
                }
                (Form::Matmul(op), vec![&op.lhs, &op.rhs])
            }
            OperationIr::Module(ModuleOperationIr::Attention(op)) => {
                let fits = origins.can_multiply(&op.query, &op.key, sources)
                    && origins.can_multiply(&op.query, &op.value, sources);
                if !fits {
                    return None;
                }
                (Form::Attention(op), vec![&op.query, &op.key, &op.value])
            }
            _ => return None,
        };
        let module = origins.common(operands.into_iter()).unwrap_or_default();
        Some(Self { form, module })
    }

    /// A layer for each product.
    pub(super) fn layers(&self) -> Vec<GraphLayer> {
        let count = match self.form {
            Form::Matmul(_) => 1,
            Form::Attention(_) => 2,
        };
        let layer = || GraphLayer {
            module: self.module.clone(),
            name: Some("matmul"),
            ordinal: 0,
            approximation: Approximation::new(LayerShape::of_activations()),
        };
        std::iter::repeat_with(layer).take(count).collect()
    }

    /// The step that computes them, with layers from `first` on.
    pub(super) fn kernel(&self, first: usize) -> Kernel {
        match self.form {
            Form::Matmul(op) => matmul_kernel(op, first),
            Form::Attention(op) => attention_kernel(op, first),
        }
    }
}

fn matmul_kernel(op: &MatmulOpIr, layer: usize) -> Kernel {
    let [left, right, out] = [&op.lhs, &op.rhs, &op.out].map(slot);
    Box::new(move |frame| {
        let approximation = frame.layers[layer];
        let [left, right] = [left, right].map(|slot| operand(frame, slot));
        let output = with_rank!(left, D => {
            let [left, right] = [left, right].map(Tensor::<D>::from_dispatch);
            multiply(approximation, left, right)?.into_dispatch()
        });
        frame.put(out, output);
        Ok(())
    })
}

/// The product of a layer; in float as it was recorded, for the tensors' own product may choose another form.
fn multiply<const D: usize>(
    approximation: &Approximation,
    left: Tensor<D>,
    right: Tensor<D>,
) -> Result<Tensor<D>, ApproxError> {
    matmul::apply(approximation, left, right, float_matmul)
}

/// The operands of an attention operation in one run.
struct Attention {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
    mask: Option<Tensor<4, Bool>>,
    bias: Option<Tensor<4>>,
    options: AttentionModuleOptions,
}

fn attention_kernel(op: &AttentionOpIr, first: usize) -> Kernel {
    let [query, key, value, out] = [&op.query, &op.key, &op.value, &op.out].map(slot);
    let [mask, bias] = [&op.mask, &op.attn_bias].map(|tensor| tensor.as_ref().map(slot));
    let options = op.options.clone();
    Box::new(move |frame| {
        let float = |slot| Tensor::from_dispatch(operand(frame, slot));
        let attention = Attention {
            query: float(query),
            key: float(key),
            value: float(value),
            mask: mask.map(|slot| Tensor::from_dispatch(operand(frame, slot))),
            bias: bias.map(float),
            options: options.clone().into(),
        };
        let output = attention.compute(frame, first)?;
        frame.put(out, output.into_dispatch());
        Ok(())
    })
}

impl Attention {
    fn compute(self, frame: &Frame<'_>, first: usize) -> Result<Tensor<4>, ApproxError> {
        let [scores, context] = [first, first + 1].map(|layer| frame.layers[layer]);
        if scores.is_idle() && context.is_idle() {
            return Ok(self.in_one());
        }
        let inner = self.query.dims()[3];
        let Self {
            query,
            key,
            value,
            mask,
            bias,
            options,
        } = self;
        let scale = options.scale.unwrap_or(1.0 / (inner as f64).sqrt());
        let mut logits = multiply(scores, query, key.transpose())? * scale;
        if let Some(cap) = options.softcap {
            logits = (logits / cap).tanh() * cap;
        }
        if let Some(mask) = mask {
            logits = logits.mask_fill(mask, f32::NEG_INFINITY);
        }
        if options.is_causal {
            let future = future(&logits);
            logits = logits.mask_fill(future, f32::NEG_INFINITY);
        }
        if let Some(bias) = bias {
            logits = logits + bias;
        }
        multiply(context, softmax(logits), value)
    }

    /// As the one operation that was recorded.
    fn in_one(self) -> Tensor<4> {
        let [query, key, value] = [self.query, self.key, self.value].map(Tensor::into_dispatch);
        Tensor::from_dispatch(Dispatch::attention(
            query,
            key,
            value,
            self.mask.map(Tensor::into_dispatch),
            self.bias.map(Tensor::into_dispatch),
            self.options,
        ))
    }
}

/// Where a key comes later than its query, the last of both at the same time: `[1, 1, queries, keys]`.
fn future(logits: &Tensor<4>) -> Tensor<4, Bool> {
    let [_, _, queries, keys] = logits.dims();
    let device = &logits.device();
    let steps = |count: usize| Tensor::<1, Int>::arange(0..count as i64, device);
    let offset = keys as i64 - queries as i64;
    let now = steps(queries).reshape([1, 1, queries, 1]) + offset;
    now.lower(steps(keys).reshape([1, 1, 1, keys]))
}

/// The softmax of every row; rows in which everything is masked are 0.
fn softmax(logits: Tensor<4>) -> Tensor<4> {
    let largest = logits.clone().detach().max_dim(3).clamp_min(f32::MIN);
    let exponentials = (logits - largest).exp();
    let sums = exponentials.clone().sum_dim(3).clamp_min(f32::MIN_POSITIVE);
    exponentials / sums
}
