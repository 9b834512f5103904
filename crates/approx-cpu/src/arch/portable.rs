//! Plain Rust, on every machine: compilers make what vectors they can of it with what the compilation target promises.

use std::array;

use super::instructions::{Facts, Instructions, Kernel, LaneCycles, PanelCycles};
use super::operands::LANES;
use super::plain;

/// No instructions beyond those of the compilation target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Portable(());

// SAFETY: every machine has the instructions that its code is compiled for.
unsafe impl Instructions for Portable {
    type Lanes = [i32; LANES];

    const FACTS: Facts = Facts {
        encoding: 4.0,
        multiplying: 10.0,
        narrow_panels: PanelCycles {
            build: 3000.0,
            position: 3.4,
        },
        wide_panels: PanelCycles {
            build: 4000.0,
            position: 3.0,
        },
        lane: LaneCycles::LOADS,
        adds_digits: false,
        mapped_tables: 0,
        pick: None,
    };
    const TILE: [usize; 2] = [2, 1];
    const FLOAT_TILE: [usize; 2] = [2, 1];

    fn detect() -> Option<Self> {
        Some(Portable(()))
    }

    #[inline(always)]
    fn compiled<K: Kernel>(self, kernel: K, to: &mut K::Target) -> K::Output {
        // Apart from callers, which most often call the form for another set.
        #[inline(never)]
        fn portable<K: Kernel>(set: Portable, kernel: K, to: &mut K::Target) -> K::Output {
            kernel.run(set, to)
        }

        portable(self, kernel, to)
    }

    #[inline(always)]
    fn splat(self, word: i32) -> [i32; LANES] {
        [word; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[i32; LANES]) -> [i32; LANES] {
        *from
    }

    #[inline(always)]
    fn store(self, lanes: [i32; LANES], to: &mut [i32; LANES]) {
        *to = lanes;
    }

    #[inline(always)]
    fn add(self, a: [i32; LANES], b: [i32; LANES]) -> [i32; LANES] {
        array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
    }

    #[inline(always)]
    fn upper_halves(self, lanes: [i32; LANES]) -> [i32; LANES] {
        lanes.map(|lane| (lane as u32 >> 16) as i32)
    }

    #[inline(always)]
    fn add_byte_products(
        self,
        sums: [i32; LANES],
        unsigned: [i32; LANES],
        signed: [i32; LANES],
    ) -> [i32; LANES] {
        array::from_fn(|lane| {
            sums[lane].wrapping_add(plain::byte_products(unsigned[lane], signed[lane]))
        })
    }

    #[inline(always)]
    fn add_pair_products(
        self,
        sums: [i32; LANES],
        a: [i32; LANES],
        b: [i32; LANES],
    ) -> [i32; LANES] {
        array::from_fn(|lane| sums[lane].wrapping_add(plain::pair_products(a[lane], b[lane])))
    }

    #[inline(always)]
    fn add_float_products(
        self,
        sums: [i32; LANES],
        a: [i32; LANES],
        b: [i32; LANES],
    ) -> [i32; LANES] {
        array::from_fn(|lane| plain::add_float_product(sums[lane], a[lane], b[lane]))
    }
}
