//! One node at work: its inputs, its settings, and where it computes.

use std::cell::RefCell;
use std::collections::HashSet;

use burn::backend::DispatchTensor;
use burn::tensor::DType;

use crate::error::Problem;
use crate::graph::{Attribute, Constant, Node};
use crate::values::{Context, Value};

/// What an operator is given.
///
/// Settings that an operator does not ask for are found at the end: a setting that nobody reads would be a wrong number.
pub(crate) struct Call<'a> {
    pub(crate) node: &'a Node,
    /// The version of the operators of its domain.
    pub(crate) version: i64,
    pub(crate) context: &'a Context,
    inputs: Vec<Option<Value>>,
    asked: RefCell<HashSet<&'a str>>,
}

macro_rules! setting {
    ($(#[$doc:meta])* $name:ident, $variant:ident, $type:ty) => {
        $(#[$doc])*
        pub(crate) fn $name(&self, name: &str) -> Result<Option<$type>, Problem> {
            match self.setting(name) {
                None => Ok(None),
                Some(Attribute::$variant(value)) => Ok(Some(value.clone())),
                Some(_) => Err(Problem::new(format!("its setting {name:?} is of another type"))),
            }
        }
    };
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        node: &'a Node,
        version: i64,
        context: &'a Context,
        inputs: Vec<Option<Value>>,
    ) -> Self {
        Self {
            node,
            version,
            context,
            inputs,
            asked: RefCell::default(),
        }
    }

    /// How many inputs there are, those left out included.
    pub(crate) fn count(&self) -> usize {
        self.inputs.len()
    }

    /// An input that must be there.
    pub(crate) fn input(&self, index: usize) -> Result<&Value, Problem> {
        let missing = || Problem::new(format!("its input {} is missing", index + 1));
        self.optional(index).ok_or_else(missing)
    }

    /// An input that may be left out.
    pub(crate) fn optional(&self, index: usize) -> Option<&Value> {
        self.inputs.get(index)?.as_ref()
    }

    /// All inputs, none of which may be left out.
    pub(crate) fn all(&self) -> Result<Vec<&Value>, Problem> {
        (0..self.count()).map(|index| self.input(index)).collect()
    }

    /// An input's tensor where tensors lie that are not known.
    pub(crate) fn tensor(&self, index: usize) -> Result<DispatchTensor, Problem> {
        Ok(self.context.tensor(self.input(index)?, false))
    }

    /// The tensor of an input that may be left out, likewise.
    pub(crate) fn optional_tensor(&self, index: usize) -> Option<DispatchTensor> {
        let value = self.optional(index)?;
        Some(self.context.tensor(value, false))
    }

    /// The integers of an input, which must be known, if it is there.
    pub(crate) fn known_ints(&self, index: usize, what: &str) -> Result<Option<Vec<i64>>, Problem> {
        let value = self.optional(index);
        value
            .map(|value| self.context.read_ints(value, what))
            .transpose()
    }

    /// The numbers of an input, which must be known, if it is there.
    pub(crate) fn known_floats(
        &self,
        index: usize,
        what: &str,
    ) -> Result<Option<Vec<f64>>, Problem> {
        let value = self.optional(index);
        value
            .map(|value| self.context.read_floats(value, what))
            .transpose()
    }

    /// The one number of an input, which must be known, if it is there.
    pub(crate) fn known_float(&self, index: usize, what: &str) -> Result<Option<f64>, Problem> {
        match self.known_floats(index, what)?.as_deref() {
            None => Ok(None),
            Some([number]) => Ok(Some(*number)),
            Some(numbers) => Err(Problem::new(format!(
                "{what} must be one number, but are {}",
                numbers.len()
            ))),
        }
    }

    fn setting(&self, name: &str) -> Option<&'a Attribute> {
        let mut attributes = self.node.attributes.iter();
        let (name, value) = attributes.find(|(own, _)| own == name)?;
        self.asked.borrow_mut().insert(name);
        Some(value)
    }

    setting!(
        /// An integer.
        int, Int, i64
    );
    setting!(
        /// A float.
        float, Float, f32
    );
    setting!(
        /// A text.
        text, Text, String
    );
    setting!(
        /// Integers.
        ints, Ints, Vec<i64>
    );
    setting!(
        /// Floats.
        floats, Floats, Vec<f32>
    );
    setting!(
        /// Texts.
        texts, Texts, Vec<String>
    );
    setting!(
        /// A tensor.
        constant, Tensor, Constant
    );

    /// Whether a switch is on.
    pub(crate) fn switch(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.int(name)? {
            None => Ok(default),
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            Some(other) => Err(Problem::new(format!(
                "its setting {name:?} is {other}, but must be 0 or 1"
            ))),
        }
    }

    /// A text out of a few.
    pub(crate) fn choice<T: Copy>(
        &self,
        name: &str,
        default: &str,
        choices: &[(&str, T)],
    ) -> Result<T, Problem> {
        let text = self.text(name)?;
        let text = text.as_deref().unwrap_or(default);
        let found = choices.iter().find(|(own, _)| *own == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let known: Vec<_> = choices.iter().map(|(own, _)| *own).collect();
            Problem::new(format!(
                "its setting {name:?} is {text:?}; covered are {}",
                known.join(", ")
            ))
        })
    }

    /// An axis of a tensor with so many of them; negative ones count from the end.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Problem> {
        let from_start = if axis < 0 { axis + rank as i64 } else { axis };
        match usize::try_from(from_start) {
            Ok(index) if index < rank => Ok(index),
            _ => Err(Problem::new(format!(
                "it works along axis {axis} of a tensor that has {rank}"
            ))),
        }
    }

    /// The settings that the operator has not asked for.
    pub(crate) fn unread(&self) -> Vec<&'a str> {
        let asked = self.asked.borrow();
        let names = self.node.attributes.iter().map(|(name, _)| name.as_str());
        names.filter(|name| !asked.contains(name)).collect()
    }

    /// A value where those lie that are not known, of the type of floats in the file.
    pub(crate) fn float_value(&self, tensor: DispatchTensor) -> Value {
        Value::new(tensor, DType::F32, false)
    }
}
