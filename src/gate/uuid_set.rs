//! A set of UUIDs: a million are put into it while a worker waits.
//!
//! In: UUIDs. Out: whether one is in the set. Only the form in which Kuma writes them is read (RFC 9562
//! §4, lower case): any other spelling is another ID to Kuma, and not for this set.
//!
//! Open addressing with linear probing, at most four fifths full: 20 bytes an id, no sorting, and one
//! or two cache lines a look.

/// Bytes of a UUID in its text form.
pub(super) const TEXT: usize = 36;

/// A UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uuid([u64; 2]);

/// What an empty slot holds. The nil UUID itself is counted apart.
const NIL: Uuid = Uuid([0, 0]);

impl Uuid {
    /// Reads `8-4-4-4-12` lower-case hexadecimal digits.
    pub(super) fn parse(t: &[u8; TEXT]) -> Option<Self> {
        if [t[8], t[13], t[18], t[23]] != [b'-'; 4] {
            return None;
        }
        let a = Digits::read([t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]]);
        let b = Digits::read([t[9], t[10], t[11], t[12], t[14], t[15], t[16], t[17]]);
        let c = Digits::read([t[19], t[20], t[21], t[22], t[24], t[25], t[26], t[27]]);
        let d = Digits::read([t[28], t[29], t[30], t[31], t[32], t[33], t[34], t[35]]);
        let right = (a.wrong | b.wrong | c.wrong | d.wrong) == 0;
        right.then_some(Self([a.value << 32 | b.value, c.value << 32 | d.value]))
    }

    /// Where to look first among `slots` of them.
    fn home(self, slots: usize) -> usize {
        let Self([high, low]) = self;
        // The upper half of a product with the golden ratio is well mixed.
        let mixed = (high ^ low.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let slots = u64::try_from(slots).unwrap_or(u64::MAX);
        usize::try_from(mixed.wrapping_mul(slots) >> 32).unwrap_or_default()
    }
}

/// Eight hexadecimal digits, read all at once.
struct Digits {
    value: u64,
    /// Not zero where one was no digit.
    wrong: u64,
}

impl Digits {
    fn read(text: [u8; 8]) -> Self {
        const EACH: u64 = 0x0101_0101_0101_0101;
        let text = u64::from_le_bytes(text);
        // "0" is 0x30 and "a" is 0x61: bit 6 tells them apart.
        let letters = (text >> 6) & EACH;
        let digits = (text & (EACH * 0x0F)).wrapping_add(letters.wrapping_mul(9));
        // Written again, they must be the same text.
        let from_ten = (digits.wrapping_add(EACH * 6) >> 4) & EACH;
        let again = digits.wrapping_add(EACH * 0x30).wrapping_add(from_ten.wrapping_mul(0x27));
        let wrong = (again ^ text) | (digits & (EACH * 0xF0));
        // The first digit is the highest one; then four bits of every eight are drawn together.
        let value = digits.swap_bytes();
        let value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF;
        let value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF;
        Self { value: (value | value >> 16) & 0xFFFF_FFFF, wrong }
    }
}

/// UUIDs on their way into a set, by the part of it where they will be. Put in part by part, they find
/// that part in the processor's cache; in any other order, most of a million are a look in main memory.
pub(super) struct Staged(Vec<Vec<Uuid>>);

/// Parts of a set.
const PARTS: usize = 256;

impl Staged {
    /// None yet, with room for `count`.
    pub(super) fn with_room_for(count: usize) -> Self {
        let each = count / PARTS;
        let room = || Vec::with_capacity(each.saturating_add(each / 8));
        Self(std::iter::repeat_with(room).take(PARTS).collect())
    }

    /// Adds `id`.
    pub(super) fn push(&mut self, id: Uuid) {
        if let Some(part) = self.0.get_mut(id.home(PARTS)) {
            part.push(id);
        }
    }

    /// All of them as a set.
    pub(super) fn into_set(self) -> UuidSet {
        let mut set = UuidSet::with_room_for(self.0.iter().map(Vec::len).sum());
        for id in self.0.into_iter().flatten() {
            set.insert(id);
        }
        set.fit();
        set
    }
}

/// A set of UUIDs.
#[derive(Debug, Clone, Default)]
pub(super) struct UuidSet {
    slots: Vec<Uuid>,
    taken: usize,
    has_nil: bool,
}

impl UuidSet {
    /// An empty set with room for `count`.
    fn with_room_for(count: usize) -> Self {
        let slots = count.saturating_add(count / 4).saturating_add(1);
        Self { slots: vec![NIL; slots], ..Self::default() }
    }

