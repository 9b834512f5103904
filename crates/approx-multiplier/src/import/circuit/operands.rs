//! Which inputs of a circuit are its operands, how many bits these have, and which outputs are the product.

use approx_netlists::{Location, Port};

use super::ports::{Group, PortNames, groups, in_order, selected};
use super::subject::{Operand, Operands, Subject};
use crate::OperandFormat;
use crate::import::library::LibraryName;
use crate::import::{ImportError, ImportOptions, Note};

impl Operands {
    /// Those of what is read. What had to be assumed is put down in the notes.
    pub fn of(
        subject: &impl Subject,
        options: &ImportOptions,
        notes: &mut Vec<Note>,
    ) -> Result<Self, ImportError> {
        let told = match options.bits {
            Some(bits) => Some(ordered(bits, options)),
            None => LibraryName::parse(subject.name()).map(|library| library.bits),
        };
        let (first, second) = match options.ports.has_operands() {
            true => named_operands(subject, options, notes)?,
            false => found_operands(subject, told, options, notes)?,
        };
        let used = subject.used_inputs();
        let mut operand = |group: Group, told: Option<u8>| {
            let bits = operand_bits(subject, &group, told, &used, notes)?;
            match u8::try_from(bits) {
                Ok(bits @ OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS) => {
                    Ok(Operand { group, bits })
                }
                _ => {
                    let found = format!("an operand of {}", bit_count(bits));
                    Err(not_a_multiplier(subject, found))
                }
            }
        };
        let operands = Self {
            first: operand(first, told.map(|[bits, _]| bits))?,
            second: operand(second, told.map(|[_, bits]| bits))?,
            product: product(subject, options)?,
        };
        let [activation, weight] = ordered([&operands.first, &operands.second], options);
        notes.push(Note::information(format!(
            "{:?}, of {} bits, is the activation and {:?}, of {} bits, is the weight{}.",
            activation.group.name,
            activation.bits,
            weight.group.name,
            weight.bits,
            if options.swap_operands {
                ": they were swapped as asked for"
            } else {
                ""
            }
        )));
        Ok(operands)
    }
}

/// What is given for activation and weight, in the order of the circuit, and the other way round.
pub(in crate::import) fn ordered<T>([first, second]: [T; 2], options: &ImportOptions) -> [T; 2] {
    if options.swap_operands {
        [second, first]
    } else {
        [first, second]
    }
}

/// The operands whose ports the options name.
fn named_operands(
    subject: &impl Subject,
    options: &ImportOptions,
    notes: &mut Vec<Note>,
) -> Result<(Group, Group), ImportError> {
    let [first, second] = ordered([&options.ports.activation, &options.ports.weight], options);
    let inputs = subject.inputs();
    let [first, second] = [("first", first), ("second", second)].map(|(which, names)| {
        selected(inputs, names, &format!("the {which} operand"))
            .map_err(|found| undetermined(subject, found, ASK_FOR_PORTS))
    });
    let (first, second) = (first?, second?);
    let PortNames {
        activation, weight, ..
    } = &options.ports;
    if let Some(both) = activation.iter().find(|name| weight.contains(name)) {
        return Err(undetermined(
            subject,
            format!("the port {both:?} is given for both operands"),
            ASK_FOR_PORTS,
        ));
    }
    let used = subject.used_inputs();
    let mut position = 0;
    for port in inputs {
        let mut bits = position..position + port.width;
        position += port.width;
        if bits
            .clone()
            .any(|bit| first.bits.contains(&bit) || second.bits.contains(&bit))
        {
            continue;
        }
        if bits.any(|bit| used[bit]) {
            let found = format!("the input {:?} besides its operands", port.name);
            return Err(not_a_multiplier(subject, found));
        }
        notes.push(superfluous(&port.name));
    }
    Ok((first, second))
}

/// How a caller says what ports cannot say.
const ASK_FOR_PORTS: &str = "give the names of the ports that are the activation's bits, the weight's and the product's, the \
     lowest bit of each first";

