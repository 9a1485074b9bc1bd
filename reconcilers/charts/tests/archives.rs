//! Archives that do harm, each of which is refused, with nothing written outside the folder; and good ones, which are
//! not.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "these are tests")]

use std::io::Write as _;
use std::path::Path;

use charts::unpack::{ARCHIVE_BYTES_MAX, unpack};
use flate2::Compression;
use flate2::write::GzEncoder;
use tar::{Builder, EntryType, Header};

const CHART: &[u8] = b"apiVersion: v2\nname: web\nversion: 1.0.0\n";

/// An entry with a name that is written as it is, whatever it is.
fn entry(name: &[u8], kind: EntryType, link: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_ustar();
    {
        let ustar = header.as_ustar_mut().unwrap();
        let length = name.len().min(100);
        ustar.name[..length].copy_from_slice(&name[..length]);
        ustar.linkname[..link.len()].copy_from_slice(link);
    }
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut bytes = header.as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    entry(name.as_bytes(), EntryType::Regular, b"", content)
}

fn link(name: &str, kind: EntryType, to: &str) -> Vec<u8> {
    entry(name.as_bytes(), kind, to.as_bytes(), b"")
}

/// A record of pax, which says something about the entry that follows.
fn pax(key: &str, value: &str) -> Vec<u8> {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len() + 1;
    while format!("{length}{rest}").len() != length {
        length += 1;
    }
    entry(b"pax", EntryType::XHeader, b"", format!("{length}{rest}").as_bytes())
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(tar).unwrap();
    packer.finish().unwrap()
}

/// A chart with more in it.
fn chart_with(more: &[Vec<u8>]) -> Vec<u8> {
    let mut tar = file("web/Chart.yaml", CHART);
    more.iter().for_each(|entry| tar.extend_from_slice(entry));
    tar.resize(tar.len() + 1024, 0);
    gzip(&tar)
}

fn zeros(megabytes: usize) -> Vec<u8> {
    vec![0; megabytes * 1024 * 1024]
}

/// Bytes that cannot be packed.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Archives within archives, the innermost of which does harm.
fn nested(depth: usize, innermost: Vec<u8>) -> Vec<u8> {
    (0..depth).fold(innermost, |within, _| chart_with(&[file("web/charts/sub.tgz", &within)]))
}

fn slips() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("a parent", chart_with(&[file("web/../../evil", b"x")])),
        ("a parent first", chart_with(&[file("../evil", b"x")])),
        ("a parent last", chart_with(&[file("web/templates/..", b"x")])),
        ("only parents", chart_with(&[file("..", b"x")])),
        ("an absolute path", chart_with(&[file("/tmp/cairn-evil", b"x")])),
        ("two slashes", chart_with(&[file("//tmp/cairn-evil", b"x")])),
        ("an empty name within", chart_with(&[file("web//evil", b"x")])),
        ("a dot within", chart_with(&[file("web/./evil", b"x")])),
        ("a backslash", chart_with(&[file("web\\..\\..\\evil", b"x")])),
        ("a drive", chart_with(&[file("C:/evil", b"x")])),
        ("a new line", chart_with(&[file("web/a\nb", b"x")])),
        ("an escape", chart_with(&[file("web/\u{1b}[31mred", b"x")])),
        ("no UTF-8", chart_with(&[entry(b"web/\xff\xfe", EntryType::Regular, b"", b"x")])),
        ("a parent by pax", chart_with(&[pax("path", "web/../../evil"), file("web/good", b"x")])),
        (
            "an absolute path by pax",
            chart_with(&[pax("path", "/tmp/cairn-evil"), file("web/good", b"x")]),
        ),
        (
            "a parent by GNU's long name",
            chart_with(&[
                entry(b"././@LongLink", EntryType::GNULongName, b"", b"web/../../evil\0"),
                file("web/good", b"x"),
            ]),
        ),
        (
            "a name that is too long",
            chart_with(&[pax("path", &format!("web/{}", "a".repeat(300))), file("web/a", b"x")]),
        ),
        (
            "folders that are too deep",
            chart_with(&[pax("path", &"web/".repeat(60)), file("web/a", b"x")]),
        ),
        ("another folder", chart_with(&[file("other/a", b"x")])),
        ("a file in no folder", chart_with(&[file("loose", b"x")])),
    ]
}

