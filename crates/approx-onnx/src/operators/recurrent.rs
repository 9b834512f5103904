//! Recurrent layers, step by step: the product of all steps' inputs with the gates' weights at once, then one with the
//! state for every step.

use burn::backend::ops::{ActivationOps, FloatTensorOps, ModuleOps};
use burn::backend::{Dispatch, DispatchTensor, TensorMetadata};
use burn::tensor::{DType, Slice, TensorData};

use super::Function;
use super::axes::part;
use super::elementwise::floats;
use crate::call::Call;
use crate::error::Problem;
use crate::values::{Value, movement};

pub(super) fn find(name: &str) -> Option<Function> {
    use Function::Several;
    Some(match name {
        "LSTM" => Several(|call| recurrent(call, Cell::Lstm)),
        "GRU" => Several(|call| recurrent(call, Cell::Gru)),
        "RNN" => Several(|call| recurrent(call, Cell::Plain)),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Cell {
    Lstm,
    Gru,
    Plain,
}

impl Cell {
    fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Plain => 1,
        }
    }

    /// The functions of one direction, which alone are covered.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Lstm => &["Sigmoid", "Tanh", "Tanh"],
            Self::Gru => &["Sigmoid", "Tanh"],
            Self::Plain => &["Tanh"],
        }
    }
}

/// One direction's weights.
struct Weights {
    input: DispatchTensor,
    state: DispatchTensor,
    input_bias: Option<DispatchTensor>,
    state_bias: Option<DispatchTensor>,
}

fn recurrent(call: &Call<'_>, cell: Cell) -> Result<Vec<Value>, Problem> {
    let input = floats(call, 0)?;
    let directions = call.choice(
        "direction",
        "forward",
        &[
            ("forward", &[false][..]),
            ("reverse", &[true][..]),
            ("bidirectional", &[false, true][..]),
        ],
    )?;
    if let Some(functions) = call.texts("activations")?
        && functions
            .iter()
            .ne(cell.functions().iter().cycle().take(functions.len()))
    {
        return Err(Problem::new(format!("its activations are {functions:?}")));
    }
    if call.float("clip")?.is_some() {
        return Err(Problem::new("it cuts off its gates' sums (clip)"));
    }
    if call.switch("input_forget", false)? {
        return Err(Problem::new("it couples its input and forget gates"));
    }
    let resets_after = call.switch("linear_before_reset", false)?;
    let batch_first = call.switch("layout", false)?;
    let size = call.int("hidden_size")?;
    let [first, second, _] = input.shape()[..] else {
        return Err(Problem::new(format!(
            "its input has the shape {:?}",
            input.shape()
        )));
    };
    let (steps, batch) = if batch_first {
        (second, first)
    } else {
        (first, second)
    };
    if let Some(lengths) = call.known_ints(4, "the lengths of its sequences")?
        && lengths.iter().any(|&length| length != steps as i64)
    {
        return Err(Problem::new(format!(
            "its sequences are of different lengths, {lengths:?}, but there are {steps} steps"
        )));
    }
    if call.optional(7).is_some() {
        return Err(Problem::new(
            "its gates look at the state of the cell (peepholes)",
        ));
    }
    let state_weight = floats(call, 2)?.shape();
    let hidden = state_weight[state_weight.len() - 1];
    if size.is_some_and(|size| size != hidden as i64) || state_weight.len() != 3 {
        return Err(Problem::new(format!(
            "its state has {size:?} features, but its weight the shape {state_weight:?}"
        )));
    }
    let sequence = match batch_first {
        true => movement::permute(call.tensor(0)?, &[1, 0, 2]),
        false => call.tensor(0)?,
    };
    let sequence = call.float_value(sequence);
    let mut outputs = Vec::new();
    let mut states = Vec::new();
    let mut cells = Vec::new();
    for (index, &backwards) in directions.iter().enumerate() {
        let weights = weights(call, cell, index, hidden)?;
        let resets_before = cell == Cell::Gru && !resets_after;
        let start = |place: usize| -> Result<DispatchTensor, Problem> {
            let Some(value) = call.optional(place) else {
                let none = call.context.known(
                    TensorData::new(vec![0.0_f32; hidden], [1, hidden]),
                    DType::F32,
                );
                let row = call.context.tensor(&none, false);
                return Ok(movement::expand(row, [batch, hidden].into()));
            };
            let axis = usize::from(batch_first);
            let tensor = call.context.tensor(value, false);
            let one = part(&call.float_value(tensor), axis, index..index + 1);
            Ok(movement::reshape(one.tensor(), [batch, hidden].into()))
        };
        let state = start(5)?;
        let memory = match cell {
            Cell::Lstm => Some(start(6)?),
            _ => None,
        };
        let (all, state, memory) = one_direction(
            &sequence,
            cell,
            &weights,
            [backwards, resets_before],
            state,
            memory,
        );
        outputs.push(movement::reshape(all, [steps, 1, batch, hidden].into()));
        states.push(movement::reshape(state, [1, batch, hidden].into()));
        if let Some(memory) = memory {
            cells.push(movement::reshape(memory, [1, batch, hidden].into()));
        }
    }
    let join = |mut parts: Vec<DispatchTensor>, axis| match parts.len() {
        1 => parts.remove(0),
        _ => movement::cat(parts, axis),
    };
    let (all, last) = (join(outputs, 1), join(states, 0));
    let turn = |tensor, axes: &[usize]| match batch_first {
        true => movement::permute(tensor, axes),
        false => tensor,
    };
    let mut values = vec![
        call.float_value(turn(all, &[2, 0, 1, 3])),
        call.float_value(turn(last, &[1, 0, 2])),
    ];
    if cell == Cell::Lstm {
        values.push(call.float_value(turn(join(cells, 0), &[1, 0, 2])));
    }
    Ok(values)
}

