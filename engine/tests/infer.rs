//! What is found of samples, and what is left open. That the settings read the samples is shown by the tests of the command.

use gristmill_engine::{Inferred, Sample, Wanted, infer};

fn found(files: &[(&str, &[u8])]) -> Inferred {
    let sample = |(name, bytes): &(&str, &[u8])| Sample::read(name, *bytes, 1 << 20).expect("memory can be read");
    let samples: Vec<Sample> = files.iter().map(sample).collect();
    let wanted = Wanted {
        feed: "sales".into(),
        profile: None,
    };
    infer(&samples, &wanted)
}

#[test]
fn show() {
    let cases = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/cases");
    let mut all: Vec<_> = std::fs::read_dir(cases).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect();
    all.sort();
    if let Ok(folder) = std::env::var("DIALECTS") {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let inferred = found(&[(&name, &std::fs::read(&path).unwrap())]);
            println!("===== {name}\n{}{:#?}", inferred.settings, inferred.questions);
        }
    }
    for case in all {
        let mut files = Vec::new();
        for entry in std::fs::read_dir(case.join("in")).unwrap() {
            let path = entry.unwrap().path();
            files.push((path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap()));
        }
        files.sort();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
        let inferred = found(&files);
        println!("===== {}\n{}{:#?}", case.display(), inferred.settings, inferred.questions);
    }
}
