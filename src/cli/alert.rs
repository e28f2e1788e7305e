//! `gristmill alert`: tries out whether alerts reach anybody.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_state::{Clock as _, Firing, SystemClock, Unsent};

use super::{SettingsArg, failure, output};
use crate::alerts::Courier;
use crate::settings::{Form, Receiver, Settings};
use crate::usage::Usage;

/// Try out whether alerts reach their receivers
///
/// Alerts are [[alert]] tables of the settings file; the service looks at them. `gristmill status` lists what they have
/// found.
#[derive(Debug, Args)]
pub(super) struct AlertArgs {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test message to each receiver, and say what came of it
    Test {
        /// A receiver, or an alert: then only to its receivers [default: all receivers]
        name: Option<String>,
        #[command(flatten)]
        settings: SettingsArg,
    },
}

pub(super) async fn run(args: AlertArgs) -> anyhow::Result<ExitCode> {
    let Action::Test { name, settings } = args.action;
    let settings = Settings::read(&settings.config)?;
    let alerts = &settings.alerts;
    let is_named = |receiver: &&Receiver| {
        let mut of_alerts = alerts
            .alerts
            .iter()
            .filter(|alert| Some(&alert.name) == name.as_ref());
        name.as_ref().is_none_or(|name| *name == receiver.name)
            || of_alerts.any(|alert| alert.to.contains(&receiver.name))
    };
    let receivers: Vec<_> = alerts.receivers.iter().filter(is_named).collect();
    if receivers.is_empty() {
        return Err(Usage::new(match name {
            Some(name) => format!("there is no [[receiver]] or [[alert]] {name:?} in the settings file"),
            None => "there is nobody to tell: the settings file has no [[receiver]]".to_owned(),
        })
        .into());
    }
    let courier = Courier::new(alerts.time_zone.clone()).context("cannot try out alerts")?;
    let mut has_failed = false;
    for receiver in receivers {
        let (name, form) = (&receiver.name, word(receiver.form));
        let place = receiver
            .endpoint()
            .map_or_else(|_| String::new(), |endpoint| format!(", {endpoint}"));
        match courier.send_test(receiver, SystemClock.now()).await {
            Ok(()) => output::line(format!("{name} ({form}{place}): sent"))?,
            Err(error) => {
                has_failed = true;
                output::line(format!("{name} ({form}{place}): not sent: {error}"))?;
            }
        }
    }
    Ok(match has_failed {
        true => ExitCode::from(failure::FAILED),
        false => ExitCode::SUCCESS,
    })
}

/// Prints what alerts have found, and which receivers have not been told.
pub(super) fn print(firing: &[Firing], unsent: &[Unsent]) -> std::io::Result<()> {
    for firing in firing {
        let since = output::moment(firing.since);
        let subject = output::path(&firing.subject);
        output::line(format!(
            "alert {}: {subject} (since {since}): {}",
            firing.alert, firing.facts
        ))?;
    }
    for unsent in unsent {
        let notices = match unsent.notices {
            1 => "1 notice".to_owned(),
            notices => format!("{notices} notices"),
        };
        let error = unsent.error.as_deref().unwrap_or("it cannot be reached");
        output::line(format!(
            "receiver {} has not got {notices} (since {}): {error}; the service tries again",
            unsent.receiver,
            output::moment(unsent.since)
        ))?;
    }
    Ok(())
}

fn word(form: Form) -> &'static str {
    match form {
        Form::Json => "json",
        Form::Slack => "slack",
        Form::Teams => "teams",
        Form::Smtp => "smtp",
    }
}