fn kinds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        (
            "a symbolic link",
            chart_with(&[link("web/values.yaml", EntryType::Symlink, "/etc/passwd")]),
        ),
        (
            "a symbolic link to a parent",
            chart_with(&[link("web/up", EntryType::Symlink, ".."), file("web/up/evil", b"x")]),
        ),
        ("a symbolic link within", chart_with(&[link("web/a", EntryType::Symlink, "Chart.yaml")])),
        ("a hard link", chart_with(&[link("web/a", EntryType::Link, "/etc/passwd")])),
        ("a hard link within", chart_with(&[link("web/a", EntryType::Link, "web/Chart.yaml")])),
        ("a device of characters", chart_with(&[link("web/zero", EntryType::Char, "")])),
        ("a device of blocks", chart_with(&[link("web/disk", EntryType::Block, "")])),
        ("a pipe", chart_with(&[link("web/pipe", EntryType::Fifo, "")])),
        ("a sparse file", chart_with(&[entry(b"web/sparse", EntryType::GNUSparse, b"", b"x")])),
        ("an unknown sort", chart_with(&[entry(b"web/odd", EntryType::new(b'Z'), b"", b"x")])),
        ("the same file twice", chart_with(&[file("web/a", b"x"), file("web/a", b"y")])),
        ("the same file in capitals", chart_with(&[file("web/a", b"x"), file("web/A", b"y")])),
        ("the chart's own file again", chart_with(&[file("web/Chart.yaml", b"name: other\n")])),
        (
            "a file that is a folder",
            chart_with(&[file("web/a", b"x"), link("web/a", EntryType::Directory, "")]),
        ),
    ]
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let many: Vec<Vec<u8>> = (0..10_001).map(|n| file(&format!("web/f{n}"), b"")).collect();
    let folders: Vec<Vec<u8>> =
        (0..10_001).map(|n| link(&format!("web/d{n}"), EntryType::Directory, "")).collect();
    let parts: Vec<Vec<u8>> = (0..20).map(|n| file(&format!("web/z{n}"), &zeros(4))).collect();
    let noise_of_many: Vec<Vec<u8>> =
        (0..16).map(|n| file(&format!("web/n{n}"), &noise(4 * 1024 * 1024))).collect();
    let mut lies = entry(b"web/liar", EntryType::Regular, b"", b"");
    lies[124..136].copy_from_slice(b"77777777777\0");
    vec![
        ("a file of many zeros", chart_with(&[file("web/zeros", &zeros(100))])),
        ("many files of zeros", chart_with(&parts)),
        ("too many files", chart_with(&many)),
        ("too many folders", chart_with(&folders)),
        ("too long in all", chart_with(&noise_of_many)),
        ("a length that is a lie", chart_with(&[lies])),
        (
            "a long name that is a bomb",
            chart_with(&[entry(b"././@LongLink", EntryType::GNULongName, b"", &zeros(100))]),
        ),
        ("too large an archive", noise(ARCHIVE_BYTES_MAX + 1)),
        ("a bomb in a sub-chart", nested(1, chart_with(&[file("web/zeros", &zeros(100))]))),
        ("a bomb far within", nested(3, chart_with(&[file("web/zeros", &zeros(100))]))),
        ("a slip in a sub-chart", nested(1, chart_with(&[file("../evil", b"x")]))),
        (
            "a link in a sub-chart",
            nested(2, chart_with(&[link("web/a", EntryType::Symlink, "/etc")])),
        ),
        ("archives without end", nested(8, chart_with(&[]))),
    ]
}

fn nonsense() -> Vec<(&'static str, Vec<u8>)> {
    let good = chart_with(&[]);
    let mut broken = chart_with(&[file("web/a", &noise(5_000))]);
    let middle = broken.len() / 2;
    broken.truncate(middle);
    vec![
        ("nothing", Vec::new()),
        ("no archive", b"not an archive".to_vec()),
        ("an empty archive", gzip(&[0; 1024])),
        ("no chart", gzip(&file("web/README", b"x"))),
        ("one that breaks off", broken),
        ("one that is not packed", file("web/Chart.yaml", CHART)),
        ("noise after its beginning", [&good[..20], &noise(500)].concat()),
    ]
}

/// Everything below a folder.
fn listed(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        found.push(path.display().to_string());
        if path.is_dir() && !path.is_symlink() {
            found.extend(listed(&path));
        }
    }
    found
}

#[test]
fn archives_that_do_harm_are_refused_and_write_nothing_elsewhere() {
    let hostile = [slips(), kinds(), bombs(), nonsense()].concat();
    assert!(hostile.len() >= 50, "{}", hostile.len());
    for (what, archive) in hostile {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("a/b/chart");
        std::fs::create_dir_all(&folder).unwrap();
        let refused = unpack(&archive, &folder);
        assert!(refused.is_err(), "{what} was taken");
        let words = refused.unwrap_err().to_string();
        assert!(words.len() < 300 && !words.contains('\u{1b}'), "{what}: {words:?}");
        let outside: Vec<String> = listed(around.path())
            .into_iter()
            .filter(|path| !path.starts_with(&folder.display().to_string()))
            .filter(|path| !folder.starts_with(path))
            .collect();
        assert!(outside.is_empty(), "{what} wrote {outside:?}");
        let links = listed(&folder).into_iter().filter(|path| Path::new(path).is_symlink());
        assert_eq!(links.count(), 0, "{what} made a link");
    }
    assert!(!Path::new("/tmp/cairn-evil").exists());
}

#[test]
fn good_archives_are_unpacked() {
    let mut comment =
        entry(b"pax_global_header", EntryType::XGlobalHeader, b"", b"19 comment=0123456\n");
    comment.extend(chart_tar());
    let sub = chart_with(&[file("web/templates/a.yaml", b"a: b\n")]);
    for (what, archive) in [
        ("a plain one", chart_with(&[file("web/templates/a.yaml", b"a: b\n")])),
        (
            "one with folders",
            chart_with(&[
                link("web/templates/", EntryType::Directory, ""),
                file("web/templates/a.yaml", b"x"),
            ]),
        ),
        ("one of git", gzip(&comment)),
        ("one that begins with a dot", gzip(&file("./web/Chart.yaml", CHART))),
        ("one with a sub-chart", chart_with(&[file("web/charts/sub-1.0.0.tgz", &sub)])),
        (
            "one with a long name",
            chart_with(&[pax("path", &format!("web/{}", "a".repeat(150))), file("web/a", b"x")]),
        ),
        ("one of several parts", [gzip(&chart_tar()), gzip(&[0; 1024])].concat()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let chart = unpack(&archive, folder.path());
        let chart = chart.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(std::fs::read(chart.join("Chart.yaml")).unwrap(), CHART, "{what}");
    }
    // What the library of others writes is read.
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(CHART.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, "web/Chart.yaml", CHART).unwrap();
    let folder = tempfile::tempdir().unwrap();
    unpack(&gzip(&builder.into_inner().unwrap()), folder.path()).unwrap();
}

fn chart_tar() -> Vec<u8> {
    file("web/Chart.yaml", CHART)
}
