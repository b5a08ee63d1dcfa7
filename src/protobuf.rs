//! A reader of protobuf messages that copies nothing.
//!
//! In: an encoded message. Out: its fields in order. The caller merges repeated fields: an embedded message that occurs
//! twice is both together; of any other field, the last counts.

use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) wire: WireType,
    /// Its value, if that is length-delimited; otherwise empty.
    pub(crate) bytes: &'a [u8],
}

/// The message is not protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The fields of a message, up to the first malformed one.
pub(crate) struct Fields<'a>(&'a [u8]);

/// The fields of `message`.
pub(crate) fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.take();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field.ok_or(Malformed))
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self) -> Option<Field<'a>> {
        let rest = &mut self.0;
        let (number, wire) = decode_key(rest).ok()?;
        let mut bytes: &[u8] = &[];
        if wire == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(rest).ok()?).ok()?;
            (bytes, *rest) = rest.split_at_checked(length)?;
        } else {
            skip_field(wire, number, rest, DecodeContext::default()).ok()?;
        }
        Some(Field { number, wire, bytes })
    }
}

impl<'a> Field<'a> {
    /// Its value, if it is text, bytes or an embedded message.
    pub(crate) fn value(self) -> Result<&'a [u8], Malformed> {
        match self.wire {
            WireType::LengthDelimited => Ok(self.bytes),
            _ => Err(Malformed),
        }
    }

    /// Its value, if it is text.
    pub(crate) fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.value()?).map_err(|_| Malformed)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_malformed_messages_are_errors() {
        // 1: "ab", 2: 300, 3: fixed64, 4: fixed32, 5: group of nothing, 6: "".
        let message = b"\x0a\x02ab\x10\xac\x02\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0\x2b\x2c\x32\0";
        let seen: Vec<Field<'_>> = fields(message).map(Result::unwrap).collect();
        assert_eq!(seen.iter().map(|field| field.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(seen.first().unwrap().text(), Ok("ab"));
        assert_eq!(seen.get(1).unwrap().value(), Err(Malformed));
        assert_eq!(seen.get(5).unwrap().text(), Ok(""));
        for end in [1, 2, 3, 5, 6, 8, 12, 17, 19, 22, 24] {
            let cut = message.get(..end).unwrap();
            assert_eq!(fields(cut).last().unwrap(), Err(Malformed), "{cut:?}");
        }
        // Field 0, an unknown wire type, the end of a group that did not begin, a length beyond the message.
        for wrong in
            [&b"\x02\0"[..], b"\x0e", b"\x0c", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"]
        {
            assert_eq!(fields(wrong).collect::<Vec<_>>(), [Err(Malformed)], "{wrong:?}");
        }
        assert!(fields(b"\x0a\x01\xff").next().unwrap().unwrap().text().is_err());
    }
}
