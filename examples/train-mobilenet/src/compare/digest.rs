//! Whether something is what it was.

/// A digest of bytes (FNV-1a, 64 bits): it tells whether something is what it was, and withstands no ill will.
pub fn digest(bytes: impl IntoIterator<Item = u8>) -> String {
    let digest = (bytes.into_iter()).fold(0xcbf2_9ce4_8422_2325u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{digest:016x}")
}
