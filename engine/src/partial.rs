//! The partial: the aggregate of one file, one row a key, from which jobs merge.
//!
//! Its Parquet has `store_id`, `item_id`, `trans_date` and one decimal(18,2) a measure, NULL where no line of its code
//! is, sorted by the three keys. A store and date whose lines all have ignored codes still counts as covered by the
//! file: it has one row with a NULL `item_id` and no amounts.

use std::fs::File;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Builder, Decimal128Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use foldhash::fast::FixedState;
use hashbrown::{HashSet, HashTable};
use jiff::civil::Date;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::amount::MAX_CENTS;
use crate::date::from_days;
use crate::error::EngineError;
use crate::layout::Measure;
use crate::parquet_form;
use crate::rows::decimal;

/// Rows a batch of the partial's Parquet.
const BATCH_ROWS: usize = 64 << 10;

/// A store or item id as a small number: its place among the distinct ids of the file.
pub(crate) type Symbol = u32;

/// The distinct ids of one column of a file.
#[derive(Default)]
pub(crate) struct Symbols {
    bytes: String,
    /// Where each id ends in `bytes`; it starts where the one before ends.
    ends: Vec<usize>,
    table: HashTable<Symbol>,
    hasher: FixedState,
    last: Option<Symbol>,
}

impl Symbols {
    /// The symbol of an id that was seen before.
    pub(crate) fn find(&mut self, id: &[u8]) -> Option<Symbol> {
        if let Some(last) = self.last
            && self.text(last).as_bytes() == id
        {
            return Some(last);
        }
        let found = self
            .table
            .find(self.hasher.hash_one(id), |symbol| {
                self.text(*symbol).as_bytes() == id
            })
            .copied();
        self.last = found.or(self.last);
        found
    }

    /// Adds an id that [`Symbols::find`] did not know.
    pub(crate) fn insert(&mut self, id: &str) -> Symbol {
        let symbol = self.ends.len() as Symbol;
        self.bytes.push_str(id);
        self.ends.push(self.bytes.len());
        let Self {
            bytes,
            ends,
            table,
            hasher,
            ..
        } = self;
        let text = |symbol: Symbol| &bytes.as_bytes()[start(ends, symbol)..ends[symbol as usize]];
        table.insert_unique(hasher.hash_one(id.as_bytes()), symbol, |symbol| {
            hasher.hash_one(text(*symbol))
        });
        self.last = Some(symbol);
        symbol
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        &self.bytes[start(&self.ends, symbol)..self.ends[symbol as usize]]
    }

    /// The rank of each symbol in the byte order of the ids.
    fn ranks(&self) -> Vec<u32> {
        let mut order: Vec<Symbol> = (0..self.ends.len() as Symbol).collect();
        order.sort_unstable_by_key(|symbol| self.text(*symbol));
        let mut ranks = vec![0; order.len()];
        for (rank, symbol) in order.into_iter().enumerate() {
            ranks[symbol as usize] = rank as u32;
        }
        ranks
    }
}

fn start(ends: &[usize], symbol: Symbol) -> usize {
    match symbol {
        0 => 0,
        _ => ends[symbol as usize - 1],
    }
}

/// The three keys of a summary row, as symbols and a day number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    store: Symbol,
    item: Symbol,
    date: i32,
}

/// Sums amounts by key and measure while a file is read.
pub(crate) struct Partial {
    pub(crate) stores: Symbols,
    pub(crate) items: Symbols,
    measures: Vec<Measure>,
    table: HashTable<u32>,
    keys: Vec<Key>,
    /// One sum a key and measure, in the order of `keys`.
    sums: Vec<i64>,
    /// One byte a key: bit `m` tells that a line of measure `m` was seen.
    present: Vec<u8>,
    /// Days of a store with an ignored line; most have keys as well.
    ignored_days: HashSet<(Symbol, i32), FixedState>,
    last_ignored: Option<(Symbol, i32)>,
    hasher: FixedState,
}

impl Partial {
    pub(crate) fn new(measures: &[Measure]) -> Self {
        Self {
            stores: Symbols::default(),
            items: Symbols::default(),
            measures: measures.to_vec(),
            table: HashTable::new(),
            keys: Vec::new(),
            sums: Vec::new(),
            present: Vec::new(),
            ignored_days: HashSet::default(),
            last_ignored: None,
            hasher: FixedState::default(),
        }
    }

    /// Adds an amount in cents to the sum of a key and measure.
    pub(crate) fn add(
        &mut self,
        store: Symbol,
        item: Symbol,
        date: i32,
        measure: usize,
        cents: i64,
    ) -> Result<(), EngineError> {
        let key = Key { store, item, date };
        let Self {
            table, keys, hasher, ..
        } = self;
        let row = *table
            .entry(
                hasher.hash_one(key),
                |row| keys[*row as usize] == key,
                |row| hasher.hash_one(keys[*row as usize]),
            )
            .or_insert_with(|| keys.len() as u32)
            .get() as usize;
        if row == keys.len() {
            keys.push(key);
            self.sums.resize(self.sums.len() + self.measures.len(), 0);
            self.present.push(0);
        }
        self.present[row] |= 1 << measure;
        let sum = &mut self.sums[row * self.measures.len() + measure];
        *sum = match sum.checked_add(cents) {
            Some(sum) => sum,
            None => return Err(self.overflow(key, measure)),
        };
        Ok(())
    }

