//! The closed forms of EvoApproxLib's signed 12- and 16-bit circuits: what each of them leaves out of the exact
//! product.
//!
//! All of them are array multipliers without some partial products, so a few lines say what no table could hold. Their
//! products were compared with those of factors measured from the circuits, over all operand pairs of each.

use crate::families::broken_array;
use crate::{Factorization, FactorizationForm, MultiplierError, OperandFormat, Term};

/// What is left of the array of partial products `2^(i + j) a_i b_j`, with `a_i` and `b_j` the operands' bits.
#[derive(Clone, Copy)]
pub(super) enum Structure {
    /// Those with `i >= rows` and `i + j >= diagonals`.
    BrokenArray { rows: u32, diagonals: u32 },
    /// The product of both operands without their lowest bits: `(a >> cut) * (b >> cut) * 4^cut`.
    CutOperands { cut: u32 },
}

use Structure::{BrokenArray, CutOperands};

/// All wide circuits by name.
#[rustfmt::skip]
pub(super) const STRUCTURES: [(&str, Structure); 23] = [
    ("mul12s_2PP", BrokenArray { rows: 0, diagonals: 0 }),
    ("mul12s_2PQ", BrokenArray { rows: 0, diagonals: 1 }),
    ("mul12s_2PR", BrokenArray { rows: 0, diagonals: 2 }),
    ("mul12s_2PS", BrokenArray { rows: 0, diagonals: 3 }),
    ("mul12s_2PT", BrokenArray { rows: 0, diagonals: 4 }),
    ("mul12s_2QD", BrokenArray { rows: 1, diagonals: 0 }),
    ("mul12s_2QE", BrokenArray { rows: 1, diagonals: 2 }),
    ("mul12s_2QH", BrokenArray { rows: 1, diagonals: 5 }),
    ("mul12s_2R5", BrokenArray { rows: 2, diagonals: 5 }),
    ("mul12s_2RP", BrokenArray { rows: 3, diagonals: 0 }),
    ("mul12s_2TE", BrokenArray { rows: 6, diagonals: 0 }),
    ("mul12s_34K", CutOperands { cut: 1 }),
    ("mul12s_34M", CutOperands { cut: 2 }),
    ("mul12s_34P", CutOperands { cut: 3 }),
    ("mul16s_GQU", BrokenArray { rows: 1, diagonals: 0 }),
    ("mul16s_GQV", BrokenArray { rows: 1, diagonals: 2 }),
    ("mul16s_GRU", BrokenArray { rows: 2, diagonals: 5 }),
    ("mul16s_GSM", BrokenArray { rows: 3, diagonals: 0 }),
    ("mul16s_GV3", BrokenArray { rows: 6, diagonals: 0 }),
    ("mul16s_HF7", CutOperands { cut: 1 }),
    ("mul16s_HFB", CutOperands { cut: 3 }),
    ("mul16s_HG4", BrokenArray { rows: 0, diagonals: 0 }),
    ("mul16s_HG8", CutOperands { cut: 2 }),
];

impl Structure {
    /// The circuit's function, for two signed operands of this format.
    pub(super) fn factorization(
        self,
        format: OperandFormat,
    ) -> Result<Factorization, MultiplierError> {
        match self {
            BrokenArray { rows, diagonals } => broken_array(format, format, rows, diagonals),
            CutOperands { cut } => {
                let cut_off = || format.codes().map(|code| (code >> cut).into()).collect();
                let term = Term::new(1 << (2 * cut), cut_off(), cut_off())?;
                Factorization::from_terms(format, format, FactorizationForm::Table, [term])
            }
        }
    }
}
