//! What looks like a secret written in clear.
//!
//! Values of secrets are in no event, view or answer: only references are. What a person writes into a file as plain
//! text is recorded as it is, though, so whoever reads the file is warned, and no answer shows the value again.

use serde_json::Value;

/// What stands in the place of a value that is not shown.
pub const HIDDEN_VALUE: &str = "(hidden)";

/// Names that hold these belong to secrets.
const SECRET: [&[u8]; 11] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"token",
    b"credential",
    b"private",
    b"api_key",
    b"apikey",
    b"access_key",
    b"accesskey",
];
/// Names that end so speak *of* a secret and hold none.
const ABOUT: [&str; 12] = [
    "_file", "_path", "_dir", "_name", "_url", "_ttl", "_expiry", "_seconds", "_length", "_type",
    "_issuer", "_enabled",
];

/// Whether a value looks like a secret in clear: by the name it has, or as the password of a URL. References are no
/// secrets, nor are numbers and truth values.
///
/// `name` may be a path with dots: its last part counts.
#[must_use]
pub fn is_in_clear(name: &str, value: &str) -> bool {
    let name = name.rsplit('.').next().unwrap_or(name);
    let named = || {
        holds_word(name.as_bytes()) && {
            let name = name.to_ascii_lowercase().replace('-', "_");
            !ABOUT.iter().any(|ending| name.ends_with(ending))
        }
    };
    has_password(value) || (is_literal(value) && named())
}

/// Whether a text of JSON could hold a secret in clear. Where it could not, as almost all, it need not be taken apart
/// to [`hide`] one.
#[must_use]
pub fn may_be_in(json: &str) -> bool {
    (json.contains("://") && json.contains('@')) || holds_word(json.as_bytes())
}

/// In capitals or not, joined by `-` or `_`.
fn holds_word(text: &[u8]) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
    let begins = |at: usize, word: &[u8]| {
        let found = text.get(at..at + word.len());
        found.is_some_and(|found| found.iter().zip(word).all(|(byte, it)| plain(*byte) == *it))
    };
    // Each byte of long texts is looked at: two letters rule out most places.
    text.windows(2).enumerate().any(|(at, pair)| match pair {
        [b'p' | b'P', b'a' | b'A' | b'r' | b'R']
        | [b's' | b'S', b'e' | b'E']
        | [b't' | b'T', b'o' | b'O']
        | [b'c' | b'C', b'r' | b'R']
        | [b'a' | b'A', b'p' | b'P' | b'c' | b'C'] => SECRET.iter().any(|word| begins(at, word)),
        _ => false,
    })
}

/// It says something by itself: neither a reference, nor a number, nor a truth value.
fn is_literal(value: &str) -> bool {
    let refers = value.starts_with("${") && value.ends_with('}');
    !value.is_empty() && !refers && value.parse::<f64>().is_err() && value.parse::<bool>().is_err()
}

/// `scheme://user:password@host`, the password being no reference.
fn has_password(value: &str) -> bool {
    let password = || {
        let (_, rest) = value.split_once("://")?;
        let (user, _) = rest.split('/').next()?.rsplit_once('@')?;
        Some(user.split_once(':')?.1)
    };
    password().is_some_and(|password| !password.is_empty() && !password.starts_with("${"))
}

/// A value of a field, without what looks like a secret in clear.
#[must_use]
pub fn hide(path: &str, value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter();
            fields.map(|(key, value)| (key.clone(), hide(key, value))).collect()
        }
        Value::Array(items) => items.iter().map(|item| hide(path, item)).collect(),
        Value::String(text) if is_in_clear(path, text) => HIDDEN_VALUE.into(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_known_by_their_names_and_by_urls() {
        for (name, value) in [
            ("DB_PASSWORD", "hunter2"),
            ("containers.main.variables.JWT_SECRET", "abc"),
            ("STRIPE_APIKEY", "sk_live_1"),
            ("aws-secret-access-key", "x"),
            ("DSN", "postgres://user:hunter2@db:5432/shop"),
            ("DSN", "postgres://user:p@ss@db/shop"),
        ] {
            assert!(is_in_clear(name, value), "{name}={value}");
            let text = json!({ "variables": { name: value } }).to_string();
            assert!(may_be_in(&text), "{text}");
        }
    }

    #[test]
    fn references_numbers_and_words_about_secrets_are_none() {
        for (name, value) in [
            ("DB_PASSWORD", "${resources.db.password}"),
            ("DB_PASSWORD", ""),
            ("TOKEN_TTL", "3600"),
            ("TOKENS", "3600"),
            ("USE_TOKEN", "true"),
            ("DB_PASSWORD_FILE", "/run/secrets/db"),
            ("SECRET_NAME", "shop-db"),
            ("DSN", "postgres://user:${resources.db.password}@db/shop"),
            ("DSN", "https://example.com/a:b@c"),
            ("GREETING", "hello"),
        ] {
            assert!(!is_in_clear(name, value), "{name}={value}");
        }
    }

    #[test]
    fn most_texts_hold_nothing_to_hide() {
        let text =
            json!({ "image": "registry.example/web:1", "url": "https://a.example", "PORT": 80 });
        assert!(!may_be_in(&text.to_string()));
    }

    #[test]
    fn what_is_hidden_is_hidden_at_any_depth() {
        let value =
            json!({"a": {"DB_PASSWORD": "hunter2", "PORT": "80"}, "tokens": ["x", 1, "${a.b}"]});
        let shown = json!({"a": {"DB_PASSWORD": "(hidden)", "PORT": "80"}, "tokens": ["(hidden)", 1, "${a.b}"]});
        assert_eq!(hide("", &value), shown);
    }
}
