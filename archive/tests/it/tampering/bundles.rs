//! What is done to a bundle on its way to whoever checks it.

use archive::Signer;
use archive::bundle::{Request, check, export};
use domain::commit::{Commit, Hash, Sealed};
use journal::Position;
use journal::testing::stream;

use super::assert_found;
use super::logs::rewritten;
use crate::place::{Sort, over_both};
use crate::world::{World, all, forge};

over_both!(any_range_can_be_proven, what_is_not_signed_yet_is_not_proven,);

/// The lines of a bundle: these, and then the commits.
const HEADER: usize = 1;
const EARLIER: usize = 2;
const ANCHOR: usize = 3;
const PROOF: usize = 4;
const COMMITS: usize = 5;

/// What an attacker has at hand.
struct Desk {
    lines: Vec<String>,
    /// The commits of a history in which position 30 says something else, from position 1 on.
    forged: Vec<String>,
    /// An anchor by another key about the same tree.
    other_anchor: String,
}

impl Desk {
    fn replace(&mut self, line: usize, from: &str, to: &str) {
        assert!(self.lines[line].contains(from), "{from} in {}", self.lines[line]);
        self.lines[line] = self.lines[line].replacen(from, to, 1);
    }

    /// Gives the commits the positions that follow one another from `first`.
    fn renumber(&mut self, first: u64) {
        for (line, position) in self.lines[COMMITS..].iter_mut().zip(first..) {
            let (_, bytes) = line.split_once(' ').unwrap();
            *line = format!("{position} {bytes}");
        }
    }

    fn proof_hash(&self, field: &str) -> String {
        let proof: serde_json::Value = serde_json::from_str(&self.lines[PROOF]).unwrap();
        proof[field][0].as_str().unwrap().to_owned()
    }
}

fn resealed(line: &str) -> String {
    let (position, bytes) = line.split_once(' ').unwrap();
    let commit: Commit = serde_json::from_str(bytes).unwrap();
    let sealed: Sealed = rewritten(&commit).seal().unwrap();
    format!("{position} {}", String::from_utf8_lossy(&sealed.bytes))
}

type Case = (&'static str, fn(&mut Desk), &'static str);

/// Positions 25 to 35: 11 commits, after anchor 1 (20 commits), under anchor 2 (40).
const CASES: &[Case] = &[
    ("a byte is flipped", |d| d.replace(COMMITS + 3, "Added", "Bdded"), "seal is broken"),
    ("a commit is dropped", |d| drop(d.lines.remove(COMMITS + 3)), "position 29 is where 28"),
    ("the last commit is dropped", |d| drop(d.lines.pop()), "a number of commits of 11"),
    (
        "the last commit is dropped, and the header says so",
        |d| {
            d.lines.pop();
            d.replace(HEADER, "\"to\":35", "\"to\":34");
            d.replace(HEADER, "\"commits\":11", "\"commits\":10");
        },
        "the proof does not lead",
    ),
    ("two commits are swapped", |d| d.lines.swap(COMMITS + 3, COMMITS + 4), "where 28 should be"),
    (
        "two commits are swapped, and their positions too",
        |d| {
            d.lines.swap(COMMITS + 3, COMMITS + 4);
            d.renumber(25);
        },
        "the proof does not lead",
    ),
    (
        "a commit is there twice",
        |d| d.lines.insert(COMMITS + 3, d.lines[COMMITS + 2].clone()),
        "where 28 should be",
    ),
    (
        "the range is shifted",
        |d| {
            d.renumber(26);
            d.replace(HEADER, "\"from\":25,\"to\":35", "\"from\":26,\"to\":36");
        },
        "the proof does not lead",
    ),
    (
        "the range is shifted beyond the anchor",
        |d| {
            d.renumber(125);
            d.replace(HEADER, "\"from\":25,\"to\":35", "\"from\":125,\"to\":135");
        },
        "the anchors reach position 40",
    ),
    (
        "a commit says something else, sealed anew",
        |d| d.lines[COMMITS + 3] = resealed(&d.lines[COMMITS + 3]),
        "its previous commit's hash is",
    ),
    (
        "the last commit says something else, sealed anew",
        |d| d.lines[COMMITS + 10] = resealed(&d.lines[COMMITS + 10]),
        "the proof does not lead",
    ),
    (
        "a stream is replaced, sealed anew to the end",
        |d| d.lines.splice(COMMITS.., d.forged[24..35].to_vec()).for_each(drop),
        "the proof does not lead",
    ),
    (
        "a hash of the proof is replaced",
        |d| d.replace(PROOF, &d.proof_hash("leaves"), &Hash::of(b"x").to_hex()),
        "the proof does not lead",
    ),
    (
        "a hash is added to the proof",
        |d| d.replace(PROOF, "\"leaves\":[", &format!("\"leaves\":[\"{}\",", Hash::of(b"x"))),
        "the proof does not lead",
    ),
    (
        "a hash of the growth is replaced",
        |d| d.replace(PROOF, &d.proof_hash("growth"), &Hash::of(b"x").to_hex()),
        "the proof does not lead",
    ),
    (
        "an older anchor is replayed",
        |d| d.lines[ANCHOR] = d.lines[EARLIER].clone(),
        "the proof does not lead",
    ),
    (
        "the anchor is one by another key",
        |d| d.lines[ANCHOR] = d.other_anchor.clone(),
        "the signature is not by the key",
    ),
    (
        "the anchor covers more than was signed",
        |d| d.replace(ANCHOR, "\"size\":40,\"position\":40", "\"size\":60,\"position\":60"),
        "the signature is not by the key",
    ),
    (
        "the signature is left out",
        |d| {
            let (statement, _) = d.lines[ANCHOR].split_once(",\"signature\"").unwrap();
            d.lines[ANCHOR] = format!("{statement}}}");
        },
        "the signature is not by the key",
    ),
    ("the end is cut off", |d| d.lines[COMMITS + 10].truncate(200), "the seal is broken"),
    ("the header counts otherwise", |d| d.replace(HEADER, "11", "12"), "a number of commits of 12"),
    ("something is added", |d| d.lines.push("and more".into()), "a line is no commit"),
];

