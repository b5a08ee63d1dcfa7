//! A hash that tells texts apart, the same on every platform.
//!
//! In: bytes. Out: 64 bits, computed from eight bytes a step, because a configuration can have a million ids and a
//! worker waits for the hash. It is not safe against an adversary, but anyone who can give configurations can do
//! greater harm.

/// The hash of `bytes`.
pub(crate) fn of(bytes: &[u8]) -> u64 {
    // The fractional part of the golden ratio. A product with it is well mixed in its upper half.
    const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
    let step = |hash: u64, word: u64| (hash ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(0, |hash, word| step(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| step(hash, u64::from(*byte) | 0x100));
    step(hash, u64::try_from(bytes.len()).unwrap_or(u64::MAX))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::of;

    #[test]
    fn texts_that_differ_in_one_byte_or_in_length_are_told_apart() {
        let text = vec![b'x'; 1_001];
        for place in 0..text.len() {
            let mut other = text.clone();
            *other.get_mut(place).unwrap() = b'y';
            assert_ne!(of(&text), of(&other), "{place}");
            assert_ne!(of(&text), of(text.get(..place).unwrap()), "{place}");
        }
        assert_ne!(of(b""), of(b"\0"));
        assert_ne!(of(b"a.b") >> 32, of(b"a b") >> 32);
    }
}
