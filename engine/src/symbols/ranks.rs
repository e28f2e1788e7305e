//! The ranks of texts among others: their numbers in byte order.

use std::cmp::Ordering;

use rayon::prelude::*;

use super::Texts;
use crate::radix;

/// So few texts are ranked by comparing them.
const FEW: usize = if cfg!(test) { 10 } else { 1 << 10 };

/// For so many words a text there is a bit each; more are sorted.
const WORDS_A_TEXT: u128 = 64;

/// The most words that have bits.
const MOST_MARKS: u128 = 1 << 30;

/// Merges several collections of texts: returns the distinct texts in byte order, and for each collection the rank of
/// each of its texts among them.
pub(crate) fn ranked(collections: &[&Texts]) -> (Texts, Vec<Vec<u32>>) {
    let count: usize = collections.iter().map(|texts| texts.len()).sum();
    let alphabets = (count >= FEW).then(|| Alphabets::of(collections)).flatten();
    match alphabets {
        Some(alphabets) if alphabets.words <= MOST_MARKS.min(WORDS_A_TEXT * count as u128) => {
            marked(collections, &alphabets)
        }
        Some(alphabets) if alphabets.words <= 1 << u64::BITS => {
            let of_collections = of_each(collections, |texts| alphabets.words_of(texts));
            let mut refs: Vec<TextRef<u64>> = text_refs(&of_collections).collect();
            radix::sort(&mut refs, alphabets.bits(), |text| text.start);
            sorted(collections, &refs, |one, two| one.start == two.start)
        }
        _ => {
            let text = |text: &TextRef<Start>| collections[text.collection as usize].get(text.number);
            let compare = |one: &TextRef<Start>, two: &TextRef<Start>| match one.start.cmp(&two.start) {
                Ordering::Equal if one.start.is_cut() => text(one).cmp(text(two)),
                order => order,
            };
            let starts = of_each(collections, |texts| texts.starts().collect());
            let mut refs: Vec<TextRef<Start>> = text_refs(&starts).collect();
            // A stable sort finds the collections that are in order already, and merges them.
            refs.sort_by(compare);
            sorted(collections, &refs, |one, two| {
                compare(one, two) == Ordering::Equal
            })
        }
    }
}

/// Does something with each of some parts: by all threads, unless there is one part.
fn of_each<P: Copy + Sync + Send, T: Send>(parts: &[P], take: impl Fn(P) -> T + Sync) -> Vec<T> {
    match parts {
        // This may run before the end of a unit's turn, where nothing may wait for the pool.
        [one] => vec![take(*one)],
        several => several.par_iter().map(|part| take(*part)).collect(),
    }
}

/// Where a text is, and how it starts: most comparisons need not fetch the text itself.
#[derive(Clone, Copy)]
struct TextRef<S> {
    start: S,
    collection: u32,
    number: u32,
}

/// Returns all texts with their starts, one collection after the other.
fn text_refs<S: Copy>(starts: &[Vec<S>]) -> impl Iterator<Item = TextRef<S>> {
    (0..).zip(starts).flat_map(|(collection, starts)| {
        (0..).zip(starts).map(move |(number, start)| TextRef {
            start: *start,
            collection,
            number,
        })
    })
}

/// Ranks texts, which are in order.
fn sorted<S: Copy>(
    collections: &[&Texts],
    refs: &[TextRef<S>],
    are_equal: impl Fn(&TextRef<S>, &TextRef<S>) -> bool,
) -> (Texts, Vec<Vec<u32>>) {
    let mut distinct = Texts::default();
    let mut ranks: Vec<Vec<u32>> = collections.iter().map(|texts| vec![0; texts.len()]).collect();
    for equal in refs.chunk_by(are_equal) {
        let rank = distinct.push(collections[equal[0].collection as usize].get(equal[0].number));
        for text in equal {
            ranks[text.collection as usize][text.number as usize] = rank;
        }
    }
    (distinct, ranks)
}

/// Ranks texts by marking their words: the rank of one is the number of marks before its own.
fn marked(collections: &[&Texts], alphabets: &Alphabets) -> (Texts, Vec<Vec<u32>>) {
    let mut ranks = of_each(collections, |texts| {
        texts
            .starts()
            .map(|start| alphabets.word(start) as u32)
            .collect::<Vec<u32>>()
    });
    let mut marks = vec![0_u64; alphabets.words.div_ceil(64) as usize];
    for word in ranks.iter().flatten() {
        marks[(word / 64) as usize] |= 1 << (word % 64);
    }
    let before: Vec<u32> = marks
        .iter()
        .scan(0, |count, marks| {
            Some(std::mem::replace(count, *count + marks.count_ones()))
        })
        .collect();
    let rank = |word: &mut u32| {
        let at = (*word / 64) as usize;
        *word = before[at] + (marks[at] & ((1 << (*word % 64)) - 1)).count_ones();
    };
    match ranks.as_mut_slice() {
        [one] => one.iter_mut().for_each(rank),
        several => several
            .par_iter_mut()
            .for_each(|ranks| ranks.iter_mut().for_each(rank)),
    }
    let count: u32 = marks.iter().map(|marks| marks.count_ones()).sum();
    let mut texts = vec![(0, 0); count as usize];
    for (collection, ranks) in ranks.iter().enumerate() {
        for (number, rank) in (0..).zip(ranks) {
            texts[*rank as usize] = (collection, number);
        }
    }
    let mut distinct = Texts::default();
    for (collection, number) in texts {
        distinct.push(collections[collection].get(number));
    }
    (distinct, ranks)
}

