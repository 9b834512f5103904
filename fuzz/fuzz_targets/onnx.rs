//! ONNX models, read and run.

#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;

static HOOK: Once = Once::new();

fuzz_target!(|bytes: &[u8]| {
    // The fuzzer's own hook ends the program at every panic. Those of Burn's operators become errors; what nothing catches
    // still ends it.
    HOOK.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    burn_approx_fuzz::onnx(bytes);
});