/// The weights of one direction: matrices with a row for each input, biases apart.
fn weights(call: &Call<'_>, cell: Cell, index: usize, hidden: usize) -> Result<Weights, Problem> {
    let rows = cell.gates() * hidden;
    let matrix = |place: usize| -> Result<DispatchTensor, Problem> {
        let value = call.input(place)?;
        let shape = value.shape();
        if shape.len() != 3 || shape[1] != rows || index >= shape[0] {
            return Err(Problem::new(format!("its weight has the shape {shape:?}")));
        }
        let own = part(&call.float_value(call.tensor(place)?), 0, index..index + 1);
        let own = movement::reshape(own.tensor(), [rows, shape[2]].into());
        Ok(movement::permute(own, &[1, 0]))
    };
    let (mut input_bias, mut state_bias) = (None, None);
    if let Some(bias) = call.optional(3) {
        if bias.rank() != 2 || bias.shape()[1] != 2 * rows || index >= bias.shape()[0] {
            return Err(Problem::new(format!(
                "its bias has the shape {:?}",
                bias.shape()
            )));
        }
        let own = part(&call.float_value(call.tensor(3)?), 0, index..index + 1);
        let half = |range| {
            let half = part(&own, 1, range).tensor();
            Some(movement::reshape(half, [rows].into()))
        };
        (input_bias, state_bias) = (half(0..rows), half(rows..2 * rows));
    }
    Ok(Weights {
        input: matrix(1)?,
        state: matrix(2)?,
        input_bias,
        state_bias,
    })
}

/// All states, the last one, and the last of the cell.
fn one_direction(
    sequence: &Value,
    cell: Cell,
    weights: &Weights,
    [backwards, resets_before]: [bool; 2],
    mut state: DispatchTensor,
    mut memory: Option<DispatchTensor>,
) -> (DispatchTensor, DispatchTensor, Option<DispatchTensor>) {
    let steps = sequence.shape()[0];
    let hidden = state_size(&state);
    let from_inputs = Dispatch::linear(
        sequence.tensor(),
        weights.input.clone(),
        weights.input_bias.clone(),
    );
    let from_inputs = sequence.with_tensor(from_inputs);
    let mut states = vec![None; steps];
    for step in 0..steps {
        let step = if backwards { steps - 1 - step } else { step };
        let own = part(&from_inputs, 0, step..step + 1);
        let shape = own.shape();
        let own = movement::reshape(own.tensor(), [shape[1], shape[2]].into());
        let from_state = Dispatch::linear(
            state.clone(),
            weights.state.clone(),
            weights.state_bias.clone(),
        );
        let gate = |tensor: &DispatchTensor, index: usize| {
            let gates = [
                Slice::new(0, None, 1),
                Slice::from(index * hidden..(index + 1) * hidden),
            ];
            movement::slice(tensor.clone(), &gates)
        };
        state = match cell {
            Cell::Plain => Dispatch::float_tanh(Dispatch::float_add(own, from_state)),
            Cell::Lstm => {
                // In the order of the file: input, output, forget, cell.
                let sums = Dispatch::float_add(own, from_state);
                let open = |index| Dispatch::sigmoid(gate(&sums, index));
                let new = Dispatch::float_mul(open(0), Dispatch::float_tanh(gate(&sums, 3)));
                let old = memory.take().expect("an LSTM has a cell");
                let kept = Dispatch::float_add(Dispatch::float_mul(open(2), old), new);
                memory = Some(kept.clone());
                Dispatch::float_mul(open(1), Dispatch::float_tanh(kept))
            }
            Cell::Gru => {
                // In the order of the file: update, reset, hidden.
                let open = |index| {
                    Dispatch::sigmoid(Dispatch::float_add(
                        gate(&own, index),
                        gate(&from_state, index),
                    ))
                };
                let (update, reset) = (open(0), open(1));
                let remembered = match resets_before {
                    false => Dispatch::float_mul(reset, gate(&from_state, 2)),
                    true => {
                        let kept = Dispatch::float_mul(reset, state.clone());
                        let product = Dispatch::linear(
                            kept,
                            weights.state.clone(),
                            weights.state_bias.clone(),
                        );
                        gate(&product, 2)
                    }
                };
                let new = Dispatch::float_tanh(Dispatch::float_add(gate(&own, 2), remembered));
                let kept =
                    Dispatch::float_mul(update.clone(), Dispatch::float_sub(state, new.clone()));
                Dispatch::float_add(new, kept)
            }
        };
        states[step] = Some(state.clone());
    }
    let rows = states.into_iter().map(|state| {
        let state = state.expect("every step has a state");
        let shape = state.shape();
        movement::reshape(state, [1, shape[0], shape[1]].into())
    });
    (movement::cat(rows.collect(), 0), state, memory)
}

fn state_size(state: &DispatchTensor) -> usize {
    state.shape()[1]
}