    /// Notes that the file covers a store and date, by a line whose code is ignored.
    pub(crate) fn cover(&mut self, store: Symbol, date: i32) {
        if self.last_ignored != Some((store, date)) {
            self.last_ignored = Some((store, date));
            self.ignored_days.insert((store, date));
        }
    }

    fn overflow(&self, key: Key, measure: usize) -> EngineError {
        EngineError::Overflow {
            measure: self.measures[measure].name.clone(),
            store_id: self.stores.text(key.store).to_owned(),
            item_id: self.items.text(key.item).to_owned(),
            trans_date: from_days(key.date),
        }
    }

    /// The rows in key order: those with amounts by their place in `keys`, and those that only tell what is covered.
    fn sorted(&self) -> Vec<(Key, Option<usize>)> {
        let with_keys: HashSet<_, FixedState> = self.keys.iter().map(|key| (key.store, key.date)).collect();
        let mut rows: Vec<_> = self.keys.iter().copied().zip((0..).map(Some)).collect();
        let only_covered = self.ignored_days.iter().filter(|day| !with_keys.contains(*day));
        rows.extend(only_covered.map(|&(store, date)| (Key { store, item: 0, date }, None)));
        let (stores, items) = (self.stores.ranks(), self.items.ranks());
        rows.sort_unstable_by_key(|(key, row)| {
            let item = row.map(|_| items[key.item as usize]);
            (stores[key.store as usize], item, key.date)
        });
        rows
    }

    /// Writes the Parquet.
    pub(crate) fn write(&self, path: &Path) -> Result<(), EngineError> {
        let mut fields = vec![
            Field::new("store_id", DataType::Utf8, false),
            Field::new("item_id", DataType::Utf8, true),
            Field::new("trans_date", DataType::Date32, false),
        ];
        fields.extend(
            self.measures
                .iter()
                .map(|measure| Field::new(&measure.name, decimal(), true)),
        );
        let schema = Arc::new(Schema::new(fields));
        let mut writer = parquet_form::create(path, schema.clone())?;
        for rows in self.sorted().chunks(BATCH_ROWS) {
            let batch = RecordBatch::try_new(schema.clone(), self.columns(rows)?)
                .map_err(EngineError::parquet("write", path))?;
            writer
                .write(&batch)
                .map_err(EngineError::parquet("write", path))?;
        }
        parquet_form::finish(writer, path)
    }

    fn columns(&self, rows: &[(Key, Option<usize>)]) -> Result<Vec<ArrayRef>, EngineError> {
        let mut stores = StringBuilder::new();
        let mut items = StringBuilder::new();
        let mut dates = Date32Builder::new();
        for (key, row) in rows {
            stores.append_value(self.stores.text(key.store));
            items.append_option(row.map(|_| self.items.text(key.item)));
            dates.append_value(key.date);
        }
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(stores.finish()),
            Arc::new(items.finish()),
            Arc::new(dates.finish()),
        ];
        for measure in 0..self.measures.len() {
            let mut amounts = Decimal128Builder::new().with_data_type(decimal());
            for (key, row) in rows {
                let present = row.filter(|row| self.present[*row] & (1 << measure) != 0);
                let sum = present.map(|row| self.sums[row * self.measures.len() + measure]);
                if sum.is_some_and(|sum| sum.unsigned_abs() > MAX_CENTS.unsigned_abs()) {
                    return Err(self.overflow(*key, measure));
                }
                amounts.append_option(sum.map(i128::from));
            }
            columns.push(Arc::new(amounts.finish()));
        }
        Ok(columns)
    }
}

/// Whether a file covers a store's day, by its partial: it has at least one well-formed line of it, with whatever code.
pub fn covers_day(path: &Path, store_id: &str, trans_date: Date) -> Result<bool, EngineError> {
    let action = "read";
    let file = File::open(path).map_err(EngineError::parquet(action, path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .and_then(|builder| builder.build())
        .map_err(EngineError::parquet(action, path))?;
    for batch in reader {
        let batch = batch.map_err(EngineError::parquet(action, path))?;
        let stores = batch.column(0).as_string::<i32>();
        let dates = batch.column(2).as_primitive::<Date32Type>();
        let mut rows = 0..batch.num_rows();
        if rows.any(|row| stores.value(row) == store_id && from_days(dates.value(row)) == trans_date) {
            return Ok(true);
        }
    }
    Ok(false)
}
