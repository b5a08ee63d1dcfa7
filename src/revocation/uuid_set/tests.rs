#![allow(clippy::unwrap_used)] // a test may panic

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

/// A wrong character in one place, and the same one in two: neither makes up for the other.
#[test]
fn each_place_must_be_a_digit() {
    let good = *b"0123abcd-4567-89ef-0011-aabbccddeeff";
    let places: Vec<usize> = (0..TEXT).filter(|at| good.get(*at) != Some(&b'-')).collect();
    for wrong in [b'g', b'A', b'/', b':', b'`', b'-', 0x80] {
        for (index, one) in places.iter().enumerate() {
            for other in places.iter().skip(index) {
                let mut text = good;
                [one, other].into_iter().for_each(|at| *text.get_mut(*at).unwrap() = wrong);
                assert_eq!(Uuid::parse(&text), None, "{wrong} {one} {other}");
            }
        }
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
    // Neighbours, as time-ordered UUIDs are, some of them twice, and the nil UUID.
    let id = |index: u64| Uuid([0x0190_0000_0000_7000, 0x8000_0000_0000_0000 | index]);
    for (room, count) in [(0, 0), (0, 10), (10, 20_000), (100_000, 20_000), (0, 400_000)] {
        let mut staged = Staged::with_room_for(room);
        let even = (0..count).step_by(2);
        even.chain((0..count / 8).step_by(2)).map(id).for_each(|id| staged.push(id));
        let set = staged.into_set();
        assert_eq!(set.len() as u64, count / 2);
        assert!((0..count + 10).all(|at| set.contains(id(at)) == (at % 2 == 0 && at < count)));
        assert!(!set.contains(NIL));
    }
    assert!(!UuidSet::default().contains(NIL) && !UuidSet::default().contains(id(1)));
    let mut staged = Staged::with_room_for(0);
    [NIL, id(1), NIL].into_iter().for_each(|id| staged.push(id));
    let set = staged.into_set();
    assert!(set.contains(NIL) && set.contains(id(1)) && set.len() == 2);
}

/// A list that says the same thing again and again, as large as a push can be.
#[test]
fn one_id_many_times_takes_no_longer() {
    let mut staged = Staged::with_room_for(0);
    (0..2_000_000).for_each(|_| staged.push(Uuid([1, 2])));
    assert_eq!(staged.into_set().len(), 1);
}

#[test]
fn an_id_takes_seventeen_or_eighteen_bytes_in_a_bucket_of_four_to_eight() {
    for ids in [600_000_usize, 1_000_000] {
        // As many as there are in a text of 36 bytes and a comma for each.
        let mut staged = Staged::with_room_for_those_in(&vec![b'0'; ids * 37]);
        let room = |staged: &Staged| staged.0.iter().map(Vec::capacity).sum::<usize>();
        let before = room(&staged);
        assert!((ids..=ids + ids / 4).contains(&before), "{before}");
        let id = |index: u64| Uuid([index.wrapping_mul(0x9E37_79B9), index]);
        (0..ids as u64).map(id).for_each(|id| staged.push(id));
        assert_eq!(room(&staged), before, "it was too small");
        let set = staged.into_set();
        assert!((17 * ids..=18 * ids).contains(&set.bytes()), "{}", set.bytes());
        let buckets = set.buckets.len() - 1;
        assert!((4 * buckets..=8 * buckets).contains(&ids), "{buckets}");
    }
}
