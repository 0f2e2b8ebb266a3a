use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn path(text: &str) -> JsonPath {
    text.parse().unwrap()
}

/// Keys of every kind: plain, with the characters that mean something in a path, and any others.
fn any_key() -> impl Strategy<Value = String> {
    let special = r#"[\\'"`.*$\[\]a_ \n\t\u{0}-\u{1f}\u{7f}-\u{9f}é日😀]{0,6}"#;
    prop_oneof!["[A-Za-z_][A-Za-z0-9_]{0,6}", special, any::<String>()]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any_key().prop_map(|key| Step::Key(key.into())),
        1 => Just(Step::Element),
        1 => Just(Step::Entry),
    ]
}

#[rstest]
#[case(JsonPath::root(), "$")]
#[case(JsonPath::root().key("a").key("B_2"), "$.a.B_2")]
#[case(JsonPath::root().key("items").element().key("price"), "$.items[*].price")]
#[case(JsonPath::root().key("grid").element().element(), "$.grid[*][*]")]
#[case(JsonPath::root().key("metadata").entry(), "$.metadata.*")]
#[case(JsonPath::root().key("odd key").key("x"), "$['odd key'].x")]
#[case(JsonPath::root().key(""), "$['']")]
#[case(JsonPath::root().key("1st"), "$['1st']")]
#[case(JsonPath::root().key("größe"), "$['größe']")]
#[case(JsonPath::root().key("*"), "$['*']")]
#[case(JsonPath::root().key(r#"it's "\" `so`"#), r#"$['it\'s "\\" `so`']"#)]
#[case(JsonPath::root().key("a.b[0]"), "$['a.b[0]']")]
#[case(JsonPath::root().key("\u{8}\u{c}\n\r\t\0\u{7f}"), r"$['\b\f\n\r\t\u0000\u007f']")]
fn display_and_from_str_are_inverse(#[case] value: JsonPath, #[case] text: &str) {
    assert_eq!(value.to_string(), text);
    assert_eq!(path(text), value);
}

/// R8, R14: what people type.
#[rstest]
#[case("id", "$.id")]
#[case(".id", "$.id")]
#[case("items[].price", "$.items[*].price")]
#[case(".items[*].price", "$.items[*].price")]
#[case("[].a", "$[*].a")]
#[case("grid[][]", "$.grid[*][*]")]
#[case("metadata.*", "$.metadata.*")]
#[case("*.a", "$.*.a")]
#[case(r#"$["a'b"].c"#, r"$['a\'b'].c")]
#[case("['odd key']", "$['odd key']")]
#[case("`a.b`.c", "$['a.b'].c")]
#[case("a.`b``c`[]", "$.a['b`c'][*]")]
#[case("``", "$['']")]
#[case("created-at.unit price", "$['created-at']['unit price']")]
#[case("customer's", r"$['customer\'s']")]
#[case("$oid", "$['$oid']")]
#[case("$.$oid", "$['$oid']")]
#[case("größe", "$['größe']")]
#[case(r"['\u00e9\uD83D\uDE00\/']", "$['é😀/']")]
fn typed_paths_are_read(#[case] typed: &str, #[case] meant: &str) {
    assert_eq!(path(typed).to_string(), meant);
}

#[rstest]
#[case("", 1, PathProblem::Empty)]
#[case("$.", 3, PathProblem::MissingKey)]
#[case("a.", 3, PathProblem::MissingKey)]
#[case("a..b", 3, PathProblem::MissingKey)]
#[case("größe..b", 7, PathProblem::MissingKey)]
#[case(".[a]", 2, PathProblem::MissingKey)]
#[case("a]", 2, PathProblem::MissingSeparator)]
#[case("a[]b", 4, PathProblem::MissingSeparator)]
#[case("`a`b", 4, PathProblem::MissingSeparator)]
#[case("a`b`", 2, PathProblem::MissingSeparator)]
#[case("'a'", 1, PathProblem::QuoteWithoutBrackets)]
#[case("a.b*", 3, PathProblem::StarInKey)]
#[case("a[0]", 3, PathProblem::Index)]
#[case("a[-1]", 3, PathProblem::Index)]
#[case("a[b]", 3, PathProblem::Bracket)]
#[case("a[", 3, PathProblem::Unclosed(']'))]
#[case("a[*", 4, PathProblem::Unclosed(']'))]
#[case("a['b'c]", 6, PathProblem::Unclosed(']'))]
#[case("a['b", 3, PathProblem::Unclosed('\''))]
#[case("a.`b", 3, PathProblem::Unclosed('`'))]
#[case(r"['a\x']", 4, PathProblem::Escape)]
#[case(r"['\uD83D']", 3, PathProblem::Escape)]
#[case(r"['\uD83D\u0041']", 3, PathProblem::Escape)]
#[case(r"['\uDE00']", 3, PathProblem::Escape)]
#[case(r"['\u+123']", 3, PathProblem::Escape)]
#[case(r"['\u00", 3, PathProblem::Escape)]
#[case(r"['\u00é0']", 3, PathProblem::Escape)]
fn errors_say_where(#[case] typed: &str, #[case] position: usize, #[case] problem: PathProblem) {
    let error = typed.parse::<JsonPath>().unwrap_err();
    assert_eq!(error, PathError { text: typed.into(), position, problem });
}

