//! Sums of products over named axes (`Einsum`), as matrix products, so that those with a weight are layers.

use std::collections::HashMap;

use burn::backend::Dispatch;
use burn::backend::ops::FloatTensorOps;

use super::Function;
use super::axes::with_shape;
use super::elementwise::floats;
use super::products::multiply;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    match name {
        "Einsum" => Some(Function::One(einsum)),
        _ => None,
    }
}

/// A tensor whose axes have names.
#[derive(Clone)]
struct Named {
    value: Value,
    axes: Vec<char>,
}

fn einsum(call: &Call<'_>) -> Result<Value, Problem> {
    let equation = call.text("equation")?;
    let equation = equation.ok_or_else(|| Problem::new("its setting \"equation\" is missing"))?;
    let (inputs, output) = read(&equation)?;
    if inputs.len() != call.count() {
        return Err(Problem::new(format!(
            "it has {} inputs, but its equation {equation:?} names {}",
            call.count(),
            inputs.len()
        )));
    }
    let mut sizes = HashMap::new();
    let mut operands = Vec::new();
    for (index, axes) in inputs.into_iter().enumerate() {
        let value = floats(call, index)?.clone();
        let shape = value.shape();
        let mut fits = shape.len() == axes.len();
        for (&axis, &size) in axes.iter().zip(&shape) {
            fits &= *sizes.entry(axis).or_insert(size) == size;
        }
        if !fits {
            return Err(Problem::new(format!(
                "its input {} has the shape {shape:?}, which does not fit its equation {equation:?}",
                index + 1
            )));
        }
        operands.push(Named { value, axes });
    }
    let mut operands = operands.into_iter();
    let mut result = operands
        .next()
        .ok_or_else(|| Problem::new("it has no inputs"))?;
    let rest: Vec<Named> = operands.collect();
    for (index, operand) in rest.iter().enumerate() {
        let later = rest[index + 1..].iter().flat_map(|later| &later.axes);
        let wanted: Vec<char> = output.iter().chain(later).copied().collect();
        result = product(call, result, operand.clone(), &wanted)?;
    }
    Ok(result.summed(&output).ordered(&output).value)
}

/// The axes of every input and those of the output.
fn read(equation: &str) -> Result<(Vec<Vec<char>>, Vec<char>), Problem> {
    let unclear = |why: &str| {
        Problem::new(format!(
            "its equation is {equation:?}, {why}, which is not covered"
        ))
    };
    let text: String = equation.chars().filter(|letter| *letter != ' ').collect();
    let (inputs, output) = match text.split_once("->") {
        Some((inputs, output)) => (inputs, Some(output)),
        None => (text.as_str(), None),
    };
    let inputs: Vec<Vec<char>> = inputs
        .split(',')
        .map(|axes| axes.chars().collect())
        .collect();
    let named: Vec<char> = inputs.iter().flatten().copied().collect();
    let times = |axis: char| named.iter().filter(|other| **other == axis).count();
    let output: Vec<char> = match output {
        Some(output) => output.chars().collect(),
        // By their order in the alphabet, those that are named once.
        None => {
            let mut once: Vec<char> = named.clone();
            once.retain(|&axis| times(axis) == 1);
            once.sort_unstable();
            once
        }
    };
    if named
        .iter()
        .chain(&output)
        .any(|axis| !axis.is_alphabetic())
    {
        return Err(unclear("with axes that have no names"));
    }
    let repeats =
        |axes: &Vec<char>| (1..axes.len()).any(|index| axes[..index].contains(&axes[index]));
    if inputs.iter().chain([&output]).any(repeats) {
        return Err(unclear("with one axis named twice in a tensor"));
    }
    if output.iter().any(|&axis| times(axis) == 0) {
        return Err(unclear("with an axis that no input has"));
    }
    Ok((inputs, output))
}

impl Named {
    fn size(&self, axis: char) -> usize {
        let place = self.axes.iter().position(|own| *own == axis);
        self.value.shape()[place.expect("the tensor has the axis")]
    }

    /// Sums over the axes that nobody wants.
    fn summed(self, wanted: &[char]) -> Self {
        let Self {
            mut value,
            mut axes,
        } = self;
        while let Some(place) = axes.iter().position(|axis| !wanted.contains(axis)) {
            let sum = value.with_tensor(Dispatch::float_sum_dim(value.tensor(), place));
            let mut shape = value.shape();
            shape.remove(place);
            value = with_shape(&sum, &shape);
            axes.remove(place);
        }
        Self { value, axes }
    }

    /// With its axes in an order.
    fn ordered(self, axes: &[char]) -> Self {
        if self.axes == axes {
            return self;
        }
        let places = axes.iter().map(|axis| {
            let place = self.axes.iter().position(|own| own == axis);
            place.expect("the tensor has the axis")
        });
        let places: Vec<usize> = places.collect();
        let value = self
            .value
            .with_tensor(movement::permute(self.value.tensor(), &places));
        Self {
            value,
            axes: axes.to_vec(),
        }
    }

    /// The number of elements along several axes.
    fn along(&self, axes: &[char]) -> usize {
        axes.iter().map(|&axis| self.size(axis)).product()
    }
}

/// The product of two tensors, summed over the axes of both that nobody wants.
fn product(call: &Call<'_>, left: Named, right: Named, wanted: &[char]) -> Result<Named, Problem> {
    let of_both = [&left.axes[..], wanted].concat();
    let right = right.summed(&of_both);
    let left = left.summed(&[&right.axes[..], wanted].concat());
    let shared: Vec<char> = (left.axes.iter().copied())
        .filter(|axis| right.axes.contains(axis))
        .collect();
    let (batch, inner): (Vec<char>, Vec<char>) =
        shared.iter().partition(|axis| wanted.contains(axis));
    // A matrix for all rows is a layer: it stands on the right.
    let (left, right) = match batch.is_empty() && left.axes.len() < right.axes.len() {
        true => (right, left),
        false => (left, right),
    };
    let own = |named: &Named| -> Vec<char> {
        let axes = named.axes.iter().copied();
        axes.filter(|axis| !shared.contains(axis)).collect()
    };
    let (rows, columns) = (own(&left), own(&right));
    let sizes = |named: &Named, axes: &[char]| -> Vec<usize> {
        axes.iter().map(|&axis| named.size(axis)).collect()
    };
    let outer = [
        sizes(&left, &batch),
        sizes(&left, &rows),
        sizes(&right, &columns),
    ]
    .concat();
    let sums = left.along(&inner);
    let (height, width) = (left.along(&rows), right.along(&columns));
    let before = sizes(&left, &batch);
    // Rows stay apart where one matrix is for all of them.
    let left_shape = match batch.is_empty() {
        true => [&sizes(&left, &rows)[..], &[sums]].concat(),
        false => [&before[..], &[height, sums]].concat(),
    };
    let right_shape = [&before[..], &[sums, width]].concat();
    let left = left.ordered(&[&batch[..], &rows, &inner].concat());
    let right = right.ordered(&[&batch[..], &inner, &columns].concat());
    let result = multiply(
        call,
        &with_shape(&left.value, &left_shape),
        &with_shape(&right.value, &right_shape),
    )?;
    Ok(Named {
        value: with_shape(&result, &outer),
        axes: [batch, rows, columns].concat(),
    })
}
