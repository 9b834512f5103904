//! What makes a layer a drop-in: it becomes Burn's own, and Burn's own becomes it.

/// Defines the conversions between a drop-in and Burn's own module. Both have the given fields (those of `vectors` hold
/// modules that are converted one by one); the drop-in also has the ones of `added`, which are functions of Burn's
/// module. That no field is forgotten is checked by the compiler.
macro_rules! drop_in {
    (
        $layer:ident for $burns:ty {
            $($field:ident),+ $(,)?
        }
        $(vectors { $($vector:ident),+ })?
        $(added { $($added:ident: $value:expr),+ $(,)? })?
    ) => {
        impl From<$burns> for $layer {
            fn from(layer: $burns) -> Self {
                $($(let $added = $crate::nn::drop_in::apply($value, &layer);)+)?
                Self {
                    $($field: layer.$field.into(),)+
                    $($($vector: layer.$vector.into_iter().map(Into::into).collect(),)+)?
                    $($($added,)+)?
                }
            }
        }

        impl From<$layer> for $burns {
            fn from(layer: $layer) -> Self {
                Self {
                    $($field: layer.$field.into(),)+
                    $($($vector: layer.$vector.into_iter().map(Into::into).collect(),)+)?
                }
            }
        }
    };
}
pub(super) use drop_in;

/// Applies a function; it tells the compiler what a closure's argument is.
pub(super) fn apply<T, R>(function: impl FnOnce(&T) -> R, argument: &T) -> R {
    function(argument)
}
