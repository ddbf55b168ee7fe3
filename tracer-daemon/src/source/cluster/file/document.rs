//! One YAML document -> objects. Read twice: first only for what each object is, so that the second reading decodes
//! each into its own shape and an error has the line it stands in (a value tree in between would lose it).
//!
//! `serde-saphyr` was taken among the YAML crates for serde: maintained, without unsafe code (its rivals wrap a
//! translation of libyaml to unsafe Rust, and most are archived), bounded against alias bombs, and it has the line of
//! every error, also of a value of the wrong type.

use super::{FactsError, Place};
use crate::source::cluster::IstioInstallation;
use crate::source::cluster::object::{Object, ObjectKind};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// How much of a malformed line is shown: enough to find it by.
const QUOTED: usize = 80;

/// A document with something in it.
pub(super) struct Section<'t> {
    /// Counted from 1, empty ones left out.
    pub(super) number: usize,
    /// Line of the file that `text` begins in, counted from 1.
    first_line: usize,
    text: &'t str,
}

pub(super) struct Document {
    pub(super) objects: Vec<Object>,
    /// The kinds of the objects that no rule needs.
    pub(super) unknown: Vec<String>,
}

pub(super) struct Malformed {
    /// Line of the section, counted from 1.
    line: usize,
    why: String,
}

/// What an object is, in its own words.
#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Option<HeadMetadata>,
    #[serde(default)]
    items: Option<Vec<Head>>,
}

#[derive(Deserialize)]
struct HeadMetadata {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    namespace: Option<String>,
}

/// What to do with a node of the document.
enum Plan {
    Decode(ObjectKind),
    Skip,
    List(Vec<Plan>),
}

/// Splits at `---` and `...`, which at the start of a line are document markers wherever they stand, block and quoted
/// scalars included.
pub(super) fn sections(text: &str) -> Vec<Section<'_>> {
    let mut sections = Vec::new();
    let (mut start, mut first_line, mut at) = (0, 1, 0);
    for (line_number, line) in (1..).zip(text.split_inclusive('\n')) {
        if is_marker(line) {
            push(&mut sections, first_line, &text[start..at]);
            (start, first_line) = (at + "---".len(), line_number);
        }
        at += line.len();
    }
    push(&mut sections, first_line, &text[start..]);
    sections
}

/// The objects of a document. A ConfigMap that cannot be Istio's is passed over undecoded, as an unknown kind is.
pub(super) fn read(section: &Section<'_>, istio: &IstioInstallation) -> Result<Document, Malformed> {
    // JSON is YAML, but read as JSON a large cluster takes a twentieth of the time. What is wrong with it is found by
    // the YAML reader: `{a: 1}` begins like JSON and is not.
    if section.text.trim_start().starts_with('{')
        && let Ok(head) = serde_json::from_str(section.text)
        && let Ok(document) = follow(&head, istio, |decode| {
            let mut json = serde_json::Deserializer::from_str(section.text);
            decode.deserialize(&mut json).map_err(|error| Malformed { line: error.line(), why: error.to_string() })
        })
    {
        return Ok(document);
    }
    let malformed = |error: serde_saphyr::Error| Malformed::new(&error);
    let head = serde_saphyr::from_str_with_options(section.text, options()).map_err(malformed)?;
    follow(&head, istio, |decode| {
        let decode = |yaml: serde_saphyr::Deserializer<'_, '_>| decode.deserialize(yaml);
        serde_saphyr::with_deserializer_from_str_with_options(section.text, options(), decode).map_err(malformed)
    })
}

