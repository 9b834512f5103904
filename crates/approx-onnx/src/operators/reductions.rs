//! Reductions along axes.

use burn::backend::ops::{BoolTensorOps, FloatTensorOps, IntTensorOps};
use burn::backend::{Dispatch, DispatchTensor};

use super::Function;
use super::axes::{named_axes, with_shape};
use super::elementwise::no_arithmetic;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Kind, Value};

type Along = fn(DispatchTensor, usize) -> DispatchTensor;

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::One;
    Some(match name {
        "ReduceSum" => {
            One(|call| numbers(call, 13, Dispatch::float_sum_dim, Dispatch::int_sum_dim))
        }
        "ReduceProd" => {
            One(|call| numbers(call, 18, Dispatch::float_prod_dim, Dispatch::int_prod_dim))
        }
        "ReduceMax" => {
            One(|call| numbers(call, 18, Dispatch::float_max_dim, Dispatch::int_max_dim))
        }
        "ReduceMin" => {
            One(|call| numbers(call, 18, Dispatch::float_min_dim, Dispatch::int_min_dim))
        }
        "ReduceMean" => One(|call| floats(call, |x| x, Dispatch::float_mean_dim, |x| x)),
        "ReduceSumSquare" => One(|call| floats(call, square, Dispatch::float_sum_dim, |x| x)),
        "ReduceL1" => One(|call| floats(call, Dispatch::float_abs, Dispatch::float_sum_dim, |x| x)),
        "ReduceL2" => {
            One(|call| floats(call, square, Dispatch::float_sum_dim, Dispatch::float_sqrt))
        }
        "ReduceLogSum" => {
            One(|call| floats(call, |x| x, Dispatch::float_sum_dim, Dispatch::float_log))
        }
        "ReduceLogSumExp" => One(log_sum_of_exponentials),
        "CumSum" => One(cumulative),
        _ => return None,
    })
}

fn square(x: DispatchTensor) -> DispatchTensor {
    Dispatch::float_mul(x.clone(), x)
}

/// The axes that are reduced, and the shape that is left; nothing is done where there are none.
struct Reduction {
    axes: Vec<usize>,
    shape: Vec<usize>,
}

impl Reduction {
    fn new(call: &Call<'_>, since: i64) -> Result<Self, Problem> {
        let input = call.input(0)?;
        let shape = input.shape();
        let keeps = call.switch("keepdims", true)?;
        let nothing = call.switch("noop_with_empty_axes", false)?;
        let named = named_axes(call, since, shape.len())?.filter(|axes| !axes.is_empty());
        let axes = match named {
            Some(axes) => axes,
            None if nothing => Vec::new(),
            None => (0..shape.len()).collect(),
        };
        let mut left = Vec::new();
        for (axis, &size) in shape.iter().enumerate() {
            match axes.contains(&axis) {
                true if keeps => left.push(1),
                true => {}
                false => left.push(size),
            }
        }
        Ok(Self { axes, shape: left })
    }

    fn apply(&self, input: &Value, along: Along) -> Value {
        let tensor = self
            .axes
            .iter()
            .fold(input.tensor(), |x, &axis| along(x, axis));
        with_shape(&input.with_tensor(tensor), &self.shape)
    }
}

fn numbers(call: &Call<'_>, since: i64, float: Along, int: Along) -> Result<Value, Problem> {
    let input = call.input(0)?;
    let reduction = Reduction::new(call, since)?;
    match (Kind::of(input.dtype()), input.stored()) {
        (Kind::Float, _) => Ok(reduction.apply(input, float)),
        (Kind::Int, Kind::Int) => Ok(reduction.apply(input, int)),
        _ => Err(no_arithmetic(input)),
    }
}

/// A reduction of floats after one function and before another.
fn floats(
    call: &Call<'_>,
    before: impl FnOnce(DispatchTensor) -> DispatchTensor,
    along: Along,
    after: impl FnOnce(DispatchTensor) -> DispatchTensor,
) -> Result<Value, Problem> {
    let input = super::elementwise::floats(call, 0)?;
    let reduction = Reduction::new(call, 18)?;
    let reduced = reduction.apply(&input.with_tensor(before(input.tensor())), along);
    Ok(reduced.with_tensor(after(reduced.tensor())))
}

/// Without overflow: the largest element is taken out first.
fn log_sum_of_exponentials(call: &Call<'_>) -> Result<Value, Problem> {
    let input = super::elementwise::floats(call, 0)?;
    let reduction = Reduction::new(call, 18)?;
    let largest =
        (reduction.axes.iter()).fold(input.tensor(), |x, &axis| Dispatch::float_max_dim(x, axis));
    let distance = Dispatch::float_exp(Dispatch::float_sub(input.tensor(), largest.clone()));
    let sum = (reduction.axes.iter()).fold(distance, |x, &axis| Dispatch::float_sum_dim(x, axis));
    let whole = Dispatch::float_add(Dispatch::float_log(sum), largest);
    Ok(with_shape(&input.with_tensor(whole), &reduction.shape))
}

fn cumulative(call: &Call<'_>) -> Result<Value, Problem> {
    if call.switch("exclusive", false)? || call.switch("reverse", false)? {
        return Err(Problem::new(
            "it sums without the element itself, or backwards",
        ));
    }
    let input = call.input(0)?;
    let axis = call.known_ints(1, "its axis")?;
    let axis = match axis.as_deref() {
        Some(&[axis]) => call.axis(axis, input.rank())?,
        _ => return Err(Problem::new("its axis must be one number")),
    };
    // Truth values are counted as 0 and 1.
    match input.stored() {
        Kind::Float => Ok(input.with_tensor(Dispatch::float_cumsum(input.tensor(), axis))),
        Kind::Int => Ok(input.with_tensor(Dispatch::int_cumsum(input.tensor(), axis))),
        Kind::Bool => {
            let types = call.context.types(input.is_known());
            let counted = Dispatch::bool_into_int(input.tensor(), types.int);
            Ok(input.with_tensor(Dispatch::int_cumsum(counted, axis)))
        }
    }
}
