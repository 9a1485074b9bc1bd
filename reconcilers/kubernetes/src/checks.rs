//! What is measured of a new revision while it is tried: an address that answers, or what Prometheus says.

use std::time::Duration;

use charts::fetch::Asker;
use domain::kinds::workload::Check;
use domain::lifecycle::Measured;
use reconcilers::Performed;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;
use url::Url;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// What an answer may hold.
const BYTES_MAX: usize = 1024 * 1024;
/// Values that are told of those that passed; a query gives one, as a rule.
const TOLD_MAX: usize = 10;

/// Measures.
#[derive(Default)]
pub(crate) struct Checks {
    asker: OnceCell<Asker>,
}

impl Checks {
    /// Makes every check, at the same time. That it cannot be measured is no success.
    pub(crate) async fn measure(&self, generation: u64, step: u32, checks: &[Check]) -> Performed {
        let measured = checks.iter().map(async |check| {
            let result = self.one(check).await;
            let passed = result.is_ok();
            let (Ok(detail) | Err(detail)) = result;
            Measured { check: check.name.clone(), passed, detail }
        });
        let measured = futures::future::join_all(measured).await;
        Performed::Measured { generation, step, measured }
    }

    async fn one(&self, check: &Check) -> Result<String, String> {
        let mut url = Url::parse(&check.url).map_err(|error| format!("{}: {error}", check.url))?;
        if let Some(query) = &check.query {
            let path = format!("{}/api/v1/query", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url.query_pairs_mut().append_pair("query", query);
        }
        let asker = self.asker.get_or_try_init(async || Asker::new());
        let asker = asker.await.map_err(|error| error.to_string())?;
        let answer = asker.ask(&url, ANSWER, BYTES_MAX).await.map_err(|error| error.to_string())?;
        match check.query {
            None => Ok("it answers".to_owned()),
            Some(_) => judge(&answer, check),
        }
    }
}

/// What Prometheus answers to a query (HTTP API: `/api/v1/query`).
#[derive(Deserialize)]
struct Answer {
    data: Data,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Vector(Vec<Series>),
    Scalar(Sample),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Series {
    value: Sample,
}

/// When, and a number as text.
#[derive(Deserialize)]
struct Sample(#[allow(dead_code, reason = "it has its place in the array")] Value, String);

/// Whether everything that was found is within the limits.
fn judge(answer: &[u8], check: &Check) -> Result<String, String> {
    let answer: Answer = serde_json::from_slice(answer)
        .map_err(|error| format!("the answer is not one of Prometheus: {error}"))?;
    let samples = match answer.data {
        Data::Vector(series) => series.into_iter().map(|series| series.value).collect(),
        Data::Scalar(sample) => vec![sample],
        Data::Other => return Err("the query gives neither a vector nor a scalar".to_owned()),
    };
    if samples.is_empty() {
        return Err("the query finds nothing".to_owned());
    }
    let limit = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let (min, max) = (limit(&check.min), limit(&check.max));
    let mut told = Vec::new();
    for Sample(_, text) in &samples {
        let value: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
        // Nothing compares with what is not a number.
        if value.is_nan() {
            return Err("it is not a number: was there any traffic?".to_owned());
        }
        if let Some(min) = min.filter(|min| value < *min) {
            return Err(format!("{text} is less than {min}"));
        }
        if let Some(max) = max.filter(|max| value > *max) {
            return Err(format!("{text} is more than {max}"));
        }
        told.push(text.as_str());
    }
    let more = match told.len().saturating_sub(TOLD_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    told.truncate(TOLD_MAX);
    Ok(told.join(", ") + &more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(min: Option<&str>, max: Option<&str>) -> Check {
        Check {
            name: "errors".into(),
            url: "http://prometheus:9090".into(),
            query: Some("errors".into()),
            min: min.map(str::to_owned),
            max: max.map(str::to_owned),
            every_seconds: 1,
            failures_max: 0,
        }
    }

    fn said(result: &str, max: &str) -> Result<String, String> {
        let answer = format!(r#"{{"status":"success","data":{result}}}"#);
        judge(answer.as_bytes(), &check(None, Some(max)))
    }

    #[test]
    fn what_prometheus_says_is_compared() {
        let one = r#"{"resultType":"vector","result":[{"metric":{},"value":[1.5,"0.02"]}]}"#;
        assert_eq!(said(one, "0.05"), Ok("0.02".to_owned()));
        assert_eq!(said(one, "0.01"), Err("0.02 is more than 0.01".to_owned()));
        assert_eq!(said(r#"{"resultType":"scalar","result":[1,"3"]}"#, "4"), Ok("3".to_owned()));
        for nothing in [
            r#"{"resultType":"vector","result":[]}"#,
            r#"{"resultType":"vector","result":[{"metric":{},"value":[1,"NaN"]}]}"#,
            r#"{"resultType":"matrix","result":[]}"#,
            "[]",
        ] {
            assert!(said(nothing, "4").is_err(), "{nothing}");
        }
        let series = |value| format!(r#"{{"metric":{{}},"value":[1,"{value}"]}}"#);
        let many = |last| [vec![series(1); 150], vec![series(last)]].concat().join(",");
        let many = |last| format!(r#"{{"resultType":"vector","result":[{}]}}"#, many(last));
        assert_eq!(said(&many(9), "4"), Err("9 is more than 4".to_owned()), "the last as well");
        assert_eq!(said(&many(2), "4").map(|told| told.ends_with("1 and 141 more")), Ok(true));
        let least = br#"{"data":{"resultType":"scalar","result":[1,"3"]}}"#;
        assert!(judge(least, &check(Some("3.5"), None)).is_err());
    }
}
