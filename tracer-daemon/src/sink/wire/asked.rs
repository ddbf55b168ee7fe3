//! One question of a batch. What is left out or null was not said; what has no name here is told back, not refused: a
//! list of calls may hold more than `explain` needs.

use super::Code;
use serde_json::{Map, Value};

/// `{"id":1,"from":"shop/web-0","to":"10.244.1.7:9300","send":"http","host":"10.244.1.7"}`
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Asked {
    pub id: Value,
    pub from: String,
    pub to: String,
    pub send: Option<String>,
    pub host: Option<String>,
    pub sni: Option<String>,
    pub alpn: Vec<String>,
    pub path: Option<String>,
    pub uid: Option<u32>,
    /// Fields that no question has.
    pub ignored: Vec<String>,
}

/// Why a line is no question.
#[derive(Clone, PartialEq, Debug)]
pub struct Misread {
    /// Null where not even that could be read.
    pub id: Value,
    pub error: String,
}

impl Asked {
    pub fn read(line: &[u8]) -> Result<Self, Misread> {
        let mut fields: Map<String, Value> = serde_json::from_slice(line).map_err(|error| Misread {
            id: Value::Null,
            error: format!("this is no JSON object: {error}; a line is {EXAMPLE}"),
        })?;
        let id = fields.remove("id").unwrap_or_default();
        Self::of_fields(fields).map(|asked| Self { id: id.clone(), ..asked }).map_err(|error| Misread { id, error })
    }

    fn of_fields(mut fields: Map<String, Value>) -> Result<Self, String> {
        let mut take = |name: &str| text(name, fields.remove(name));
        let (from, to, send) = (take("from")?, take("to")?, take("send")?);
        let (host, sni, path) = (take("host")?, take("sni")?, take("path")?);
        let needed =
            |name: &str, value: Option<String>| value.ok_or_else(|| format!("{name} is missing: a line is {EXAMPLE}"));
        Ok(Self {
            id: Value::Null,
            from: needed("from", from)?,
            to: needed("to", to)?,
            send,
            host,
            sni,
            path,
            alpn: alpn(fields.remove("alpn"))?,
            uid: uid(fields.remove("uid"))?,
            ignored: {
                let mut names: Vec<String> = fields.into_iter().map(|(name, _)| name).collect();
                names.sort();
                names
            },
        })
    }
}

const EXAMPLE: &str = r#"{"id":1,"from":"shop/web-0","to":"10.244.1.7:9300","send":"http","host":"10.244.1.7"}"#;

/// Empty is not said.
fn text(name: &str, value: Option<Value>) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
        Some(other) => Err(format!("{name} is {}, not text: {other}", kind(&other))),
    }
}

/// `"h2,http/1.1"`, or a list.
fn alpn(value: Option<Value>) -> Result<Vec<String>, String> {
    let Some(Value::Array(names)) = value else {
        let joined = text("alpn", value)?.unwrap_or_default();
        return Ok(joined.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect());
    };
    names.into_iter().filter_map(|name| text("alpn", Some(name)).transpose()).collect()
}

fn uid(value: Option<Value>) -> Result<Option<u32>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => {
            value.as_u64().and_then(|uid| uid.try_into().ok()).map(Some).ok_or(format!("uid {value} is no uid"))
        }
    }
}

fn kind(value: &Value) -> Code {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
    .into()
}
