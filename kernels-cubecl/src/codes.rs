//! Operand codes as they lie in device memory: bit patterns of few bits, several to a 32-bit word.
//!
//! Devices need not have storage of 8 or 16 bits, so patterns are packed into words: four to a word where they have at
//! most 8 bits, two where they have more, the first in the lowest bits.

use cubecl::prelude::*;
use cubecl::server::Handle;

use crate::checks::{check_buffer, check_width};
use crate::error::DeviceKernelError;

/// A tensor of codes on the device, contiguous and in row-major order.
///
/// ```no_run
/// use kernels_cubecl::PackedCodes;
///
/// let client = cubecl::Device::default().client();
/// let codes = PackedCodes::from_codes(&client, &[-1, 2, 3], 4, true)?;
/// assert_eq!((codes.length(), codes.per_word(), codes.pattern(-1)), (3, 4, 0xf));
/// # Ok::<(), kernels_cubecl::DeviceKernelError>(())
/// ```
#[derive(Clone, Debug)]
pub struct PackedCodes {
    handle: Handle,
    length: usize,
    bits: u32,
    signed: bool,
}

impl PackedCodes {
    /// Codes that a kernel has written: `length` patterns of `bits` bits, packed as above.
    ///
    /// # Errors
    /// If `bits` is not in 1..=16, or the buffer is too short.
    pub fn new(
        handle: Handle,
        length: usize,
        bits: u32,
        signed: bool,
    ) -> Result<Self, DeviceKernelError> {
        check_width(bits)?;
        let codes = Self {
            handle,
            length,
            bits,
            signed,
        };
        check_buffer::<u32>("codes", codes.words(), &codes.handle)?;
        Ok(codes)
    }

    /// Codes from the host. Bits beyond the width are dropped.
    ///
    /// # Errors
    /// If `bits` is not in 1..=16.
    pub fn from_codes(
        client: &Client,
        codes: &[i32],
        bits: u32,
        signed: bool,
    ) -> Result<Self, DeviceKernelError> {
        check_width(bits)?;
        let per_word = codes_per_word(bits);
        let width = 32 / per_word;
        let mut words: Vec<u32> = codes
            .chunks(per_word)
            .map(|codes| {
                let mask = (1 << bits) - 1;
                let place = |(i, code): (usize, &i32)| (*code as u32 & mask) << (i * width);
                codes.iter().enumerate().map(place).sum()
            })
            .collect();
        // A buffer of no bytes cannot be bound.
        words.resize(words.len().max(1), 0);
        let handle = client.create_from_slice(u32::as_bytes(&words));
        Self::new(handle, codes.len(), bits, signed)
    }

    /// The buffer of words.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// The number of codes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The width of a code.
    pub fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether codes are in two's complement.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// The number of codes in a word.
    pub fn per_word(&self) -> usize {
        codes_per_word(self.bits)
    }

    /// The number of words that hold the codes.
    pub fn words(&self) -> usize {
        self.length.div_ceil(self.per_word())
    }

    /// The bit pattern of a code.
    pub fn pattern(&self, code: i32) -> u32 {
        code as u32 & ((1 << self.bits) - 1)
    }

    /// The codes as an argument of a kernel.
    pub(crate) fn argument(&self) -> CodesLaunch {
        let sign = if self.signed { 1 << (self.bits - 1) } else { 0 };
        let mask = (1 << self.bits) - 1;
        CodesLaunch::new(
            // SAFETY: the constructor checked that the buffer holds the words.
            unsafe { BufferArg::from_raw_parts(self.handle.clone(), self.words()) },
            sign,
            mask,
            self.per_word() as u32,
        )
    }
}

/// The number of codes of a width that a word holds.
pub(crate) fn codes_per_word(bits: u32) -> usize {
    if bits <= 8 { 4 } else { 2 }
}

/// Packed codes inside a kernel.
#[derive(CubeType, CubeLaunch)]
pub(crate) struct Codes {
    words: Box<[u32]>,
    /// The sign bit of a pattern, or 0 where codes are unsigned.
    sign: u32,
    /// The bits of a pattern.
    mask: u32,
    #[cube(comptime)]
    per_word: u32,
}

#[cube]
impl Codes {
    /// The bit pattern at a position of the tensor.
    pub(crate) fn pattern(&self, position: u32) -> u32 {
        let width = comptime!(32 / self.per_word);
        let word = self.words[(position / comptime!(self.per_word)) as usize];
        (word >> ((position % comptime!(self.per_word)) * width)) & self.mask
    }

    /// The value of a bit pattern.
    pub(crate) fn code(&self, pattern: u32) -> i32 {
        i32::reinterpret((pattern ^ self.sign) - self.sign)
    }

    /// The bit pattern of a value.
    pub(crate) fn pattern_of(&self, code: i32) -> u32 {
        u32::reinterpret(code) & self.mask
    }
}
