//! Where the values of a point-of-sale record come from, and what is summed.

use std::collections::BTreeSet;

use super::format::Positions;
use super::inputs::{Input, MEASURES, Source};
use super::spec::NEEDED_COLUMNS;
use super::{Captured, FeedSpec, FieldSpec, HeaderNames, HeaderRule, MeasureSpec, Problem, Supersede};
use crate::date::day_number;
use crate::header::{ColumnName, is_name};
use crate::pattern::Captures;
use crate::values::{CodeText, ValueRules};

/// The greatest number of measures in a feed.
pub(crate) const MAX_MEASURES: usize = 8;

/// What is read of a point-of-sale record, and how.
#[derive(Clone, Debug)]
pub struct SalesLayout {
    /// Where values come from: the five of [`NEEDED_COLUMNS`], and one for each measure that has a field of its own. If
    /// there are such, amount and code are absent.
    pub(crate) inputs: Vec<Input>,
    /// The amount columns of the summary: in the order of their codes, or of the feed that the profile belongs to.
    pub measures: Vec<Measure>,
    /// How values are written.
    pub(crate) values: ValueRules,
    /// The day that the file's name gives to all records.
    pub(crate) day: Option<i32>,
    /// What a newer submission replaces.
    pub supersede: Supersede,
}

/// One amount column of the summary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// The column's name.
    pub name: String,
    /// The transaction code whose amounts it sums. For a measure with a field of its own, its place among the measures.
    pub code: i32,
}

impl SalesLayout {
    pub(super) fn new(
        spec: &FeedSpec,
        values: &ValueRules,
        positions: &mut Positions,
    ) -> Result<Self, Problem> {
        let (measures, fields) = measures(spec)?;
        let is_wide = !fields.is_empty();
        let carried = spec.records.kind.iter().flat_map(|kind| kind.fields.keys());
        let carried: BTreeSet<&str> = carried.map(String::as_str).collect();
        let mut inputs = Vec::new();
        for name in NEEDED_COLUMNS {
            let source = if is_wide && matches!(name, "amount" | "code") {
                if spec.fields.contains_key(name) {
                    let problem =
                        format!("has {name}, but the measures have fields of their own: leave it out");
                    return Err(("fields", problem));
                }
                Source::Absent
            } else if carried.contains(name) {
                Source::Carried
            } else {
                source(spec, name, positions)?
            };
            inputs.push(Input {
                name: name.to_owned(),
                source,
            });
        }
        for field in fields {
            inputs.push(Input {
                source: source(spec, &field, positions)?,
                name: field,
            });
        }
        if let Some(unknown) = spec
            .fields
            .keys()
            .find(|name| !inputs.iter().any(|input| input.name == **name))
        {
            let problem = format!(
                "has {unknown}, which nothing reads: a field is one of {}, or named by a measure",
                NEEDED_COLUMNS.join(", ")
            );
            return Err(("fields", problem));
        }
        Ok(Self {
            inputs,
            measures,
            values: values.clone(),
            day: None,
            supersede: spec.supersede,
        })
    }

    /// Returns the rule for headers: where only names say where fields are, there must be one.
    pub(super) fn header(&self, spec: &FeedSpec) -> Result<HeaderRule, Problem> {
        let is_only_named = |input: &Input| matches!(input.source, Source::Field { position: None, .. });
        let Some(input) = self.inputs.iter().find(|input| is_only_named(input)) else {
            return Ok(match self.names().is_empty() && spec.header == HeaderRule::Auto {
                // Nothing has a name, so no line can be recognized as a header.
                true => HeaderRule::Never,
                false => spec.header,
            });
        };
        let name = &input.name;
        if spec.header == HeaderRule::Never || spec.header_names == HeaderNames::Ignore {
            let problem = format!(
                "says where {name} is by its name in a header, but the headers of this feed are not read: name its column"
            );
            return Err(("fields", problem));
        }
        Ok(HeaderRule::Always)
    }

