//! The patterns of Score's schema, as functions.

/// 1 to 63 of `a-z0-9-`, neither starting nor ending with `-`. Score wants two characters; Kubernetes is content with
/// one, and so is everything here.
pub(super) fn is_score_name(text: &str) -> bool {
    crate::name::is_label(text)
}

/// 2 to 63 letters, digits and `-`, neither starting nor ending with `-`.
pub(super) fn is_type(text: &str) -> bool {
    text.len() >= 2 && is_score_name(&text.to_ascii_lowercase())
}

/// 2 to 63 of `a-z0-9-.`: labels that neither start nor end with `-`.
pub(super) fn is_id(text: &str) -> bool {
    (2..=63).contains(&text.len()) && text.split('.').all(crate::name::is_label)
}

/// An optional host name and `/`, then 2 to 63 letters, digits, `.`, `_` and `-`.
pub(super) fn is_annotation(key: &str) -> bool {
    let (host, name) = key.split_once('/').map_or((None, key), |(host, name)| (Some(host), name));
    let edges = |c: char| c.is_ascii_alphanumeric();
    let inner = |c: char| edges(c) || matches!(c, '.' | '_' | '-');
    let named = (2..=63).contains(&name.len())
        && name.starts_with(edges)
        && name.ends_with(edges)
        && name.chars().all(inner);
    let hosted = host.is_none_or(|host| host.split('.').all(is_score_name));
    named && hosted && key.len() <= 316
}

/// `^\d+(?:m|\.\d+)?$`.
pub(super) fn is_cpu(text: &str) -> bool {
    match text.split_once('.') {
        Some((whole, fraction)) => is_digits(whole) && is_digits(fraction),
        None => is_digits(text.strip_suffix('m').unwrap_or(text)),
    }
}

/// `^(0\.\d+|[1-9]\d*(\.\d+)?)(K|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei)?$`.
pub(super) fn is_memory(text: &str) -> bool {
    let number = text.strip_suffix('i').filter(|rest| rest.ends_with(is_unit)).unwrap_or(text);
    let number = number.strip_suffix(is_unit).unwrap_or(number);
    match number.split_once('.') {
        Some((whole, fraction)) => {
            is_digits(fraction) && is_digits(whole) && (whole == "0" || !whole.starts_with('0'))
        }
        None => is_digits(number) && !number.starts_with('0'),
    }
}

/// `^0?[0-7]{3}$`.
pub(super) fn is_mode(text: &str) -> bool {
    let digits = text.strip_prefix('0').filter(|rest| rest.len() == 3).unwrap_or(text);
    digits.len() == 3 && digits.chars().all(|c| ('0'..='7').contains(&c))
}

fn is_unit(c: char) -> bool {
    matches!(c, 'K' | 'M' | 'G' | 'T' | 'P' | 'E')
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_digit())
}

/// Minute, hour, day of month, month and day of week: the range of each.
const CRON_FIELDS: [(u32, u32); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
/// Names that stand for numbers in the last two fields.
const CRON_NAMES: [&str; 19] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "sun",
    "mon", "tue", "wed", "thu", "fri", "sat",
];

/// Five fields of numbers, ranges, lists and steps.
pub(super) fn is_schedule(text: &str) -> bool {
    let fields: Vec<&str> = text.split_whitespace().collect();
    fields.len() == CRON_FIELDS.len()
        && fields.iter().zip(CRON_FIELDS).enumerate().all(|(index, (field, range))| {
            field.split(',').all(|item| is_cron_item(item, range, index >= 3))
        })
}

fn is_cron_item(item: &str, (least, most): (u32, u32), names: bool) -> bool {
    let (span, step) = item.split_once('/').map_or((item, None), |(s, step)| (s, Some(step)));
    let number = |text: &str| {
        is_digits(text) && text.parse().is_ok_and(|n: u32| (least..=most).contains(&n))
            || names && CRON_NAMES.contains(&text.to_ascii_lowercase().as_str())
    };
    let stepped = step.is_none_or(|step| step.parse().is_ok_and(|n: u32| n > 0 && n <= most));
    let spanned = match span.split_once('-') {
        Some((from, to)) => number(from) && number(to),
        None => span == "*" || number(span),
    };
    stepped && spanned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_patterns_are_those_of_the_schema() {
        let all = |check: fn(&str) -> bool, good: &[&str], bad: &[&str]| {
            good.iter().for_each(|text| assert!(check(text), "{text} is good"));
            bad.iter().for_each(|text| assert!(!check(text), "{text} is bad"));
        };
        all(is_score_name, &["a", "ab", "a-1"], &["A", "-a", "a-", "a.b", ""]);
        all(is_type, &["s3", "Postgres"], &["x", "a_b"]);
        all(is_id, &["orders-queue", "a.b"], &["a", "a..b", "-a"]);
        all(
            is_annotation,
            &["tags", "cairn.dev/kind", "A_b.c"],
            &["a", "x/y", "a/b/c", "ab/", "a b"],
        );
        all(is_cpu, &["1", "0.250", "125m"], &["", "m", "1.", ".5", "1.5m", "-1"]);
        all(is_memory, &["64Mi", "1.5Gi", "0.5G", "125"], &["0", "Mi", "1i", "1mi", "01M", "1."]);
        all(is_mode, &["0644", "644"], &["0888", "64", "00644", "rw-"]);
        all(
            is_schedule,
            &["0 3 * * *", "*/5 0-6,12 1 jan MON"],
            &["@daily", "0 3 * *", "60 * * * *", "*/0 * * * *"],
        );
    }
}
