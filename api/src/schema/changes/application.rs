//! An application's file becomes a revision.

use std::collections::BTreeMap;

use domain::application::{self, Application, Command, Source, SourceFile, SourceRef};
use domain::commit::Hash;
use domain::diagnostic::Diagnostic;

use super::name;
use crate::fault::UserError;
use crate::once::{Answer, Stop, Work};
use crate::schema::mutation::ApplicationApplyInput;

/// The most files of one application.
const FILES_MAX: usize = 256;

/// Records a revision, unless the last one says the same.
pub(crate) async fn apply(
    work: &mut Work<'_>,
    input: ApplicationApplyInput,
) -> Result<Answer, Stop> {
    if input.files.is_empty() || input.files.len() > FILES_MAX {
        let message = format!("must hold 1 to {FILES_MAX} files, not {}", input.files.len());
        return Err(UserError::new("INVALID_FILES", "input.files", message).into());
    }
    let companions = companions(&input)?;
    let images: BTreeMap<String, String> =
        input.images.into_iter().flatten().map(|image| (image.name, image.image)).collect();
    let files: Vec<SourceFile> = input
        .files
        .into_iter()
        .map(|file| SourceFile { path: file.path, text: file.text })
        .collect();
    let source = Source {
        files: &files,
        companions: &companions,
        application: input.application.as_deref(),
        images: &images,
    };
    let (model, warnings) = application::parse(&source)
        .map_err(|diagnostics| Stop::Refused(diagnostics.iter().map(user_error).collect()))?;
    let name = name("input.application", &model.name)?;
    let stream = work
        .plane
        .stream(application::KIND, name.as_str())
        .ok_or_else(|| Stop::Refused(Vec::new()))?;
    let sources = files.iter().map(source_ref).collect();
    let command = Command::Apply { model: Box::new(model), sources, at: work.at };
    let executed = work.execute::<Application>(&stream, command).await?;
    Ok(Answer {
        application: Some(name.to_string()),
        number: Some(executed.state.number),
        unchanged: executed.events.is_empty(),
        notes: warnings.iter().map(ToString::to_string).collect(),
        ..Answer::default()
    })
}

fn companions(input: &ApplicationApplyInput) -> Result<BTreeMap<String, Vec<u8>>, Stop> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let decode = |(index, companion): (usize, &crate::schema::mutation::CompanionInput)| {
        let bytes = engine.decode(&companion.base64).map_err(|error| {
            UserError::new("INVALID_BASE64", &format!("input.companions.{index}.base64"), error)
        })?;
        Ok((companion.path.clone(), bytes))
    };
    input.companions.iter().flatten().enumerate().map(decode).collect()
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
