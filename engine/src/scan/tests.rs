use proptest::prelude::*;

use super::*;

/// Finds the ends byte by byte, by definition.
fn by_definition(text: &[u8], delimiter: u8) -> Ends {
    let mut ends = Ends::default();
    for (byte, at) in text.iter().zip(0..) {
        if *byte == b'\n' {
            ends.lines.push(ends.fields.len() as u32);
        }
        if *byte == delimiter || *byte == b'\n' {
            ends.fields.push(at);
        }
        ends.has_odd |= *byte == QUOTE || *byte == CR;
        ends.has_nul |= *byte == 0;
    }
    ends
}

/// Returns every scan that this machine can run.
fn every_scan() -> Vec<(&'static str, Scan)> {
    let mut scans: Vec<(&str, Scan)> = vec![("portable", portable::scan)];
    #[cfg(target_arch = "x86_64")]
    {
        scans.extend(avx2::scan_if_available().map(|scan| ("avx2", scan)));
        scans.extend(avx512::scan_if_available().map(|scan| ("avx512", scan)));
    }
    #[cfg(target_arch = "aarch64")]
    scans.extend(neon::scan_if_available().map(|scan| ("neon", scan)));
    scans
}

fn check(text: &[u8], delimiter: u8) {
    let expected = by_definition(text, delimiter);
    for (name, scan) in every_scan() {
        let mut found = Ends::default();
        scan(text, 0, delimiter, &mut found);
        assert_eq!(found, expected, "{name} on {text:?}");
        // In two parts, split at every position near a vector's width; the second adds to what the first found.
        for border in [1, 31, 32, 33, 63, 64, 65, 127, 128]
            .into_iter()
            .filter(|border| *border <= text.len())
        {
            let mut found = Ends::default();
            scan(&text[..border], 0, delimiter, &mut found);
            scan(&text[border..], border as u32, delimiter, &mut found);
            assert_eq!(found, expected, "{name} in two parts at {border} on {text:?}");
        }
    }
}

#[test]
fn every_length_full_of_marks_and_empty_of_them() {
    for length in 0..260 {
        check(&vec![b'\t'; length], b'\t');
        check(&vec![b'x'; length], b'\t');
        let alternating: Vec<u8> = (0..length).map(|at| b"\t\n\"x\xff\r\x89"[at % 7]).collect();
        check(&alternating, b'\t');
        check(&alternating, b'|');
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn random_texts(text in prop::collection::vec(prop::sample::select(b"\t\n\"|xy\x00\x8a\xff\r".to_vec()), 0..700)) {
        check(&text, b'\t');
        check(&text, b'|');
    }

    #[test]
    fn random_bytes(text in prop::collection::vec(any::<u8>(), 0..700), delimiter in any::<u8>()) {
        check(&text, delimiter);
    }
}
