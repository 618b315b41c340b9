use std::fs;

use shared::link::Wish;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn token() -> Secret {
    Secret::new("relay token")
}

fn key() -> Secret {
    Secret::new("hunter2")
}

fn granted() -> Accepted {
    Accepted {
        snapshot: Snapshot {
            input: InputUid::from_random([1; 16]),
            rev: 4,
            epoch: 2,
            owner: None,
            oldest_key: 0,
            account: None,
            wish: Wish::relay(Vec::new()),
        },
        key: 1,
        cached: false,
    }
}

fn open(folder: &Path) -> Arc<KeyCache> {
    KeyCache::open(Some(folder), DAY, &token())
}

/// A process of the node that learns the key and stops.
async fn learn(folder: &Path) {
    let cache = open(folder);
    cache.accepted(&key(), &granted());
    stop(cache).await;
}

async fn stop(cache: Arc<KeyCache>) {
    let stop = CancellationToken::new();
    stop.cancel();
    cache.keep(stop).await;
}

#[tokio::test]
async fn a_key_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    learn(folder.path()).await;
    let found = open(folder.path()).look_up(&key()).unwrap();
    assert_eq!((found.snapshot.rev, found.key, found.cached), (4, 1, true));
    assert!(open(folder.path()).look_up(&Secret::new("other")).is_none());
    for file in fs::read_dir(folder.path()).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("hunter2"));
    }
}

#[tokio::test]
async fn what_is_learnt_while_it_runs_is_written_soon() {
    let folder = tempfile::tempdir().unwrap();
    let cache = open(folder.path());
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&cache).keep(stop.clone()));
    cache.accepted(&key(), &granted());
    let written = async {
        while open(folder.path()).look_up(&key()).is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), written).await.unwrap();
    stop.cancel();
    keeping.await.unwrap();
}

#[tokio::test]
async fn what_is_gone_is_gone_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    learn(folder.path()).await;
    let cache = open(folder.path());
    cache.refused(&key(), PublishRefusal::UnknownKey);
    stop(cache).await;
    assert!(open(folder.path()).look_up(&key()).is_none());
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key-cache.sealed");
    let aside = folder.path().join("key-cache.unreadable");
    for damage in [&b""[..], b"noise"] {
        learn(folder.path()).await;
        fs::write(&path, damage).unwrap();
        assert!(open(folder.path()).look_up(&key()).is_none());
        assert_eq!(fs::read(&aside).unwrap(), damage);
        assert!(!path.exists());
    }
    learn(folder.path()).await;
    let other = KeyCache::open(Some(folder.path()), DAY, &Secret::new("another token"));
    assert!(other.look_up(&key()).is_none() && !path.exists());
    // It works on.
    learn(folder.path()).await;
    assert!(open(folder.path()).look_up(&key()).is_some());
}

#[tokio::test]
async fn a_folder_that_is_not_there_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing");
    let cache = open(&missing);
    cache.accepted(&key(), &granted());
    assert!(cache.look_up(&key()).is_some());
    stop(cache).await;
    assert!(open(&missing).look_up(&key()).is_none());
}

#[tokio::test]
async fn an_older_process_gives_way_to_a_newer_one() {
    let folder = tempfile::tempdir().unwrap();
    let old = open(folder.path());
    let running = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&old).keep(running.clone()));
    let claimed = async {
        while !folder.path().join("key-cache.sealed").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(5), claimed).await.unwrap();
    learn(folder.path()).await;
    old.accepted(&Secret::new("late"), &granted());
    // It ends by itself.
    timeout(Duration::from_secs(5), keeping)
        .await
        .unwrap()
        .unwrap();
    assert!(open(folder.path()).look_up(&key()).is_some());
}

#[tokio::test(start_paused = true)]
async fn its_time_passes_by_the_monotonic_clock() {
    let cache = KeyCache::open(None, DAY, &token());
    cache.accepted(&key(), &granted());
    tokio::time::advance(DAY).await;
    assert!(cache.look_up(&key()).is_some());
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(cache.look_up(&key()).is_none());
}
