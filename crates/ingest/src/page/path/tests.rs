use super::*;
use proptest::prelude::*;
use rstest::rstest;

/// The grammar of the module's table: what is written, and how it is printed.
#[rstest]
#[case("$", "$")]
#[case("$.data", "$.data")]
#[case("data", "$.data")]
#[case(".data", "$.data")]
#[case("data.items[*]", "$.data.items[*]")]
#[case("[*]", "$[*]")]
#[case("[3].x", "$[3].x")]
#[case("$[0][*]", "$[0][*]")]
#[case("$['a b']", "$['a b']")]
#[case("$[\"a b\"]", "$['a b']")]
#[case("$['plain']", "$.plain")]
#[case("$['@odata.nextLink']", "$['@odata.nextLink']")]
#[case("$.response.@total", "$.response.@total")]
#[case("$.soap:Body", "$.soap:Body")]
#[case(r"$['it\'s']", r"$['it\'s']")]
#[case(r#"$["it's"]"#, r"$['it\'s']")]
#[case(r"$['a\\b']", r"$['a\\b']")]
#[case("$['']", "$['']")]
#[case("größe.ñ", "$.größe.ñ")]
#[case("$['a]b']", "$['a]b']")]
#[case("$.0", "$.0")]
fn paths_are_printed_canonical(#[case] text: &str, #[case] printed: &str) {
    let path: JsonPath = text.parse().unwrap();
    assert_eq!(path.to_string(), printed);
    assert_eq!(printed.parse::<JsonPath>().unwrap(), path);
}

/// Each fault names the character and what had to come.
#[rstest]
#[case("", 1, "`$` or a name")]
#[case("$.", 3, "a name, or")]
#[case("$..a", 3, "a name, or")]
#[case("$.*", 3, "a name, or")]
#[case("$a", 2, "`.`, `[` or the end")]
#[case("$.a b", 4, "`.`, `[` or the end")]
#[case("a.ö/x", 4, "`.`, `[` or the end")]
#[case("$[", 3, "`*`, an index")]
#[case("$[-1]", 3, "`*`, an index")]
#[case("$[?(@.a)]", 3, "`*`, an index")]
#[case("$[1", 4, "`]`")]
#[case("$[1:2]", 4, "`]`")]
#[case("$[99999999999999999999]", 3, "an index below")]
#[case("$['a", 5, "a closing quote")]
#[case("$['a'", 6, "`]`")]
#[case(r"$['a\n']", 6, "behind a backslash")]
#[case(" $", 1, "`$`, a name or `[`")]
fn faults_name_the_place(#[case] text: &str, #[case] position: usize, #[case] expected: &str) {
    let fault = text.parse::<JsonPath>().unwrap_err();
    assert_eq!(fault.position, position, "{fault}");
    assert!(fault.expected.starts_with(expected) || fault.expected.ends_with(expected), "{fault}");
}

#[test]
fn a_fault_reads_well() {
    let fault = "$.a b".parse::<JsonPath>().unwrap_err();
    assert_eq!(
        fault.to_string(),
        "JSON path `$.a b`, character 4: expected `.`, `[` or the end (other names: `['any name']`)"
    );
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<String>().prop_map(Step::Name),
        "[a-z'\"\\\\ .$@]{0,6}".prop_map(Step::Name),
        any::<u64>().prop_map(Step::Index),
        Just(Step::Each),
    ]
}

proptest! {
    /// Printing and reading are inverse, whatever the names.
    #[test]
    fn printed_paths_read_back(steps in prop::collection::vec(step(), 0..6)) {
        let path = JsonPath::new(steps);
        prop_assert_eq!(path.to_string().parse::<JsonPath>().unwrap(), path);
    }

    /// No text makes the parser panic.
    #[test]
    fn any_text_is_a_path_or_a_fault(text in "[$.a*'\"\\\\\\[\\]0-9 ö]{0,12}") {
        if let Ok(path) = text.parse::<JsonPath>() {
            prop_assert_eq!(path.to_string().parse::<JsonPath>().unwrap(), path);
        }
    }
}
