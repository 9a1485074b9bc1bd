//! An application's file becomes a revision.

use std::collections::BTreeMap;

use domain::application::{
    self, Application, Command, Model, Parsed, Source, SourceFile, SourceRef,
};
use domain::commit::Hash;
use domain::content::Content;
use domain::diagnostic::Diagnostic;

use reconcilers::contents;

use super::name;
use crate::fault::UserError;
use crate::once::{Answer, Stop, Work};
use crate::schema::mutation::{ApplicationApplyInput, CompanionInput, FileInput, ImageInput};

/// The most files of one application.
const FILES_MAX: usize = 256;

/// The largest file that an application's files name, in bytes.
const COMPANION_BYTES_MAX: usize = 16 * 1024 * 1024;
/// What all of them may hold together, unpacked.
const COMPANIONS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What files say.
pub(crate) struct Read {
    pub(crate) model: Model,
    pub(crate) warnings: Vec<String>,
    /// Digest → what the model names by it.
    contents: BTreeMap<String, Vec<u8>>,
    sources: Vec<SourceRef>,
}

/// The files of an application, as they were sent.
pub(crate) struct Sent {
    pub(crate) files: Vec<FileInput>,
    pub(crate) companions: Option<Vec<CompanionInput>>,
    pub(crate) application: Option<String>,
    pub(crate) images: Option<Vec<ImageInput>>,
}

/// Records a revision, unless the last one says the same.
pub(crate) async fn apply(
    work: &mut Work<'_>,
    input: ApplicationApplyInput,
) -> Result<Answer, Stop> {
    let ApplicationApplyInput { files, companions, application, images, .. } = input;
    let read = read(Sent { files, companions, application, images })?;
    let name = name("input.application", &read.model.name)?;
    let stream = work
        .plane
        .stream(application::KIND, name.as_str())
        .ok_or_else(|| Stop::Refused(Vec::new()))?;
    for bytes in read.contents.values() {
        keep(work, bytes).await?;
    }
    let command =
        Command::Apply { model: Box::new(read.model), sources: read.sources, at: work.at };
    let executed = work.execute::<Application>(&stream, command).await?;
    Ok(Answer {
        application: Some(name.to_string()),
        number: Some(executed.state.number),
        unchanged: executed.events.is_empty(),
        is_in_log: !executed.events.is_empty(),
        notes: read.warnings,
        ..Answer::default()
    })
}

/// Keeps what a digest names, before anything refers to it.
async fn keep(work: &mut Work<'_>, bytes: &[u8]) -> Result<(), Stop> {
    let stream = contents::stream(&work.plane.tenant, Hash::of(bytes));
    let stream = stream.map_err(|_| Stop::Refused(Vec::new()))?;
    let commands = contents::commands(bytes, work.at);
    let unkept = |error| UserError::new("CONTENT", "input.companions", error);
    for (part, command) in commands.map_err(unkept)?.into_iter().enumerate() {
        work.execute_as::<Content>(&format!("{stream} {part}"), &stream, command).await?;
    }
    Ok(())
}

/// Reads files; every mistake in them is named.
pub(crate) fn read(sent: Sent) -> Result<Read, Stop> {
    if sent.files.is_empty() || sent.files.len() > FILES_MAX {
        let message = format!("must hold 1 to {FILES_MAX} files, not {}", sent.files.len());
        return Err(UserError::new("INVALID_FILES", "input.files", message).into());
    }
    let companions = companions(sent.companions)?;
    let images: BTreeMap<String, String> =
        sent.images.into_iter().flatten().map(|image| (image.name, image.image)).collect();
    let files: Vec<SourceFile> = sent
        .files
        .into_iter()
        .map(|file| SourceFile { path: file.path, text: file.text })
        .collect();
    let source = Source {
        files: &files,
        companions: &companions,
        application: sent.application.as_deref(),
        images: &images,
    };
    let Parsed { model, warnings, contents } = application::parse_whole(&source)
        .map_err(|diagnostics| Stop::Refused(diagnostics.iter().map(user_error).collect()))?;
    let warnings = warnings.iter().map(ToString::to_string).collect();
    Ok(Read { model, warnings, contents, sources: files.iter().map(source_ref).collect() })
}

fn companions(sent: Option<Vec<CompanionInput>>) -> Result<BTreeMap<String, Vec<u8>>, Stop> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let mut left = COMPANIONS_BYTES_MAX;
    let decode = |(index, companion): (usize, CompanionInput)| {
        let bytes = engine.decode(&companion.base64).map_err(|error| {
            UserError::new("INVALID_BASE64", &format!("input.companions.{index}.base64"), error)
        })?;
        let path = format!("input.companions.{index}.base64");
        let bytes = match companion.zstd {
            Some(true) => {
                unpacked(&bytes, left).map_err(|why| UserError::new("INVALID_ZSTD", &path, why))?
            }
            Some(false) | None => bytes,
        };
        left = left.saturating_sub(bytes.len());
        Ok((companion.path, bytes))
    };
    sent.into_iter().flatten().enumerate().map(decode).collect()
}

/// What was compressed. One that becomes longer than a file may be, or than what is left for all, is refused before it
/// is.
fn unpacked(bytes: &[u8], left: usize) -> Result<Vec<u8>, String> {
    let unpacked = contents::unpacked(bytes, COMPANION_BYTES_MAX.min(left));
    unpacked.map_err(|error| error.to_string())?.ok_or_else(|| {
        if left < COMPANION_BYTES_MAX {
            format!("all files together hold more than {COMPANIONS_BYTES_MAX} bytes")
        } else {
            format!("it holds more than {COMPANION_BYTES_MAX} bytes")
        }
    })
}

fn source_ref(file: &SourceFile) -> SourceRef {
    SourceRef { path: file.path.clone(), sha256: Hash::of(file.text.as_bytes()).to_hex() }
}

fn user_error(diagnostic: &Diagnostic) -> UserError {
    let place = format!("{}:{}:{}", diagnostic.file, diagnostic.line, diagnostic.column);
    UserError {
        hint: diagnostic.hint.clone(),
        ..UserError::new("INVALID_APPLICATION", &place, &diagnostic.message)
    }
}
