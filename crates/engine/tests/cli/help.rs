//! What the program says of itself.

use crate::support::{Folder, filters};

#[test]
fn help_of_the_program() {
    let _filters = filters();
    let folder = Folder::new();
    insta::assert_snapshot!("help", folder.engine("--help").stdout);
    let nothing = folder.engine("");
    assert_eq!((nothing.code, nothing.stdout.as_str()), (64, ""), "help is no success here");
}

#[test]
fn help_of_relationalize() {
    let _filters = filters();
    let folder = Folder::new();
    let short = folder.engine("relationalize -h").stdout;
    insta::assert_snapshot!("help_relationalize_short", short);
    assert!(short.lines().count() <= 48, "the short help fits a screen");
    let long = folder.engine("relationalize --help").stdout;
    insta::assert_snapshot!("help_relationalize_long", long);
    assert_eq!(folder.engine("help relationalize").stdout, long);
}

#[test]
fn version() {
    let version = Folder::new().engine("--version");
    assert_eq!(version.stdout, format!("engine {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.code, 0);
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = Folder::new().engine(&format!("completions {shell}"));
        assert_eq!((script.code, script.stderr.as_str()), (0, ""), "{shell}");
        assert!(script.stdout.contains("relationalize"), "{shell}");
        assert!(script.stdout.contains("error-threshold"), "{shell}");
    }
    assert_eq!(Folder::new().engine("completions tcsh").code, 64);
}