/// The operands, as far as the names of the inputs say which they are.
fn found_operands(
    subject: &impl Subject,
    told: Option<[u8; 2]>,
    options: &ImportOptions,
    notes: &mut Vec<Note>,
) -> Result<(Group, Group), ImportError> {
    let found = relevant_inputs(subject, notes)?;
    let found = match <[Group; 2]>::try_from(found) {
        Ok([first, second]) => return Ok(in_file_or_by_name(first, second, notes)),
        Err(found) => found,
    };
    match <[Group; 1]>::try_from(found) {
        // Names with numbers need not be in the order of bits, and say nothing of the border between the operands.
        Ok([both]) if both.first_index.is_some() && options.bits.is_none() => Err(undetermined(
            subject,
            format!(
                "it is not known which of the {} inputs {:?} are which bit of which operand",
                both.bits.len(),
                both.name
            ),
            ASK_FOR_PORTS,
        )),
        Ok([both]) => split(subject, both, told, notes),
        Err(found) if found.len() > 2 && subject.inputs().iter().all(is_bit) => Err(undetermined(
            subject,
            format!(
                "it is not known which of the {} inputs are which bit of which operand",
                subject.inputs().len()
            ),
            ASK_FOR_PORTS,
        )),
        Err(found) => {
            let names: Vec<String> = found.iter().map(described).collect();
            let found = match names.as_slice() {
                [] => "no input".into(),
                names => format!("the inputs {}", names.join(", ")),
            };
            Err(not_a_multiplier(subject, found))
        }
    }
}

fn is_bit(port: &Port) -> bool {
    port.width == 1
}

/// The inputs, put together to numbers, without such of one bit that nothing depends on: a clock, a reset.
fn relevant_inputs(
    subject: &impl Subject,
    notes: &mut Vec<Note>,
) -> Result<Vec<Group>, ImportError> {
    let mut found =
        groups(subject.inputs()).map_err(|found| undetermined(subject, found, ASK_FOR_PORTS))?;
    let used = subject.used_inputs();
    if found.len() > 2 {
        found.retain(|group| {
            let is_superfluous = matches!(group.bits.as_slice(), &[bit] if !used[bit]);
            if is_superfluous {
                notes.push(superfluous(&group.name));
            }
            !is_superfluous
        });
    }
    Ok(found)
}

fn superfluous(input: &str) -> Note {
    Note::information(format!(
        "The input {input:?} was left out: the product does not depend on it."
    ))
}

/// Two operands in the order that their names have, or the file.
fn in_file_or_by_name(first: Group, second: Group, notes: &mut Vec<Note>) -> (Group, Group) {
    match in_order(&first.name, &second.name) {
        Some(true) => (first, second),
        // Calls pass values by position: the first one is the first operand of whoever calls the function.
        Some(false) if first.is_integer => {
            notes.push(Note::assumption(format!(
                "The function takes {:?} before {:?}, and so were the operands taken.",
                first.name, second.name
            )));
            (first, second)
        }
        Some(false) => {
            notes.push(Note::assumption(format!(
                "The operands were taken by their names, {:?} first, although the file has {:?} first.",
                second.name, first.name
            )));
            (second, first)
        }
        None => {
            notes.push(Note::assumption(
                "The operands were taken in the order that they have in the file.",
            ));
            (first, second)
        }
    }
}

/// Splits a list of inputs that are not told apart by name: the lower ones are the first operand.
fn split(
    subject: &impl Subject,
    both: Group,
    told: Option<[u8; 2]>,
    notes: &mut Vec<Note>,
) -> Result<(Group, Group), ImportError> {
    let total = both.bits.len();
    let first = match told {
        Some([first, second]) if usize::from(first) + usize::from(second) == total => first.into(),
        None if total.is_multiple_of(2) => total / 2,
        _ => {
            return Err(undetermined(
                subject,
                format!(
                    "it is not known which of the {} are which operand",
                    described(&both)
                ),
                &format!("give the bits of both operands, {total} together"),
            ));
        }
    };
    if both.is_integer {
        let found = format!("the input {}", described(&both));
        return Err(not_a_multiplier(subject, found));
    }
    notes.push(Note::assumption(format!(
        "The first {first} inputs of {:?} were taken as the first operand, the others as the second one.",
        both.name
    )));
    let part = |bits: &[usize], which| Group {
        name: format!("{} ({which} part)", both.name),
        bits: bits.to_vec(),
        ..both.clone()
    };
    Ok((
        part(&both.bits[..first], "first"),
        part(&both.bits[first..], "second"),
    ))
}

