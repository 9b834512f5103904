//! How an operation and its place in a forward pass are named to a user.

use burn::backend::ir::OperationIr;

use super::slots::slot;

/// The name of an operation, such as `Module Conv2d` or `NumericFloat Add`.
pub(super) fn of(operation: &OperationIr) -> String {
    if let OperationIr::Custom(custom) = operation {
        return format!("Custom {}", custom.id);
    }
    // The variants' own names: `NumericFloat(F32, Add(BinaryOpIr { ..`.
    let text = format!("{operation:?}");
    let variants = text.split('{').next().unwrap_or_default();
    let words: Vec<&str> = (variants.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|word| !word.is_empty() && !word.ends_with("Ir"))
        .collect();
    match words.as_slice() {
        [family, .., operation] => format!("{family} {operation}"),
        words => words.concat(),
    }
}

/// Where an operation is: its number, and the parameter that was used last before it.
pub(super) fn place(operations: &[OperationIr], index: usize, parameters: &[String]) -> String {
    let before = operations[..=index].iter().rev();
    let last = before
        .flat_map(|operation| {
            let inputs: Vec<_> = operation.inputs().map(slot).collect();
            inputs.into_iter().rev()
        })
        .find_map(|slot| parameters.get(slot));
    let number = format!("number {} of {}", index + 1, operations.len());
    match last {
        Some(path) => format!("{number}, the last parameter used until there is `{path}`"),
        None => number,
    }
}
