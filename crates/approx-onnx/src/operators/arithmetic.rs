//! Arithmetic between tensors whose shapes are broadcast to each other.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};

use super::Function;
use super::elementwise::no_arithmetic;
use super::limits::check_size;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value, movement};

type Binary = fn(DispatchTensor, DispatchTensor) -> DispatchTensor;

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "Add" => One(|call| of_two(call, Dispatch::float_add, Dispatch::int_add)),
        "Sub" => One(|call| of_two(call, Dispatch::float_sub, Dispatch::int_sub)),
        "Mul" => One(|call| of_two(call, Dispatch::float_mul, Dispatch::int_mul)),
        "Div" => One(|call| of_two(call, Dispatch::float_div, Dispatch::int_div)),
        "Pow" => One(power),
        "Mod" => One(remainder),
        "Sum" => One(|call| of_all(call, Dispatch::float_add, Dispatch::int_add)),
        "Max" => One(|call| of_all(call, float_max, int_max)),
        "Min" => One(|call| of_all(call, float_min, int_min)),
        "Mean" => One(mean),
        "And" => One(|call| of_truths(call, Dispatch::bool_and)),
        "Or" => One(|call| of_truths(call, Dispatch::bool_or)),
        "Xor" => One(|call| of_truths(call, Dispatch::bool_xor)),
        _ => return None,
    })
}

/// Two values in one place, with as many axes and sizes that Burn broadcasts.
pub(super) struct Pair {
    pub(super) left: DispatchTensor,
    pub(super) right: DispatchTensor,
    pub(super) known: bool,
    scalar: bool,
}

impl Pair {
    pub(super) fn new(call: &Call<'_>, left: &Value, right: &Value) -> Result<Self, Problem> {
        let shape = broadcast(&left.shape(), &right.shape())?;
        let rank = shape.len().max(1);
        let ([left_tensor, right_tensor], known) = call.context.together([left, right]);
        Ok(Self {
            left: with_rank(left_tensor, &left.shape(), rank),
            right: with_rank(right_tensor, &right.shape(), rank),
            known,
            scalar: shape.is_empty(),
        })
    }

    /// Both with the shape that they are broadcast to.
    pub(super) fn expanded(&self, shape: &[usize]) -> [DispatchTensor; 2] {
        let sizes = match shape.is_empty() {
            true => vec![1],
            false => shape.to_vec(),
        };
        [&self.left, &self.right].map(|side| movement::expand(side.clone(), sizes.clone().into()))
    }

    /// What was computed of the two, of a type in the file.
    pub(super) fn value(&self, tensor: DispatchTensor, dtype: burn::tensor::DType) -> Value {
        let value = Value::new(tensor, dtype, self.known);
        match self.scalar {
            true => value.without_axes(),
            false => value,
        }
    }
}

/// A tensor with axes of size 1 before its own, up to a rank.
pub(super) fn with_rank(tensor: DispatchTensor, shape: &[usize], rank: usize) -> DispatchTensor {
    if shape.len() == rank {
        return tensor;
    }
    let mut extended = vec![1; rank - shape.len()];
    extended.extend(shape);
    movement::reshape(tensor, extended.into())
}

/// The shape of two broadcast to each other.
pub(super) fn broadcast(left: &[usize], right: &[usize]) -> Result<Vec<usize>, Problem> {
    let rank = left.len().max(right.len());
    let size = |shape: &[usize], axis: usize| {
        let before = rank - shape.len();
        if axis < before {
            1
        } else {
            shape[axis - before]
        }
    };
    let shape = (0..rank)
        .map(|axis| match (size(left, axis), size(right, axis)) {
            (left, right) if left == right => Ok(left),
            (1, size) | (size, 1) => Ok(size),
            _ => Err(Problem::new(format!(
                "its inputs have the shapes {left:?} and {right:?}, which do not fit each other"
            ))),
        })
        .collect::<Result<Vec<_>, _>>()?;
    check_size(&shape)?;
    Ok(shape)
}

/// A function of two inputs.
fn of_two(call: &Call<'_>, float: Binary, int: Binary) -> Result<Value, Problem> {
    old_broadcast(call)?;
    combine(call, call.input(0)?, call.input(1)?, float, int)
}

/// Before version 7 a shape was broadcast on request, along any axes.
fn old_broadcast(call: &Call<'_>) -> Result<(), Problem> {
    if call.version < 7 && call.int("axis")?.is_some() {
        return Err(Problem::new(
            "it broadcasts along an axis of its own, as before version 7; convert the file to a newer version",
        ));
    }
    call.int("broadcast")?;
    call.ints("consumed_inputs")?;
    Ok(())
}

/// A function of two values of one kind.
pub(super) fn combine(
    call: &Call<'_>,
    left: &Value,
    right: &Value,
    float: Binary,
    int: Binary,
) -> Result<Value, Problem> {
    let compute = match [left, right].map(|value| (Kind::of(value.dtype()), value.stored())) {
        [(Kind::Float, Kind::Float), (Kind::Float, Kind::Float)] => float,
        [(Kind::Int, Kind::Int), (Kind::Int, Kind::Int)] => int,
        [(Kind::Float | Kind::Int, _), (Kind::Float | Kind::Int, _)]
            if Kind::of(left.dtype()) != Kind::of(right.dtype()) =>
        {
            return Err(Problem::new(format!(
                "its inputs hold {:?} and {:?}, but must hold one type",
                left.dtype(),
                right.dtype()
            )));
        }
        _ => return Err(no_arithmetic(left)),
    };
    let pair = Pair::new(call, left, right)?;
    let tensor = compute(pair.left.clone(), pair.right.clone());
    Ok(pair.value(tensor, left.dtype()))
}

