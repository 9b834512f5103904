//! What a program computes, as something that is read as a multiplier is: with ports, and with bits for every index.

use std::rc::Rc;
use std::sync::Arc;

use approx_netlists::{Location, Port};

use super::program::{Pairs, Program};
use super::{ExecutionError, ImportError};
use crate::import::circuit::{
    Contradiction, Function, Indices, Operands, Subject, codes, compared_indices,
};
use crate::table::index_bits;
use crate::{MultiplierError, OperandFormat};

/// More bits than any product has. They leave room for a scale.
const MOST_BITS: usize = 48;

/// A program with what is known of its operands and its product.
pub(super) struct Callable {
    pub program: Rc<Program>,
    pub name: String,
    pub location: Location,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Subject for Callable {
    type Function = ProgramFunction;

    fn name(&self) -> &str {
        &self.name
    }

    fn location(&self) -> &Location {
        &self.location
    }

    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn used_inputs(&self) -> Vec<bool> {
        // Nobody knows.
        vec![true; self.inputs.iter().map(|port| port.width).sum()]
    }

    fn function(
        &self,
        operands: &Operands,
        formats: [OperandFormat; 2],
        width: usize,
        signed: bool,
    ) -> (ProgramFunction, usize) {
        let Operands { first, second, .. } = operands;
        let function = ProgramFunction {
            program: Rc::clone(&self.program),
            arguments: Arguments {
                formats,
                is_extended: [
                    first.is_extended(formats[0]),
                    second.is_extended(formats[1]),
                ],
                is_exchanged: first.group.bits.first() > second.group.bits.first(),
            },
            // Fewer bits are asked for where those above are of no account.
            is_limited: width > MOST_BITS,
            is_signed: signed,
        };
        (function, width.min(MOST_BITS))
    }
}

/// How indices become the numbers that a program is given.
#[derive(Clone, Copy)]
struct Arguments {
    formats: [OperandFormat; 2],
    /// Whether an operand is given as a number with its sign, rather than as its pattern.
    is_extended: [bool; 2],
    /// Whether the program takes the second operand first.
    is_exchanged: bool,
}

impl Arguments {
    fn at(&self, index: u64) -> [i64; 2] {
        let [first, second] = self.formats;
        let (a, b) = codes(first, second, index);
        let number = |operand: usize, code: i32| match self.is_extended[operand] {
            true => i64::from(code),
            false => self.formats[operand].pattern(code) as i64,
        };
        let [a, b] = [number(0, a), number(1, b)];
        match self.is_exchanged {
            true => [b, a],
            false => [a, b],
        }
    }
}

/// The product's bits as a program computes them.
pub(in crate::import) struct ProgramFunction {
    program: Rc<Program>,
    arguments: Arguments,
    /// Whether larger products are an error.
    is_limited: bool,
    is_signed: bool,
}

impl ProgramFunction {
    /// The product that an answer is; an error if it is none of so many bits.
    fn product(&self, operands: [i64; 2], answer: i64) -> Result<u64, ExecutionError> {
        let product = match self.is_signed {
            true => i128::from(answer),
            // The driver writes unsigned numbers as it writes signed ones.
            false => i128::from(answer.cast_unsigned()),
        };
        let bits = MOST_BITS - usize::from(self.is_signed);
        match self.is_limited && product.unsigned_abs() >> bits != 0 {
            true => Err(ExecutionError::ProductTooLarge {
                operands,
                product,
                bits: MOST_BITS,
            }),
            false => Ok(answer.cast_unsigned()),
        }
    }
}

impl Function for ProgramFunction {
    fn evaluate(&self, indices: Indices, outputs: &mut [u64]) -> Result<(), ImportError> {
        let arguments = self.arguments;
        let pairs: Pairs = match indices {
            Indices::From(first) => Arc::new(move |position| arguments.at(first + position)),
            Indices::At(indices) => {
                let indices: Arc<[u64]> = indices.into();
                Arc::new(move |position| arguments.at(indices[position as usize]))
            }
        };
        let asked = outputs.len() as u64;
        let mut position = 0;
        let asking = Arc::clone(&pairs);
        self.program.ask(pairs, asked, &mut |answer| {
            outputs[position as usize] = self.product(asking(position), answer)?;
            position += 1;
            Ok(())
        })?;
        Ok(())
    }

    fn is_zero_from(&self, bit: usize) -> bool {
        let [first, second] = self.arguments.formats;
        let indices = compared_indices(index_bits(first, second));
        let mut outputs = vec![0; indices.len()];
        // An error is met again where products are needed.
        self.evaluate(Indices::At(&indices), &mut outputs).is_ok()
            && outputs.iter().all(|bits| bits >> bit == 0)
    }

    fn contradiction(&self) -> Option<Contradiction> {
        Some(|operands, products| ExecutionError::Contradiction { operands, products }.into())
    }

    fn without_factors(&self, source: MultiplierError) -> ImportError {
        let source = Box::new(source);
        ExecutionError::NoFactors { source }.into()
    }
}
