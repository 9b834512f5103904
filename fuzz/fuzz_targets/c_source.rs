//! Files of the kind `CSource`.

#![no_main]

use approx_multiplier::import::FileKind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    burn_approx_fuzz::multiplier(bytes, FileKind::CSource);
});