/// A function of all inputs, two at a time.
fn of_all(call: &Call<'_>, float: Binary, int: Binary) -> Result<Value, Problem> {
    call.ints("consumed_inputs")?;
    let inputs = call.all()?;
    let first = inputs
        .first()
        .ok_or_else(|| Problem::new("it has no inputs"))?;
    inputs[1..]
        .iter()
        .try_fold((*first).clone(), |so_far, next| {
            combine(call, &so_far, next, float, int)
        })
}

fn mean(call: &Call<'_>) -> Result<Value, Problem> {
    let sum = of_all(call, Dispatch::float_add, Dispatch::int_add)?;
    let count = call.count() as f64;
    Ok(sum.with_tensor(Dispatch::float_div_scalar(sum.tensor(), count.into())))
}

/// The larger of two, or a NaN where there is one.
fn float_max(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
    float_choose(left, right, false)
}

fn float_min(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
    float_choose(left, right, true)
}

fn float_choose(left: DispatchTensor, right: DispatchTensor, smaller: bool) -> DispatchTensor {
    let [left, right] = same_shape(left, right);
    let bool = burn::tensor::Device::new(left.device())
        .settings()
        .bool_dtype;
    let takes_right = match smaller {
        true => Dispatch::float_lower(right.clone(), left.clone(), bool),
        false => Dispatch::float_greater(right.clone(), left.clone(), bool),
    };
    let takes_right = Dispatch::bool_or(takes_right, Dispatch::float_is_nan(right.clone(), bool));
    Dispatch::float_mask_where(left, takes_right, right)
}

/// Two tensors of one rank whose shapes fit, broadcast to each other.
fn same_shape(left: DispatchTensor, right: DispatchTensor) -> [DispatchTensor; 2] {
    let sizes = left
        .shape()
        .to_vec()
        .into_iter()
        .zip(right.shape().to_vec());
    let shape: Vec<usize> = sizes
        .map(|(left, right)| if left == 1 { right } else { left })
        .collect();
    [left, right].map(|side| movement::expand(side, shape.clone().into()))
}

fn int_max(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
    int_choose(left, right, false)
}

fn int_min(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
    int_choose(left, right, true)
}

fn int_choose(left: DispatchTensor, right: DispatchTensor, smaller: bool) -> DispatchTensor {
    let [left, right] = same_shape(left, right);
    let bool = burn::tensor::Device::new(left.device())
        .settings()
        .bool_dtype;
    let takes_right = match smaller {
        true => Dispatch::int_lower(right.clone(), left.clone(), bool),
        false => Dispatch::int_greater(right.clone(), left.clone(), bool),
    };
    Dispatch::int_mask_where(left, takes_right, right)
}

/// A power with any exponents; a known small whole one is computed by products, which also takes negative bases.
fn power(call: &Call<'_>) -> Result<Value, Problem> {
    old_broadcast(call)?;
    let (base, exponent) = (call.input(0)?, call.input(1)?);
    // The exponent may be of another type; the result is of the base's.
    if Kind::of(base.dtype()) == Kind::Int {
        let exponent = call.context.cast(exponent, base.dtype());
        return combine(
            call,
            base,
            &exponent,
            Dispatch::float_powf,
            Dispatch::int_powi,
        );
    }
    if exponent.is_known() && exponent.elements() == 1 {
        let value = call.context.read_floats(exponent, "the exponent")?[0];
        let shape = broadcast(&base.shape(), &exponent.shape())?;
        if shape == base.shape() {
            let tensor = base.tensor();
            return Ok(base.with_tensor(match value {
                1.0 => tensor,
                2.0 => Dispatch::float_mul(tensor.clone(), tensor),
                3.0 => {
                    let square = Dispatch::float_mul(tensor.clone(), tensor.clone());
                    Dispatch::float_mul(square, tensor)
                }
                0.5 => Dispatch::float_sqrt(tensor),
                value => Dispatch::float_powf_scalar(tensor, value.into()),
            }));
        }
    }
    let exponent = call.context.cast(exponent, base.dtype());
    combine(
        call,
        base,
        &exponent,
        Dispatch::float_powf,
        Dispatch::int_powi,
    )
}

/// The remainder with the divisor's sign, or, with `fmod`, the dividend's.
fn remainder(call: &Call<'_>) -> Result<Value, Problem> {
    let truncated = call.switch("fmod", false)?;
    let (left, right) = (call.input(0)?, call.input(1)?);
    if !truncated {
        return combine(
            call,
            left,
            right,
            Dispatch::float_remainder,
            Dispatch::int_remainder,
        );
    }
    fn by_parts(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
        let quotient = Dispatch::float_trunc(Dispatch::float_div(left.clone(), right.clone()));
        Dispatch::float_sub(left, Dispatch::float_mul(quotient, right))
    }
    fn by_int_parts(left: DispatchTensor, right: DispatchTensor) -> DispatchTensor {
        let quotient = Dispatch::int_div(left.clone(), right.clone());
        Dispatch::int_sub(left, Dispatch::int_mul(quotient, right))
    }
    combine(call, left, right, by_parts, by_int_parts)
}

fn of_truths(call: &Call<'_>, compute: Binary) -> Result<Value, Problem> {
    call.int("broadcast")?;
    let (left, right) = (call.input(0)?, call.input(1)?);
    if [left, right]
        .iter()
        .any(|value| value.stored() != Kind::Bool)
    {
        return Err(Problem::new("its inputs must hold truth values"));
    }
    let pair = Pair::new(call, left, right)?;
    let [first, second] = pair.expanded(&broadcast(&left.shape(), &right.shape())?);
    Ok(pair.value(compute(first, second), left.dtype()))
}
