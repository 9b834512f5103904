//! What the bits of a circuit mean: which inputs are the activation and which the weight, how wide and whether signed
//! they are, and what number the outputs are. Whatever the file leaves open is decided here, and put down in notes.

use approx_netlists::{Circuit, Connection, Evaluator, LANES, Netlist, Signal, WORDS};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::ports::{Group, groups, in_order};
use crate::import::library::LibraryName;
use crate::import::{ImportError, ImportOptions};
use crate::table::index_bits;
use crate::{OperandFormat, Signedness};

/// Up to this many index bits, readings are compared on all operand pairs.
const COMPARED_BITS: u32 = 16;

/// The seed of the pairs they are compared on beyond.
const COMPARED_SEED: u64 = 0;

/// A circuit read as a multiplier of its first and its second operand, which are activation and weight unless they are
/// to be swapped.
pub(super) struct Interpretation {
    pub first: OperandFormat,
    pub second: OperandFormat,
    /// Its inputs are the bits of the second and of the first operand, so that a combination of inputs is the index in
    /// a table; its outputs are the product's bits.
    pub circuit: Circuit,
    pub product: ProductFormat,
}

/// The number that the outputs are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ProductFormat {
    /// At least 1, and at most 63 if it is unsigned.
    pub width: usize,
    pub signed: bool,
}

impl ProductFormat {
    /// The number with these bits, of which there are none beyond the width.
    pub fn value(self, bits: u64) -> i64 {
        if self.signed {
            let unused = 64 - self.width;
            bits.cast_signed() << unused >> unused
        } else {
            bits.cast_signed()
        }
    }
}

/// One of the operands, the width of which has been decided.
struct Operand {
    group: Group,
    bits: u8,
}

/// Reads a netlist as a multiplier.
pub(super) fn interpret(
    netlist: &Netlist,
    options: &ImportOptions,
    notes: &mut Vec<String>,
) -> Result<Interpretation, ImportError> {
    let library = LibraryName::parse(netlist.name());
    let (groups, widths) = operand_groups(netlist, options, library, notes)?;
    let [first, second] = groups;
    let operands =
        [(first, widths[0]), (second, widths[1])].map(|(group, bits)| Operand { group, bits });
    let product = product_group(netlist)?;
    let [activation, weight] = ordered([&operands[0], &operands[1]], options);
    notes.push(format!(
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
    ));
    let read = |signedness: [Signedness; 2]| reading(netlist, &operands, &product, signedness);
    if let Some(signedness) = options.signedness {
        return read(ordered(signedness, options));
    }
    if let Some(LibraryName { signedness, .. }) = library {
        notes.push(format!(
            "The operands were taken as {signedness}, as the name {:?} says.",
            netlist.name()
        ));
        return read([signedness; 2]);
    }
    if operands.iter().any(|operand| operand.group.signed) {
        let declared = [&operands[0], &operands[1]].map(|operand| match operand.group.signed {
            true => Signedness::Signed,
            false => Signedness::Unsigned,
        });
        let [activation, weight] = ordered(declared, options);
        notes.push(format!(
            "The activation was taken as {activation} and the weight as {weight}, as they are declared."
        ));
        return read(declared);
    }
    let unsigned = read([Signedness::Unsigned; 2])?;
    let signed = read([Signedness::Signed; 2])?;
    let errors = [unsigned.mean_error(), signed.mean_error()];
    let (chosen, name, other) = if errors[1] < errors[0] {
        (signed, Signedness::Signed, Signedness::Unsigned)
    } else {
        (unsigned, Signedness::Unsigned, Signedness::Signed)
    };
    notes.push(format!(
        "The file does not say whether its operands are signed: they were taken as {name}, with which the mean error is \
         {:.4}. If {other} it would be {:.4}.",
        errors[0].min(errors[1]),
        errors[0].max(errors[1]),
    ));
    Ok(chosen)
}

/// What is given for activation and weight, in the order of the circuit, and the other way round.
fn ordered<T>([first, second]: [T; 2], options: &ImportOptions) -> [T; 2] {
    if options.swap_operands {
        [second, first]
    } else {
        [first, second]
    }
}

