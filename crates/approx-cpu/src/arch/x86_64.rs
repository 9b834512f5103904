//! What the instruction sets of x86-64 do alike with vectors of different widths.

/// Defines the sums of products of four bytes for processors that only multiply and add pairs: the bytes at even places
/// are multiplied apart from those at odd places, both widened to 16 bits. The widening of a vector is shared by all it
/// is multiplied with.
macro_rules! byte_products_by_pairs {
    (
        $name:ident, $features:literal, $vector:ty, $add:ident, $and:ident, $madd:ident, $set:ident, $left:ident,
        $right:ident, $logical_right:ident
    ) => {
        #[target_feature(enable = $features)]
        #[inline]
        fn $name(sums: $vector, unsigned: $vector, signed: $vector) -> $vector {
            let even = $madd($and(unsigned, $set(0xff)), $right::<8>($left::<8>(signed)));
            let odd = $madd($logical_right::<8>(unsigned), $right::<8>(signed));
            $add($add(sums, even), odd)
        }
    };
}
pub(super) use byte_products_by_pairs;

/// Transposes 8 x 8 16-bit elements inside every 128-bit part of `$v`.
macro_rules! transpose_8x8 {
    ($v:ident, $low16:ident, $high16:ident, $low32:ident, $high32:ident, $low64:ident, $high64:ident) => {{
        let (a, b, c, d) = (
            $low16($v[0], $v[1]),
            $low16($v[2], $v[3]),
            $low16($v[4], $v[5]),
            $low16($v[6], $v[7]),
        );
        let (e, f, g, h) = (
            $high16($v[0], $v[1]),
            $high16($v[2], $v[3]),
            $high16($v[4], $v[5]),
            $high16($v[6], $v[7]),
        );
        let (ab, cd, ef, gh) = ($low32(a, b), $low32(c, d), $low32(e, f), $low32(g, h));
        let (ba, dc, fe, hg) = ($high32(a, b), $high32(c, d), $high32(e, f), $high32(g, h));
        [
            $low64(ab, cd),
            $high64(ab, cd),
            $low64(ba, dc),
            $high64(ba, dc),
            $low64(ef, gh),
            $high64(ef, gh),
            $low64(fe, hg),
            $high64(fe, hg),
        ]
    }};
}
pub(super) use transpose_8x8;

/// Transposes 4 x 4 32-bit elements inside every 128-bit part of `$v`.
macro_rules! transpose_4x4 {
    ($v:ident, $low32:ident, $high32:ident, $low64:ident, $high64:ident) => {{
        let (a, b) = ($low32($v[0], $v[1]), $low32($v[2], $v[3]));
        let (c, d) = ($high32($v[0], $v[1]), $high32($v[2], $v[3]));
        [$low64(a, b), $high64(a, b), $low64(c, d), $high64(c, d)]
    }};
}
pub(super) use transpose_4x4;
