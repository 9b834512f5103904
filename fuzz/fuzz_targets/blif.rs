//! Files of the kind `Blif`.

#![no_main]

use approx_multiplier::import::{FileKind, ImportOptions, parse};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = parse(bytes, FileKind::Blif, "fuzzed", &ImportOptions::default());
});
