//! What a disk does wrong: full while running, damaged behind our back, and far too much to store.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use pareto::cache::disk::Disk;
use pareto::cache::purges::Purges;
use pareto::config::storage;
use pareto::request::key::CacheKey;
use parking_lot::Mutex;
use reqwest::Method;
use tempfile::TempDir;

use crate::harness::{Answer, Binary, provider, until, within};

pub(super) const DISK: [(&str, &str); 1] = [("tier", "disk")];

pub(super) fn yaml(provider: &str, path: &Path) -> String {
    format!(
        "providers: {{sim: {{url: \"{provider}\"}}}}\nlog: {{exchanges: false}}\n\
         storage: {{memory: 8MiB, disk: {{path: \"{}\", size: 256MiB}}}}\n",
        path.display()
    )
}

/// Asks something new every time until the tier on disk is on, or off. Every answer must be right.
pub(super) async fn until_up(pareto: &Binary, up: bool) {
    let mut number = 0;
    within("the disk to go on or off", async {
        while (pareto.metric("cache_tier_up", &DISK).await > 0.0) != up {
            number += 1;
            let answer = pareto.chat(&format!("until {up} {number}")).await;
            assert!(answer.status == 200 && answer.whole, "{}", answer.text());
        }
    })
    .await;
}

/// Stores the answer to `text` and waits until the disk has taken something since.
pub(super) async fn stored(pareto: &Binary, text: &str) -> Answer {
    let before = pareto.metric("cache_bytes", &DISK).await;
    let answer = pareto.chat(text).await;
    until("the write", async || pareto.metric("cache_bytes", &DISK).await > before).await;
    answer
}

#[tokio::test]
async fn a_disk_that_fills_while_running_is_off_until_there_is_room() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let file = yaml(&provider.url(), directory.path());
    let pareto = Binary::start(&file).await;
    stored(&pareto, "purged while full").await;
    stored(&pareto, "kept").await;
    pareto.limit_files(Some(1));
    until_up(&pareto, false).await;
    assert!(pareto.metric("cache_tier_errors_total", &DISK).await >= 1.0);
    // What memory has is served, what it has not is fetched.
    assert!(pareto.chat("kept").await.is_hit());
    assert_eq!(pareto.chat("while full").await.cache(), "fwd=miss; stored");
    let key = key_of(&pareto, "purged while full").await;
    pareto.admin(Method::DELETE, &format!("/cache?key={key}")).await;
    pareto.limit_files(None);
    until_up(&pareto, true).await;
    let after = stored(&pareto, "after").await;
    drop(pareto);
    let again = Binary::start(&file).await;
    let found = again.chat("after").await;
    assert!(found.cache().ends_with("detail=disk"), "{}", found.cache());
    assert_eq!(found.body, after.body);
    assert!(again.chat("kept").await.cache().ends_with("detail=disk"));
    // The purge could not be written when it was made, and was when the disk had room.
    assert_eq!(again.chat("purged while full").await.cache(), "fwd=miss; stored");
}

/// The key of the answer to `text`, as `POST /explain` tells it.
pub(super) async fn key_of(pareto: &Binary, text: &str) -> String {
    let described = serde_json::json!({
        "endpoint": "chat",
        "headers": {"authorization": "Bearer sk-alice"},
        "body": crate::harness::chat(text),
    });
    let url = format!("http://{}/explain", pareto.admin);
    let told = Answer::of(reqwest::Client::new().post(url).json(&described).send().await.unwrap()).await;
    told.json()["request"]["key"]["value"].as_str().unwrap_or_else(|| panic!("{}", told.text())).to_owned()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let (mut open, mut found) = (vec![directory.to_owned()], Vec::new());
    while let Some(path) = open.pop() {
        match std::fs::read_dir(&path) {
            Ok(entries) => open.extend(entries.map(|entry| entry.unwrap().path())),
            Err(_) => found.push(path),
        }
    }
    found.sort();
    found
}

/// Where the last byte that is not zero ends: the store makes its journal long before it is full.
fn end_of_data(file: &mut File) -> u64 {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1)
}

/// Does to a file what a power cut or a bad disk does: its last bytes are gone, or are others.
fn tear(path: &Path, bytes: u64, cut: bool) {
    let mut file = OpenOptions::new().read(true).write(true).open(path).unwrap();
    let from = end_of_data(&mut file).saturating_sub(bytes);
    if cut {
        return file.set_len(from).unwrap();
    }
    file.seek(SeekFrom::Start(from)).unwrap();
    file.write_all(&vec![0x5a; bytes as usize]).unwrap();
}

