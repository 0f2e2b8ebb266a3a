//! One conformance test over every kind of place, and what is peculiar to folders on disk.

use std::fs;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use proptest::prelude::*;
use rstest::rstest;

use super::{Creation, Place};
use crate::{Object, PlaceError};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap().block_on(future)
}

fn disk(path: &Path) -> Place {
    Place::parse(path.to_str().unwrap()).unwrap()
}

fn memory() -> Place {
    Place::with_store(Arc::new(InMemory::new()), "raw/x", "test://raw/x").unwrap()
}

fn keys(objects: &[Object]) -> Vec<&str> {
    objects.iter().map(|object| object.key.as_str()).collect()
}

/// What every place promises, whatever is behind it. The place has to be empty.
async fn conforms(place: &Place) -> Result<(), PlaceError> {
    // Writing, reading and being listed.
    place.write("b/2.json", "two".into()).await?;
    place.write("b-1.json", "b-one".into()).await?;
    place.write("a/ä ö#1%20[x].json", "one".into()).await?;
    place.write("_solder/m.json", Bytes::new()).await?;
    let objects = place.list().await?;
    // R4: the bytes of keys decide, so `-` comes before `/`.
    let expected = ["_solder/m.json", "a/ä ö#1%20[x].json", "b-1.json", "b/2.json"];
    assert_eq!(keys(&objects), expected);
    let sizes: Vec<u64> = objects.iter().map(|object| object.size_bytes).collect();
    assert_eq!(sizes, [0, 3, 5, 3]);
    assert!(objects.iter().all(|object| object.modified_us.unwrap() > 1_600_000_000_000_000));
    assert_eq!(place.object("b/2.json").await?, objects[3]);
    assert_eq!(place.read("a/ä ö#1%20[x].json").await?, "one");
    assert_eq!(place.read("_solder/m.json").await?, "");
    place.write("b/2.json", "TWO!".into()).await?;
    assert_eq!(place.read("b/2.json").await?, "TWO!");

    // Parts of the place.
    assert_eq!(keys(&place.list_from("b").await?), ["b/2.json"]);
    assert_eq!(keys(&place.list_from("b/").await?), ["b/2.json"]);
    assert_eq!(keys(&place.list_from("none").await?), [""; 0]);
    let folder = place.folder("b")?;
    assert_eq!(folder.to_string(), format!("{place}/b"));
    assert_eq!(keys(&folder.list().await?), ["2.json"]);

    // Ranges and streams.
    assert_eq!(place.read_range("b/2.json", 1..3).await?, "WO");
    assert_eq!(place.read_range("b/2.json", 1..99).await?, "WO!");
    assert_eq!(place.read_range("b/2.json", 2..2).await?, "");
    assert!(place.read_range("b/2.json", 4..9).await.is_err());
    let (object, stream) = place.read_stream("b/2.json").await?;
    assert_eq!((object.key.as_str(), object.size_bytes), ("b/2.json", 4));
    assert_eq!(stream.try_collect::<Vec<_>>().await?.concat(), b"TWO!");
    let (_, stream) = place.read_stream("_solder/m.json").await?;
    assert_eq!(stream.try_collect::<Vec<_>>().await?.concat(), b"");

    // Put if absent: the first wins and stays.
    assert_eq!(place.create("new/c.json", "1".into()).await?, Creation::Created);
    assert_eq!(place.create("new/c.json", "2".into()).await?, Creation::AlreadyExists);
    assert_eq!(place.read("new/c.json").await?, "1");

    // Renaming and copying replace, and need something to begin with.
    place.rename("new/c.json", "far/away/c.json").await?;
    assert!(!place.exists("new/c.json").await?);
    place.copy("far/away/c.json", "near/c.json").await?;
    place.copy("far/away/c.json", "b/2.json").await?;
    assert_eq!(place.read("b/2.json").await?, "1");
    place.rename("near/c.json", "near/c.json").await?;
    assert_eq!(place.read("near/c.json").await?, "1");
    assert!(place.rename("none", "x").await.unwrap_err().is_not_found());
    assert!(place.copy("none", "x").await.unwrap_err().is_not_found());
    assert!(!place.exists("x").await?);

    // Many come to their place together; what a store leaves behind is the caller's to delete.
    let moves = [("staged/1", "final/1"), ("staged/2", "final/deep/2"), ("staged/3", "other/3")];
    let moves = moves.map(|(from, to)| (from.to_owned(), to.to_owned()));
    for (from, _) in &moves {
        place.write(from, Bytes::from(from.clone())).await?;
    }
    place.publish_all(&moves).await?;
    for (from, to) in &moves {
        assert_eq!(place.read(to).await?, from.as_str());
    }
    place.delete(&moves.clone().map(|(from, _)| from)).await?;
    place.delete(&moves.map(|(_, to)| to)).await?;
    place.publish_all(&[]).await?;
    let none = [("none".to_owned(), "x".to_owned())];
    assert!(place.publish_all(&none).await.unwrap_err().is_not_found());

    // Uploads: invisible until whole, gone when given up.
    let mut upload = place.upload("up/large").await?;
    let piece = Bytes::from(vec![7; 3 << 20]);
    for _ in 0..9 {
        upload.put(piece.clone()).await?;
    }
    assert!(!place.exists("up/large").await?);
    assert!(!keys(&place.list().await?).iter().any(|key| key.starts_with("up")));
    assert_eq!(upload.complete().await?, 27 << 20);
    assert_eq!(place.object("up/large").await?.size_bytes, 27 << 20);
    assert_eq!(place.read_range("up/large", (27 << 20) - 1..u64::MAX).await?, vec![7; 1]);
    let mut upload = place.upload("up/large").await?;
    upload.put("small".into()).await?;
    assert_eq!(upload.complete().await?, 5);
    assert_eq!(place.read("up/large").await?, "small");
    assert_eq!(place.upload("up/empty").await?.complete().await?, 0);
    assert_eq!(place.read("up/empty").await?, "");
    for _ in 0..2 {
        let mut upload = place.upload("up/never").await?;
        upload.put(piece.clone()).await?;
        upload.abort().await?;
    }
    drop(place.upload("up/never").await?);
    assert!(!place.exists("up/never").await?);

    // What is absent is absent, folders too, and deleting it is no error.
    for key in ["none", "b", "b/2.json/below"] {
        assert!(!place.exists(key).await?, "{key}");
        assert!(place.object(key).await.unwrap_err().is_not_found(), "{key}");
    }
    let error = place.read("none/x.json").await.unwrap_err();
    assert!(error.is_not_found() && !error.is_retryable());
    assert_eq!(error.to_string(), format!("reading `{place}/none/x.json`: it does not exist"));
    assert!(place.read_stream("none").await.err().unwrap().is_not_found());
    assert!(place.read_range("none", 0..1).await.unwrap_err().is_not_found());
    place.delete(&["b/2.json", "none/x.json", "b-1.json"]).await?;
    assert!(!place.exists("b/2.json").await?);
    assert!(place.exists("far/away/c.json").await?);

    // No key leads out of the place.
    for key in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\0b"] {
        assert!(matches!(place.read(key).await, Err(PlaceError::InvalidKey { .. })), "{key}");
        assert!(matches!(place.delete(&[key]).await, Err(PlaceError::InvalidKey { .. })), "{key}");
        assert_eq!(place.local_path(key), None);
    }
    Ok(())
}

