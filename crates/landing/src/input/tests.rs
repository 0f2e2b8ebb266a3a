//! What texts name, over the same tree on disk and in a store (R1).

use std::fs;
use std::future::Future;

use rstest::rstest;

use super::*;

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

const TREE: [&str; 13] = [
    "a[1].json",
    "b.json",
    "c.txt",
    "x{y}/1.json",
    "orders/2023/a.json",
    "orders/2024/a.json",
    "orders/2024/b.json.gz",
    "orders/2024/.hidden.json",
    "orders/_tmp/c.json",
    "users/a.json",
    "users/ä.json",
    "_log/0.json",
    ".git/config",
];

/// Every kind of place holding the tree, with what keeps it alive.
fn trees() -> Vec<(String, Option<tempfile::TempDir>)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    let memory = format!("memory://{}/raw", path.replace('/', "-"));
    for root in [&path, &memory] {
        let place = Place::parse(root).unwrap();
        wait(async {
            for key in TREE {
                place.write(key, key.to_owned().into()).await.unwrap();
            }
        });
    }
    vec![(format!("file://{path}"), None), (memory, None), (path, Some(folder))]
}

fn keys(listing: &Listing) -> Vec<&str> {
    listing.objects.iter().map(|object| object.key.as_str()).collect()
}

#[rstest]
#[case::file("/b.json", "", &["b.json"], 0)]
#[case::file_deep("/users/ä.json", "/users", &["ä.json"], 0)]
#[case::file_hidden("/_log/0.json", "/_log", &["0.json"], 0)]
#[case::file_like_a_glob("/a[1].json", "", &["a[1].json"], 0)]
#[case::folder_like_a_glob("/x{y}", "/x{y}", &["1.json"], 0)]
#[case::folder("/orders", "/orders", &["2023/a.json", "2024/a.json", "2024/b.json.gz"], 2)]
#[case::folder_slash("/users/", "/users/", &["a.json", "ä.json"], 0)]
#[case::folder_hidden("/_log", "/_log", &["0.json"], 0)]
#[case::only_hidden("/orders/_tmp", "/orders/_tmp", &["c.json"], 0)]
#[case::all("", "", &[
    "a[1].json", "b.json", "c.txt", "orders/2023/a.json", "orders/2024/a.json",
    "orders/2024/b.json.gz", "users/a.json", "users/ä.json", "x{y}/1.json",
], 4)]
#[case::star("/*.json", "", &["a[1].json", "b.json"], 0)]
#[case::star_folder("/*/a.json", "", &["users/a.json"], 0)]
#[case::deep("/**/a.json", "", &["orders/2023/a.json", "orders/2024/a.json", "users/a.json"], 0)]
#[case::deep_from_below("/orders/**/*.json", "/orders", &["2023/a.json", "2024/a.json"], 2)]
#[case::name_begun("/orders/20?4/*", "/orders", &["2024/a.json", "2024/b.json.gz"], 1)]
#[case::either("/{users,orders/2023}/a.json", "", &["orders/2023/a.json", "users/a.json"], 0)]
#[case::glob_folder("/orders/202[34]/", "/orders", &["2023/a.json", "2024/a.json", "2024/b.json.gz"], 1)]
#[case::begins_at_the_slash("/user*/a.json", "", &["users/a.json"], 0)]
fn r1_what_a_text_names(
    #[case] below: &str,
    #[case] base: &str,
    #[case] expected: &[&str],
    #[case] hidden: u64,
) {
    for (root, _guard) in trees() {
        let input = Input::parse(&format!("{root}{below}")).unwrap();
        let listing = wait(input.objects()).unwrap();
        assert_eq!(keys(&listing), expected, "{input}");
        assert_eq!(listing.hidden, hidden, "{input}");
        assert_eq!(listing.base.to_string(), format!("{root}{base}"));
        for object in &listing.objects {
            let content = wait(listing.base.read(&object.key)).unwrap();
            assert_eq!(content.len() as u64, object.size_bytes);
            assert_eq!(object.etag.is_none(), listing.base.local_path("x").is_some());
        }
    }
}

#[rstest]
#[case::file("/none.json", "")]
#[case::folder("/none/", "")]
#[case::below_a_file("/b.json/x", "")]
#[case::file_with_slash("/b.json/", "")]
#[case::glob("/none*.json", "")]
#[case::glob_in_nothing("/none/*/x", "")]
#[case::all_hidden("/_*/*", ", apart from 1 hidden (a name that starts with `.` or `_`)")]
fn r1_what_names_nothing(#[case] below: &str, #[case] note: &str) {
    for (root, _guard) in trees() {
        let text = format!("{root}{below}");
        let error = wait(Input::parse(&text).unwrap().objects()).unwrap_err();
        assert!(error.is_not_found());
        assert_eq!(error.to_string(), format!("no object at `{text}`{note}"));
    }
}

