//! Takes the values of secrets out of what programs write (invariant 12).

use domain::SecretRef;

use crate::cluster::Clusters;

/// Values that are shorter are left: they would be found in words that mean something else.
const LENGTH_MIN: usize = 6;
/// What is put in the place of a value.
const BLOT: &str = "[secret]";

/// Knows the values of some secrets.
pub(crate) struct Blot(Vec<String>);

impl Blot {
    /// Reads the values. One that cannot be read now is not known to whoever runs now either.
    pub(crate) async fn of(clusters: &Clusters, secrets: &[SecretRef]) -> Self {
        let mut values = Vec::new();
        for reference in secrets {
            if let Ok(value) = clusters.secret(reference).await {
                values.push(value);
            }
        }
        Self::values(values)
    }

    pub(crate) fn values(values: Vec<String>) -> Self {
        // Of a value of several lines, each is one: a log has lines.
        let lines = values.iter().flat_map(|value| value.lines()).map(str::trim);
        let mut parts: Vec<String> =
            lines.filter(|line| line.len() >= LENGTH_MIN).map(str::to_owned).collect();
        // The longest first, so that none is left of which another is a part.
        parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
        Self(parts)
    }

    /// The text without them.
    pub(crate) fn out(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, value| text.replace(value.as_str(), BLOT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_blotted_out_also_within_others_and_by_line() {
        let blot = Blot::values(vec![
            "hunter22".into(),
            "postgres://u:hunter22@db".into(),
            "-----BEGIN\nMIIBxyz\n-----END".into(),
            "ab".into(),
        ]);
        assert_eq!(
            blot.out("dial postgres://u:hunter22@db: bad password hunter22 MIIBxyz ab"),
            "dial [secret]: bad password [secret] [secret] ab"
        );
    }
}