#[test]
fn a_folder_on_disk_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let place = disk(folder.path());
    wait(conforms(&place)).unwrap();
    // Nothing staged is left behind.
    let left = names_below(folder.path());
    assert!(!left.iter().any(|name| name.starts_with(".solder-")), "{left:?}");
}

#[test]
fn a_folder_conforms_without_a_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let outcome = conforms(&disk(folder.path())).now_or_never();
    outcome.unwrap().unwrap();
}

#[test]
fn a_file_url_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/my%20raw", folder.path().display());
    fs::create_dir(folder.path().join("my raw")).unwrap();
    wait(conforms(&Place::parse(&url).unwrap())).unwrap();
}

#[test]
fn a_store_in_memory_conforms() {
    wait(conforms(&memory())).unwrap();
}

#[test]
fn a_memory_url_conforms() {
    wait(conforms(&Place::parse("memory://conforms/raw").unwrap())).unwrap();
}

/// D3: what a place is tried with leaves nothing behind but the object that it was tried with.
#[test]
fn d3_every_place_can_be_tried() {
    let folder = tempfile::tempdir().unwrap();
    for place in [disk(folder.path()), memory()] {
        wait(async {
            assert_eq!(place.any_object().await?, None);
            assert!(place.honours_create("probe").await?);
            assert!(place.honours_create("probe").await?, "what is there already tells as much");
            assert_eq!(place.read("probe").await?, "first");
            place.write_in_parts("probe", "parts".into()).await?;
            assert_eq!(place.read("probe").await?, "parts");
            assert_eq!(place.any_object().await?.unwrap().key, "probe");
            assert_eq!(place.last_answer(), None);
            place.delete(&["probe"]).await?;
            assert!(place.list().await?.is_empty());
            Ok::<(), PlaceError>(())
        })
        .unwrap();
    }
}