#[tokio::test]
async fn a_journal_torn_after_a_kill_loses_answers_and_serves_no_wrong_one() {
    let (directory, provider) = (TempDir::new().unwrap(), provider().await);
    let file = yaml(&provider.url(), directory.path());
    let mut right: HashMap<String, Vec<Vec<u8>>> = HashMap::new();
    let mut from_disk = 0;
    for (round, bytes) in [3, 40, 400, 4000, 40_000].into_iter().enumerate() {
        for cut in [true, false] {
            let pareto = Binary::start(&file).await;
            for (text, bodies) in &mut right {
                let answer = pareto.chat(text).await;
                assert_eq!(answer.status, 200);
                if answer.cache().ends_with("detail=disk") {
                    from_disk += 1;
                    assert!(bodies.contains(&answer.body), "{text}: {}", answer.text());
                }
                bodies.push(answer.body);
            }
            for number in 0..8 {
                let text = format!("{round} {cut} {number}");
                let answer = stored(&pareto, &text).await;
                right.entry(text).or_default().push(answer.body);
            }
            drop(pareto);
            let store = files(&directory.path().join("store"));
            let journal = store.iter().find(|path| path.extension().is_some_and(|e| e == "jnl"));
            tear(journal.unwrap(), bytes, cut);
        }
    }
    assert!(from_disk > 0, "nothing was ever found on disk");
}

/// The store alone, for what takes more bytes than clients can be made to ask for quickly.
fn store(path: &Path) -> Disk {
    let settings = storage::Disk { path: path.to_owned(), size: 256 << 20 };
    Disk::start(settings, Arc::new(Mutex::new(Purges::default()))).unwrap()
}

fn key(number: u64) -> CacheKey {
    CacheKey::from_bytes(*blake3::hash(&number.to_le_bytes()).as_bytes())
}

/// Bytes of a large value.
const LARGE: usize = 64 << 10;

/// Bytes that do not compress, those of this number.
fn value(number: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Stores so many, each once the disk has caught up with those before.
async fn fill(disk: &Disk, numbers: std::ops::Range<u64>, length: usize, mut look: impl FnMut()) {
    for number in numbers {
        let mut skipped = disk.skipped();
        disk.put(key(number), value(number, length));
        within("the store", async {
            while number % 32 == 31 && disk.get(key(number)).await.is_none() {
                if disk.skipped() > skipped {
                    skipped = disk.skipped();
                    disk.put(key(number), value(number, length));
                }
                tokio::task::yield_now().await;
            }
        })
        .await;
        if number % (LARGE as u64 * 64 / length as u64) == 0 {
            look();
        }
    }
}

/// Bytes a directory takes on disk.
fn taken(directory: &Path) -> u64 {
    let size = |path: PathBuf| std::fs::metadata(path).map_or(0, |about| about.blocks() * 512);
    files(directory).into_iter().map(size).sum()
}

#[tokio::test]
async fn writing_far_more_than_the_size_never_takes_more() {
    const LAST: u64 = 8 * 1024 - 1;
    let directory = TempDir::new().unwrap();
    let disk = store(directory.path());
    let mut most = 0;
    fill(&disk, 0..LAST + 1, LARGE, || most = most.max(taken(directory.path()))).await;
    println!("512 MiB written to a tier of 256: at most {} MiB taken", most >> 20);
    assert!(most <= 256 << 20, "{} MiB", most >> 20);
    assert!(disk.bytes() <= 256 << 20 && disk.get(key(0)).await.is_none());
    assert_eq!(disk.get(key(LAST)).await.unwrap(), value(LAST, LARGE));
}

/// More of them than the store's one worker merges meanwhile.
#[tokio::test]
async fn a_flood_of_small_entries_never_takes_more_than_the_size() {
    let directory = TempDir::new().unwrap();
    let disk = store(directory.path());
    let mut most = 0;
    fill(&disk, 0..400_000, 1024, || most = most.max(taken(directory.path()))).await;
    println!("390 MiB written to a tier of 256: at most {} MiB taken", most >> 20);
    assert!(most <= 256 << 20, "{} MiB", most >> 20);
}

#[tokio::test]
async fn a_store_damaged_in_any_file_opens_and_gives_no_wrong_bytes() {
    let original = TempDir::new().unwrap();
    let disk = store(original.path());
    fill(&disk, 0..256, LARGE, || ()).await;
    drop(disk);
    // Its threads end with it, a moment later.
    let lock = File::open(original.path().join("store/lock")).unwrap();
    until("the store to close", async || lock.try_lock().is_ok()).await;
    let names = files(original.path());
    for (at, path) in names.iter().enumerate() {
        let copy = TempDir::new().unwrap();
        // Most of the journal is a hole.
        let from = original.path().join("store");
        let arguments = [Path::new("-r"), Path::new("--sparse=always"), &from, copy.path()];
        assert!(Command::new("cp").args(arguments).status().unwrap().success());
        let torn = copy.path().join(path.strip_prefix(original.path()).unwrap());
        tear(&torn, 200, at % 2 == 0);
        let disk = store(copy.path());
        // A busy machine's disk may be too slow at first: then nothing is found for a moment.
        within("an answer, or a word about the damage", async {
            let mut found = 0;
            while found == 0 && disk.damaged() == 0 {
                for number in 0..256 {
                    if let Some(bytes) = disk.get(key(number)).await {
                        found += 1;
                        assert!(bytes == value(number, LARGE), "{number} of {}", torn.display());
                    }
                    tokio::task::yield_now().await;
                }
            }
        })
        .await;
        // It takes new ones all the same.
        fill(&disk, 1024..1088, LARGE, || ()).await;
    }
}
