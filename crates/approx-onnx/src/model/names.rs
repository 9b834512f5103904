//! What parameters are called: by their names in the file, or, where an exporter made those up, by the node that uses
//! them.
//!
//! PyTorch's exporter folds batch normalisation into convolutions and calls the new weights `onnx::Conv_123`; the node
//! is still called `/layer1/layer1.0/conv1/Conv`, after the modules that it was called through.

/// What the exporter called a value, as a path of modules; `None` for a name that says nothing.
pub(super) fn path_of_value(name: &str) -> Option<String> {
    let name = name.strip_suffix("_quantized").unwrap_or(name);
    let made_up =
        name.is_empty() || name.starts_with('/') || name.contains("::") || is_numbered(name);
    (!made_up).then(|| name.replace('/', ".").replace(':', "_"))
}

/// Whether a name is a number, or a word that exporters number values with.
fn is_numbered(name: &str) -> bool {
    let without = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let word = without.trim_end_matches('_').to_ascii_lowercase();
    let is_numbered = without.len() < name.len();
    let word = word.trim_start_matches('_');
    (is_numbered
        && matches!(
            word,
            "" | "val" | "v" | "value" | "const" | "constant" | "tensor" | "initializer"
        ))
        || word.starts_with("constant_")
}

/// The path of the module that a node computes for, by the node's name.
pub(super) fn path_of_node(name: &str) -> String {
    let parts: Vec<&str> = name.split('/').filter(|part| !part.is_empty()).collect();
    let Some((_, scopes)) = parts.split_last() else {
        return name.to_string();
    };
    if scopes.is_empty() {
        return parts[0].replace(':', "_");
    }
    let mut path: Vec<&str> = Vec::new();
    for scope in scopes {
        // A module in a container is called after both.
        let continues = |last: &&str| {
            let rest = scope.strip_prefix(*last);
            rest.is_some_and(|rest| rest.starts_with('.'))
        };
        if path.last().is_some_and(continues) {
            path.pop();
        }
        path.push(scope);
    }
    path.join(".").replace(':', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_exporters_make_up_say_nothing() {
        for name in [
            "onnx::Conv_498",
            "123",
            "val_12",
            "/Constant_output_0",
            "onnx::Conv_1_quantized",
            "_v_3",
            "",
        ] {
            assert_eq!(path_of_value(name), None, "{name}");
        }
        assert_eq!(
            path_of_value("layer1.0.conv1.weight").unwrap(),
            "layer1.0.conv1.weight"
        );
        assert_eq!(path_of_value("fc.weight_quantized").unwrap(), "fc.weight");
        assert_eq!(
            path_of_value("model/conv2d/Conv2D:0").unwrap(),
            "model.conv2d.Conv2D_0"
        );
        assert_eq!(path_of_value("conv1").unwrap(), "conv1");
    }

    #[test]
    fn nodes_are_called_after_the_modules_that_they_were_called_through() {
        assert_eq!(
            path_of_node("/layer1/layer1.0/conv1/Conv"),
            "layer1.0.conv1"
        );
        assert_eq!(
            path_of_node("/features/features.1/conv/conv.0/conv.0.0/Conv"),
            "features.1.conv.0.0"
        );
        assert_eq!(
            path_of_node("/encoder/layers.0/linear1/MatMul"),
            "encoder.layers.0.linear1"
        );
        assert_eq!(path_of_node("/linear/Gemm"), "linear");
        assert_eq!(path_of_node("/Conv"), "Conv");
        assert_eq!(path_of_node("Conv_12"), "Conv_12");
        assert_eq!(path_of_node(""), "");
    }
}
