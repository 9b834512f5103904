//! Cell libraries in Liberty format.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    burn_approx_fuzz::liberty(bytes);
});
