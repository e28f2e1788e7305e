//! COPY from Parquet: parses the statement, and loads the files into the Postgres behind the stand-in.

use std::fmt::Write;

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Field};
use bytes::Bytes;
use futures::SinkExt;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type as Physical;
use tokio_postgres::{Client, SimpleQueryMessage};

use crate::objects::{Object, S3};
use crate::refusal::Refusal;
use crate::sql::{Token, written};

/// A COPY statement that Redshift would accept. Source: pages "COPY" and "COPY from columnar data formats".
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Copy {
    /// As written in the statement.
    table: String,
    /// As written in the statement, in parentheses; empty for all columns.
    columns: String,
    url: String,
    is_manifest: bool,
}

/// What is wrong with a file, as SYS_LOAD_ERROR_DETAIL shows it.
pub(crate) struct LoadFault {
    pub(crate) file: String,
    pub(crate) column: String,
    pub(crate) code: i32,
    pub(crate) message: String,
}

/// A column of the table: its name, and its type as Postgres writes it.
struct Target {
    name: String,
    kind: String,
}

impl Copy {
    /// Parses the statement; the error is Redshift's message.
    pub(crate) fn parse(tokens: &[Token<'_>]) -> Result<Self, String> {
        let from = tokens
            .iter()
            .position(|token| token.is("from"))
            .ok_or("COPY without FROM")?;
        let open = tokens[..from].iter().position(|token| *token == Token::Sign('('));
        let table = written(&tokens[1..open.unwrap_or(from)]);
        let columns = open.map_or(String::new(), |open| written(&tokens[open..from]));
        let mut rest = tokens[from + 1..].iter();
        let url = rest
            .next()
            .and_then(Token::text)
            .ok_or("the stand-in supports COPY only from S3")?;
        let mut copy = Self {
            table,
            columns,
            url,
            is_manifest: false,
        };
        let (mut has_role, mut is_parquet) = (false, false);
        while let Some(option) = rest.next() {
            let option = option.written().to_ascii_uppercase();
            match option.as_str() {
                "IAM_ROLE" => {
                    let role = rest.next().and_then(Token::text).unwrap_or_default();
                    if !is_role(&role) {
                        return Err(format!("IAM role {role} is not valid"));
                    }
                    has_role = true;
                }
                "FORMAT" => {
                    let mut format = rest.next();
                    if format.is_some_and(|token| token.is("as")) {
                        format = rest.next();
                    }
                    is_parquet = format.is_some_and(|token| token.is("parquet"));
                }
                "MANIFEST" => copy.is_manifest = true,
                "FILLRECORD" | "ACCEPTINVCHARS" | "EXPLICIT_IDS" => {}
                "STATUPDATE" => {
                    let value = rest.clone().next();
                    if value.is_some_and(|token| token.is("on") || token.is("off")) {
                        rest.next();
                    }
                }
                _ => return Err(format!("COPY with {option} option is not supported for PARQUET")),
            }
        }
        match (has_role, is_parquet) {
            (false, _) => Err("COPY needs IAM_ROLE or CREDENTIALS".into()),
            (_, false) => Err("the stand-in supports only FORMAT AS PARQUET".into()),
            _ => Ok(copy),
        }
    }

    /// Loads into the table, through a connection to the backend database, and returns the number of rows.
    pub(crate) async fn run(&self, client: &Client, s3: &S3) -> Result<u64, (Refusal, Option<LoadFault>)> {
        let targets = self.targets(client).await.map_err(|refusal| (refusal, None))?;
        let objects = s3.objects(&self.url, self.is_manifest).await;
        let objects = objects.map_err(|message| (Refusal::internal(&message, ""), None))?;
        let mut rows = 0;
        for object in objects {
            rows += self.load(client, &targets, &object).await?;
        }
        Ok(rows)
    }

    async fn targets(&self, client: &Client) -> Result<Vec<Target>, Refusal> {
        let sql = format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            self.table.replace('\'', "''")
        );
        let answers = client.simple_query(&sql).await?;
        let all: Vec<Target> = answers
            .iter()
            .filter_map(|answer| match answer {
                SimpleQueryMessage::Row(row) => Some(Target {
                    name: row.get(0)?.to_owned(),
                    kind: row.get(1)?.to_owned(),
                }),
                _ => None,
            })
            .collect();
        if self.columns.is_empty() {
            return Ok(all);
        }
        let named = self.columns.trim_matches(['(', ')']).split(',');
        named
            .map(|name| {
                let name = name.trim().trim_matches('"');
                let found = all.iter().find(|target| target.name.eq_ignore_ascii_case(name));
                found
                    .map(|target| Target {
                        name: target.name.clone(),
                        kind: target.kind.clone(),
                    })
                    .ok_or_else(|| Refusal::new("42703", &format!("column \"{name}\" does not exist")))
            })
            .collect()
    }

