//! Whose bucket a lake is: two gristmills with states of their own would sweep away each other's objects.
//!
//! An object says who has it, and is created only where there is none, so that of two who come at once one is refused.
//! The same request made again must fail: a store that lets it pass ignores conditions, and is refused.

use std::path::Path;

use anyhow::{Context, bail};
use gristmill_state::{Clock, SystemClock};
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use sysinfo::System;

use super::bucket::Bucket;

/// The object that names the owner, and the file beside the copies that says that it is this one.
const OWNER: &str = "_owner";

/// Makes the bucket this gristmill's own, or finds that it is. The proof lies in the `scratch` folder.
pub(super) async fn claim(bucket: &Bucket, scratch: &Path) -> anyhow::Result<()> {
    let proof = scratch.join(OWNER);
    let us = known_name(&proof, scratch).with_context(|| format!("cannot use {}", proof.display()))?;
    let url = &bucket.url;
    let action = || format!("cannot claim the lake {url}");
    let key = bucket.key(&ObjectPath::from(OWNER));
    let create = || {
        bucket
            .store
            .put_opts(&key, us.clone().into(), PutMode::Create.into())
    };
    match create().await {
        Ok(_) | Err(Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(anyhow::Error::new(error).context(action())),
    }
    match create().await {
        Err(Error::AlreadyExists { .. }) => {}
        Ok(_) | Err(Error::NotImplemented { .. }) => bail!(
            "the store of the lake {url} ignores conditions: it has overwritten an object that was to be created only \
             where there is none. Two writers could not be kept apart; use a store that obeys If-None-Match (Google's: \
             x-goog-if-generation-match)"
        ),
        Err(error) => return Err(anyhow::Error::new(error).context(action())),
    }
    let held = bucket.store.get(&key).await.with_context(action)?;
    let held = held.bytes().await.with_context(action)?;
    let held = String::from_utf8_lossy(&held);
    if held != us {
        bail!(
            "the lake {url} belongs to another gristmill ({}): name another prefix in lake.url. If that one is no more, \
             or its scratch folder was lost, remove the object {key}",
            held.trim()
        );
    }
    Ok(())
}

/// The name that this gristmill gave itself at its first start with this scratch folder.
fn known_name(proof: &Path, scratch: &Path) -> anyhow::Result<String> {
    if proof.exists() {
        return Ok(std::fs::read_to_string(proof)?);
    }
    let host = System::host_name().unwrap_or_default();
    let folder = std::path::absolute(scratch)?;
    let now = SystemClock.now();
    let name = format!(
        "{host}, {}, since {now}, process {}\n",
        folder.display(),
        std::process::id()
    );
    // Whole or not there: half a name would never be found again.
    let unfinished = proof.with_extension("unfinished");
    std::fs::write(&unfinished, &name)?;
    std::fs::File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, proof)?;
    std::fs::File::open(scratch)?.sync_all()?;
    Ok(name)
}