/// The groups of inputs that are the first and the second operand, and their widths.
fn operand_groups(
    netlist: &Netlist,
    options: &ImportOptions,
    library: Option<LibraryName>,
    notes: &mut Vec<String>,
) -> Result<([Group; 2], [u8; 2]), ImportError> {
    let found = groups(netlist.inputs()).map_err(|found| not_a_multiplier(netlist, found))?;
    let told = match options.bits {
        Some(bits) => Some(ordered(bits, options)),
        None => library.map(|library| library.bits),
    };
    let pair = match <[Group; 2]>::try_from(found) {
        Ok([first, second]) => match in_order(&first.name, &second.name) {
            Some(true) => [first, second],
            // Calls pass values by position: the first one is the first operand of whoever calls the function.
            Some(false) if first.is_integer => {
                notes.push(format!(
                    "The function takes {:?} before {:?}, and so were the operands taken.",
                    first.name, second.name
                ));
                [first, second]
            }
            Some(false) => {
                notes.push(format!(
                    "The operands were taken by their names, {:?} first, although the file has {:?} first.",
                    second.name, first.name
                ));
                [second, first]
            }
            None => {
                notes.push(
                    "The operands were taken in the order that they have in the file.".into(),
                );
                [first, second]
            }
        },
        Err(found) => match <[Group; 1]>::try_from(found) {
            Ok([both]) => split(netlist, both, told, notes)?,
            Err(found) => {
                let names: Vec<String> = found.iter().map(described).collect();
                let found = match names.as_slice() {
                    [] => "no input".into(),
                    names => format!("the inputs {}", names.join(", ")),
                };
                return Err(not_a_multiplier(netlist, found));
            }
        },
    };
    let used = netlist.circuit().used_inputs();
    let mut widths = [0; 2];
    for (position, group) in pair.iter().enumerate() {
        let told = told.map(|bits| bits[position]);
        let bits = operand_bits(netlist, group, told, &used, notes)?;
        widths[position] = u8::try_from(bits)
            .ok()
            .filter(|bits| (OperandFormat::MIN_BITS..=OperandFormat::MAX_BITS).contains(bits))
            .ok_or_else(|| {
                not_a_multiplier(netlist, format!("an operand of {}", bit_count(bits)))
            })?;
    }
    Ok((pair, widths))
}

/// Splits a list of inputs that are not told apart by name: the lower ones are the first operand.
fn split(
    netlist: &Netlist,
    both: Group,
    told: Option<[u8; 2]>,
    notes: &mut Vec<String>,
) -> Result<[Group; 2], ImportError> {
    let total = both.bits.len();
    let first = match told {
        Some([first, second]) if usize::from(first) + usize::from(second) == total => first.into(),
        None if total.is_multiple_of(2) => total / 2,
        _ => {
            return Err(ImportError::Undetermined {
                location: netlist.location().clone(),
                missing: format!(
                    "it is not known which of the {} are which operand",
                    described(&both)
                ),
                remedy: format!("give the bits of both operands, {total} together"),
            });
        }
    };
    if both.is_integer {
        return Err(not_a_multiplier(
            netlist,
            format!("the input {}", described(&both)),
        ));
    }
    notes.push(format!(
        "The first {first} inputs of {:?} were taken as the first operand, the others as the second one.",
        both.name
    ));
    let part = |bits: &[usize], which| Group {
        name: format!("{} ({which} part)", both.name),
        bits: bits.to_vec(),
        ..both.clone()
    };
    Ok([
        part(&both.bits[..first], "first"),
        part(&both.bits[first..], "second"),
    ])
}

