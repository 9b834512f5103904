//! Files of the kind `Verilog`.

#![no_main]

use approx_multiplier::import::{FileKind, ImportOptions, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse(bytes, FileKind::Verilog, "fuzzed", &ImportOptions::default());
});
