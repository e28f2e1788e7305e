//! JSON: which arrays hold the records, and which paths lead to their fields.

use gristmill_engine::reading::{Value, json_objects};

use crate::grid::{ColumnPosition, Grid, Row};

/// The most paths of a record.
const MOST_PATHS: usize = 100;

/// The objects of all samples.
pub(crate) struct Objects {
    objects: Vec<(usize, Value)>,
    /// Records that are no objects.
    pub(crate) others: u64,
}

/// The records of some arrays.
pub(crate) struct Exploded {
    /// The arrays, as the settings write them; `None` if each object is a record.
    pub(crate) explode: Option<String>,
    pub(crate) grid: Grid,
    pub(crate) positions: Vec<ColumnPosition>,
    /// For each position, how many values are numbers.
    pub(crate) typed: Vec<u64>,
}

/// A value at the end of a path: the path, its text, and whether it is a number.
type Leaf = (String, String, bool);

/// Reads the objects of texts, if that is what they hold.
pub(crate) fn objects(texts: &[String], most: usize) -> Option<Objects> {
    let begins = |text: &String| {
        text.trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with(['{', '['])
    };
    let filled: Vec<_> = texts.iter().filter(|text| !text.trim().is_empty()).collect();
    if filled.is_empty() || !filled.into_iter().all(begins) {
        return None;
    }
    let mut all = Objects {
        objects: Vec::new(),
        others: 0,
    };
    for (file, text) in texts.iter().enumerate() {
        let (found, others) = json_objects(text.trim_start_matches('\u{feff}').as_bytes(), most);
        all.objects.extend(found.into_iter().map(|object| (file, object)));
        all.others += others;
    }
    (!all.objects.is_empty()).then_some(all)
}

impl Objects {
    /// Returns the records of each chain of arrays, those of the objects themselves first.
    pub(crate) fn explode(&self) -> Vec<Exploded> {
        let mut chains: Vec<Vec<String>> = vec![Vec::new()];
        for (_, object) in self.objects.iter().take(200) {
            find_chains(object, &[], "", &mut chains);
        }
        chains.iter().map(|chain| self.along(chain)).collect()
    }

    fn along(&self, chain: &[String]) -> Exploded {
        let mut paths: Vec<String> = Vec::new();
        let mut rows: Vec<(usize, Vec<Leaf>)> = Vec::new();
        for (file, object) in &self.objects {
            let mut found = Vec::new();
            collect(object, chain, "", &mut Vec::new(), &mut found);
            rows.extend(found.into_iter().map(|leaves| (*file, leaves)));
        }
        for (path, ..) in rows.iter().flat_map(|(_, leaves)| leaves) {
            if paths.len() < MOST_PATHS && !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        let mut typed = vec![0; paths.len()];
        let mut grid = Grid {
            width: paths.len(),
            others: self.others,
            ..Grid::default()
        };
        for (file, leaves) in rows {
            let mut cells = vec![String::new(); paths.len()];
            for (path, text, is_number) in leaves {
                if let Some(at) = paths.iter().position(|known| *known == path) {
                    typed[at] += u64::from(is_number);
                    cells[at] = text;
                }
            }
            grid.rows.push(Row { file, cells });
        }
        Exploded {
            explode: (!chain.is_empty()).then(|| format!("{}[]", chain.join("[]."))),
            grid,
            positions: paths.into_iter().map(ColumnPosition::Path).collect(),
            typed,
        }
    }
}

/// Finds arrays of objects, and those within their elements.
fn find_chains(value: &Value, outer: &[String], path: &str, chains: &mut Vec<Vec<String>>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members {
        let path = joined(path, name);
        match member {
            Value::Object(_) => find_chains(member, outer, &path, chains),
            Value::List(elements) if elements.iter().any(|element| matches!(element, Value::Object(_))) => {
                let chain: Vec<String> = outer.iter().cloned().chain([path]).collect();
                for element in elements.iter().take(20) {
                    find_chains(element, &chain, "", chains);
                }
                if !chains.contains(&chain) && chains.len() < 20 {
                    chains.push(chain);
                }
            }
            _ => {}
        }
    }
}

/// Collects the records along a chain, each with the leaves of all that is around it.
fn collect(
    value: &Value,
    chain: &[String],
    before: &str,
    around: &mut Vec<Leaf>,
    found: &mut Vec<Vec<Leaf>>,
) {
    let length = around.len();
    leaves(value, before, around);
    match chain.split_first() {
        None => found.push(around.clone()),
        Some((array, inner)) => {
            if let Some(Value::List(elements)) = array
                .split('.')
                .try_fold(value, |value, name| member(value, name))
            {
                let before = joined(before, array);
                for element in elements {
                    collect(element, inner, &before, around, found);
                }
            }
        }
    }
    around.truncate(length);
}

/// Adds the texts and numbers of an object and of the objects in it, without arrays.
fn leaves(value: &Value, path: &str, found: &mut Vec<Leaf>) {
    let Value::Object(members) = value else { return };
    for (name, member) in members.iter().filter(|(name, _)| !name.contains('.')) {
        let path = joined(path, name);
        match member {
            Value::Text(text) => found.push((path, text.clone(), false)),
            Value::Number(text) => found.push((path, text.clone(), true)),
            Value::Object(_) => leaves(member, &path, found),
            Value::Empty | Value::List(_) => {}
        }
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Object(members) => members
            .iter()
            .rev()
            .find(|(known, _)| known == name)
            .map(|(_, member)| member),
        _ => None,
    }
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}