/// The width of an operand: that of its port, or of the part of a C integer that it takes.
fn operand_bits(
    subject: &impl Subject,
    group: &Group,
    told: Option<u8>,
    used: &[bool],
    notes: &mut Vec<Note>,
) -> Result<usize, ImportError> {
    let width = group.bits.len();
    if let Some(told) = told.map(usize::from) {
        if told == width || (group.is_integer && told < width) {
            return Ok(told);
        }
        return Err(not_a_multiplier(
            subject,
            format!(
                "an operand {} where {told} bits were expected",
                described(group)
            ),
        ));
    }
    let highest = group.bits.iter().rposition(|&bit| used[bit]);
    let most = usize::from(OperandFormat::MAX_BITS);
    if !group.is_integer {
        return Ok(width);
    }
    match highest {
        // A signed integer's sign is among its bits.
        Some(highest) if !group.signed && highest + 1 < width && highest < most => {
            notes.push(Note::assumption(format!(
                "{:?} was taken to have {} bits: no other is used.",
                group.name,
                highest + 1
            )));
            Ok(highest + 1)
        }
        _ if width <= most => Ok(width),
        _ => Err(undetermined(
            subject,
            format!(
                "it is not known how many bits the operand {} has",
                described(group)
            ),
            "give the bits of both operands",
        )),
    }
}

/// The group of outputs that is the product.
fn product(subject: &impl Subject, options: &ImportOptions) -> Result<Group, ImportError> {
    let outputs = subject.outputs();
    if !options.ports.product.is_empty() {
        return selected(outputs, &options.ports.product, "the product")
            .map_err(|found| undetermined(subject, found, ASK_FOR_PORTS));
    }
    let found = groups(outputs).map_err(|found| undetermined(subject, found, ASK_FOR_PORTS))?;
    let unknown = |count: usize| {
        undetermined(
            subject,
            format!("it is not known which of the {count} outputs is which bit of the product"),
            ASK_FOR_PORTS,
        )
    };
    match <[Group; 1]>::try_from(found) {
        // Numbers that do not begin like those of bits may be those of anything.
        Ok([product]) if product.first_index.is_some_and(|first| first > 1) => {
            Err(unknown(product.bits.len()))
        }
        Ok([product]) => Ok(product),
        Err(found) if found.len() > 1 && outputs.iter().all(is_bit) => Err(unknown(outputs.len())),
        Err(found) => {
            let names: Vec<String> = found.iter().map(described).collect();
            let found = match names.as_slice() {
                [] => "no output".into(),
                names => format!("the outputs {}", names.join(", ")),
            };
            Err(not_a_multiplier(subject, found))
        }
    }
}

fn described(group: &Group) -> String {
    format!("{:?} of {}", group.name, bit_count(group.bits.len()))
}

pub(super) fn bit_count(count: usize) -> String {
    match count {
        1 => "1 bit".into(),
        count => format!("{count} bits"),
    }
}

fn undetermined(subject: &impl Subject, missing: String, remedy: &str) -> ImportError {
    ImportError::Undetermined {
        location: subject.location().clone(),
        missing,
        remedy: remedy.into(),
    }
}

pub(super) fn not_a_multiplier(subject: &impl Subject, found: String) -> ImportError {
    no_multiplier(subject.name(), subject.location(), found)
}

/// The error that something of this name has other ports than a multiplier.
pub(in crate::import) fn no_multiplier(
    name: &str,
    location: &Location,
    found: String,
) -> ImportError {
    ImportError::NotAMultiplier {
        location: location.clone(),
        found: format!("{name:?} has {found}"),
        expected: "two operands of 2 to 16 bits each and one product of up to 64 bits".into(),
    }
}