    /// Adds `id`; whether it is new.
    pub(super) fn insert(&mut self, id: Uuid) -> bool {
        if id == NIL {
            return !std::mem::replace(&mut self.has_nil, true);
        }
        if self.is_full() {
            self.resize(self.taken.saturating_mul(2).saturating_add(8));
        }
        match self.slot(id).and_then(|at| self.slots.get_mut(at)) {
            Some(slot) if *slot == NIL => {
                *slot = id;
                self.taken = self.taken.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// Whether `id` is there.
    pub(super) fn contains(&self, id: Uuid) -> bool {
        if id == NIL {
            return self.has_nil;
        }
        self.slot(id).and_then(|at| self.slots.get(at)) == Some(&id)
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.taken.saturating_add(usize::from(self.has_nil))
    }

    /// Gives room back where much of it was not needed.
    fn fit(&mut self) {
        if self.slots.len() / 2 > self.taken {
            self.resize(self.taken);
        }
    }

    fn is_full(&self) -> bool {
        self.taken.saturating_add(self.taken / 4) >= self.slots.len().saturating_sub(1)
    }

    fn resize(&mut self, count: usize) {
        let mut larger = Self { has_nil: self.has_nil, ..Self::with_room_for(count) };
        for id in self.slots.drain(..).filter(|id| *id != NIL) {
            larger.insert(id);
        }
        *self = larger;
    }

    /// Where `id` is or would be. There is an empty slot, so the walk ends.
    fn slot(&self, id: Uuid) -> Option<usize> {
        let home = id.home(self.slots.len());
        let (before, from_home) = self.slots.split_at_checked(home)?;
        let is_it = |slot: &Uuid| *slot == id || *slot == NIL;
        let found = from_home.iter().position(is_it).map(|steps| home.wrapping_add(steps));
        found.or_else(|| before.iter().position(is_it))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a test may panic
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<Uuid> {
        Uuid::parse(text.as_bytes().try_into().ok()?)
    }

    #[test]
    fn only_kumas_spelling_is_read() {
        let wanted = Uuid([0x0123_abcd_4567_89ef, 0x0011_aabb_ccdd_eeff]);
        assert_eq!(parse("0123abcd-4567-89ef-0011-aabbccddeeff"), Some(wanted));
        for wrong in [
            "0123ABCD-4567-89ef-0011-aabbccddeeff",
            "0123abcd-4567-89ef-0011-aabbccddeefF",
            "g123abcd-4567-89ef-0011-aabbccddeeff",
            "`123abcd-4567-89ef-0011-aabbccddeeff",
            ":123abcd-4567-89ef-0011-aabbccddeeff",
            "/123abcd-4567-89ef-0011-aabbccddeeff",
            "0123abcd-4567-89ef-0011-aabbccddee\u{7f}f",
            "0123abcd-4567-89ef-0011-aabbccddeeé",
            "0123abcd04567-89ef-0011-aabbccddeeff",
            "0123abcd-4567-89ef-0011-aabbccddeef ",
            "{123abcd-4567-89ef-0011-aabbccddee}f",
        ] {
            assert_eq!(wrong.len(), TEXT, "{wrong}");
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    /// Every byte in every place, against the standard library's reading of a digit.
    #[test]
    fn a_digit_is_what_the_standard_library_says() {
        for byte in 0..=u8::MAX {
            for place in 0..8_u32 {
                let mut text = *b"00000000";
                *text.get_mut(place as usize).unwrap() = byte;
                let digit = (byte as char).to_digit(16).filter(|_| !byte.is_ascii_uppercase());
                let read = Digits::read(text);
                let wanted = digit.map(|digit| u64::from(digit) << (28 - 4 * place));
                assert_eq!((read.wrong == 0).then_some(read.value), wanted, "{byte} {place}");
            }
        }
    }

    #[test]
    fn what_was_put_in_is_there_and_nothing_else() {
        // Neighbours, as time-ordered UUIDs are, and the nil UUID.
        let id = |index: u64| Uuid([0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | index]);
        for room in [0, 10, 100_000] {
            let mut set = UuidSet::with_room_for(room);
            for index in (0..20_000).step_by(2) {
                assert!(set.insert(id(index)));
                assert!(!set.insert(id(index)));
            }
            assert!(!set.contains(NIL) && set.insert(NIL) && !set.insert(NIL));
            set.fit();
            assert!(set.slots.len() <= 2 * 12_501, "{}", set.slots.len());
            assert!(set.contains(NIL));
            assert!((0..20_000).all(|index| set.contains(id(index)) == (index % 2 == 0)));
            let mut staged = Staged::with_room_for(room);
            (0..20_000)
                .step_by(2)
                .chain(0..100)
                .map(id)
                .chain([NIL])
                .for_each(|id| staged.push(id));
            let set = staged.into_set();
            assert_eq!(set.len(), 10_000 + 50 + 1);
            assert!((100..20_000).all(|index| set.contains(id(index)) == (index % 2 == 0)));
            assert!(set.contains(NIL) && set.contains(id(99)));
        }
        assert!(!UuidSet::default().contains(NIL) && !UuidSet::default().contains(id(1)));
    }
}
