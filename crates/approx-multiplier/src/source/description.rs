//! From a multiplier to the shortest source that gives it again.

use super::multiplier_source::MultiplierSource;
use super::text::without_sign_magnitude;
use crate::{Definition, Multiplier, evoapprox};

impl MultiplierSource {
    /// The shortest source that gives this very multiplier, without reference to any file: its bundled name with the
    /// hash of its content, where name, content and hardware figures are those of a bundled one; in the same way a
    /// member of a family; the exact one; else the multiplier itself.
    pub fn describe(multiplier: &Multiplier) -> Self {
        Self::by_name(multiplier)
            .filter(|source| {
                source
                    .resolve()
                    .is_ok_and(|resolved| resolved == *multiplier)
            })
            .unwrap_or_else(|| Self::Inline(multiplier.clone()))
    }

    /// The source that a multiplier's name and kind suggest.
    fn by_name(multiplier: &Multiplier) -> Option<Self> {
        match multiplier.definition() {
            Definition::Exact => Some(Self::Exact {
                activation: multiplier.activation(),
                weight: multiplier.weight(),
            }),
            Definition::Table(_) | Definition::Factored(_) => {
                if let Ok(specification) = multiplier.name().parse() {
                    return Some(Self::Family {
                        specification,
                        hash: Some(multiplier.hash()),
                    });
                }
                let (name, sign_magnitude) = without_sign_magnitude(multiplier.name());
                // Hashing takes longer than finding out that the name is unknown.
                evoapprox::figures(name).ok()?;
                Some(Self::Bundled {
                    name: name.into(),
                    hash: Some(multiplier.hash()),
                    sign_magnitude,
                })
            }
            Definition::Htp(model) => Some(Self::Htp {
                name: model.name().into(),
                hash: Some(multiplier.hash()),
            }),
        }
    }
}