#[test]
fn an_error_reads_well() {
    assert_eq!(
        path_error("items[0].price"),
        "cannot read the JSON path `items[0].price` at character 7: a path names all elements of \
         an array, `[*]`, not one"
    );
    assert_eq!(
        path_error(r"['\x']"),
        r#"cannot read the JSON path `['\x']` at character 3: unknown escape; known are \\ \' \" \/ \b \f \n \r \t \uXXXX"#
    );
}

fn path_error(text: &str) -> String {
    text.parse::<JsonPath>().unwrap_err().to_string()
}

#[rstest]
#[case("$", "$", 0)]
#[case("$.a.b", "$", 2)]
#[case("$.a[*]", "$.a[*]", 0)]
#[case("$.a[*].b.*.c.d", "$.a[*].b.*", 2)]
fn a_row_ends_at_the_last_element(
    #[case] value: &str,
    #[case] row: &str,
    #[case] num_steps_below: usize,
) {
    assert_eq!(path(value).row().to_string(), row);
    assert_eq!(path(value).split_at_row().1.len(), num_steps_below);
}

/// R8, R10, R14: `(text, path, matches, matches_column)` for the entity `orders`.
#[rstest]
#[case("id", "$.id", true, true)]
#[case("$.id", "$.id", true, true)]
#[case("id", "$.ID", true, true)]
#[case("$.id", "$.ID", false, false)]
#[case("ID", "$.id", false, false)]
#[case("id", "$.items[*].id", false, false)]
#[case("customer.name", "$.customer.name", true, true)]
#[case("customer__name", "$.customer.name", true, true)]
#[case("customer__first_name", "$.customer.firstName", true, true)]
#[case("customer.first_name", "$.customer.firstName", false, false)]
#[case("orders.customer__name", "$.customer.name", false, true)]
#[case("orders.customer__name", "$.customer", false, false)]
#[case("items[].price", "$.items[*].price", true, true)]
#[case("items[*].price", "$.items[*].price", true, true)]
#[case("items__price", "$.items[*].price", false, false)]
#[case("orders__items.price", "$.items[*].price", false, true)]
#[case("other__items.price", "$.items[*].price", false, false)]
#[case("orders__tags.value", "$.tags[*]", false, true)]
#[case("orders__items__tags.value", "$.items[*].tags[*]", false, true)]
#[case("orders__grid__value.value", "$.grid[*][*]", false, true)]
#[case("metadata", "$.metadata", true, true)]
#[case("orders.metadata", "$.metadata", false, true)]
#[case("items.val.price", "$.items[*].price", false, true)]
#[case("orders_items.items.val.price", "$.items[*].price", false, true)]
#[case("price", "$.items[*].price", false, false)]
fn a_selector_names_a_path_or_a_column(
    #[case] text: &str,
    #[case] value: &str,
    #[case] matches: bool,
    #[case] matches_column: bool,
) {
    let selector = Selector::parse(text).unwrap();
    assert_eq!(selector.matches(&path(value)), matches);
    assert_eq!(selector.matches_column(&path(value), "orders"), matches_column);
}

#[test]
fn a_selector_keeps_its_text() {
    let selector = Selector::parse("items[].price").unwrap();
    assert_eq!(selector.text(), "items[].price");
    assert_eq!(selector.path().to_string(), "$.items[*].price");
    assert_eq!(Selector::parse("a..b").unwrap_err().position, 3);
}

proptest! {
    #[test]
    fn any_path_survives_its_text(steps in prop::collection::vec(any_step(), 0..6)) {
        let value = JsonPath::from_steps(steps);
        let text = value.to_string();
        prop_assert!(!text.contains(char::is_control));
        prop_assert_eq!(text.parse::<JsonPath>().unwrap(), value);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any_key()) {
        if let Ok(value) = text.parse::<JsonPath>() {
            prop_assert_eq!(value.to_string().parse::<JsonPath>().unwrap(), value);
        }
    }

    #[test]
    fn a_selector_matches_the_path_it_spells_out(
        steps in prop::collection::vec(any_step(), 0..4),
    ) {
        let value = JsonPath::from_steps(steps);
        prop_assert!(Selector::parse(&value.to_string()).unwrap().matches(&value));
    }
}