fn follow(
    head: &Head,
    istio: &IstioInstallation,
    decode: impl FnOnce(Decode<'_>) -> Result<(), Malformed>,
) -> Result<Document, Malformed> {
    let (mut unknown, mut objects) = (Vec::new(), Vec::new());
    let plan = plan(head, None, istio, &mut unknown)?;
    decode(Decode { plan: &plan, objects: &mut objects })?;
    Ok(Document { objects, unknown })
}

fn plan(
    head: &Head,
    list: Option<&Head>,
    istio: &IstioInstallation,
    unknown: &mut Vec<String>,
) -> Result<Plan, Malformed> {
    // The API server leaves out of a PodList's items what the list says.
    let inherited = list.and_then(|list| Some((&*list.api_version, list.kind.strip_suffix("List")?)));
    let (api_version, kind) = match (&*head.kind, inherited) {
        ("", Some((api_version, kind))) if !kind.is_empty() => (api_version, kind),
        _ => (&*head.api_version, &*head.kind),
    };
    if kind.is_empty() {
        let why = "this is no Kubernetes object: it has no kind".to_owned();
        return Err(Malformed { line: 0, why });
    }
    if kind.ends_with("List") {
        let items = head.items.iter().flatten().map(|item| plan(item, Some(head), istio, unknown));
        return Ok(Plan::List(items.collect::<Result<_, _>>()?));
    }
    match ObjectKind::of(api_version, kind) {
        Some(ObjectKind::ConfigMap) if !may_be_istio(head, istio) => Ok(Plan::Skip),
        Some(kind) => Ok(Plan::Decode(kind)),
        None => {
            unknown.push(kind.to_owned());
            Ok(Plan::Skip)
        }
    }
}

fn may_be_istio(head: &Head, istio: &IstioInstallation) -> bool {
    let Some(HeadMetadata { name: Some(name), namespace: Some(namespace) }) = &head.metadata else { return false };
    istio.revision(namespace, name).is_some()
}

fn push<'t>(sections: &mut Vec<Section<'t>>, first_line: usize, text: &'t str) {
    if !text.trim_start_matches('\u{feff}').lines().all(says_nothing) {
        sections.push(Section { number: sections.len() + 1, first_line, text });
    }
}

/// Blank, a comment or a directive.
fn says_nothing(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with(['#', '%'])
}

fn is_marker(line: &str) -> bool {
    let rest = line.strip_prefix("---").or_else(|| line.strip_prefix("..."));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

/// A cluster's dump is one document of millions of nodes: only what bounds the work per byte stays bounded.
fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 256,
            max_events: usize::MAX,
            max_nodes: usize::MAX,
            max_total_scalar_bytes: usize::MAX,
        },
    }
}

/// Follows a plan through a document.
struct Decode<'p> {
    plan: &'p Plan,
    objects: &'p mut Vec<Object>,
}

/// The items of a list, each by its own plan.
struct Items<'p> {
    plans: &'p [Plan],
    objects: &'p mut Vec<Object>,
}

impl<'de> DeserializeSeed<'de> for Decode<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        let kind = match self.plan {
            Plan::Skip => return IgnoredAny::deserialize(from).map(drop),
            Plan::List(plans) => return from.deserialize_map(Items { plans, objects: self.objects }),
            Plan::Decode(kind) => kind,
        };
        self.objects.push(kind.decode(from)?);
        Ok(())
    }
}

impl<'de> Visitor<'de> for Items<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Items { plans, objects } = self;
        while let Some(key) = list.next_key::<String>()? {
            if key == "items" && !plans.is_empty() {
                list.next_value_seed(Items { plans, objects: &mut *objects })?;
            } else {
                list.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Items { plans, objects } = self;
        for plan in plans {
            items.next_element_seed(Decode { plan, objects: &mut *objects })?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Items<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_seq(self)
    }
}

impl Malformed {
    fn new(error: &serde_saphyr::Error) -> Self {
        let told = error.render_with_formatter(&serde_saphyr::UserMessageFormatter);
        let Some(at) = error.location() else { return Self { line: 0, why: told } };
        let (line, column) = (at.line(), at.column());
        let why = told.strip_suffix(&format!(" at line {line}, column {column}")).unwrap_or(&told);
        Self { line: usize::try_from(line).unwrap_or_default(), why: why.to_owned() }
    }

    /// Where in its file: without a line of its own, the document's first with something in it.
    pub(super) fn at(self, place: Place, section: &Section<'_>) -> FactsError {
        let Self { line, why } = self;
        let first = || section.text.lines().position(|line| !says_nothing(line)).map_or(1, |at| at + 1);
        let line = if line == 0 { first() } else { line };
        let text = section.text.lines().nth(line - 1).unwrap_or_default();
        let text = text.trim().chars().take(QUOTED).collect();
        FactsError::Malformed { place, document: section.number, line: section.first_line + line - 1, why, text }
    }
}
