//! MODEL: how the command line names a network.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use approx_models::Architecture;

/// A network, by where it is.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelSource {
    /// An ONNX file.
    Onnx(PathBuf),
    /// A folder that `calibrate` or `retrain` has written.
    Saved(PathBuf),
    /// An architecture that comes with the program, and its weights.
    Weights {
        /// The architecture.
        architecture: Architecture,
        /// The file of weights.
        path: PathBuf,
    },
}

impl ModelSource {
    /// The file or folder that it is read from.
    pub fn path(&self) -> &Path {
        match self {
            Self::Onnx(path) | Self::Saved(path) | Self::Weights { path, .. } => path,
        }
    }

    /// What is read when the network is, to be hashed.
    pub fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Onnx(path) | Self::Weights { path, .. } => vec![path.clone()],
            Self::Saved(folder) => Self::saved_files(folder),
        }
    }
}

impl FromStr for ModelSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = PathBuf::from(text);
        if path.is_dir() {
            return match Self::is_saved(&path) {
                true => Ok(Self::Saved(path)),
                false => Err(format!(
                    "`{text}` is a folder, and holds no network that `calibrate` or `retrain` has written"
                )),
            };
        }
        if path.is_file() {
            let is_weights = path.extension().is_some_and(|extension| {
                matches!(
                    extension.to_str(),
                    Some("pth" | "pt" | "th" | "safetensors")
                )
            });
            return match is_weights {
                true => Err(format!(
                    "`{text}` holds weights alone: say what for, as in resnet18:{text} (there are {})",
                    architectures()
                )),
                false => Ok(Self::Onnx(path)),
            };
        }
        if let Some((name, path)) = text.split_once(':')
            && let Ok(architecture) = name.parse()
        {
            let path = PathBuf::from(path);
            return match path.is_file() {
                true => Ok(Self::Weights { architecture, path }),
                false => Err(format!("there is no file `{}`", path.display())),
            };
        }
        Err(format!(
            "there is no file `{text}`; a network is an ONNX file, a folder that `calibrate` or `retrain` has written, or an \
             architecture with its weights, NAME:FILE.pth (there are {})",
            architectures()
        ))
    }
}

/// As it is named.
impl std::fmt::Display for ModelSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Onnx(path) | Self::Saved(path) => path.display().fmt(f),
            Self::Weights { architecture, path } => {
                write!(f, "{}:{}", architecture.name(), path.display())
            }
        }
    }
}

fn architectures() -> String {
    Architecture::ALL.map(Architecture::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["net.onnx", "weights.pth"] {
            std::fs::write(at(name), "").unwrap();
        }
        let parse = |text: &str| text.parse::<ModelSource>();
        let onnx = at("net.onnx");
        assert_eq!(parse(&onnx), Ok(ModelSource::Onnx(onnx.into())));
        let named = format!("resnet18:{}", at("weights.pth"));
        let source = parse(&named).unwrap();
        assert!(matches!(source, ModelSource::Weights { .. }));
        assert_eq!(source.to_string(), named);
        for (wrong, expected) in [
            (at("weights.pth"), "resnet18:"),
            (at("missing.onnx"), "there is no file"),
            ("resnet18:missing.pth".to_string(), "`missing.pth`"),
            ("resnet19:missing.pth".to_string(), "mobilenet_v2"),
            (folder.path().display().to_string(), "is a folder"),
        ] {
            let error = parse(&wrong).unwrap_err();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }
}
