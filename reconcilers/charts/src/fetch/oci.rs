//! A registry: a manifest names the archive by its digest (OCI distribution specification; Helm's media types).

use domain::commit::Hash;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use serde::Deserialize;
use url::Url;

use super::{Answer, Asked, body, guard};
use crate::unpack::ARCHIVE_BYTES_MAX;
use crate::{Error, lasting};

/// The largest manifest or token (OCI: registries should take manifests of 4 MiB).
const BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a manifest is.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// What a chart's archive is called in it.
const ARCHIVE: [&str; 2] =
    ["application/vnd.cncf.helm.chart.content.v1.tar+gzip", "application/tar+gzip"];

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    layers: Vec<Layer>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Layer {
    media_type: String,
    digest: String,
    #[serde(default)]
    size: u64,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

/// Fetches the archive that a registry has under a version.
pub(super) async fn fetch(asked: &Asked<'_>, place: &str, version: &str) -> Result<Vec<u8>, Error> {
    let Some((host, name)) = place.split_once('/') else {
        return lasting(format!("oci://{place} names no chart"));
    };
    let base = base(asked, host, name)?;
    // A tag has no `+` (Helm writes `_`).
    let tag = version.replace('+', "_");
    let url = format!("{base}/manifests/{tag}");
    let mut token = None;
    let response = ask(asked, &url, &mut token).await?;
    let manifest = body(response, &url, BYTES_MAX).await?;
    let manifest: Manifest = serde_json::from_slice(&manifest)
        .or_else(|error| lasting(format!("{url} is no manifest: {error}")))?;
    let mut layers = manifest.layers.iter();
    let Some(layer) = layers.find(|layer| ARCHIVE.contains(&layer.media_type.as_str())) else {
        return lasting(format!("{url} is no chart"));
    };
    let digest = layer.digest.strip_prefix("sha256:").and_then(Hash::from_hex);
    let Some(digest) = digest else {
        return lasting(format!("{url} names its archive by something that is no SHA-256"));
    };
    if layer.size > ARCHIVE_BYTES_MAX as u64 {
        return lasting(format!(
            "{url} has {} bytes; at most {ARCHIVE_BYTES_MAX} are read",
            layer.size
        ));
    }
    let url = format!("{base}/blobs/sha256:{digest}");
    let bytes = body(ask(asked, &url, &mut token).await?, &url, ARCHIVE_BYTES_MAX).await?;
    if Hash::of(&bytes) == digest {
        Ok(bytes)
    } else {
        lasting(format!("{url} is not what its digest says"))
    }
}

/// The address of a chart in a registry. On this machine registries speak without encryption, as for Docker.
fn base(asked: &Asked<'_>, host: &str, name: &str) -> Result<String, Error> {
    let plain = Url::parse(&format!("http://{host}/"))
        .or_else(|_| lasting(format!("{host} is no host")))?;
    let local = guard::is_this_machine(&plain) && asked.client.reach() == guard::Reach::Private;
    let scheme = if local { "http" } else { "https" };
    Ok(format!("{scheme}://{host}/v2/{name}"))
}

/// Asks, and once more with the token that anybody is given where the registry wants one.
async fn ask(asked: &Asked<'_>, url: &str, token: &mut Option<String>) -> Result<Answer, Error> {
    let response = asked.get(url, &headers(token.as_deref())).await?;
    if response.status() != StatusCode::UNAUTHORIZED || token.is_some() {
        return Ok(response);
    }
    let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|text| text.to_str().ok());
    let Some(at) = challenge.and_then(token_url) else {
        return lasting(format!(
            "{url} wants credentials; none are kept for charts: use a mirror (--charts)"
        ));
    };
    let answer = body(asked.get(&at, &[]).await?, &at, BYTES_MAX).await?;
    let Token { token: one, access_token: other } =
        serde_json::from_slice(&answer).or_else(|_| lasting(format!("{at} gives no token")))?;
    *token = one.or(other);
    asked.get(url, &headers(token.as_deref())).await
}

fn headers(token: Option<&str>) -> Vec<(HeaderName, String)> {
    let bearer = token.map(|token| (AUTHORIZATION, format!("Bearer {token}")));
    std::iter::once((ACCEPT, MANIFEST.to_owned())).chain(bearer).collect()
}

/// Where a token is had: `Bearer realm="…",service="…",scope="…"`.
fn token_url(challenge: &str) -> Option<String> {
    let fields = challenge.strip_prefix("Bearer ")?;
    let field = |name: &str| {
        let (_, rest) = fields.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value)
    };
    let mut url = Url::parse(field("realm")?).ok()?;
    for name in ["service", "scope"] {
        if let Some(value) = field(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_where_a_token_is() {
        let challenge = r#"Bearer realm="https://auth.test/token",service="reg.test",scope="repository:a/b:pull""#;
        let expected = "https://auth.test/token?service=reg.test&scope=repository%3Aa%2Fb%3Apull";
        assert_eq!(token_url(challenge).as_deref(), Some(expected));
        assert_eq!(token_url("Basic realm=\"x\""), None);
    }
}
