//! OpenLineage events: what a run reads and writes, in the form that <https://openlineage.io> specifies.
//!
//! Receivers join events of many programs by the names of data sets, so these follow the specification ([`naming`]). What
//! is not known is left out.

mod naming;

use std::collections::BTreeMap;

use gristmill_loader::Target;
use gristmill_state::{InputFile, LineageEvent, LineageKind, RunOutcome, RunRow};
use serde_json::{Map, Value, json};

use self::naming::{input, output};
use crate::settings::{LineageSettings, Settings};

/// The version of the specification that events follow.
const EVENT: &str = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent";

/// The program that events come from: its address, once it has one.
const PRODUCER: &str = match env!("CARGO_PKG_REPOSITORY").is_empty() {
    true => concat!("urn:gristmill:", env!("CARGO_PKG_VERSION")),
    false => env!("CARGO_PKG_REPOSITORY"),
};

/// What the UUIDs of runs are derived for.
const RUNS: &str = "gristmill 2026-11 the UUID of a run in OpenLineage events";

/// Makes the event.
pub(crate) fn event(
    settings: &Settings,
    lineage: &LineageSettings,
    event: &LineageEvent,
    run: &RunRow,
    inputs: &[InputFile],
) -> Value {
    let namespace = &lineage.namespace;
    let mut facets = Map::new();
    facets.insert(
        "processing_engine".to_owned(),
        facet(
            "1-1-1/ProcessingEngineRunFacet",
            json!({ "name": "gristmill", "version": env!("CARGO_PKG_VERSION") }),
        ),
    );
    if let (LineageKind::Fail, Some(error)) = (event.kind, &run.error) {
        let message = json!({ "message": error, "programmingLanguage": "RUST" });
        facets.insert(
            "errorMessage".to_owned(),
            facet("1-0-1/ErrorMessageRunFacet", message),
        );
    }
    let job_type = json!({ "processingType": "BATCH", "integration": "GRISTMILL", "jobType": "JOB" });
    json!({
        "eventType": event.kind.as_str(),
        "eventTime": event.at.to_string(),
        "producer": PRODUCER,
        "schemaURL": EVENT,
        "run": { "runId": run_uuid(namespace, &run.run_id), "facets": facets },
        "job": {
            "namespace": namespace,
            "name": run.job_id,
            "facets": { "jobType": facet("2-0-4/JobTypeJobFacet", job_type) },
        },
        "inputs": read(settings, inputs),
        "outputs": written(settings, event, run),
    })
}

/// Adds what every facet has.
fn facet(schema: &str, mut facts: Value) -> Value {
    let name = schema.split_once('/').map_or(schema, |(_, name)| name);
    facts["_producer"] = PRODUCER.into();
    facts["_schemaURL"] = format!("https://openlineage.io/spec/facets/{schema}.json#/$defs/{name}").into();
    facts
}

/// The files that a run reads. Of a file that it reads in several versions, the newest is told.
fn read(settings: &Settings, inputs: &[InputFile]) -> Vec<Value> {
    let mut newest: BTreeMap<&str, &InputFile> = BTreeMap::new();
    for file in inputs {
        let kept = newest.entry(&file.file_url).or_insert(file);
        if kept.submission_id < file.submission_id {
            *kept = file;
        }
    }
    let of_file = |file: &InputFile| {
        let version = json!({ "datasetVersion": file.version.content_hash });
        let statistics = json!({ "rowCount": file.version.rows, "size": file.version.bytes, "fileCount": 1 });
        let (namespace, name) = input(settings, &file.file_url);
        json!({
            "namespace": namespace,
            "name": name,
            "facets": { "version": facet("1-0-1/DatasetVersionDatasetFacet", version) },
            "inputFacets": {
                "inputStatistics": facet("1-0-0/InputStatisticsInputDatasetFacet", statistics),
            },
        })
    };
    newest.into_values().map(of_file).collect()
}

/// The table that a run writes to. A run that was superseded has written nothing.
fn written(settings: &Settings, event: &LineageEvent, run: &RunRow) -> Vec<Value> {
    if run.outcome == Some(RunOutcome::Superseded) {
        return Vec::new();
    }
    let (namespace, name) = output(settings);
    let schema = json!({ "fields": columns(&settings.target) });
    let mut facets = Map::new();
    facets.insert("schema".to_owned(), facet("1-2-0/SchemaDatasetFacet", schema));
    let mut output_facets = Map::new();
    if event.kind == LineageKind::Complete {
        // What a load leaves behind is named by its run.
        let version = json!({ "datasetVersion": run.run_id });
        facets.insert(
            "version".to_owned(),
            facet("1-0-1/DatasetVersionDatasetFacet", version),
        );
        if let Some(changes) = &run.changes {
            let statistics = json!({ "rowCount": changes.inserted + changes.updated });
            output_facets.insert(
                "outputStatistics".to_owned(),
                facet("1-0-2/OutputStatisticsOutputDatasetFacet", statistics),
            );
        }
    }
    vec![json!({ "namespace": namespace, "name": name, "facets": facets, "outputFacets": output_facets })]
}

fn columns(target: &Target) -> Vec<Value> {
    let column = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    let keys = [("store_id", "text"), ("item_id", "text"), ("trans_date", "date")];
    let keys = keys.map(|(name, kind)| column(name, kind));
    let measures = target.measures.iter().map(|name| column(name, "decimal(18,2)"));
    let audit = [("loaded_at", "timestamp"), ("run_id", "text")].map(|(name, kind)| column(name, kind));
    let audit = audit.into_iter().filter(|_| target.audit);
    keys.into_iter().chain(measures).chain(audit).collect()
}

/// Derives the UUID of a run (version 8: by a hash of ours), so that all events of a run have the same.
fn run_uuid(namespace: &str, run_id: &str) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(RUNS);
    hasher
        .update(namespace.as_bytes())
        .update(&[0])
        .update(run_id.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_uuid_of_its_own() {
        let uuid = run_uuid("gristmill", "IL-20261123T091850.864191");
        assert_eq!(uuid, run_uuid("gristmill", "IL-20261123T091850.864191"));
        assert_ne!(uuid, run_uuid("other", "IL-20261123T091850.864191"));
        let parts: Vec<_> = uuid.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(
            uuid[14..].starts_with('8') && "89ab".contains(&uuid[19..20]),
            "{uuid}"
        );
    }
}
