//! Activation functions.

use burn::backend::ops::{ActivationOps, FloatTensorOps};
use burn::backend::{Dispatch, DispatchTensor};

use super::Function;
use super::arithmetic::with_rank;
use super::elementwise::{floats, of_floats};
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Relu" => One(|call| {
            call.ints("consumed_inputs")?;
            of_floats(call, Dispatch::relu)
        }),
        "LeakyRelu" => One(|call| {
            call.ints("consumed_inputs")?;
            let slope = call.float("alpha")?.unwrap_or(0.01);
            of_floats(call, |x| Dispatch::leaky_relu(x, slope.into()))
        }),
        "PRelu" => One(leaky_with_slopes),
        "Elu" => One(|call| {
            call.ints("consumed_inputs")?;
            let alpha = call.float("alpha")?.unwrap_or(1.0);
            of_floats(call, |x| exponential(x, alpha.into(), 1.0, 1.0))
        }),
        "Selu" => One(|call| {
            call.ints("consumed_inputs")?;
            let alpha = call.float("alpha")?.unwrap_or(1.673_263_2);
            let gamma = call.float("gamma")?.unwrap_or(1.050_701);
            of_floats(call, |x| exponential(x, alpha.into(), 1.0, gamma.into()))
        }),
        "Celu" => One(|call| {
            let alpha = f64::from(call.float("alpha")?.unwrap_or(1.0));
            of_floats(call, |x| exponential(x, alpha, alpha, 1.0))
        }),
        "ThresholdedRelu" => One(|call| {
            let threshold = call.float("alpha")?.unwrap_or(1.0);
            of_floats(call, |x| {
                let bool = bool_of(call);
                let below = Dispatch::float_lower_equal_elem(x.clone(), threshold.into(), bool);
                Dispatch::float_mask_fill(x, below, 0.0.into())
            })
        }),
        "Shrink" => One(shrink),
        "Sigmoid" => One(|call| {
            call.ints("consumed_inputs")?;
            of_floats(call, Dispatch::sigmoid)
        }),
        "HardSigmoid" => One(|call| {
            call.ints("consumed_inputs")?;
            let alpha = call.float("alpha")?.unwrap_or(0.2);
            let beta = call.float("beta")?.unwrap_or(0.5);
            of_floats(call, |x| {
                Dispatch::hard_sigmoid(x, alpha.into(), beta.into())
            })
        }),
        "HardSwish" => One(|call| {
            of_floats(call, |x| {
                let gate = Dispatch::hard_sigmoid(x.clone(), (1.0 / 6.0).into(), 0.5.into());
                Dispatch::float_mul(x, gate)
            })
        }),
        "Swish" => One(|call| {
            let alpha = call.float("alpha")?.unwrap_or(1.0);
            of_floats(call, |x| {
                let scaled = Dispatch::float_mul_scalar(x.clone(), alpha.into());
                Dispatch::float_mul(x, Dispatch::sigmoid(scaled))
            })
        }),
        "Softplus" => One(|call| of_floats(call, softplus)),
        "Softsign" => One(|call| {
            of_floats(call, |x| {
                let below = Dispatch::float_add_scalar(Dispatch::float_abs(x.clone()), 1.0.into());
                Dispatch::float_div(x, below)
            })
        }),
        "Mish" => One(|call| {
            of_floats(call, |x| {
                Dispatch::float_mul(x.clone(), Dispatch::float_tanh(softplus(x)))
            })
        }),
        "Gelu" => One(gelu),
        "Softmax" => One(|call| along(call, Dispatch::softmax)),
        "LogSoftmax" => One(|call| along(call, Dispatch::log_softmax)),
        _ => return None,
    })
}

/// Those of ONNX Runtime's own domain.
pub(super) fn find_of_runtime(name: &str) -> Option<Function> {
    Some(match name {
        "Gelu" => Function::One(|call| of_floats(call, Dispatch::gelu)),
        "QuickGelu" => Function::One(|call| {
            let alpha = call.float("alpha")?.unwrap_or(1.702);
            of_floats(call, |x| {
                let scaled = Dispatch::float_mul_scalar(x.clone(), alpha.into());
                Dispatch::float_mul(x, Dispatch::sigmoid(scaled))
            })
        }),
        _ => return None,
    })
}

/// The type of truth values where the first input lies.
fn bool_of(call: &Call<'_>) -> burn::tensor::BoolDType {
    let known = call.optional(0).is_some_and(Value::is_known);
    call.context.types(known).bool
}

