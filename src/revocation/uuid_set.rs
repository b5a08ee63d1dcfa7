//! A set of UUIDs, built fast: a worker waits while a million are put into it.
//!
//! In: UUIDs. Out: whether one is in the set. Only the form in which Kuma writes them is read (RFC 9562
//! §4, lower case): any other spelling is another ID to Kuma, and not for this set.
//!
//! The ids are in buckets of four to eight, by a hash. Each takes 17 or 18 bytes. A lookup mostly reads one cache line. It
//! reads more for an id that is in the set, and for one in nine to one in five of the others.

/// Bytes of a UUID in its text form.
pub(super) const TEXT: usize = 36;

/// A UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uuid([u64; 2]);

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
        right.then_some(Self([a.followed_by(&b), c.followed_by(&d)]))
    }

    /// Which of so many buckets it is in.
    fn home(self, buckets: usize) -> usize {
        let Self([high, low]) = self;
        // The upper half of a product with the golden ratio is well mixed.
        let mixed = (high ^ low.rotate_left(29)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        let buckets = u64::try_from(buckets).unwrap_or(u64::MAX);
        usize::try_from(mixed.wrapping_mul(buckets) >> 32).unwrap_or_default()
    }

    /// One bit of 32, which says a little of what it is.
    fn mark(self) -> u32 {
        let Self([_, low]) = self;
        // The last digits of a UUID are random, as a rule.
        1_u32.rotate_left(u32::try_from(low % 32).unwrap_or_default())
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
        Self { value: Self::packed(digits), wrong }
    }

    /// The number of eight digits, one in each byte. The first digit is the highest one.
    fn packed(digits: u64) -> u64 {
        // Four bits of every eight are drawn together.
        let value = digits.swap_bytes();
        let value = (value | value >> 4) & 0x00FF_00FF_00FF_00FF;
        let value = (value | value >> 8) & 0x0000_FFFF_0000_FFFF;
        (value | value >> 16) & 0xFFFF_FFFF
    }

    /// The number of these digits and eight more.
    fn followed_by(&self, low: &Self) -> u64 {
        self.value << 32 | low.value
    }
}

/// UUIDs that are to be put into a set, sorted by the part of the set to which they belong. Put in part by part, they find
/// that part in the processor's cache. In any other order, most of a million insertions would read main memory.
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

    /// None yet, with room for as many as this text can hold.
    pub(super) fn with_room_for_those_in(text: &[u8]) -> Self {
        const WITH_COMMA: usize = TEXT + 1;
        Self::with_room_for(text.len() / WITH_COMMA)
    }

    /// Adds `id`.
    #[inline]
    pub(super) fn push(&mut self, id: Uuid) {
        if let Some(part) = self.0.get_mut(id.home(PARTS)) {
            part.push(id);
        }
    }

    /// All of them as a set.
    pub(super) fn into_set(self) -> UuidSet {
        let count: usize = self.0.iter().map(Vec::len).sum();
        // A power of two, so that a part is whole buckets.
        let buckets = (count / IN_A_BUCKET / PARTS).next_power_of_two();
        let mut set = UuidSet {
            ids: Vec::with_capacity(count),
            buckets: Vec::with_capacity(buckets.saturating_mul(PARTS).saturating_add(1)),
        };
        for (part, ids) in self.0.into_iter().enumerate() {
            set.add_part(part.saturating_mul(buckets), buckets, ids);
        }
        set.add_bucket(&[]);
        set
    }
}

/// A set of UUIDs: bucket after bucket, and where each starts.
#[derive(Debug, Clone, Default)]
pub(super) struct UuidSet {
    ids: Vec<Uuid>,
    /// Each, and one behind the last.
    buckets: Vec<Bucket>,
}

/// A bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    /// Where its ids start; they end where those of the next one start.
    start: u32,
    /// The [`mark`](Uuid::mark) of every id in it, combined. An id whose mark is missing is not in the bucket.
    marks: u32,
}

/// Ids of a bucket, at most, about: two cache lines of them.
const IN_A_BUCKET: usize = 8;

impl UuidSet {
    /// Adds `ids`, all those of the `buckets` that start with bucket `first`.
    fn add_part(&mut self, first: usize, buckets: usize, ids: Vec<Uuid>) {
        let all = buckets.saturating_mul(PARTS);
        let bucket = |id: Uuid| id.home(all).saturating_sub(first);
        // How many are in each; then where the next one of each goes.
        let mut places = vec![0_usize; buckets];
        for id in &ids {
            if let Some(count) = places.get_mut(bucket(*id)) {
                *count = count.saturating_add(1);
            }
        }
        let mut end = 0_usize;
        for place in &mut places {
            let start = end;
            end = end.saturating_add(std::mem::replace(place, start));
        }
        let mut sorted = vec![NIL; ids.len()];
        for id in ids {
            if let Some(place) = places.get_mut(bucket(id))
                && let Some(slot) = sorted.get_mut(*place)
            {
                *slot = id;
                *place = place.saturating_add(1);
            }
        }
        // The last place of each is where the one after it starts.
        let mut start = 0_usize;
        for end in places {
            self.add_bucket(sorted.get(start..end).unwrap_or_default());
            start = end;
        }
    }

    /// Adds the next bucket, each id once.
    fn add_bucket(&mut self, ids: &[Uuid]) {
        let start = self.ids.len();
        for id in ids {
            if !self.ids.iter().skip(start).any(|there| there == id) {
                self.ids.push(*id);
            }
        }
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let marks = ids.iter().fold(0, |marks, id| marks | id.mark());
        self.buckets.push(Bucket { start, marks });
    }

    /// Whether `id` is there.
    pub(super) fn contains(&self, id: Uuid) -> bool {
        let home = id.home(self.buckets.len().saturating_sub(1));
        let Some([bucket, next, ..]) = self.buckets.get(home..) else { return false };
        if bucket.marks & id.mark() == 0 {
            return false;
        }
        let place = |bucket: &Bucket| usize::try_from(bucket.start).ok();
        match (place(bucket), place(next)) {
            (Some(start), Some(end)) => {
                self.ids.get(start..end).is_some_and(|ids| ids.contains(&id))
            }
            _ => false,
        }
    }

    /// How many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let ids = self.ids.capacity().saturating_mul(size_of::<Uuid>());
        ids.saturating_add(self.buckets.capacity().saturating_mul(size_of::<Bucket>()))
    }

    /// How many are in it.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

#[cfg(test)]
mod tests;