#[test]
fn memory_places_of_one_name_are_one_store() {
    wait(async {
        let first = Place::parse("memory://shared/a").unwrap();
        first.write("x", "1".into()).await.unwrap();
        let second = Place::parse("memory://shared").unwrap();
        assert_eq!(keys(&second.list().await.unwrap()), ["a/x"]);
        let other = Place::parse("memory://other").unwrap();
        assert_eq!(keys(&other.list().await.unwrap()), [""; 0]);
    });
}

#[test]
fn a_prefix_ends_at_a_slash() {
    wait(async {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let whole = Place::with_store(Arc::clone(&store), "", "test://").unwrap();
        whole.write("raw/a", "1".into()).await.unwrap();
        whole.write("raw2/b", "1".into()).await.unwrap();
        whole.write("raw", "1".into()).await.unwrap();
        let place = Place::with_store(store, "raw/", "test:///raw/").unwrap();
        assert_eq!(keys(&place.list().await.unwrap()), ["a"]);
    });
}

#[test]
fn folder_markers_of_stores_are_not_objects() {
    wait(async {
        let place = memory();
        for (key, text) in [("orders", ""), ("orders-x", "1"), ("orders/1.json", "1"), ("e", "")] {
            place.write(key, text.into()).await.unwrap();
        }
        assert_eq!(keys(&place.list().await.unwrap()), ["e", "orders-x", "orders/1.json"]);
    });
}

#[test]
fn an_absent_folder_is_an_error_and_an_empty_one_a_list() {
    let folder = tempfile::tempdir().unwrap();
    wait(async {
        assert_eq!(disk(folder.path()).list().await.unwrap(), []);
        let absent = folder.path().join("absent");
        let error = disk(&absent).list().await.unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.kind(), crate::FaultKind::User);
        let message = format!("listing `{}`: it does not exist", absent.display());
        assert_eq!(error.to_string(), message);
    });
}

#[test]
fn only_one_of_many_writers_creates() {
    let folder = tempfile::tempdir().unwrap();
    for place in [disk(folder.path()), memory()] {
        let writes = (0..32).map(|number| {
            let place = place.clone();
            async move { (number, place.create("log/0.json", format!("{number}").into()).await) }
        });
        let outcomes = wait(async { futures::future::join_all(writes.map(tokio::spawn)).await });
        let winners: Vec<i32> = outcomes
            .into_iter()
            .map(Result::unwrap)
            .filter(|(_, outcome)| *outcome.as_ref().unwrap() == Creation::Created)
            .map(|(number, _)| number)
            .collect();
        assert_eq!(winners.len(), 1);
        let content = wait(place.read("log/0.json")).unwrap();
        assert_eq!(content, winners[0].to_string());
    }
}

#[test]
fn a_stream_reads_a_file_in_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..2_500_000_u32).map(|number| number as u8).collect();
    fs::write(folder.path().join("a"), &content).unwrap();
    let chunks: Vec<Bytes> = wait(async {
        let (_, stream) = disk(folder.path()).read_stream("a").await?;
        stream.try_collect().await
    })
    .unwrap();
    let sizes: Vec<usize> = chunks.iter().map(Bytes::len).collect();
    assert_eq!(sizes, [1 << 20, 1 << 20, 2_500_000 - (2 << 20)]);
    assert_eq!(chunks.concat(), content);
}

#[rstest]
#[case::plain("raw", "a/b.json", "raw/a/b.json")]
#[case::slash("raw/", "a", "raw/a")]
#[case::here(".", "a", "a")]
#[case::root("/", "a", "/a")]
#[case::bucket("s3://b", "a", "s3://b/a")]
#[case::bucket_slash("s3://b/", "a", "s3://b/a")]
#[case::memory("memory://", "a", "memory:///a")]
#[case::alone("raw/", "", "raw/")]
fn addresses_are_as_the_user_wrote_them(
    #[case] text: &str,
    #[case] key: &str,
    #[case] address: &str,
) {
    let place = Place::parse(text).unwrap();
    assert_eq!(place.to_string(), text);
    assert_eq!(place.address(key), address);
}

