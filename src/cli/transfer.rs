//! `gristmill state export` and `import`: the whole state as a file, and from a file.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use gristmill_state::{Clock, CopiedTable, Service, StateDb, StateFile, SystemClock};

use super::context::Context;
use super::{SettingsArg, output};
use crate::guards::who;
use crate::progress::Progress;
use crate::settings::{LakeSettings, Settings};

pub(super) async fn export(arg: &SettingsArg, file: &Path, progress: &Progress) -> anyhow::Result<ExitCode> {
    let context = Context::open_to_read(arg).await?;
    let bar = progress.copying();
    let copied = context
        .state
        .export(file, &|table, rows| bar.at(table, rows))
        .await;
    bar.finish();
    let rows = total(&copied?);
    let (from, to) = (&context.settings.state, file.display());
    output::line(format!("Wrote {rows} rows of {from} to {to}."))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn import(
    arg: &SettingsArg,
    file: PathBuf,
    progress: &Progress,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::read(&arg.config)?;
    let source = StateFile::open(&file).await?;
    let service = Service::begin(&settings.state).await?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let bar = progress.copying();
    let copied = async {
        let state = StateDb::open_for(&service, clock).await?.on_behalf_of(who());
        state.import(source, &|table, rows| bar.at(table, rows)).await
    };
    let copied = copied.await;
    bar.finish();
    // Whether or not it succeeded, the next one need not wait for the end of a lease.
    let ended = service.end().await;
    let rows = total(&copied?);
    ended?;
    let (from, to) = (file.display(), &settings.state);
    output::line(format!(
        "Read {rows} rows of {from} into {to}. Start no service on {from} any more."
    ))?;
    if let LakeSettings::Bucket { place, .. } = &settings.lake {
        output::line(format!(
            "The lake {} belongs to the state database that it had before: remove the object _owner there before you start \
             `gristmill run`.",
            place.address.url()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn total(copied: &[CopiedTable]) -> u64 {
    copied.iter().map(|table| table.rows).sum()
}