/// `x` above 0 and `alpha (exp(x / beta) - 1)` below, times `gamma`.
fn exponential(x: DispatchTensor, alpha: f64, beta: f64, gamma: f64) -> DispatchTensor {
    let above = Dispatch::relu(x.clone());
    // What is above 0 must not overflow.
    let below = Dispatch::float_clamp_max(x, 0.0.into());
    let grown = Dispatch::float_exp(Dispatch::float_div_scalar(below, beta.into()));
    let curve =
        Dispatch::float_mul_scalar(Dispatch::float_sub_scalar(grown, 1.0.into()), alpha.into());
    Dispatch::float_mul_scalar(Dispatch::float_add(above, curve), gamma.into())
}

/// `log(1 + exp(x))` without overflow.
fn softplus(x: DispatchTensor) -> DispatchTensor {
    let above = Dispatch::relu(x.clone());
    let distance = Dispatch::float_neg(Dispatch::float_abs(x));
    Dispatch::float_add(above, Dispatch::float_log1p(Dispatch::float_exp(distance)))
}

/// Leaky, with a slope that is a tensor of the shape of the input's last axes.
fn leaky_with_slopes(call: &Call<'_>) -> Result<Value, Problem> {
    let (x, slope) = (floats(call, 0)?, floats(call, 1)?);
    // One slope for each channel may come without the axes after it.
    let shape = match slope.shape()[..] {
        [channels] if call.version < 7 && x.rank() > 1 => {
            let mut shape = vec![channels];
            shape.resize(x.rank() - 1, 1);
            shape
        }
        _ => slope.shape(),
    };
    let known = x.is_known() && slope.is_known();
    let tensor = call.context.tensor(slope, known);
    let tensor = movement::reshape(tensor, shape.clone().into());
    let slope = with_rank(tensor, &shape, x.rank());
    let x_tensor = call.context.tensor(x, known);
    let above = Dispatch::relu(x_tensor.clone());
    let below = Dispatch::float_clamp_max(x_tensor, 0.0.into());
    let sum = Dispatch::float_add(above, Dispatch::float_mul(below, slope));
    Ok(Value::new(sum, x.dtype(), known))
}

fn shrink(call: &Call<'_>) -> Result<Value, Problem> {
    let bias = f64::from(call.float("bias")?.unwrap_or(0.0));
    let threshold = f64::from(call.float("lambd")?.unwrap_or(0.5));
    let bool = bool_of(call);
    of_floats(call, |x| {
        let nothing = Dispatch::float_mul_scalar(x.clone(), 0.0.into());
        let above = Dispatch::float_greater_elem(x.clone(), threshold.into(), bool);
        let below = Dispatch::float_lower_elem(x.clone(), (-threshold).into(), bool);
        let less = Dispatch::float_sub_scalar(x.clone(), bias.into());
        let more = Dispatch::float_add_scalar(x, bias.into());
        let shrunk = Dispatch::float_mask_where(nothing, above, less);
        Dispatch::float_mask_where(shrunk, below, more)
    })
}

fn gelu(call: &Call<'_>) -> Result<Value, Problem> {
    let by_tanh = call.choice("approximate", "none", &[("none", false), ("tanh", true)])?;
    of_floats(call, |x| match by_tanh {
        false => Dispatch::gelu(x),
        true => {
            let cube = Dispatch::float_mul(Dispatch::float_mul(x.clone(), x.clone()), x.clone());
            let inner = Dispatch::float_add(
                x.clone(),
                Dispatch::float_mul_scalar(cube, 0.044_715.into()),
            );
            let scale = (2.0 / std::f64::consts::PI).sqrt();
            let bent = Dispatch::float_tanh(Dispatch::float_mul_scalar(inner, scale.into()));
            let half = Dispatch::float_mul_scalar(x, 0.5.into());
            Dispatch::float_mul(half, Dispatch::float_add_scalar(bent, 1.0.into()))
        }
    })
}

/// A function along one axis; before version 13 along all from that one on.
fn along(
    call: &Call<'_>,
    compute: fn(DispatchTensor, usize) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = floats(call, 0)?;
    let default = if call.version < 13 { 1 } else { -1 };
    let axis = call.int("axis")?.unwrap_or(default);
    let shape = input.shape();
    let axis = call.axis(axis, shape.len().max(1))?;
    if call.version >= 13 || axis + 1 >= shape.len() {
        return Ok(input.with_tensor(compute(input.tensor(), axis)));
    }
    let rows: [usize; 2] = [
        shape[..axis].iter().product(),
        shape[axis..].iter().product(),
    ];
    let flat = compute(movement::reshape(input.tensor(), rows.into()), 1);
    Ok(input.with_tensor(movement::reshape(flat, shape.into())))
}
