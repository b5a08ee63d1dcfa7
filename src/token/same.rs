//! Whether two texts have the same bytes.
//!
//! In: two texts. Out: yes or no. Texts of the same length are compared to their end: the compiler turns this into
//! steps of 16 bytes, where the `memcmp` of WebAssembly compares one byte at a time.

/// Whether `one` and `other` are the same bytes.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    let differences = || one.iter().zip(other).fold(0, |all, (one, other)| all | (one ^ other));
    one.len() == other.len() && differences() == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn every_byte_and_the_length_count() {
        let text: Vec<u8> = (0..=255).collect();
        let shorter = text.split_last().map_or(&[][..], |(_, rest)| rest);
        assert!(same(&text, &text.clone()) && same(b"", b""));
        assert!(!same(&text, shorter) && !same(shorter, &text));
        for place in 0..text.len() {
            let mut other = text.clone();
            other.iter_mut().skip(place).take(1).for_each(|byte| *byte ^= 0x80);
            assert!(!same(&text, &other), "{place}");
        }
        // Two bytes that differ in the same bits, side by side and far from each other.
        assert!(!same(b"ab", b"ba"));
        for place in 1..text.len() {
            let mut other = text.clone();
            other.iter_mut().step_by(place).take(2).for_each(|byte| *byte ^= 0x80);
            assert!(!same(&text, &other), "{place}");
        }
    }
}