/// All commits of stream `s1` from position 1 to 40: 1, 5, 9 and so on.
const OF_A_STREAM: &[Case] = &[
    (
        "a commit in the middle is hidden, and the header says so",
        |d| {
            d.lines.remove(COMMITS + 2);
            d.replace(HEADER, "\"commits\":10", "\"commits\":9");
        },
        "it begins at version",
    ),
    (
        "it is said to be another stream",
        |d| d.replace(HEADER, "tally.s1", "tally.s2"),
        "it is of another stream",
    ),
    (
        "a commit of another stream is put in",
        |d| d.lines.insert(COMMITS + 3, d.forged[9].clone()),
        "it is of another stream",
    ),
    (
        "the last commit is hidden, and the header says so",
        |d| {
            d.lines.pop();
            d.replace(HEADER, "\"commits\":10", "\"commits\":9");
        },
        "the proof does not lead",
    ),
];

async fn desk(world: &World, request: Request) -> Desk {
    let bundle = export(world.target(), &request).await.unwrap();
    let mut lines: Vec<String> =
        String::from_utf8(bundle).unwrap().lines().map(str::to_owned).collect();
    if lines[HEADER].contains("\"earlier\":false") {
        // So that the lines have the same numbers in all cases.
        lines.insert(EARLIER, String::new());
    }
    let commits = all(&*world.journal).await.into_iter().enumerate();
    let forged = forge(commits.map(|(index, recorded)| match index {
        29 => rewritten(&recorded.sealed.commit),
        _ => recorded.sealed.commit.clone(),
    }));
    let line = |r: &journal::Recorded| {
        format!("{} {}", r.position, String::from_utf8_lossy(&r.sealed.bytes))
    };
    let forged = all(&*forged.await).await.iter().map(line).collect();
    let other = Signer::load_or_make(&world.folder.path().join("other.key")).unwrap();
    let anchor = world.place.read(&world.place.names("anchors", ".json")[1]);
    let stated = archive::Anchor::read(&anchor).unwrap().statement;
    let forgery = archive::Anchor::sign(&other, None, stated.size, stated.root, stated.time);
    Desk { lines, forged, other_anchor: String::from_utf8(forgery.bytes).unwrap() }
}

fn bytes(desk: &Desk) -> Vec<u8> {
    let lines = desk.lines.iter().filter(|line| !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
}

#[tokio::test]
async fn each_kind_of_tampering_with_a_bundle_is_found() {
    let world = World::archived(Sort::Folder).await;
    let key = world.signer().public();
    let range = Request { from: Position::new(25), to: Some(Position::new(35)), stream: None };
    let one =
        Request { from: Position::new(1), to: Some(Position::new(40)), stream: Some(stream("s1")) };
    for (request, cases) in [(range, CASES), (one, OF_A_STREAM)] {
        let whole = desk(&world, request.clone()).await;
        let proven = check(&bytes(&whole), &key).unwrap();
        assert_eq!((proven.anchor, proven.size), (2, 40));
        for (case, tamper, expected) in cases {
            let mut desk = desk(&world, request.clone()).await;
            tamper(&mut desk);
            assert_found(case, check(&bytes(&desk), &key), expected);
        }
        let other = Signer::load_or_make(&world.folder.path().join("other.key")).unwrap();
        let found = check(&bytes(&whole), &other.public());
        assert_found("it is checked with another key", found, "the signature is not by the key");
    }
}

async fn any_range_can_be_proven(sort: Sort) {
    let world = World::archived(sort).await;
    let key = world.signer().public();
    for from in (1..=60).step_by(7) {
        for to in (from..=60).step_by(5) {
            let request =
                Request { from: Position::new(from), to: Some(Position::new(to)), stream: None };
            let bundle = export(world.target(), &request).await.unwrap();
            let proven = check(&bundle, &key).unwrap();
            assert_eq!(proven.commits, to - from + 1);
            assert_eq!(proven.earlier.is_some(), from > 20);
        }
    }
    let request = Request { from: Position::new(1), to: None, stream: None };
    let bundle = export(world.target(), &request).await.unwrap();
    assert_eq!(check(&bundle, &key).unwrap().commits, 60);
}

async fn what_is_not_signed_yet_is_not_proven(sort: Sort) {
    let world = World::archived(sort).await;
    world.grow(5).await;
    let request = Request { from: Position::new(1), to: Some(Position::new(61)), stream: None };
    let refused = export(world.target(), &request).await;
    assert_found("too new", refused, "the anchors reach position 60");
    let request = Request { from: Position::new(1), to: None, stream: Some(stream("nobody")) };
    assert_found("no such stream", export(world.target(), &request).await, "has no commit between");
}
