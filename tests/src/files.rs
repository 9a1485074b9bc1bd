//! The files of applications, read as the command line reads them.

use std::collections::BTreeMap;
use std::path::Path;

use domain::application::{self, Model, Parsed, Source, SourceFile};

/// Reads an application's files with what they name.
#[must_use]
pub fn read(application: &str, files: &[&Path], images: &[(&str, &str)]) -> Model {
    read_whole(application, files, images).model
}

/// The same, with what the model names by digests.
#[must_use]
pub fn read_whole(application: &str, files: &[&Path], images: &[(&str, &str)]) -> Parsed {
    let files: Vec<SourceFile> = files
        .iter()
        .map(|path| SourceFile {
            path: path.display().to_string(),
            text: std::fs::read_to_string(path).unwrap(),
        })
        .collect();
    let mut companions = BTreeMap::new();
    for path in application::companions(&files) {
        if Path::new(&path).is_dir() {
            read_folder(&path, &mut companions);
        } else if let Ok(bytes) = std::fs::read(&path) {
            companions.insert(path, bytes);
        }
    }
    let images =
        images.iter().map(|(name, image)| ((*name).to_owned(), (*image).to_owned())).collect();
    let source = Source {
        files: &files,
        companions: &companions,
        application: Some(application),
        images: &images,
    };
    match application::parse_whole(&source) {
        Ok(parsed) => parsed,
        Err(wrong) => panic!(
            "{application}: {}",
            wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        ),
    }
}

/// Reads a folder as the command line does, with its paths as they were given.
fn read_folder(folder: &str, into: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_folder(&path, into);
        } else {
            into.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
}
