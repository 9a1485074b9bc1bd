//! A repository is a file, `index.yaml`, that says where archives are.

use std::collections::BTreeMap;

use domain::commit::Hash;
use serde::Deserialize;
use url::Url;

use super::{Asked, Wanted, body};
use crate::unpack::ARCHIVE_BYTES_MAX;
use crate::{Error, lasting};

/// The largest index: the largest public one has 25 MB.
const BYTES_MAX: usize = 48 * 1024 * 1024;
/// The longest address of an archive.
const URL_MAX: usize = 2_000;

#[derive(Deserialize)]
struct Index {
    #[serde(default)]
    entries: BTreeMap<String, Vec<Version>>,
}

#[derive(Deserialize)]
struct Version {
    #[serde(default)]
    version: String,
    #[serde(default)]
    urls: Vec<String>,
    #[serde(default)]
    digest: Option<String>,
}

/// Finds the archive in the index, and fetches it.
pub(super) async fn fetch(asked: &Asked<'_>, wanted: Wanted<'_>) -> Result<Vec<u8>, Error> {
    let Wanted { url, name, version, .. } = wanted;
    let base = format!("{}/", url.trim_end_matches('/'));
    let index_url = format!("{base}index.yaml");
    let text = body(asked.get(&index_url, &[]).await?, &index_url, BYTES_MAX).await?;
    let place = tokio::task::spawn_blocking({
        let (name, version) = (name.to_owned(), version.to_owned());
        move || find(&text, &name, &version)
    });
    let found = place.await.map_err(|error| Error::Passing(format!("{index_url}: {error}")))?;
    let (place, digest) = found.or_else(|why| lasting(format!("{index_url}: {why}")))?;
    let base = Url::parse(&base).or_else(|_| lasting(format!("{base} is not an address")))?;
    let archive = base
        .join(&place)
        .or_else(|_| lasting(format!("{index_url}: {place} is not an address")))?;
    let archive = archive.to_string();
    if archive.starts_with("oci://") {
        return lasting(format!("{name} {version} is in a registry: write chart: {archive}"));
    }
    let bytes = body(asked.get(&archive, &[]).await?, &archive, ARCHIVE_BYTES_MAX).await?;
    match digest {
        Some(digest) if digest != Hash::of(&bytes) => lasting(format!(
            "{archive} is not what the repository's index says that it is: its SHA-256 is {}",
            Hash::of(&bytes)
        )),
        _ => Ok(bytes),
    }
}

/// Where the index says that an archive is, and what it is.
fn find(text: &[u8], name: &str, version: &str) -> Result<(String, Option<Hash>), String> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8".to_owned())?;
    let text = of_chart(text, name);
    let index: Index = if text.trim_start().starts_with('{') {
        serde_json::from_str(&text).map_err(|error| format!("it is no index: {error}"))?
    } else {
        serde_saphyr::from_str(&text).map_err(|error| {
            let words = error.to_string();
            format!("it is no index: {}", words.lines().next().unwrap_or_default())
        })?
    };
    let versions = index.entries.get(name).ok_or_else(|| format!("there is no chart {name}"))?;
    let plain = |text: &str| text.strip_prefix('v').unwrap_or(text).to_owned();
    let found = versions
        .iter()
        .find(|one| one.version == version)
        .or_else(|| versions.iter().find(|one| plain(&one.version) == plain(version)));
    let found = found.ok_or_else(|| format!("there is no version {version} of {name}"))?;
    let place = found.urls.first().filter(|url| url.len() <= URL_MAX);
    let place = place.ok_or_else(|| format!("it does not say where {name} {version} is"))?;
    let digest = found.digest.as_deref().map(|text| text.strip_prefix("sha256:").unwrap_or(text));
    let digest = digest.filter(|text| !text.is_empty()).map(Hash::from_hex);
    match digest {
        Some(None) => Err(format!("its digest of {name} {version} is none")),
        Some(Some(digest)) => Ok((place.clone(), Some(digest))),
        None => Ok((place.clone(), None)),
    }
}

/// The part of a long index that is about one chart: the rest would be read for nothing. Where it does not look as
/// Helm writes it, all of it is given.
fn of_chart<'a>(text: &'a str, name: &str) -> std::borrow::Cow<'a, str> {
    let starts = [format!("\n  {name}:\n"), format!("\n  \"{name}\":\n")];
    let found = starts.iter().find_map(|start| text.find(start.as_str()).map(|at| (at, start)));
    let Some((at, start)) =
        found.filter(|_| text.contains("\nentries:\n") || text.starts_with("entries:\n"))
    else {
        return text.into();
    };
    let (_, after) = text.split_at(at + start.len());
    let is_of_it =
        |line: &&str| line.starts_with("   ") || line.starts_with("  -") || line.trim().is_empty();
    let lines: Vec<&str> = after.lines().take_while(is_of_it).collect();
    format!("entries:\n  {name}:\n{}\n", lines.join("\n")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_says_where_a_version_is() {
        let digest = Hash::of(b"x").to_hex();
        let yaml = format!(
            "apiVersion: v1\nentries:\n  other:\n  - version: 1.0.0\n    urls: [no]\n  web:\n  - name: web\n    version: 1.2.4\n    urls: [a]\n  - description: >-\n      two\n      lines\n    version: 1.2.3\n    digest: {digest}\n    urls:\n    - charts/web-1.2.3.tgz\ngenerated: x\n"
        );
        let expected = Ok(("charts/web-1.2.3.tgz".to_owned(), Some(Hash::of(b"x"))));
        assert_eq!(find(yaml.as_bytes(), "web", "1.2.3"), expected);
        assert_eq!(find(yaml.as_bytes(), "web", "v1.2.3"), expected);
        let json = format!(
            r#"{{"entries":{{"web":[{{"version":"1.2.3","urls":["charts/web-1.2.3.tgz"],"digest":"sha256:{digest}"}}]}}}}"#
        );
        assert_eq!(find(json.as_bytes(), "web", "1.2.3"), expected);
        assert!(find(yaml.as_bytes(), "web", "2.0.0").unwrap_err().contains("no version"));
        assert!(find(yaml.as_bytes(), "none", "2.0.0").unwrap_err().contains("no chart"));
        assert!(find(b"a: [", "web", "1.2.3").is_err());
    }
}
