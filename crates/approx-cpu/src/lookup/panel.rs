//! Panels: the table lines of a block of lanes, interleaved.
//!
//! For one tap k, the lanes of a block (32 outputs with 16-bit entries, 16 with 32-bit ones) have fixed codes. Their
//! panel has a row for every code of the other, streamed operand; a row is one cache line and holds all lanes' products
//! with that code. Looking one streamed code up for all lanes then is one load.
//!
//! Building a panel is a transposition, mostly of memory traffic: 0.6 microseconds with 256- and 512-bit vectors, as
//! much as some 800 positions of the stream. So only rows that the stream can ask for are built.

use std::ops::{Range, RangeInclusive};

use crate::arch::{InstructionSet, Instructions, Kernel, LANES, NARROW_LANES, Row};
use crate::lookup::table::LineEntries;
use crate::word::CODES;

/// Lanes of a block where entries have 32 bits: one to a word.
pub(crate) const WIDE_LANES: usize = LANES;

/// The rows of one tap, one for each code of the streamed operand.
pub(crate) type Panel = [Row; CODES];

/// Rows are built in groups of this many.
const GROUP: usize = 8;

/// Builds the rows of `panel` that `codes` asks for from the table lines of the lanes' codes.
pub(crate) fn build(
    set: InstructionSet,
    lines: &LineEntries,
    lanes: &[u8; NARROW_LANES],
    codes: &RangeInclusive<u8>,
    panel: &mut Panel,
) {
    let groups = usize::from(*codes.start()) / GROUP..usize::from(*codes.end()) / GROUP + 1;
    set.run(
        Build {
            lines,
            lanes,
            groups,
        },
        panel,
    );
}

/// Builds some groups of a panel's rows.
struct Build<'a> {
    lines: &'a LineEntries,
    lanes: &'a [u8; NARROW_LANES],
    groups: Range<usize>,
}

impl Kernel for Build<'_> {
    type Target = Panel;
    type Output = ();

    #[inline(always)]
    fn run<I: Instructions>(self, instructions: I, panel: &mut Panel) {
        let panel = &mut panel.as_chunks_mut::<GROUP>().0;
        match self.lines {
            LineEntries::Narrow(lines) => {
                let lines: [&[u16; CODES]; NARROW_LANES] =
                    self.lanes.map(|code| &lines[usize::from(code)]);
                for group in self.groups {
                    instructions.transpose_narrow(&lines, group, &mut panel[group]);
                }
            }
            LineEntries::Wide(lines) => {
                let lines: [&[u32; CODES]; WIDE_LANES] =
                    std::array::from_fn(|lane| &lines[usize::from(self.lanes[lane])]);
                for group in self.groups {
                    instructions.transpose_wide(&lines, group, &mut panel[group]);
                }
            }
        }
    }
}
