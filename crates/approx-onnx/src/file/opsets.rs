//! Which version of ONNX's operators a file means.

use std::collections::HashMap;

/// The version of every domain's operators; ONNX's own domain has no name.
pub(super) type Opsets = HashMap<String, i64>;

pub(super) fn opsets<'a>(entries: impl Iterator<Item = (&'a str, i64)>) -> Opsets {
    entries
        .map(|(name, version)| (domain(name), version))
        .collect()
}

pub(super) fn version_of(opsets: &Opsets, domain: &str) -> i64 {
    // Files of ONNX Runtime leave out the version of its own domain.
    opsets.get(domain).copied().unwrap_or(1)
}

/// ONNX's own domain has two names.
pub(super) fn domain(name: &str) -> String {
    match name {
        "ai.onnx" => String::new(),
        name => name.to_string(),
    }
}
