//! Header maps, as hosts of proxy-wasm serialise them.
//!
//! In: bytes of the host. Out: names and values. The form (proxy-wasm-cpp-host: `src/pairs_util.cc`):
//!
//! ```text
//! count │ size of name 1, size of value 1 │ … │ name 1, NUL, value 1, NUL │ …
//! ```
//!
//! Each number is a `u32`, little-endian.

/// The names and values of a serialised header map; `None` if the bytes are not exactly one.
pub fn pairs(bytes: &[u8]) -> Option<impl Iterator<Item = (&[u8], &[u8])>> {
    let (count, rest) = bytes.split_first_chunk()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
    let (sizes, texts) = rest.split_at_checked(count.checked_mul(size_of::<[u32; 2]>())?)?;
    let sizes = sizes.as_chunks().0.iter();
    let sizes = sizes.map(|size| usize::try_from(u32::from_le_bytes(*size)).unwrap_or(usize::MAX));
    // Every text, and the NUL behind it.
    let needed = sizes.clone().try_fold(0_usize, |sum, size| sum.checked_add(size)?.checked_add(1));
    if needed != Some(texts.len()) {
        return None;
    }
    let mut left = texts;
    let mut texts = sizes.map_while(move |size| {
        let (text, rest) = left.split_at_checked(size)?;
        left = rest.get(1..)?;
        Some(text)
    });
    Some(std::iter::from_fn(move || Some((texts.next()?, texts.next()?))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
        Some(pairs(bytes)?.map(|(name, value)| (name.to_vec(), value.to_vec())).collect())
    }

    /// As proxy-wasm-cpp-host serialises it.
    const MAP: &[u8] = b"\x03\0\0\0\
        \x05\0\0\0\x0a\0\0\0\
        \x01\0\0\0\0\0\0\0\
        \x02\0\0\0\x03\0\0\0\
        :path\0/bootstrap\0\
        x\0\0\
        \xff\xfe\0a\0b\0";

    #[test]
    fn names_and_values_are_bytes() {
        let wanted: [(&[u8], &[u8]); 3] =
            [(b":path", b"/bootstrap"), (b"x", b""), (b"\xff\xfe", b"a\0b")];
        let wanted = wanted.map(|(name, value)| (name.to_vec(), value.to_vec()));
        assert_eq!(read(MAP), Some(wanted.to_vec()));
        assert_eq!(read(b"\0\0\0\0"), Some(vec![]));
    }

    /// Half of a map might lack the header that matters.
    #[test]
    fn a_part_of_a_map_is_no_map() {
        let mut part = MAP;
        while let Some((_, shorter)) = part.split_last() {
            assert_eq!(read(shorter), None, "{}", shorter.len());
            part = shorter;
        }
        assert_eq!(read(&[MAP, b"x"].concat()), None);
        for huge in [&b"\xff\xff\xff\xff"[..], b"\x01\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0"] {
            assert_eq!(read(huge), None, "{huge:?}");
        }
    }
}
