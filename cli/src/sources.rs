//! The application's files, read from this machine.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine as _;
use domain::application::{self, Model, Places, Source, SourceFile};
use domain::diagnostic::{self, Diagnostic, Severity};
use reconcilers::contents;
use serde_json::{Value, json};

use crate::args::Target;
use crate::failure::{Exit, Failure, Outcome, UserError};
use crate::terminal::Terminal;

/// The largest file that an application's files may name: objects of Kubernetes are kept apart from the revision.
const COMPANION_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Longer ones are compressed on their way: what five megabytes of objects say fits the server's one then.
const PLAIN_BYTES_MAX: usize = 4 * 1024;
/// The most files of a folder, and the deepest: a chart is one.
const FOLDER_FILES_MAX: usize = 2_000;
const FOLDER_DEPTH_MAX: usize = 24;

/// An application as it was read.
pub(crate) struct Sources {
    files: Vec<SourceFile>,
    companions: BTreeMap<String, Vec<u8>>,
    application: Option<String>,
    images: BTreeMap<String, String>,
}

impl Sources {
    /// Reads files, and the files that they name.
    pub(crate) fn read(
        paths: &[String],
        application: Option<String>,
        images: &[String],
    ) -> Outcome<Self> {
        let files = paths.iter().map(|path| read(path)).collect::<Outcome<Vec<_>>>()?;
        let mut companions = BTreeMap::new();
        for path in application::companions(&files) {
            // What is missing is said with its place, when the application is parsed.
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => read_folder(&path, 0, &mut companions)?,
                Ok(metadata) if metadata.len() <= COMPANION_BYTES_MAX => {
                    companions.extend(fs::read(&path).ok().map(|bytes| (path, bytes)));
                }
                Ok(_) | Err(_) => {}
            }
        }
        Ok(Self { files, companions, application, images: read_images(images)? })
    }

    /// Reads the application, every mistake in it shown where it is.
    pub(crate) fn parse(&self, terminal: &Terminal) -> Outcome<Model> {
        let source = Source {
            files: &self.files,
            companions: &self.companions,
            application: self.application.as_deref(),
            images: &self.images,
        };
        match application::parse(&source) {
            Ok((model, warnings)) => {
                self.show(&warnings, terminal);
                Ok(model)
            }
            Err(errors) => {
                self.show(&errors, terminal);
                let wrong = errors.iter().filter(|it| it.severity == Severity::Error).count();
                let many = many(wrong);
                Err(Failure::new(Exit::Invalid, format!("the application is not valid: {many}")))
            }
        }
    }

    /// What the server refuses about the files: shown where it is written, as far as it is.
    pub(crate) fn refused(
        &self,
        what: String,
        errors: &[UserError],
        environment: &str,
        terminal: &Terminal,
    ) -> Failure {
        let places = Places::of(&self.files);
        let (mut found, mut others) = (Vec::new(), Vec::new());
        for error in errors {
            match error.refusal().and_then(|refusal| refusal.diagnose(&places, environment)) {
                Some(diagnostic) => found.push(diagnostic),
                None => others.push(error),
            }
        }
        let file = |found: &Diagnostic| self.files.iter().position(|file| file.path == found.file);
        found.sort_by_key(|one| (file(one), one.span.start));
        self.show(&found, terminal);
        let what = if found.is_empty() { what } else { format!("{what}: {}", many(found.len())) };
        others.into_iter().fold(Failure::new(Exit::of(errors), what), Failure::reason)
    }

    /// Fails with what the server refuses about the files.
    pub(crate) fn check(
        &self,
        payload: &Value,
        what: &str,
        environment: &str,
        terminal: &Terminal,
    ) -> Outcome<()> {
        let errors = payload.get("userErrors").cloned().unwrap_or_default();
        let errors: Vec<UserError> = serde_json::from_value(errors).unwrap_or_default();
        if errors.is_empty() {
            return Ok(());
        }
        Err(self.refused(what.to_owned(), &errors, environment, terminal))
    }

    fn show(&self, diagnostics: &[Diagnostic], terminal: &Terminal) {
        for found in diagnostics {
            let own = self.files.iter().find(|file| file.path == found.file);
            let own = own.map(|file| file.text.as_str());
            let beside = || std::str::from_utf8(self.companions.get(&found.file)?).ok();
            let text = own.or_else(beside).unwrap_or("");
            let shown = if terminal.colour_talk {
                diagnostic::render_in_colour(found, text)
            } else {
                diagnostic::render(found, text)
            };
            terminal.say(shown.trim_end());
            terminal.say("");
        }
    }

    /// The input of `applicationApply`.
    pub(crate) fn input(&self, key: &str) -> Value {
        with(self.sent(), [("idempotencyKey", key.into())])
    }

    /// The input of `planPreview`.
    pub(crate) fn preview(&self, target: &Target) -> Value {
        let mut input = with(self.sent(), [("environment", target.env.as_str().into())]);
        target.put(&mut input);
        input
    }

    /// The files, as they are sent.
    fn sent(&self) -> Value {
        let engine = base64::engine::general_purpose::STANDARD;
        let files: Vec<_> =
            self.files.iter().map(|file| json!({ "path": file.path, "text": file.text })).collect();
        let companions: Vec<_> = self
            .companions
            .iter()
            .map(|(path, bytes)| match packed(bytes) {
                Some(packed) => {
                    json!({ "path": path, "base64": engine.encode(packed), "zstd": true })
                }
                None => json!({ "path": path, "base64": engine.encode(bytes) }),
            })
            .collect();
        json!({
            "files": files, "companions": companions,
            "application": self.application, "images": images_input(&self.images),
        })
    }
}

