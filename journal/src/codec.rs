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

/// Names a command by its variant; the digest is of what it was made from.
pub(crate) fn describe_as<C: Serialize>(
    command: &C,
    digest: Hash,
) -> Result<Description, serde_json::Error> {
    let mut head = Head::default();
    match serde_json::to_writer(&mut head, command) {
        // It refuses what it needs no more.
        Err(error) if !head.is_whole => Err(error),
        Ok(()) | Err(_) => {
            let json = String::from_utf8_lossy(&head.json);
            Ok(Description { name: variant_name(&json), digest })
        }
    }
}

/// The first bytes of a JSON text, up to the end of its first string.
#[derive(Default)]
struct Head {
    json: Vec<u8>,
    is_whole: bool,
}

impl std::io::Write for Head {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.is_whole {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        self.json.extend_from_slice(bytes);
        self.is_whole = self.json.iter().filter(|byte| **byte == b'"').count() >= 2;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
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
        assert_eq!(describe_as(&Command::Stop, Hash::default()).unwrap().name, "Stop");
        let long = Command::Rename { to: "x".repeat(1_000) };
        assert_eq!(describe_as(&long, Hash::default()).unwrap().name, "Rename");
        let rename = describe(&Command::Rename { to: "\":{".into() }).unwrap();
        assert_eq!(rename.name, "Rename");
        assert_eq!(rename.digest, Hash::of(br#"{"Rename":{"to":"\":{"}}"#));
    }
}
