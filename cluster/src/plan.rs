//! The plan that a cluster executes: read partials, sum by store, item and date, sort, write Parquet.
//!
//! It is built from relations and expressions, not from SQL text: nothing has to be quoted, and engines whose SQL
//! differs read it alike. Which file counts for which day was decided before; a file of which only some days count comes
//! with these days as literals.

use std::collections::BTreeMap;

use crate::wire::Message;

/// Files to merge, and where the result goes.
#[derive(Clone, Debug)]
pub struct Merge {
    /// The partials: Parquet with `store_id`, `item_id`, `trans_date` and the measures.
    pub inputs: Vec<MergeInput>,
    /// The names of the amount columns.
    pub measures: Vec<String>,
}

/// Files that are read alike.
#[derive(Clone, Debug)]
pub struct MergeInput {
    /// Their URLs, as the cluster reaches them.
    pub paths: Vec<String>,
    /// What of them counts; `None` if everything does.
    pub kept: Option<Kept>,
}

/// Which days of stores count: those that are named, or all but these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Whether the named days are those that count.
    pub are_named: bool,
    /// Stores with their days, which are counted from 1970-01-01.
    pub days: BTreeMap<String, Vec<i32>>,
}

/// The columns that rows are summed by.
const KEYS: [&str; 3] = ["store_id", "item_id", "trans_date"];

/// A plan that is being made; it numbers its relations.
struct Plan<'m> {
    measures: &'m [String],
    relations: i64,
}

/// The kinds of relations, by their numbers.
mod kind {
    pub(super) const READ: u32 = 2;
    pub(super) const PROJECT: u32 = 3;
    pub(super) const FILTER: u32 = 4;
    pub(super) const SET_OPERATION: u32 = 6;
    pub(super) const SORT: u32 = 7;
    pub(super) const AGGREGATE: u32 = 9;
}

impl Merge {
    /// Returns the message `Plan` that writes the result as Parquet to a new folder.
    pub(crate) fn to_plan(&self, output: &str) -> Message {
        /// Fails if the folder is there already.
        const ERROR_IF_EXISTS: i64 = 3;
        let write = Message::new()
            .message(1, &self.to_relation())
            .text(2, "parquet")
            .text(3, output)
            .int(5, ERROR_IF_EXISTS);
        let command = Message::new().message(2, &write);
        Message::new().message(2, &command)
    }

    /// Returns bytes that are the same if the result is to be.
    pub fn fingerprint(&self) -> Vec<u8> {
        self.to_relation().into_bytes()
    }

    fn to_relation(&self) -> Message {
        let mut plan = Plan {
            measures: &self.measures,
            relations: 0,
        };
        let inputs = self.inputs.iter().map(|input| plan.input(input)).collect();
        let rows = plan.union(inputs);
        let sums = plan.sums(&rows);
        plan.sorted(&sums)
    }
}

impl Plan<'_> {
    fn relation(&mut self, kind: u32, body: &Message) -> Message {
        self.relations += 1;
        let common = Message::new().int(2, self.relations);
        Message::new().message(1, &common).message(kind, body)
    }

    fn input(&mut self, input: &MergeInput) -> Message {
        let source = input
            .paths
            .iter()
            .fold(Message::new().text(1, "parquet"), |source, path| {
                source.text(4, path)
            });
        let read = self.relation(kind::READ, &Message::new().message(2, &source));
        // Partials of early versions have rows without an item, which stand for ignored lines.
        let mut condition = call("isnotnull", &[column("item_id")]);
        if let Some(kept) = &input.kept {
            condition = call("and", &[condition, kept.condition()]);
        }
        let filter = Message::new().message(1, &read).message(2, &condition);
        let filtered = self.relation(kind::FILTER, &filter);
        let columns = KEYS.into_iter().chain(self.measures.iter().map(String::as_str));
        let columns: Vec<Message> = columns.map(column).collect();
        let project = Message::new().message(1, &filtered).messages(3, &columns);
        self.relation(kind::PROJECT, &project)
    }

    /// Puts rows together, as a tree that is as flat as can be: engines go down such trees by recursion.
    fn union(&mut self, mut inputs: Vec<Message>) -> Message {
        const UNION: i64 = 2;
        while inputs.len() > 1 {
            inputs = inputs
                .chunks(2)
                .map(|pair| match pair {
                    [left, right] => {
                        let union = Message::new()
                            .message(1, left)
                            .message(2, right)
                            .int(3, UNION)
                            .int(4, true.into());
                        self.relation(kind::SET_OPERATION, &union)
                    }
                    alone => alone[0].clone(),
                })
                .collect();
        }
        inputs.pop().unwrap_or_default()
    }

    fn sums(&mut self, rows: &Message) -> Message {
        const GROUP_BY: i64 = 1;
        let sums = self.measures.iter().map(|measure| {
            let alias = Message::new()
                .message(1, &call("sum", &[column(measure)]))
                .text(2, measure);
            Message::new().message(6, &alias)
        });
        let aggregate = Message::new()
            .message(1, rows)
            .int(2, GROUP_BY)
            .messages(3, &KEYS.map(column))
            .messages(4, &sums.collect::<Vec<_>>());
        self.relation(kind::AGGREGATE, &aggregate)
    }

    fn sorted(&mut self, rows: &Message) -> Message {
        const ASCENDING: i64 = 1;
        const NULLS_FIRST: i64 = 1;
        let orders = KEYS.map(|key| {
            Message::new()
                .message(1, &column(key))
                .int(2, ASCENDING)
                .int(3, NULLS_FIRST)
        });
        let sort = Message::new()
            .message(1, rows)
            .messages(2, &orders)
            .int(3, true.into());
        self.relation(kind::SORT, &sort)
    }
}

impl Kept {
    fn condition(&self) -> Message {
        let stores = self.days.iter().map(|(store, days)| {
            let days = days
                .iter()
                .map(|day| literal(&Message::new().int(16, (*day).into())));
            let days = [column("trans_date")].into_iter().chain(days);
            let store = call("==", &[column("store_id"), text(store)]);
            call("and", &[store, call("in", &days.collect::<Vec<_>>())])
        });
        let named = any(stores.collect());
        match self.are_named {
            true => named,
            false => call("not", &[named]),
        }
    }
}

/// That one of several conditions holds, as a flat tree; none of none.
fn any(mut conditions: Vec<Message>) -> Message {
    while conditions.len() > 1 {
        conditions = conditions
            .chunks(2)
            .map(|pair| match pair {
                [_, _] => call("or", pair),
                alone => alone[0].clone(),
            })
            .collect();
    }
    conditions
        .pop()
        .unwrap_or_else(|| literal(&Message::new().int(3, 0)))
}

fn column(name: &str) -> Message {
    let quoted = format!("`{}`", name.replace('`', "``"));
    Message::new().message(2, &Message::new().text(1, &quoted))
}

fn text(text: &str) -> Message {
    literal(&Message::new().text(13, text))
}

fn literal(value: &Message) -> Message {
    Message::new().message(1, value)
}

fn call(function: &str, arguments: &[Message]) -> Message {
    let function = Message::new().text(1, function).messages(2, arguments);
    Message::new().message(3, &function)
}