/// The width of an operand: that of its port, or of the part of a C integer that it takes.
fn operand_bits(
    netlist: &Netlist,
    group: &Group,
    told: Option<u8>,
    used: &[bool],
    notes: &mut Vec<String>,
) -> Result<usize, ImportError> {
    let width = group.bits.len();
    if let Some(told) = told.map(usize::from) {
        if told == width || (group.is_integer && told < width) {
            return Ok(told);
        }
        return Err(not_a_multiplier(
            netlist,
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
            notes.push(format!(
                "{:?} was taken to have {} bits: no other is used.",
                group.name,
                highest + 1
            ));
            Ok(highest + 1)
        }
        _ if width <= most => Ok(width),
        _ => Err(ImportError::Undetermined {
            location: netlist.location().clone(),
            missing: format!(
                "it is not known how many bits the operand {} has",
                described(group)
            ),
            remedy: "give the bits of both operands".into(),
        }),
    }
}

/// The group of outputs that is the product.
fn product_group(netlist: &Netlist) -> Result<Group, ImportError> {
    let found = groups(netlist.outputs()).map_err(|found| not_a_multiplier(netlist, found))?;
    match <[Group; 1]>::try_from(found) {
        Ok([product]) => Ok(product),
        Err(found) => {
            let names: Vec<String> = found.iter().map(described).collect();
            let found = match names.as_slice() {
                [] => "no output".into(),
                names => format!("the outputs {}", names.join(", ")),
            };
            Err(not_a_multiplier(netlist, found))
        }
    }
}

/// The circuit as a multiplier of operands that are signed or not.
fn reading(
    netlist: &Netlist,
    [first, second]: &[Operand; 2],
    product: &Group,
    signedness: [Signedness; 2],
) -> Result<Interpretation, ImportError> {
    let format = |operand: &Operand, signedness| OperandFormat::new(operand.bits, signedness);
    let formats = (
        format(first, signedness[0])?,
        format(second, signedness[1])?,
    );
    let mut connections = vec![Connection::Zero; netlist.circuit().inputs()];
    for (operand, format, position_of_first) in [
        (second, formats.1, 0),
        (first, formats.0, usize::from(second.bits)),
    ] {
        let bits = usize::from(operand.bits);
        for (position, &input) in operand.group.bits.iter().enumerate() {
            // The rest of an integer is the sign of a signed number, unless the integer is unsigned: then it is a
            // pattern.
            let sign = operand.group.signed && format.is_signed();
            if position < bits {
                connections[input] = Connection::Input(position_of_first + position);
            } else if sign {
                connections[input] = Connection::Input(position_of_first + bits - 1);
            }
        }
    }
    let any_signed = formats.0.is_signed() || formats.1.is_signed();
    let signed = any_signed || product.signed;
    // A signed product in an unsigned integer is a pattern, of no more bits than both operands together.
    let width = if product.is_integer && any_signed && !product.signed {
        let both = usize::from(first.bits + second.bits);
        product.bits.len().min(both)
    } else {
        product.bits.len()
    };
    let circuit = netlist.circuit().rewired(
        usize::from(first.bits + second.bits),
        |input| connections[input],
        |outputs| {
            let bits: Vec<Signal> = product.bits[..width]
                .iter()
                .map(|&bit| outputs[bit])
                .collect();
            without_extension(&bits, signed)
        },
    );
    let width = circuit.outputs().len();
    if width > 64 - usize::from(!signed) {
        return Err(not_a_multiplier(
            netlist,
            format!("a product of {}", bit_count(width)),
        ));
    }
    Ok(Interpretation {
        first: formats.0,
        second: formats.1,
        circuit,
        product: ProductFormat { width, signed },
    })
}

/// The bits without the highest ones that only repeat the sign, or are always 0.
fn without_extension(bits: &[Signal], signed: bool) -> Vec<Signal> {
    let mut width = bits.len();
    let superfluous = |width: usize| match signed {
        true => width > 1 && bits[width - 1] == bits[width - 2],
        false => width > 1 && bits[width - 1] == Signal::FALSE,
    };
    while superfluous(width) {
        width -= 1;
    }
    bits[..width].to_vec()
}

fn described(group: &Group) -> String {
    format!("{:?} of {}", group.name, bit_count(group.bits.len()))
}

fn bit_count(count: usize) -> String {
    match count {
        1 => "1 bit".into(),
        count => format!("{count} bits"),
    }
}

fn not_a_multiplier(netlist: &Netlist, found: String) -> ImportError {
    ImportError::NotAMultiplier {
        location: netlist.location().clone(),
        found: format!("{:?} has {found}", netlist.name()),
        expected: "two operands of 2 to 16 bits each and one product of up to 64 bits".into(),
    }
}

impl Interpretation {
    /// Index bits of both operands together.
    pub fn index_bits(&self) -> u32 {
        index_bits(self.first, self.second)
    }

    /// An evaluator of the circuit.
    pub fn evaluator<const WORDS: usize>(&self) -> Evaluator<'_, WORDS> {
        self.circuit
            .evaluator()
            .expect("operands have at most 32 bits together, and a product has at most 64")
    }

    /// The codes of the operands at an index.
    pub fn codes(&self, index: u64) -> (i64, i64) {
        // Formats ignore the bits above theirs.
        let first = self.first.code((index >> self.second.bits()) as usize);
        let second = self.second.code(index as usize);
        (first.into(), second.into())
    }

    /// The mean of the magnitudes of all errors, or of those of 2^16 random operand pairs.
    fn mean_error(&self) -> f64 {
        let count = 1u64 << self.index_bits().min(COMPARED_BITS);
        let mut random = Xoshiro256PlusPlus::seed_from_u64(COMPARED_SEED);
        let mask = (1u64 << self.index_bits()) - 1;
        let indices: Vec<u64> = match self.index_bits() <= COMPARED_BITS {
            true => (0..count).collect(),
            false => (0..count).map(|_| random.next_u64() & mask).collect(),
        };
        let mut evaluator = self.evaluator::<WORDS>();
        let mut outputs = [0; LANES];
        let mut total = 0u128;
        for indices in indices.chunks(LANES) {
            let outputs = &mut outputs[..indices.len()];
            evaluator.evaluate(indices, outputs);
            for (&index, &mut bits) in indices.iter().zip(outputs) {
                let (a, b) = self.codes(index);
                let error = i128::from(self.product.value(bits)) - i128::from(a * b);
                total += error.unsigned_abs();
            }
        }
        total as f64 / count as f64
    }
}