#[rstest]
#[case("s3://b/a//b")]
#[case("s3://b/../x")]
#[case("s3://b/./x")]
fn prefixes_no_store_can_hold(#[case] text: &str) {
    assert!(matches!(Place::parse(text), Err(PlaceError::InvalidAddress { .. })));
}

#[test]
fn only_places_on_disk_have_local_paths() {
    let place = Place::parse("raw").unwrap();
    assert_eq!(place.local_path("a/b"), Some("raw/a/b".into()));
    assert_eq!(place.local_path("../b"), None);
    assert_eq!(memory().local_path("a/b"), None);
}

#[cfg(unix)]
#[test]
fn r1_links_are_followed_and_cycles_end() {
    use std::os::unix::fs::symlink;

    let outside = tempfile::tempdir().unwrap();
    fs::create_dir_all(outside.path().join("deep")).unwrap();
    fs::write(outside.path().join("deep/o.json"), "1").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::write(at("a/x.json"), "12").unwrap();
    symlink(at("a/x.json"), at("file.json")).unwrap();
    symlink(outside.path(), at("out")).unwrap();
    // Cycles: to itself, to the folder above, to the root, and around two corners.
    symlink(at("a/b"), at("a/b/self")).unwrap();
    symlink("..", at("a/b/up")).unwrap();
    symlink(folder.path(), at("a/root")).unwrap();
    symlink(folder.path(), outside.path().join("deep/back")).unwrap();
    symlink(at("nowhere"), at("broken.json")).unwrap();
    symlink("loop", at("loop")).unwrap();

    let objects = wait(disk(folder.path()).list()).unwrap();
    assert_eq!(keys(&objects), ["a/x.json", "broken.json", "file.json", "loop", "out/deep/o.json"]);
    assert_eq!((objects[1].size_bytes, objects[1].modified_us), (0, None));
    assert_eq!(objects[2].size_bytes, 2);
    assert!(wait(disk(folder.path()).read("broken.json")).unwrap_err().is_not_found());
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_are_refused_unless_hidden_from_data() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("_x")).unwrap();
    let name = OsStr::from_bytes(b"a\xFF.json");
    if fs::write(folder.path().join("_x").join(name), "1").is_err() {
        return; // A file system that refuses such names itself.
    }
    let place = disk(folder.path());
    let is_refused = |outcome| matches!(outcome, Err(PlaceError::KeyNotUnicode { .. }));
    assert_eq!(wait(place.list_data(|_| true)).unwrap(), []);
    assert!(is_refused(wait(place.list())));
    fs::write(folder.path().join(name), "1").unwrap();
    assert!(is_refused(wait(place.list_data(|_| true))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// R4: a folder on disk and a store list the same objects in the same order.
    #[test]
    fn r4_every_place_lists_alike(
        names in prop::collection::btree_set("[a-c-]{1,2}(/[a-c._-]{1,2}x){0,2}\\.j", 0..12)
    ) {
        let folder = tempfile::tempdir().unwrap();
        let local = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
        let places = [
            memory(),
            disk(folder.path()),
            Place::with_store(local, "", "test://local").unwrap(),
        ];
        wait(async {
            for name in &names {
                places[0].write(name, "1".into()).await.unwrap();
                places[1].write(name, "1".into()).await.unwrap();
            }
            let expected: Vec<&str> = names.iter().map(String::as_str).collect();
            for place in &places {
                assert_eq!(keys(&place.list().await.unwrap()), expected);
            }
        });
    }
}

/// The names of all files and folders below a folder.
fn names_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        if entry.path().is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names
}

/// Writers that meet in a folder which is not there yet all find it.
#[test]
fn writers_that_make_one_folder_at_one_time() {
    for _ in 0..50 {
        let folder = tempfile::tempdir().unwrap();
        let barrier = std::sync::Barrier::new(4);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (path, barrier) = (folder.path().join(format!("a/b/{number}")), &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    super::disk::write(path, b"x").unwrap();
                });
            }
        });
    }
}