/// The first bytes of a text, the first one uppermost, and in the lowest byte their number, or one more if there are
/// more. Starts are in the order of their texts; equal ones have equal texts unless they are cut.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Start(u128);

impl Start {
    /// The most bytes of a text.
    const BYTES: usize = 15;

    /// Returns the start of the text that is the first `length` of some bytes.
    #[inline(always)]
    fn of(bytes: &[u8], length: usize) -> Self {
        let first = match bytes.first_chunk() {
            Some(first) => *first,
            None => {
                let mut first = [0; Self::BYTES + 1];
                first[..bytes.len()].copy_from_slice(bytes);
                first
            }
        };
        let kept = length.min(Self::BYTES) as u32;
        let behind = u128::MAX >> (u8::BITS * kept);
        Self(u128::from_be_bytes(first) & !behind | length.min(Self::BYTES + 1) as u128)
    }

    fn is_cut(self) -> bool {
        self.0 as u8 as usize > Self::BYTES
    }
}

impl Texts {
    fn starts(&self) -> impl Iterator<Item = Start> {
        let (bytes, mut from) = (self.bytes.as_bytes(), 0);
        self.ends.iter().map(move |end| {
            let start = std::mem::replace(&mut from, *end);
            Start::of(&bytes[start..], end - start)
        })
    }
}

/// Which bytes occur at each position of a start. Written as a number whose digits are the places of its bytes among
/// those, a start is a word: words are in the order of starts, and as few as can be.
struct Alphabets {
    /// For each position with several bytes, how far to the right it stands in a start, and what each byte there adds.
    positions: Vec<(u32, Box<[u64; 256]>)>,
    /// How many words there are.
    words: u128,
}

/// Whether each byte occurs, by position.
type Seen = [[bool; 256]; Start::BYTES + 1];

impl Alphabets {
    /// Returns the alphabets of all texts, unless a start is cut.
    fn of(collections: &[&Texts]) -> Option<Self> {
        // Each thread has several collections, as what was seen takes some memory.
        let share = collections.len().div_ceil(rayon::current_num_threads());
        let shares: Vec<&[&Texts]> = collections.chunks(share.max(1)).collect();
        let seen = of_each(&shares, |share| {
            let mut seen: Box<Seen> = Box::new([[false; 256]; Start::BYTES + 1]);
            for start in share.iter().flat_map(|texts| texts.starts()) {
                for (seen, byte) in seen.iter_mut().zip(start.0.to_be_bytes()) {
                    seen[byte as usize] = true;
                }
            }
            seen
        });
        if seen.iter().any(|seen| seen[Start::BYTES][Start::BYTES + 1]) {
            return None;
        }
        let (mut positions, mut words) = (Vec::new(), 1_u128);
        for position in (0..=Start::BYTES).rev() {
            let mut count = 0;
            let mut adds = Box::new([0; 256]);
            for (byte, adds) in adds.iter_mut().enumerate() {
                if seen.iter().any(|seen| seen[position][byte]) {
                    // Of no use where there are more words than fit.
                    *adds = words.wrapping_mul(count) as u64;
                    count += 1;
                }
            }
            if count > 1 {
                positions.push((u8::BITS * (Start::BYTES - position) as u32, adds));
                words *= count;
            }
        }
        Some(Self { positions, words })
    }

    /// Returns how many bits a word takes.
    fn bits(&self) -> u32 {
        u128::BITS - (self.words - 1).leading_zeros()
    }

    #[inline(always)]
    fn word(&self, start: Start) -> u64 {
        self.positions.iter().fold(0, |word, (shift, adds)| {
            word.wrapping_add(adds[(start.0 >> shift) as u8 as usize])
        })
    }

    fn words_of(&self, texts: &Texts) -> Vec<u64> {
        texts.starts().map(|start| self.word(start)).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranks_are_in_the_order_of_bytes(
            collections in prop_oneof![
                Just("[abé]{0,3}|a{13,14}[ab\0]{0,4}"), Just("[ab]{0,3}"), Just("IT[0-9]{0,2}"), Just("[0-9]{1,13}\0?"),
                Just("[a-zA-Z0-9é]{12}"),
            ].prop_flat_map(|texts| prop::collection::vec(prop::collection::hash_set(texts, 0..20), 0..4)),
        ) {
            let texts: Vec<Texts> = collections.iter().map(|ids| {
                let mut texts = Texts::default();
                ids.iter().for_each(|id| { texts.push(id); });
                texts
            }).collect();
            let (distinct, ranks) = ranked(&texts.iter().collect::<Vec<_>>());
            let expected: std::collections::BTreeSet<&str> = collections.iter().flatten().map(String::as_str).collect();
            prop_assert_eq!(distinct.iter().collect::<Vec<_>>(), expected.iter().copied().collect::<Vec<_>>());
            for (rank, text) in (0..).zip(&expected) {
                prop_assert_eq!(distinct.rank(text), Some(rank));
            }
            for text in ["", "aaaaa", "c", "é"].into_iter().filter(|text| !expected.contains(text)) {
                prop_assert_eq!(distinct.rank(text), None);
            }
            for (texts, ranks) in texts.iter().zip(&ranks) {
                for (text, rank) in texts.iter().zip(ranks) {
                    prop_assert_eq!(distinct.get(*rank), text);
                }
            }
        }
    }
}
