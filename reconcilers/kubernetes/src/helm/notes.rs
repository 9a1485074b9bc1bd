//! What is noted of a chart on the record of its objects, so that a restart goes on where it was.

use std::collections::BTreeMap;

use domain::commit::Hash;
use domain::kinds::helm::hook::Moment;

/// The digest of what was asked for, secrets by where they are.
const INPUT: &str = "input";
/// The digest of the rendering that was made of it.
const RENDERED: &str = "rendered";
/// It was installed once: from then on it is upgraded.
const INSTALLED: &str = "installed";
/// This rendering is an upgrade of another.
const UPGRADES: &str = "upgrades";
/// The hooks that have run for this rendering, as `moment/number`.
const HOOKS: &str = "hooks";
/// The archives that were taken, a line for each: name, version and SHA-256.
const ARCHIVES: &str = "archives";
/// So many of them, the newest.
const ARCHIVES_MAX: usize = 20;
/// When a hook failed that was removed because of it, and why.
const FAILED: &str = "failed";

/// What is noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes(BTreeMap<String, String>);

impl Notes {
    /// As the record has them.
    pub(crate) fn read(noted: &BTreeMap<String, String>) -> Self {
        Self(noted.clone())
    }

    /// As the record shall have them.
    pub(crate) const fn map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    fn digest(&self, name: &str) -> Option<Hash> {
        self.0.get(name).and_then(|text| Hash::from_hex(text))
    }

    /// The rendering, whatever it was made of.
    pub(crate) fn rendered(&self) -> Option<Hash> {
        self.digest(RENDERED)
    }

    /// The rendering that was made of this.
    pub(crate) fn rendered_of(&self, input: Hash) -> Option<Hash> {
        self.rendered().filter(|_| self.digest(INPUT) == Some(input))
    }

    /// Another rendering: nothing has run for it.
    pub(crate) fn begin(&mut self, input: Hash, rendered: Hash) {
        self.0.retain(|name, _| [INSTALLED, ARCHIVES].contains(&name.as_str()));
        self.0.insert(INPUT.into(), input.to_hex());
        self.0.insert(RENDERED.into(), rendered.to_hex());
        if self.is_installed() {
            self.0.insert(UPGRADES.into(), "true".into());
        }
    }

    /// Keeps which archive a chart was, as its rendering says it.
    pub(crate) fn keep_archive(&mut self, chart: &str) {
        let all = self.0.entry(ARCHIVES.into()).or_default();
        if !all.lines().any(|line| line == chart) {
            let before = all.lines().rev().take(ARCHIVES_MAX - 1).collect::<Vec<_>>();
            let lines: Vec<&str> = before.into_iter().rev().chain([chart]).collect();
            *all = lines.join("\n");
        }
    }

    /// The SHA-256 of the archive that a chart was, by its name and version.
    pub(crate) fn archive_of(&self, title: &str) -> Option<&str> {
        let mut lines = self.0.get(ARCHIVES)?.lines();
        lines.find_map(|line| line.strip_prefix(title)?.strip_prefix(" sha256:"))
    }

    /// What was asked for, for the marks of what hooks make.
    pub(crate) fn run(&self, moment: Moment) -> String {
        let input = self.0.get(INPUT).map_or("", String::as_str);
        let input: String = input.chars().take(16).collect();
        format!("{} {input}", moment.as_str())
    }

    pub(crate) fn is_installed(&self) -> bool {
        self.0.contains_key(INSTALLED)
    }

    /// Whether this rendering came after another that was installed.
    pub(crate) fn upgrades(&self) -> bool {
        self.0.contains_key(UPGRADES)
    }

    pub(crate) fn installed(&mut self) {
        self.0.insert(INSTALLED.into(), "true".into());
    }

    pub(crate) fn has_run(&self, moment: Moment, number: usize) -> bool {
        let hook = format!("{}/{number}", moment.as_str());
        self.0.get(HOOKS).is_some_and(|all| all.split(' ').any(|one| one == hook))
    }

    pub(crate) fn note_run(&mut self, moment: Moment, number: usize) {
        let all = self.0.entry(HOOKS.into()).or_default();
        if !all.is_empty() {
            all.push(' ');
        }
        *all += &format!("{}/{number}", moment.as_str());
    }

    pub(crate) fn failed(&self, moment: Moment) -> Option<&str> {
        let (failed, why) = self.0.get(FAILED)?.split_once(' ')?;
        (failed == moment.as_str()).then_some(why)
    }

    pub(crate) fn note_failure(&mut self, moment: Moment, why: &str) {
        self.0.insert(FAILED.into(), format!("{} {why}", moment.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_run_counts_for_one_rendering() {
        let (one, two) = (Hash::of(b"1"), Hash::of(b"2"));
        let mut notes = Notes::default();
        notes.begin(one, one);
        notes.note_run(Moment::PreInstall, 0);
        notes.note_run(Moment::PreInstall, 1);
        notes.installed();
        assert!(!notes.upgrades(), "what is set right after it was installed runs no hooks");
        assert!(notes.has_run(Moment::PreInstall, 1) && !notes.has_run(Moment::PostInstall, 1));
        assert_eq!((notes.rendered_of(one), notes.rendered_of(two)), (Some(one), None));
        notes.keep_archive("web 1.0 sha256:aa");
        notes.begin(two, two);
        for number in 1..ARCHIVES_MAX {
            notes.keep_archive(&format!("web 1.{number} sha256:bb"));
        }
        assert_eq!(notes.archive_of("web 1.0"), Some("aa"), "also after another rendering");
        notes.keep_archive("web 2.0 sha256:cc");
        assert_eq!(notes.archive_of("web 1.0"), None);
        assert!(!notes.has_run(Moment::PreInstall, 1) && notes.is_installed() && notes.upgrades());
    }
}