#[test]
fn a_glob_with_a_mistake_is_reported_unless_it_exists() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("a[1.json").to_str().unwrap().to_owned();
    let input = Input::parse(&text).unwrap();
    let error = wait(input.objects()).unwrap_err();
    let message = format!("`{text}` is neither the name of something that exists nor a glob");
    assert_eq!(error.to_string(), message);
    fs::write(&text, "1").unwrap();
    assert_eq!(keys(&wait(input.objects()).unwrap()), ["a[1.json"]);
}

#[test]
fn an_empty_folder_is_an_input_without_objects() {
    let folder = tempfile::tempdir().unwrap();
    let input = Input::parse(folder.path().to_str().unwrap()).unwrap();
    let listing = wait(input.objects()).unwrap();
    assert_eq!((listing.objects.len(), listing.hidden), (0, 0));
}

#[test]
fn an_empty_object_is_an_object() {
    wait(async {
        let place = Place::parse("memory://empty-object/raw").unwrap();
        place.write("a.json", "".into()).await.unwrap();
        let input = Input::parse("memory://empty-object/raw/a.json").unwrap();
        assert_eq!(keys(&input.objects().await.unwrap()), ["a.json"]);
        // With objects below it, it is the marker of a folder.
        place.write("a.json/1", "x".into()).await.unwrap();
        assert_eq!(keys(&input.objects().await.unwrap()), ["1"]);
    });
}

#[rstest]
#[case::name("a.json", Some(".\0a.json"), None)]
#[case::root_name("/a.json", Some("/\0a.json"), None)]
#[case::here(".", Some(".\0."), None)]
#[case::slash("raw/", None, None)]
#[case::relative("raw/x/a.json", Some("raw/x\0a.json"), None)]
#[case::glob("*.json", Some(".\0*.json"), Some(".\0*.json"))]
#[case::glob_at_root("/*.json", Some("/\0*.json"), Some("/\0*.json"))]
#[case::glob_below("raw/a*/b", Some("raw/a*\0b"), Some("raw\0a*/b"))]
#[case::bucket("s3://b", None, None)]
#[case::bucket_slash("s3://b/", None, None)]
#[case::key("s3://b/x/a.json", Some("s3://b/x\0a.json"), None)]
#[case::key_at_root("s3://b/a.json", Some("s3://b/\0a.json"), None)]
#[case::glob_in_bucket("s3://b/*.json", Some("s3://b/\0*.json"), Some("s3://b/\0*.json"))]
#[case::question_mark("s3://b/x/?.json", Some("s3://b/x\0?.json"), Some("s3://b/x\0?.json"))]
#[case::encoded("file:///x%20y/a%20b", Some("file:///x%20y\0a b"), None)]
fn r1_where_a_text_is_cut(
    #[case] text: &str,
    #[case] single: Option<&str>,
    #[case] glob: Option<&str>,
) {
    let input = Input::parse(text).unwrap();
    let shown =
        |cut: &Option<(Place, String)>| cut.as_ref().map(|(place, key)| format!("{place}\0{key}"));
    assert_eq!(shown(&input.single).as_deref(), single);
    assert_eq!(shown(&input.glob).as_deref(), glob);
}

#[test]
fn many_files_are_listed_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..2_000 {
        let name = folder.path().join(format!("t{}", number % 7));
        fs::create_dir_all(&name).unwrap();
        fs::write(name.join(format!("{number}.json")), "{}").unwrap();
    }
    let input = Input::parse(folder.path().to_str().unwrap()).unwrap();
    let listing = wait(input.objects()).unwrap();
    assert_eq!(listing.objects.len(), 2_000);
    assert!(listing.objects.is_sorted_by(|a, b| a.key < b.key));
}

/// Programs run these on threads of a runtime.
#[test]
fn everything_can_be_spawned() {
    fn is_send<T: Send>(_: T) {}
    let place = Place::parse("memory://send").unwrap();
    is_send(Input::parse("x").unwrap().objects());
    is_send(place.list());
    is_send(place.list_from("a"));
    is_send(place.read_stream("a"));
    is_send(place.read_range("a", 0..1));
    is_send(place.rename("a", "b"));
    is_send(place.delete(&["a"]));
    is_send(async {
        let mut upload = place.upload("a").await.unwrap();
        upload.put("x".into()).await.unwrap();
        upload.complete().await
    });
}