    async fn load(
        &self,
        client: &Client,
        targets: &[Target],
        object: &Object,
    ) -> Result<u64, (Refusal, Option<LoadFault>)> {
        let fault = |column: &str, code: i32, message: String| {
            let fault = LoadFault {
                file: object.url.clone(),
                column: column.to_owned(),
                code,
                message: message.clone(),
            };
            (
                Refusal::internal("Spectrum Scan Error", &format!("code: {code} context: {message}")),
                Some(fault),
            )
        };
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(object.bytes.clone(), options)
            .map_err(|error| fault("", 15001, format!("File is not valid Parquet: {error}")))?;
        let fields = builder.schema().fields().clone();
        if fields.len() != targets.len() {
            let message = format!(
                "Unmatched number of columns between table and file. Table columns: {}, Data columns: {}, File name: {}",
                targets.len(),
                fields.len(),
                object.url
            );
            return Err(fault("", 15007, message));
        }
        let physical = builder
            .parquet_schema()
            .columns()
            .iter()
            .map(|column| column.physical_type());
        for ((target, field), physical) in targets.iter().zip(&fields).zip(physical) {
            if !fits(&target.kind, field, physical) {
                let message = format!(
                    "File has an incompatible Parquet schema for column '{}'. Column type: {}, Parquet schema: {} {physical}",
                    target.name,
                    target.kind,
                    field.data_type()
                );
                return Err(fault(&target.name, 15003, message));
            }
        }
        let columns: Vec<String> = targets
            .iter()
            .map(|target| format!("\"{}\"", target.name.replace('"', "\"\"")))
            .collect();
        let statement = format!(
            "COPY {} ({}) FROM STDIN (FORMAT csv)",
            self.table,
            columns.join(", ")
        );
        let refused = |error: tokio_postgres::Error| {
            let refusal = Refusal::from(error);
            let fault = LoadFault {
                file: object.url.clone(),
                column: String::new(),
                code: 1204,
                message: refusal.message.clone(),
            };
            (refusal, Some(fault))
        };
        let sink = client.copy_in::<_, Bytes>(&statement).await.map_err(refused)?;
        let mut sink = std::pin::pin!(sink);
        let reader = builder
            .build()
            .map_err(|error| fault("", 15001, error.to_string()))?;
        let mut rows = 0;
        for batch in reader {
            let batch = batch.map_err(|error| fault("", 15001, error.to_string()))?;
            rows += batch.num_rows() as u64;
            sink.send(lines(&batch).into()).await.map_err(refused)?;
        }
        sink.close().await.map_err(refused)?;
        Ok(rows)
    }
}

/// Returns whether every role in the list is an ARN of a role. Source: page "IAM_ROLE".
fn is_role(role: &str) -> bool {
    let is_arn = |arn: &str| {
        let parts: Vec<&str> = arn.split(':').collect();
        matches!(parts.as_slice(), ["arn", _, "iam", "", account, resource]
            if account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()) && resource.starts_with("role/"))
    };
    role.split(',').all(is_arn)
}

/// Returns whether a column of a file fits a column of a table. Decimals must be stored in the file as INT32 or INT64:
/// with more than 18 digits they are stored as fixed-length byte arrays, which Redshift has refused.
fn fits(kind: &str, field: &Field, physical: Physical) -> bool {
    let is_whole = matches!(physical, Physical::INT32 | Physical::INT64);
    match (kind, field.data_type()) {
        ("date", DataType::Date32) => true,
        ("smallint", DataType::Int16) | ("integer", DataType::Int32) | ("bigint", DataType::Int64) => true,
        ("timestamp without time zone", DataType::Timestamp(_, None)) => true,
        (_, DataType::Utf8) => kind.starts_with("character varying"),
        (_, DataType::Decimal128(precision, scale)) => {
            is_whole && kind == format!("numeric({precision},{scale})")
        }
        _ => false,
    }
}

/// Returns rows as CSV, in which an empty field without quotes is NULL.
fn lines(batch: &RecordBatch) -> String {
    let options = FormatOptions::new();
    let columns: Vec<_> = batch
        .columns()
        .iter()
        .map(|column| {
            let formatter = ArrayFormatter::try_new(column.as_ref(), &options);
            (column, formatter.expect("every type that fits can be formatted"))
        })
        .collect();
    let mut lines = String::new();
    for row in 0..batch.num_rows() {
        for (number, (column, formatter)) in columns.iter().enumerate() {
            if number > 0 {
                lines.push(',');
            }
            if column.is_valid(row) {
                let value = formatter.value(row).to_string().replace('"', "\"\"");
                write!(lines, "\"{value}\"").expect("writing to a String cannot fail");
            }
        }
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::tokens;

    const ROLE: &str = "arn:aws:iam::123456789012:role/copy";

    #[test]
    fn only_options_of_columnar_files_are_accepted() {
        let parse = |options: &str| {
            let statement = format!(
                "COPY \"mart\".t (a, b) FROM 's3://b/m' IAM_ROLE '{ROLE}' FORMAT AS PARQUET {options}"
            );
            Copy::parse(&tokens(&statement))
        };
        let copy = parse("MANIFEST STATUPDATE OFF").unwrap();
        assert_eq!(
            (copy.table.as_str(), copy.columns.as_str()),
            ("\"mart\".t", "(a,b)")
        );
        assert!(copy.is_manifest);
        for refused in [
            "REGION 'eu-west-1'",
            "MAXERROR 3",
            "TRUNCATECOLUMNS",
            "COMPUPDATE OFF",
            "GZIP",
        ] {
            assert!(parse(refused).is_err(), "{refused}");
        }
        let without_role = "COPY t FROM 's3://b/m' IAM_ROLE 'someone' FORMAT AS PARQUET";
        assert!(Copy::parse(&tokens(without_role)).is_err());
    }
}
