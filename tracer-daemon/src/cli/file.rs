//! `--config FILE`: every flag of `run` is a key of the same name. The file is turned into flags and read by the same
//! parser, so a value is checked once and the same way wherever it stands; a flag on the command line wins.

use super::{Cli, run_matches};
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use toml::{Table, Value};

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read the configuration {}: {error}; name a file that is there with --config FILE", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("configuration {}: {why}", path.display())]
    NotToml { path: PathBuf, why: String },
    #[error("configuration {}: unknown key {key:?}; keys are {keys}", path.display())]
    UnknownKey { path: PathBuf, key: String, keys: String },
    #[error("configuration {}: key {key:?}: {why}", path.display())]
    BadValue { path: PathBuf, key: String, why: String },
}

/// What the file adds to the command line. `None`: no file is named.
pub(super) fn arguments(matches: &ArgMatches) -> Result<Option<Vec<OsString>>, FileError> {
    let Some(run) = run_matches(matches) else { return Ok(None) };
    let Some(path) = run.get_one::<PathBuf>("config") else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|error| FileError::Unreadable { path: path.clone(), error })?;
    let table =
        text.parse::<Table>().map_err(|error| FileError::NotToml { path: path.clone(), why: one_line(&error) })?;
    let keys = keys();
    let mut arguments = Vec::new();
    for (key, value) in &table {
        if !keys.contains(key) {
            return Err(FileError::UnknownKey { path: path.clone(), key: key.clone(), keys: keys.join(", ") });
        }
        let added = flags(key, value, path)?;
        check(key, &added, path)?;
        let given = run.value_source(&key.replace('-', "_"));
        if !matches!(given, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            arguments.extend(added);
        }
    }
    Ok(Some(arguments))
}

/// Every long flag of `run` but `--config` itself and those that belong to all commands.
fn keys() -> Vec<String> {
    let command = Cli::command();
    let run = command.find_subcommand("run").map(|run| run.get_arguments().collect::<Vec<_>>()).unwrap_or_default();
    run.into_iter()
        .filter(|argument| !argument.is_global_set() && !argument.is_hide_set())
        .filter_map(|argument| argument.get_long())
        .filter(|long| !matches!(*long, "config" | "help" | "version"))
        .map(str::to_owned)
        .collect()
}

fn flags(key: &str, value: &Value, path: &Path) -> Result<Vec<OsString>, FileError> {
    let values = match value {
        Value::Array(values) => values.iter().collect(),
        one => vec![one],
    };
    let text = |value: &Value| match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(true) => Ok("on".to_owned()),
        Value::Boolean(false) => Ok("off".to_owned()),
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::Table(_) => Err(FileError::BadValue {
            path: path.to_owned(),
            key: key.to_owned(),
            why: format!("a {} cannot stand here; write it as the flag --{key} has it", value.type_str()),
        }),
    };
    values.into_iter().map(|value| Ok(format!("--{key}={}", text(value)?).into())).collect()
}

/// By itself, so that the message can name the file and the key.
fn check(key: &str, added: &[OsString], path: &Path) -> Result<(), FileError> {
    let line = ["mesh-tracer", "run"].into_iter().map(OsString::from).chain(added.iter().cloned());
    match Cli::command().try_get_matches_from(line) {
        Ok(_) => Ok(()),
        Err(error) => Err(FileError::BadValue {
            path: path.to_owned(),
            key: key.to_owned(),
            why: one_line(&error).trim_start_matches("error: ").to_owned(),
        }),
    }
}

/// The message's paragraphs in one line; usage and hints of the command line left out.
fn one_line(error: &impl ToString) -> String {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .collect::<Vec<_>>()
        .join(" ")
}