/// A long file, compressed.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    let long = bytes.len() > PLAIN_BYTES_MAX;
    long.then(|| contents::packed(bytes).ok()).flatten()
}

/// An object with more fields.
fn with<const N: usize>(mut object: Value, fields: [(&str, Value); N]) -> Value {
    if let Some(object) = object.as_object_mut() {
        object.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    }
    object
}

/// How many mistakes there are.
pub(crate) fn many(mistakes: usize) -> String {
    if mistakes == 1 { "1 mistake".to_owned() } else { format!("{mistakes} mistakes") }
}

fn images_input(images: &BTreeMap<String, String>) -> Value {
    images.iter().map(|(name, image)| json!({ "name": name, "image": image })).collect()
}

fn read(path: &str) -> Outcome<SourceFile> {
    let failed = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound {
            Exit::NotFound
        } else {
            Exit::Invalid
        };
        Failure::new(exit, format!("cannot read {path}: {error}"))
    };
    let bytes = if path == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map_err(failed)?;
        bytes
    } else {
        fs::read(Path::new(path)).map_err(failed)?
    };
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Invalid, format!("{path} is not UTF-8 text")))?;
    Ok(SourceFile { path: path.to_owned(), text })
}

/// Reads a folder that an application's files name. Links are refused: what they lead to is nobody's intention to send.
fn read_folder(
    folder: &str,
    depth: usize,
    companions: &mut BTreeMap<String, Vec<u8>>,
) -> Outcome<()> {
    let refused = |path: &str, why: &str| {
        Err(Failure::new(Exit::Invalid, format!("cannot send {path}: {why}")))
    };
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Invalid, format!("cannot read {folder}: {error}"))
    };
    if depth > FOLDER_DEPTH_MAX {
        return refused(folder, "it is too deep");
    }
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().into_string() else {
            return refused(folder, "a name in it is not UTF-8");
        };
        let path = format!("{folder}/{name}");
        let metadata = fs::symlink_metadata(&path).map_err(failed)?;
        if metadata.is_dir() && name != ".git" {
            read_folder(&path, depth + 1, companions)?;
        } else if metadata.is_symlink() {
            return refused(&path, "it is a link");
        } else if metadata.is_file() {
            if metadata.len() > COMPANION_BYTES_MAX || companions.len() >= FOLDER_FILES_MAX {
                return refused(&path, "the folder holds too much");
            }
            companions.insert(path.clone(), fs::read(&path).map_err(failed)?);
        }
    }
    Ok(())
}

fn read_images(images: &[String]) -> Outcome<BTreeMap<String, String>> {
    let read = |image: &String| match image.split_once('=') {
        Some((name, image)) if !name.is_empty() && !image.is_empty() => {
            Ok((name.to_owned(), image.to_owned()))
        }
        _ => Err(Failure::new(Exit::Invalid, format!("--image {image}: write workload=image"))
            .hint("such as --image web=registry.example/web:v2")),
    };
    images.iter().map(read).collect()
}
