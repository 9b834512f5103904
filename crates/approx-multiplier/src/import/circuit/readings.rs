//! What a file leaves open of a circuit's numbers: whether they are signed, and which bit is the product's sign. The
//! readings are compared, and put down in notes.

use super::interpretation::{Interpretation, ProductFormat, SignExtension};
use super::operands::{bit_count, ordered};
use super::subject::{Function, Operands, Subject};
use crate::Signedness;
use crate::import::library::LibraryName;
use crate::import::reading::{self, Alternative, Choice, Reading};
use crate::import::{ImportError, ImportOptions, Note};

/// Reads something as a multiplier: the reading that is taken, and the others as far as they were looked at.
pub(super) fn interpret<S: Subject>(
    subject: &S,
    options: &ImportOptions,
    notes: &mut Vec<Note>,
) -> Result<(Interpretation<S::Function>, Vec<Alternative>), ImportError> {
    let operands = Operands::of(subject, options, notes)?;
    let readings = Readings {
        subject,
        operands: &operands,
        scale: options.output_scale.map_or(1, u32::from),
    };
    let known = signedness(subject, &operands, options, notes);
    let signednesses = match known {
        Some(signedness) => vec![signedness],
        None => vec![[Signedness::Unsigned; 2], [Signedness::Signed; 2]],
    };
    let mut usual = readings.usual(&signednesses, options.sign_extension)?;
    // Where nothing is said of the operands, the better one of both is the usual reading.
    usual.sort_by(|a, b| a.error.mean.total_cmp(&b.error.mean));
    let mut others = usual.split_off(1);
    if options.sign_extension.is_none() {
        others.extend(readings.extended(&signednesses)?);
    }
    let choice = Reading::choose(usual.remove(0), others);
    if known.is_none() {
        notes.push(choice.note("whether its operands are signed", "the signedness"));
    } else if choice.taken.content.1 == SignExtension::Added && options.sign_extension.is_none() {
        notes.push(Note::assumption(format!(
            "The product is not extended by its sign: of its {} the highest one was taken as the sign, with which the mean \
             error is {}; as computed it would be {:.4}. Give the sign extension to have another reading.",
            bit_count(operands.index_bits()),
            choice.taken.error,
            choice.others.first().map_or(0.0, |computed| computed.error.mean)
        )));
    }
    let Choice { taken, mut others } = choice;
    if taken.error.is_far() {
        others = readings.all();
        others.retain(|other| other.name != taken.name);
    }
    let (interpretation, _) = taken.content;
    notes.extend(missing_bits(&operands, &interpretation, options)?);
    Ok((interpretation, others))
}

/// The readings of what is read.
struct Readings<'a, S> {
    subject: &'a S,
    operands: &'a Operands,
    scale: u32,
}

/// With how the product has its sign.
type SignedReading<F> = Reading<(Interpretation<F>, SignExtension)>;

