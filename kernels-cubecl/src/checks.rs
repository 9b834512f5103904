//! The checks that descriptions of buffers and shapes share: widths, lengths, and counts that 32-bit indices reach.

use cubecl::server::Handle;

use crate::error::DeviceKernelError;

/// The elements that a tensor may have: indices are 32 bits wide, and one bit is left over for what is outside.
const ELEMENTS: u128 = 1 << 31;

/// Checks that codes have a width that there is.
pub(crate) fn check_width(bits: u32) -> Result<(), DeviceKernelError> {
    if (1..=16).contains(&bits) {
        Ok(())
    } else {
        Err(DeviceKernelError::CodeWidth { bits })
    }
}

/// Checks that something has the length its shape asks for.
pub(crate) fn check_length(
    operand: &'static str,
    expected: usize,
    actual: usize,
) -> Result<(), DeviceKernelError> {
    if expected == actual {
        Ok(())
    } else {
        Err(DeviceKernelError::Length {
            operand,
            expected,
            actual,
        })
    }
}

/// Checks that a buffer holds as many elements of type `T` as described.
pub(crate) fn check_buffer<T>(
    operand: &'static str,
    length: usize,
    handle: &Handle,
) -> Result<(), DeviceKernelError> {
    let (expected, actual) = ((length * size_of::<T>()) as u64, handle.size_in_used());
    if actual < expected {
        return Err(DeviceKernelError::Buffer {
            operand,
            expected,
            actual,
        });
    }
    Ok(())
}

/// Checks that kernels can count something.
pub(crate) fn check_count(quantity: &'static str, count: u128) -> Result<(), DeviceKernelError> {
    if count >= ELEMENTS {
        return Err(DeviceKernelError::TooLarge {
            quantity,
            count,
            limit: ELEMENTS - 1,
        });
    }
    Ok(())
}

/// The number of elements of a shape, if kernels can count them.
pub(crate) fn elements(
    quantity: &'static str,
    shape: &[usize],
) -> Result<usize, DeviceKernelError> {
    // A length of zero makes the tensor empty, whatever the others are.
    if shape.contains(&0) {
        return Ok(0);
    }
    let count = shape
        .iter()
        .try_fold(1u128, |count, &length| count.checked_mul(length as u128))
        .unwrap_or(u128::MAX);
    check_count(quantity, count)?;
    Ok(count as usize)
}

/// Checks the groups, strides and dilations of a convolution of so many input and output channels.
pub(crate) fn check_convolution(
    groups: usize,
    channels: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<(), DeviceKernelError> {
    for (parameter, value) in [
        ("number of groups", groups),
        ("vertical stride", stride[0]),
        ("horizontal stride", stride[1]),
        ("vertical dilation", dilation[0]),
        ("horizontal dilation", dilation[1]),
    ] {
        if value == 0 {
            return Err(DeviceKernelError::Zero { parameter });
        }
    }
    for (channels, side) in channels.into_iter().zip(["input", "output"]) {
        if channels % groups != 0 {
            return Err(DeviceKernelError::Groups {
                groups,
                channels,
                side,
            });
        }
    }
    Ok(())
}
