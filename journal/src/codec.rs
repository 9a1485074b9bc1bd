//! From stored records to events, and from a command to its name and digest.

use domain::Decider;
use domain::commit::{Hash, UnreadableEvent};
pub use domain::schema::Upcast;
use serde::Serialize;

use crate::Recorded;

/// Decodes the events of a commit, old ones lifted to the newest schema first.
///
/// # Errors
/// [`UnreadableEvent`] when one is unknown. A reader must stop, not skip.
pub fn events<D: Decider>(
    upcast: Upcast,
    recorded: &Recorded,
) -> Result<Vec<D::Event>, UnreadableEvent> {
    let commit = &recorded.sealed.commit;
    let kind = commit.stream.kind();
    commit.events.iter().map(|record| upcast(kind, record.clone()).decode()).collect()
}

/// A command as the envelope names it.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    pub(crate) name: String,
    pub(crate) digest: Hash,
}

/// Names a command by its variant, and digests its JSON.
pub(crate) fn describe<C: Serialize>(command: &C) -> Result<Description, serde_json::Error> {
    let json = serde_json::to_string(command)?;
    Ok(Description { name: variant_name(&json), digest: Hash::of(json.as_bytes()) })
}

/// `{"Declare":{…}}` and `"Declare"` are both `Declare`: how serde writes an externally tagged enum.
fn variant_name(json: &str) -> String {
    let start = json.trim_start_matches(['{', '"']);
    start.split_once('"').map_or(start, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    enum Command {
        Stop,
        Rename { to: String },
    }

    #[test]
    fn a_command_is_named_by_its_variant() {
        assert_eq!(describe(&Command::Stop).unwrap().name, "Stop");
        let rename = describe(&Command::Rename { to: "\":{".into() }).unwrap();
        assert_eq!(rename.name, "Rename");
        assert_eq!(rename.digest, Hash::of(br#"{"Rename":{"to":"\":{"}}"#));
    }
}