impl<S: Subject> Readings<'_, S> {
    /// With the product as it is computed, unless the options say otherwise.
    fn usual(
        &self,
        signednesses: &[[Signedness; 2]],
        extension: Option<SignExtension>,
    ) -> Result<Vec<SignedReading<S::Function>>, ImportError> {
        let extension = extension.unwrap_or(SignExtension::Computed);
        signednesses
            .iter()
            .map(|&signedness| self.reading(signedness, extension))
            .collect()
    }

    /// With a sign added to the product, where it is a pattern with nothing but zeros above the bits of both operands.
    fn extended(
        &self,
        signednesses: &[[Signedness; 2]],
    ) -> Result<Vec<SignedReading<S::Function>>, ImportError> {
        let mut extended = Vec::new();
        for &signedness in signednesses {
            let computed = self.interpretation(signedness, SignExtension::Computed)?;
            let index_bits = self.operands.index_bits();
            if signedness.contains(&Signedness::Signed)
                && computed.product.width > index_bits
                && computed.function.is_zero_from(index_bits)
            {
                extended.push(self.reading(signedness, SignExtension::Added)?);
            }
        }
        Ok(extended)
    }

    /// All that are possible, with their errors.
    fn all(&self) -> Vec<Alternative> {
        use Signedness::{Signed, Unsigned};
        let signednesses = [
            [Unsigned, Unsigned],
            [Signed, Signed],
            [Signed, Unsigned],
            [Unsigned, Signed],
        ];
        let possible = signednesses.iter().flat_map(|&signedness| {
            let usual = self.usual(&[signedness], None).unwrap_or_default();
            let extended = self.extended(&[signedness]).unwrap_or_default();
            usual.into_iter().chain(extended)
        });
        let mut all: Vec<Alternative> = possible.map(Alternative::from).collect();
        reading::sort(&mut all);
        all
    }

    fn reading(
        &self,
        signedness: [Signedness; 2],
        extension: SignExtension,
    ) -> Result<SignedReading<S::Function>, ImportError> {
        let interpretation = self.interpretation(signedness, extension)?;
        let name = match signedness {
            [first, second] if first == second => format!("as {first}"),
            [first, second] => format!("as {first} and {second}"),
        };
        Ok(Reading {
            name: match extension {
                SignExtension::Computed => name,
                SignExtension::Added => format!("{name}, with a sign added to the product"),
            },
            error: interpretation.error()?,
            content: (interpretation, extension),
        })
    }

    fn interpretation(
        &self,
        signedness: [Signedness; 2],
        extension: SignExtension,
    ) -> Result<Interpretation<S::Function>, ImportError> {
        // Unsigned numbers have no sign.
        let extension = match signedness.contains(&Signedness::Signed) {
            true => extension,
            false => SignExtension::Computed,
        };
        Interpretation::new(
            self.subject,
            self.operands,
            signedness,
            extension,
            self.scale,
        )
    }
}

/// Whether the operands are signed, if the options say so, the circuit's name or its declarations.
fn signedness(
    subject: &impl Subject,
    operands: &Operands,
    options: &ImportOptions,
    notes: &mut Vec<Note>,
) -> Option<[Signedness; 2]> {
    if let Some(signedness) = options.signedness {
        return Some(ordered(signedness, options));
    }
    if let Some(LibraryName { signedness, .. }) = LibraryName::parse(subject.name()) {
        notes.push(Note::information(format!(
            "The operands were taken as {signedness}, as the name {:?} says.",
            subject.name()
        )));
        return Some([signedness; 2]);
    }
    let groups = [&operands.first.group, &operands.second.group];
    if !groups.iter().any(|group| group.signed) {
        return None;
    }
    let declared = groups.map(|group| match group.signed {
        true => Signedness::Signed,
        false => Signedness::Unsigned,
    });
    let [activation, weight] = ordered(declared, options);
    notes.push(Note::information(format!(
        "The activation was taken as {activation} and the weight as {weight}, as they are declared."
    )));
    Some(declared)
}

/// What is to be said of a product with fewer bits than both operands: its lower or its upper ones.
fn missing_bits(
    operands: &Operands,
    interpretation: &Interpretation<impl Function>,
    options: &ImportOptions,
) -> Result<Option<Note>, ImportError> {
    let (bits, all) = (operands.product.bits.len(), operands.index_bits());
    if bits >= all {
        return Ok(None);
    }
    let found = format!("The product has {bits} of {}", bit_count(all));
    if let Some(scale) = options.output_scale {
        return Ok(Some(Note::information(format!(
            "{found}: it was multiplied by {scale}, as asked for."
        ))));
    }
    // Both operands have 32 bits at most, and a product has one at least.
    let scale = 1u32 << (all - bits);
    let upper = ProductFormat {
        scale,
        ..interpretation.product
    };
    Ok(Some(Note::assumption(format!(
        "{found}: it was taken as it is, with which the mean error is {}; times {scale}, if these are the upper bits, it \
         would be {}. Give the output's scale to say which.",
        interpretation.error()?,
        interpretation.error_with(upper)?
    ))))
}
