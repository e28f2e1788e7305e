//! What an edit of a job changed, in words: for `gristmill jobs history` and the log.

use gristmill_state::{EditAction, JobEdit};
use serde_json::{Map, Value};

/// The longest value that is shown whole.
const LONGEST: usize = 60;

/// Says what an edit did to a job: each key that changed, with its value before and after.
pub(crate) fn describe_edit(edit: &JobEdit) -> String {
    let changes = match (&edit.before, &edit.after) {
        (Some(before), Some(after)) => changed(&flat(before), &flat(after)),
        _ => Vec::new(),
    };
    match edit.action {
        EditAction::Changed if changes.is_empty() => "written again, and unchanged".to_owned(),
        EditAction::Changed => changes.join("; "),
        EditAction::Added | EditAction::Removed => edit.action.to_string(),
    }
}

/// Puts the keys of `params`, which is JSON as text, beside the others.
fn flat(configuration: &Map<String, Value>) -> Map<String, Value> {
    let mut flat = configuration.clone();
    let params = flat.get("params").and_then(Value::as_str);
    if let Some(Value::Object(params)) = params.and_then(|text| serde_json::from_str(text).ok()) {
        flat.remove("params");
        flat.extend(params);
    }
    flat
}

fn changed(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut keys: Vec<_> = before.keys().chain(after.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    let value = |configuration: &Map<String, Value>, key: &str| {
        let value = configuration.get(key).cloned().unwrap_or_default();
        (!value.is_null()).then_some(value)
    };
    keys.into_iter()
        .filter_map(|key| {
            let (old, new) = (value(before, key), value(after, key));
            (old != new).then(|| format!("{key}: {} → {}", shown(old), shown(new)))
        })
        .collect()
}

fn shown(value: Option<Value>) -> String {
    let text = match value {
        None => return "not set".to_owned(),
        Some(Value::String(text)) => format!("{text:?}"),
        Some(value) => value.to_string(),
    };
    match text.chars().count() > LONGEST {
        true => format!("{}…", text.chars().take(LONGEST).collect::<String>()),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn edit(before: Value, after: Value) -> String {
        let object = |value: Value| value.as_object().cloned();
        describe_edit(&JobEdit {
            edit_id: 1,
            at: jiff::Timestamp::UNIX_EPOCH,
            who: "SQL".into(),
            action: EditAction::Changed,
            job_id: "J".into(),
            before: object(before),
            after: object(after),
        })
    }

    #[test]
    fn each_key_that_changed_is_told_with_both_values() {
        let before = json!({ "files": "IL-*", "min_files": 3, "params": r#"{"deadline":"18:00"}"#, "addl_criteria": null });
        let after = json!({ "files": "IL-*", "min_files": 2, "params": r#"{"min_rows":7}"#, "addl_criteria": "SELECT 1" });
        assert_eq!(
            edit(before.clone(), after),
            "addl_criteria: not set → \"SELECT 1\"; deadline: \"18:00\" → not set; min_files: 3 → 2; min_rows: not set → 7"
        );
        assert_eq!(edit(before.clone(), before), "written again, and unchanged");
    }

    #[test]
    fn long_values_are_cut() {
        let long = json!({ "files": "x".repeat(500) });
        let words = edit(json!({ "files": "a" }), long);
        assert!(words.chars().count() < 100 && words.ends_with('…'), "{words}");
    }
}