    /// Returns the measure that sums the amounts of lines with a code, given as it is written. `None` if none does, or if
    /// measures have fields of their own.
    pub fn measure_of(&self, code: &str) -> Option<&Measure> {
        let CodeText::Number(code) = self.values.codes.read(code.trim().as_bytes())? else {
            return None;
        };
        let mut measures = self.measures.iter().filter(|_| !self.is_wide());
        measures.find(|measure| measure.code == code)
    }

    /// Returns what a header must name.
    pub(crate) fn names(&self) -> Vec<ColumnName> {
        let name = |input: &Input| match &input.source {
            Source::Field { name, .. } => name.clone(),
            _ => None,
        };
        self.inputs.iter().filter_map(name).collect()
    }

    /// Returns whether each measure has a field of its own.
    pub(crate) fn is_wide(&self) -> bool {
        self.inputs.len() > MEASURES
    }

    /// Returns whether all five values are fields of the record that a header can move.
    pub(super) fn has_plain_fields(&self) -> bool {
        let is_plain = |input: &Input| matches!(input.source, Source::Field { name: Some(_), .. });
        !self.is_wide() && self.inputs.iter().all(is_plain)
    }

    pub(super) fn reads_names(&self) -> bool {
        self.captures(Captured::Store) || self.captures(Captured::Date)
    }

    /// Returns whether a field comes from this capture.
    pub(super) fn captures(&self, capture: Captured) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| matches!(input.source, Source::Capture(of_input) if of_input == capture))
    }

    /// Takes from a file's name what it gives to all records.
    pub(super) fn take(&mut self, captures: &Captures) {
        for input in &mut self.inputs {
            match input.source {
                Source::Capture(Captured::Store) => {
                    let store = captures.store.as_deref().unwrap_or_default();
                    input.source = Source::Given(store.as_bytes().into());
                }
                Source::Capture(Captured::Date) => self.day = captures.date.map(day_number),
                _ => {}
            }
        }
    }

    /// Puts the measures into the order of a feed's, and returns whether that is another one.
    pub(super) fn order_as(&mut self, feed: &Self) -> Result<bool, Problem> {
        let mut order = Vec::new();
        for measure in &feed.measures {
            order.extend(self.measures.iter().position(|own| own.name == measure.name));
        }
        if order.len() != self.measures.len() || order.len() != feed.measures.len() {
            let names: Vec<_> = feed
                .measures
                .iter()
                .map(|measure| measure.name.as_str())
                .collect();
            return Err((
                "measures",
                format!("must name the feed's columns: {}", names.join(", ")),
            ));
        }
        let is_other = !order.iter().copied().eq(0..order.len());
        if self.is_wide() {
            let inputs = order.iter().map(|at| self.inputs[MEASURES + at].clone());
            let inputs: Vec<_> = inputs.collect();
            self.inputs.truncate(MEASURES);
            self.inputs.extend(inputs);
            self.measures.clone_from(&feed.measures);
        } else {
            self.measures = order.iter().map(|at| self.measures[*at].clone()).collect();
        }
        Ok(is_other)
    }
}

