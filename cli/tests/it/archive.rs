//! The archive by the commands that the documents name, each tried as it is written there.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use crate::plane::Plane;

/// A stopped server's folder with a log in it, and its archive.
struct Kept {
    plane: Plane,
}

impl Kept {
    fn new() -> Self {
        let mut plane = Plane::up(200);
        assert!(plane.stop());
        let kept = Self { plane };
        let said = kept.says("cairn admin backup --data-dir data --to archive");
        assert!(said.starts_with("the archive archive holds the log up to position "), "{said}");
        kept
    }

    /// Runs a command in the plane's folder, which must succeed, and gives its data.
    fn says(&self, line: &str) -> String {
        let (done, said) = self.runs(line);
        assert!(done, "{line}: {said}");
        said
    }

    /// Runs a command, which must fail, and gives its talk.
    fn refuses(&self, line: &str) -> String {
        let (done, said) = self.runs(line);
        assert!(!done, "{line}: {said}");
        said
    }

    fn runs(&self, line: &str) -> (bool, String) {
        let mut command = self.plane.command(env!("CARGO_BIN_EXE_cairn"));
        command.args(line.split(' ').skip(1)).current_dir(self.plane.folder.path());
        let output = command.output().unwrap();
        let text = if output.status.success() { &output.stdout } else { &output.stderr };
        (output.status.success(), String::from_utf8_lossy(text).into_owned())
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.plane.folder.path().join(name)
    }
}

#[test]
fn a_backup_is_verified_against_the_log() {
    let kept = Kept::new();
    let said = kept.says("cairn admin verify --data-dir data --archive archive");
    for part in ["the log is whole: ", "byte for byte: 1 segment ", "signed by the key "] {
        assert!(said.contains(part), "{part} in {said}");
    }
    let again = kept.says("cairn admin backup --data-dir data --to archive");
    assert!(again.contains("is signed up to position"), "{again}");
    let alone = "cairn admin verify --archive archive --archive-only --key data/anchor.pub";
    assert!(kept.says(alone).starts_with("the archive is whole: "));

    let segment = kept.path("archive/segments/00000000000000000001.zst");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let refused = kept.refuses("cairn admin verify --data-dir data --archive archive");
    assert!(refused.contains("is not what was written") && refused.contains("hint: "), "{refused}");
}

#[test]
fn a_lost_log_is_restored_by_one_command_and_the_server_goes_on() {
    let mut kept = Kept::new();
    let before = kept.says("cairn admin verify --data-dir data");
    std::fs::remove_dir_all(kept.path("data/log")).unwrap();
    let refused = kept.refuses("cairn admin verify --data-dir data");
    assert!(refused.contains("there is no log in data"), "{refused}");
    let said = kept.says("cairn admin restore --from archive --data-dir data");
    assert!(said.contains("commits are added, up to position"), "{said}");
    assert!(said.contains("the views are rebuilt from the log"), "{said}");
    assert_eq!(kept.says("cairn admin verify --data-dir data"), before);
    kept.plane.start();
    assert!(kept.plane.data_of(&["get", "environments"]).contains("dev"));
    assert!(kept.plane.stop());
    let twice = kept.refuses("cairn admin restore --from archive --data-dir data --tail nowhere");
    assert!(twice.contains("there is no log in nowhere"), "{twice}");
}

#[test]
fn what_the_archive_lacks_is_taken_from_the_old_log() {
    let mut kept = Kept::new();
    kept.plane.start();
    kept.plane.data_of(&["apply", "samples/minimal.yaml", "-e", "dev", "--detach"]);
    assert!(kept.plane.stop());
    let before = kept.says("cairn admin verify --data-dir data");
    kept.says("cairn admin restore --from archive --tail data --data-dir new");
    assert_eq!(kept.says("cairn admin verify --data-dir new"), before);
}

#[test]
fn a_log_moves_to_another_folder() {
    let kept = Kept::new();
    let migrate = "cairn admin migrate --from sqlite --to sqlite:moved --data-dir data";
    let said = kept.says(migrate);
    assert!(said.contains("both logs hold the same commits at the same positions"), "{said}");
    assert!(kept.says(migrate).contains("0 commits are added"));
    let whole = |data: &str| kept.says(&format!("cairn admin verify --data-dir {data}"));
    assert_eq!(whole("data"), whole("moved"));
    let refused = kept.refuses("cairn admin migrate --from sqlite --to sqlite --data-dir data");
    assert!(refused.contains("are the same"), "{refused}");
}

#[test]
fn a_bundle_is_checked_with_the_public_key_alone() {
    let kept = Kept::new();
    std::fs::write(kept.path("key.pem"), kept.says("cairn audit key --data-dir data")).unwrap();
    kept.says("cairn audit export --archive archive --from 2 --to 4 -o bundle");
    // Elsewhere: neither the log nor the archive are there.
    std::fs::remove_dir_all(kept.path("data")).unwrap();
    std::fs::remove_dir_all(kept.path("archive")).unwrap();
    let said = kept.says("cairn audit verify bundle --key key.pem");
    assert!(said.starts_with("proven: these are all 3 commits from position 2 to 4"), "{said}");
    assert!(said.contains("not proven: what came after the anchor"), "{said}");

    let text = std::fs::read_to_string(kept.path("bundle")).unwrap();
    let forged = text.replacen("\"command\":\"", "\"command\":\"Un", 1);
    assert_ne!(forged, text);
    std::fs::write(kept.path("bundle"), forged).unwrap();
    let refused = kept.refuses("cairn audit verify bundle --key key.pem");
    assert!(refused.contains("hint: do not trust the bundle"), "{refused}");
    let early = kept.refuses("cairn audit export --archive archive --from 2 --to 4");
    assert!(early.contains("the anchors reach position 0"), "{early}");
}

#[test]
fn a_server_keeps_its_archive_and_leaves_it_complete() {
    let plane = Plane::new(200);
    let archive = plane.folder.path().join("archive");
    let mut command = plane.command(env!("CARGO_BIN_EXE_cairn"));
    command.args(["up", "--listen", &format!("127.0.0.1:{}", plane.port)]);
    command.arg("--data-dir").arg(plane.data()).arg("--archive").arg(&archive);
    let mut server = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("Cairn is up at "), "{line:?}");
    plane.data_of(&["get", "environments"]);
    let id = server.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(server.wait().unwrap().success());
    let kept = Kept { plane };
    let said = kept.says("cairn admin verify --data-dir data --archive archive");
    assert!(said.contains("1 anchor up to position"), "{said}");
}
