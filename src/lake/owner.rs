//! Ownership of a lake in a bucket: two gristmills with different state databases would sweep away each other's
//! objects.
//!
//! The owner is the state database, if that has a name: then whichever host works on it owns the lake. A state database in a
//! file has none; its owner is the scratch folder beside it, which holds a name that was made up at the first start.
//!
//! An object names the owner. It is created only if it does not exist, so of two gristmills that start at once, one is
//! refused. The same request made again must fail: storage that accepts it ignores conditions, and is refused.

use std::path::Path;

use anyhow::{Context, bail};
use gristmill_state::{Clock, SystemClock};
use object_store::path::Path as ObjectPath;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode};
use sysinfo::System;

use super::bucket::LakeBucket;

/// The object that names the owner, and the local file in the scratch folder that holds this gristmill's name.
const OWNER: &str = "_owner";

/// Has a lake in a folder say which state database it belongs to, if that has a name, so that workers on other hosts can tell
/// it from a folder of their own.
pub(super) fn name(root: &Path, database: Option<&str>) -> anyhow::Result<()> {
    let owner = root.join(OWNER);
    let us = database.map(of_database);
    match us {
        Some(us) if !is_of(&owner, &us) => {
            std::fs::write(&owner, us).with_context(|| format!("cannot write {}", owner.display()))
        }
        _ => Ok(()),
    }
}

/// Confirms that a lake in a folder is that of the state database.
pub(super) fn confirm(root: &Path, database: Option<&str>) -> anyhow::Result<()> {
    let is_ours = database.is_some_and(|database| is_of(&root.join(OWNER), &of_database(database)));
    if !is_ours {
        bail!(
            "the lake {} is not that of the service on the state database: mount the service's folder there, and start the \
             service first",
            root.display()
        );
    }
    Ok(())
}

fn of_database(name: &str) -> String {
    format!("state database {name}\n")
}

fn is_of(owner: &Path, us: &str) -> bool {
    std::fs::read_to_string(owner).is_ok_and(|owner| owner == us)
}

/// Claims the bucket for this gristmill, or confirms that it already owns it. `database` names the state database; without
/// it, the proof is in the `scratch` folder.
pub(super) async fn claim(bucket: &LakeBucket, scratch: &Path, database: Option<&str>) -> anyhow::Result<()> {
    let proof = scratch.join(OWNER);
    let us = match database {
        Some(name) => of_database(name),
        None => known_name(&proof, scratch).with_context(|| format!("cannot use {}", proof.display()))?,
    };
    let url = &bucket.url;
    let action = || format!("cannot claim the lake {url}");
    let key = bucket.object_key(&ObjectPath::from(OWNER));
    let create = || {
        bucket
            .objects
            .put_opts(&key, us.clone().into(), PutMode::Create.into())
    };
    match create().await {
        Ok(_) | Err(Error::AlreadyExists { .. }) => {}
        Err(error) => return Err(anyhow::Error::new(error).context(action())),
    }
    match create().await {
        Err(Error::AlreadyExists { .. }) => {}
        Ok(_) | Err(Error::NotImplemented { .. }) => bail!(
            "the storage of the lake {url} ignores conditions: it overwrote an object that was to be created only if \
             absent. Two writers could not be kept apart; use storage that obeys If-None-Match (Google's: \
             x-goog-if-generation-match)"
        ),
        Err(error) => return Err(anyhow::Error::new(error).context(action())),
    }
    let owner = bucket.objects.get(&key).await.with_context(action)?;
    let owner = owner.bytes().await.with_context(action)?;
    let owner = String::from_utf8_lossy(&owner);
    if owner != us {
        bail!(
            "the lake {url} belongs to another gristmill ({}): name another prefix in lake.url. If that gristmill no \
             longer exists, its scratch folder was lost, or it has been given another state database, remove the object \
             {key}",
            owner.trim()
        );
    }
    Ok(())
}

/// Returns the name that this gristmill gave itself at its first start with this scratch folder, or makes one.
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
    // The file must be whole or absent: half a name would never match the owner again.
    let unfinished = proof.with_extension("unfinished");
    std::fs::write(&unfinished, &name)?;
    std::fs::File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, proof)?;
    std::fs::File::open(scratch)?.sync_all()?;
    Ok(name)
}