/// Returns the measures and, if they have some, their own fields, in the same order.
fn measures(spec: &FeedSpec) -> Result<(Vec<Measure>, Vec<String>), Problem> {
    let fail = |problem| Err(("measures", problem));
    if spec.measures.is_empty() {
        let example = "write measures = { sale_amount = 4, tax_amount = 5, discount_amount = 6 }";
        return fail(format!("is missing: {example}"));
    }
    if spec.measures.len() > MAX_MEASURES {
        return fail(format!("has more than {MAX_MEASURES} columns"));
    }
    if let Some(clash) = spec
        .measures
        .keys()
        .find(|name| NEEDED_COLUMNS.contains(&name.as_str()))
    {
        return fail(format!("names a column {clash}, which is an input column"));
    }
    let (mut measures, mut fields) = (Vec::new(), Vec::new());
    for (name, measure) in &spec.measures {
        match measure {
            MeasureSpec::Code(code) => measures.push(Measure {
                name: name.clone(),
                code: *code,
            }),
            MeasureSpec::Field { field } => fields.push((name, field)),
        }
    }
    if fields.is_empty() {
        measures.sort_by_key(|measure| measure.code);
        if let Some(pair) = measures.windows(2).find(|pair| pair[0].code == pair[1].code) {
            return fail(format!(
                "gives code {} to {} and to {}",
                pair[0].code, pair[0].name, pair[1].name
            ));
        }
        return Ok((measures, Vec::new()));
    }
    if !measures.is_empty() {
        return fail("has codes and fields: either each measure has a code, or each has a field".into());
    }
    let measures = (1..).zip(&fields).map(|(code, (name, _))| Measure {
        name: (*name).clone(),
        code,
    });
    let names: Vec<String> = fields.iter().map(|(_, field)| (*field).clone()).collect();
    for (at, name) in names.iter().enumerate() {
        if names[..at].contains(name) || NEEDED_COLUMNS.contains(&name.as_str()) {
            return fail(format!("reads the field {name} twice"));
        }
    }
    Ok((measures.collect(), names))
}

/// Finds out where a value comes from.
fn source(spec: &FeedSpec, field: &str, positions: &mut Positions) -> Result<Source, Problem> {
    let mut names = Vec::new();
    match spec.fields.get(field) {
        None => {}
        Some(FieldSpec::Name(name)) => names.push(name.clone()),
        Some(FieldSpec::Names(listed)) if listed.is_empty() => {
            return Err(("fields", format!("has an empty list for {field}: leave it out")));
        }
        Some(FieldSpec::Names(listed)) => names.clone_from(listed),
        Some(FieldSpec::Capture { capture }) => {
            let fits = matches!(
                (field, capture),
                ("store_id", Captured::Store) | ("trans_date", Captured::Date)
            );
            if !fits {
                return Err((
                    "fields",
                    format!(
                        "takes {field} from a capture: store_id may be {{ capture = \"store\" }}, trans_date {{ capture = \"date\" }}"
                    ),
                ));
            }
            return Ok(Source::Capture(*capture));
        }
        Some(FieldSpec::Value { value }) => return Ok(Source::Given(value.as_bytes().into())),
        Some(FieldSpec::Place(position)) => {
            return Ok(Source::Field {
                name: None,
                position: Some(positions.position(
                    "fields",
                    *position,
                    matches!(field, "store_id" | "item_id"),
                )?),
            });
        }
    }
    let is_listed = !names.is_empty();
    let is_amount = field == "amount" || !NEEDED_COLUMNS.contains(&field);
    let paths = if is_listed {
        names.clone()
    } else {
        vec![field.to_owned()]
    };
    if let Some(position) = positions.path(&paths, is_amount) {
        return Ok(Source::Field {
            name: None,
            position: Some(position),
        });
    }
    if is_listed && !positions.has_names() {
        let problem = format!(
            "says where {field} is by a name, but only headers and JSON have names: write start and length"
        );
        return Err(("fields", problem));
    }
    if !names.iter().any(|name| is_name(name, field)) {
        names.push(field.to_owned());
    }
    let position = names
        .iter()
        .find_map(|name| spec.columns.iter().position(|column| is_name(column, name)));
    // The field of a measure is its name in a header, unless more is said.
    let is_named = is_listed || positions.names_all() || !NEEDED_COLUMNS.contains(&field);
    if position.is_none() && (!is_named || !positions.has_names()) {
        let problem = match spec.columns.is_empty() {
            true => return Err(("fields", format!("does not say where {field} is"))),
            false => format!(
                "does not name {field}, and fields does not say where it is: a sales feed needs {}",
                NEEDED_COLUMNS.join(", ")
            ),
        };
        return Err(("columns", problem));
    }
    Ok(Source::Field {
        name: Some(ColumnName {
            name: field.to_owned(),
            names,
        }),
        position,
    })
}
