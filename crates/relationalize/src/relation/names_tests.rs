use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn path(text: &str) -> JsonPath {
    text.parse().unwrap()
}

fn column(text: &str) -> Request {
    let path = path(text);
    Request::new(column_name(&path), path.to_string())
}

/// The base name and eight digits of the hash of the path.
fn hashed(base: &str, identity: &str) -> String {
    format!("{base}_{:08x}", xxh3_64(identity.as_bytes()) >> 32)
}

fn is_sql_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// R6: from a key to a segment.
#[rstest]
#[case::plain("id", "id")]
#[case::camel("userName", "user_name")]
#[case::pascal("UserName", "user_name")]
#[case::capitals("STATUS", "status")]
#[case::screaming("MAX_SIZE", "max_size")]
#[case::acronym_first("HTTPServer", "http_server")]
#[case::acronym_last("userID", "user_id")]
#[case::acronym_plural("userIDs", "user_ids")]
#[case::acronym_plural_alone("URLs", "urls")]
#[case::acronym_plural_inside("userIDsList", "user_ids_list")]
#[case::word_with_s("HTTPServers", "http_servers")]
#[case::one_letter_word("isAMember", "is_a_member")]
#[case::digit_before_word("S3Bucket", "s3_bucket")]
#[case::digit_at_end("address1", "address1")]
#[case::digit_between("address1Line", "address1_line")]
#[case::digit_before_acronym("line2ID", "line2_id")]
#[case::digit_in_acronym("B2B", "b2b")]
#[case::digit_first("1st", "1st")]
#[case::digit_first_acronym("2FAEnabled", "2fa_enabled")]
#[case::digits("2024", "2024")]
#[case::hyphen("created-at", "created_at")]
#[case::dot("a.b", "a_b")]
#[case::space("unit  price (EUR)", "unit_price_eur")]
#[case::runs("a__b", "a_b")]
#[case::runs_mixed("a_-_b", "a_b")]
#[case::separated_camel("user_Name", "user_name")]
#[case::trailing("name_", "name")]
#[case::trailing_other("total%", "total")]
#[case::leading("_id", "_id")]
#[case::leading_run("__typename", "_typename")]
#[case::leading_other("@id", "_id")]
#[case::leading_dollar("$oid", "_oid")]
#[case::leading_camel("_UserName", "_user_name")]
#[case::umlaut("größe", "grosse")]
#[case::umlaut_camel("ÄnderungsDatum", "anderungs_datum")]
#[case::ligature("ÆTHER", "aether")]
#[case::han("你好", "ni_hao")]
#[case::cyrillic("Привет", "privet")]
#[case::unknown("a\u{e000}b", "a_b")]
#[case::control("a\nb\0", "a_b")]
#[case::empty("", "_")]
#[case::underscore("_", "_")]
#[case::only_others("--", "_")]
#[case::zero_width("\u{200b}", "_")]
fn a_key_becomes_a_segment(#[case] key: &str, #[case] segment: &str) {
    assert_eq!(sql_segment(key), segment);
}

/// R6: `(path, column, exact, table)` for the entity `orders`.
#[rstest]
#[case("$.id", "id", true, "orders")]
#[case("$.customer.name", "customer__name", true, "orders")]
#[case("$.customer.firstName", "customer__first_name", false, "orders")]
#[case("$['a.b']", "a_b", false, "orders")]
#[case("$.a.b", "a__b", true, "orders")]
#[case("$['a__b']", "a_b", false, "orders")]
#[case("$['1st']", "_1st", false, "orders")]
#[case("$.a['1st']", "a__1st", true, "orders")]
#[case("$.a['']", "a___", false, "orders")]
#[case("$._id", "_id", true, "orders")]
#[case("$.items", "items", true, "orders")]
#[case("$.items[*]", "value", false, "orders__items")]
#[case("$.items[*].price", "price", true, "orders__items")]
#[case("$.items[*].price.net", "price__net", true, "orders__items")]
#[case("$.cart.items[*].sku", "sku", true, "orders__cart__items")]
#[case("$.items[*].discounts[*].code", "code", true, "orders__items__discounts")]
#[case("$.lineItems[*].id", "id", true, "orders__line_items")]
#[case("$.items[*]['1st']", "_1st", false, "orders__items")]
#[case("$.grid[*][*]", "value", false, "orders__grid__value")]
#[case("$.grid[*][*].x", "x", true, "orders__grid__value")]
#[case("$.grid[*][*][*]", "value", false, "orders__grid__value__value")]
#[case("$[*]", "value", false, "orders__value")]
#[case("$", "value", false, "orders")]
#[case("$.metadata.*", "value", false, "orders__metadata")]
#[case("$.metadata.*.count", "count", true, "orders__metadata")]
#[case("$.metadata.*.tags[*]", "value", false, "orders__metadata__tags")]
fn a_path_has_a_column_and_a_table(
    #[case] text: &str,
    #[case] column: &str,
    #[case] exact: bool,
    #[case] table: &str,
) {
    assert_eq!(column_name(&path(text)), BaseName { name: column.to_owned(), exact });
    assert_eq!(table_name("orders", &path(text)).name, table);
}

#[rstest]
#[case("orders", "$", "orders", true)]
#[case("Orders", "$", "orders", false)]
#[case("2024", "$", "_2024", false)]
#[case("2024", "$.a[*]", "_2024__a", false)]
#[case("orders", "$.items[*]", "orders__items", true)]
#[case("orders", "$.a.items[*].tags[*].x", "orders__a__items__tags", true)]
#[case("orders", "$.Items[*]", "orders__items", false)]
#[case("Orders", "$.items[*]", "orders__items", false)]
#[case("orders", "$.grid[*][*]", "orders__grid__value", false)]
fn a_table_is_exact_when_all_its_keys_are(
    #[case] entity: &str,
    #[case] text: &str,
    #[case] name: &str,
    #[case] exact: bool,
) {
    let expected = BaseName { name: name.to_owned(), exact };
    assert_eq!(table_name(entity, &path(text)), expected);
}

/// R6: names that meet. An expected `#` stands for the hash of the path.
#[rstest]
#[case::alone(&[("$.userName", "user_name")])]
#[case::apart(&[("$.a.b", "a__b"), ("$['a.b']", "a_b")])]
#[case::exact_keeps(&[("$['a-b']", "a_b#"), ("$.a_b", "a_b"), ("$['a.b']", "a_b#")])]
#[case::none_exact(&[("$['a-b']", "a_b#"), ("$['a.b']", "a_b#")])]
#[case::case_only(&[("$.ID", "id#"), ("$.id", "id"), ("$.Id", "id#")])]
#[case::case_only_none_exact(&[("$.ID", "id#"), ("$.Id", "id#")])]
#[case::no_false_nesting(&[("$.a__b", "a_b"), ("$.a.b", "a__b")])]
#[case::element_yields_to_key(&[("$.t[*]", "value#"), ("$.t[*].value", "value")])]
#[case::digit_yields_to_key(&[("$['1st']", "_1st#"), ("$._1st", "_1st")])]
#[case::empty_segments(&[("$['']", "_#"), ("$['-']", "_#")])]
fn names_that_meet_get_a_suffix(#[case] expected: &[(&str, &str)]) {
    let requests: Vec<_> = expected.iter().map(|(text, _)| column(text)).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(text, name)| match name.strip_suffix('#') {
            Some(base) => hashed(base.trim_end_matches('_'), text),
            None => (*name).to_owned(),
        })
        .collect();
    assert_eq!(assign(&requests), expected);
}

#[test]
fn the_suffix_never_changes() {
    // Tables out there have this name: another hash would be another column (R6).
    assert_eq!(assign(&[column("$.ID"), column("$.id")]), ["id_19b02fe4", "id"]);
}

#[test]
fn two_exact_tables_both_get_a_suffix() {
    // `a` is an object in some records and an array in others (R13).
    let table = |text| Request::new(table_name("orders", &path(text)), format!("orders {text}"));
    let names = assign(&[table("$.a.b[*]"), table("$.a[*].b[*]"), table("$.a[*]")]);
    assert_eq!(
        names,
        [
            hashed("orders__a__b", "orders $.a.b[*]"),
            hashed("orders__a__b", "orders $.a[*].b[*]"),
            "orders__a".to_owned(),
        ]
    );
}

/// R8: user columns give way to generated ones, `_row_id`, `_index_1`, `_key_1` and so on.
#[rstest]
#[case("_row_id", "$._row_id", "_row_id")]
#[case("_seq", "$._seq", "_seq")]
#[case("_root_id", "$._rootId", "_root_id")]
#[case("_index_1", "$['_index-1']", "_index_1")]
#[case("items__len", "$.items.len", "items__len")]
#[case("_price__type", "$._price.type", "_price__type")]
fn generated_columns_keep_their_names(
    #[case] reserved: &str,
    #[case] user: &str,
    #[case] base: &str,
) {
    let names = assign(&[column(user), Request::reserved(reserved)]);
    assert_eq!(names, [hashed(base, user), reserved.to_owned()]);
}

#[test]
fn generated_columns_of_columns_that_meet_differ() {
    let length = |text: &str| {
        let BaseName { name, exact } = column_name(&path(text));
        let base = BaseName { name: format!("{name}__len"), exact };
        Request::generated(base, format!("{text} length"))
    };
    let requests = [length("$.Items"), length("$.items"), length("$.ITEMS"), column("$.items.len")];
    let names = assign(&requests);
    assert_eq!(
        names,
        [
            hashed("items__len", "$.Items length"),
            "items__len".to_owned(),
            hashed("items__len", "$.ITEMS length"),
            hashed("items__len", "$.items.len"),
        ]
    );
    let none_exact = [length("$.Items"), length("$.ITEMS")];
    assert_eq!(assign(&none_exact), [names[0].as_str(), names[2].as_str()]);
}

#[test]
fn committed_names_are_kept_whatever_happens() {
    let requests = [
        column("$.ID").committed("id"),
        column("$.id"),
        column("$.x").committed("an_older_name"),
        column("$.an_older_name"),
        Request::reserved("_seq"),
        column("$._seq").committed("_seq_0"),
    ];
    let expected = [
        "id".to_owned(),
        hashed("id", "$.id"),
        "an_older_name".to_owned(),
        hashed("an_older_name", "$.an_older_name"),
        "_seq".to_owned(),
        "_seq_0".to_owned(),
    ];
    assert_eq!(assign(&requests), expected);
}

#[test]
fn names_differ_without_regard_to_case() {
    // Segments are lower case; a committed name may be anything.
    let requests = [column("$.x").committed("ID"), column("$.id")];
    assert_eq!(assign(&requests), ["ID".to_owned(), hashed("id", "$.id")]);
}

#[test]
fn a_generated_column_yields_to_a_committed_one() {
    let requests = [Request::reserved("items__len"), column("$.items.len").committed("items__len")];
    assert_eq!(assign(&requests), [hashed("items__len", "items__len"), "items__len".to_owned()]);
}

#[rstest]
#[case::just_fits(128)]
#[case::too_long(129)]
#[case::far_too_long(1000)]
fn long_names_are_cut_and_hashed(#[case] num_chars: usize) {
    let key = "k".repeat(num_chars);
    let request = column(&format!("$.{key}"));
    let names = assign(std::slice::from_ref(&request));
    if num_chars <= MAX_NAME_CHARS {
        assert_eq!(names, [key]);
    } else {
        assert_eq!(names, [hashed(&key[..MAX_NAME_CHARS - 9], &request.identity)]);
        assert_eq!(names[0].len(), MAX_NAME_CHARS);
    }
}

#[test]
fn long_names_differ_by_their_hash_alone() {
    let stem = "k".repeat(200);
    let names = assign(&[column(&format!("$.{stem}a")), column(&format!("$.{stem}b"))]);
    assert_ne!(names[0], names[1]);
    assert_eq!(names[0][..119], names[1][..119]);
}

#[test]
fn a_suffix_that_meets_a_name_is_lengthened() {
    let digits = format!("{:016x}", xxh3_64(b"$.ID"));
    let squatter = |num_digits: usize| column(&format!("$.id_{}", &digits[..num_digits]));
    let mut requests = vec![column("$.id"), column("$.ID"), squatter(8)];
    assert_eq!(assign(&requests)[1], format!("id_{}", &digits[..10]));

    requests.extend([10, 12, 14].map(squatter));
    assert_eq!(assign(&requests)[1], format!("id_{digits}"));

    requests.push(squatter(16));
    assert_eq!(assign(&requests)[1], hashed("id", "$.ID 1"));
}

#[test]
fn suffixes_that_meet_are_lengthened_in_any_order() {
    let (first, second) = paths_of_equal_suffix();
    let request = |identity: &String| Request {
        base: "id".to_owned(),
        exact: false,
        identity: identity.clone(),
        committed: None,
        reserved: false,
    };
    let requests = [request(&first), request(&second)];
    let swapped = [request(&second), request(&first)];
    let names = assign(&requests);
    assert_eq!(names.iter().map(String::len).sum::<usize>(), "id_".len() * 2 + 8 + 10);
    assert_eq!(by_identity(&requests, names), by_identity(&swapped, assign(&swapped)));
}

/// Two paths whose hashes begin with the same eight digits; some 80,000 tries find them.
fn paths_of_equal_suffix() -> (String, String) {
    let mut seen: HashMap<u64, String> = HashMap::new();
    for number in 0_u32.. {
        let identity = format!("$.a[{number}]");
        if let Some(other) = seen.insert(xxh3_64(identity.as_bytes()) >> 32, identity.clone()) {
            return (other, identity);
        }
    }
    unreachable!("32 bits are met by 2^32 paths")
}

/// R7: the table of AWS Glue's names, `(root, path, table, column)`.
#[rstest]
#[case("hist_root", "$.contact_details", "hist_root", "contact_details")]
#[case(
    "hist_root",
    "$.contact_details[*].value",
    "hist_root_contact_details",
    "contact_details.val.value"
)]
#[case("root", "$.address.state", "root", "address.state")]
#[case("root", "$.entities.hashtags", "root", "entities.hashtags")]
#[case(
    "root",
    "$.entities.hashtags[*].start",
    "root_entities.hashtags",
    "entities.hashtags.val.start"
)]
#[case(
    "n",
    "$.payload_output.Vpcs[*].VpcId",
    "n_payload_output.Vpcs",
    "payload_output.Vpcs.val.VpcId"
)]
#[case(
    "n",
    "$.payload_output.Vpcs[*].Tags",
    "n_payload_output.Vpcs",
    "payload_output.Vpcs.val.Tags"
)]
#[case(
    "n",
    "$.payload_output.Vpcs[*].Tags[*].Key",
    "n_payload_output.Vpcs.val.Tags",
    "payload_output.Vpcs.val.Tags.val.Key"
)]
#[case(
    "root",
    "$.current_condition[*].weatherDesc[*].value",
    "root_current_condition.val.weatherDesc",
    "current_condition.val.weatherDesc.val.value"
)]
#[case("root", "$.event_params[*]", "root_event_params", "event_params.val")]
#[case("root", "$.event_params[*][*].key", "root_event_params.val", "event_params.val.val.key")]
#[case(
    "root",
    "$.event_params[*][*].value.string_value",
    "root_event_params.val",
    "event_params.val.val.value.string_value"
)]
#[case("root", "$.WaveformSamples[*]", "root_WaveformSamples", "WaveformSamples.val")]
#[case("people", "$.friends[*]", "people_friends", "friends.val")]
#[case("root", "$.Address['Zip.Code']", "root", "Address.Zip.Code")]
#[case("root", "$['provider id']", "root", "provider id")]
#[case("root", "$.metadata.*.x", "root_metadata", "metadata.val.x")]
fn glue_names(#[case] root: &str, #[case] text: &str, #[case] table: &str, #[case] column: &str) {
    assert_eq!(glue::table_name(root, &path(text)).name, table);
    assert_eq!(glue::column_name(&path(text)).name, column);
}

#[test]
fn glue_names_are_left_as_they_are() {
    let request = |text: &str| Request::new(glue::column_name(&path(text)), text);
    let long = "k".repeat(300);
    let names = assign_glue(&["$.ID", "$.id", &format!("$.{long}")], request);
    assert_eq!(names, ["ID", "id", long.as_str()]);

    // The one way for two paths of a table to meet: a key that holds a dot.
    let names = assign_glue(&["$['a.b']", "$.a.b"], request);
    assert_eq!(names, [hashed("a.b", "$['a.b']"), "a.b".to_owned()]);
    let names = assign_glue(&["$['a.b'].c", "$.a['b.c']"], request);
    assert_eq!(names, [hashed("a.b.c", "$['a.b'].c"), hashed("a.b.c", "$.a['b.c']")]);

    let request = |text: &str| Request::new(glue::table_name("root", &path(text)), text);
    let names = assign_glue(&["$['a.b'][*]", "$.a.b[*]"], request);
    assert_eq!(names, [hashed("root_a.b", "$['a.b'][*]"), "root_a.b".to_owned()]);
}

fn assign_glue(texts: &[&str], request: impl Fn(&str) -> Request) -> Vec<String> {
    glue::assign(&texts.iter().map(|text| request(text)).collect::<Vec<_>>())
}

/// Paths that meet often: few letters, case, separators, digits, and a length beyond the limit.
fn any_path() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        8 => "[aAbB1_.-]{0,3}",
        1 => Just("value".to_owned()),
        1 => "(ab_){60}[aA-]{1,2}",
        1 => any::<String>(),
    ];
    let step = prop_oneof![
        4 => key.prop_map(|key| Step::Key(key.into())),
        1 => Just(Step::Element),
    ];
    prop::collection::vec(step, 1..3).prop_map(|steps| JsonPath::from_steps(steps).to_string())
}

/// Columns of any paths, and some generated ones that meet them.
fn any_requests() -> impl Strategy<Value = Vec<Request>> {
    let reserved = prop::sample::subsequence(vec!["a", "_a", "b__a", "_1", "value"], 0..4);
    (prop::collection::btree_set(any_path(), 0..24), reserved).prop_map(|(paths, reserved)| {
        let users = paths.iter().map(|text| column(text));
        users.chain(reserved.into_iter().map(Request::reserved)).collect()
    })
}

fn by_identity(requests: &[Request], names: Vec<String>) -> BTreeMap<String, String> {
    requests.iter().map(|request| request.identity.clone()).zip(names).collect()
}

proptest! {
    #[test]
    fn a_segment_is_clean_and_stays(key in prop_oneof![any::<String>(), "[aBcD19_. -]{0,12}"]) {
        let segment = sql_segment(&key);
        prop_assert!(is_sql_name(&segment) || segment.len() > MAX_NAME_CHARS);
        prop_assert!(!segment.contains("__"));
        prop_assert!(segment == "_" || !segment.ends_with('_'));
        prop_assert_eq!(sql_segment(&segment), segment);
    }

    #[test]
    fn names_are_valid_and_differ(requests in any_requests()) {
        let names = assign(&requests);
        prop_assert_eq!(names.len(), requests.len());
        prop_assert!(names.iter().all(|name| is_sql_name(name)), "{:?}", names);
        prop_assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        for (request, name) in requests.iter().zip(&names) {
            prop_assert!(!request.reserved || request.base == *name);
        }
    }

    #[test]
    fn names_do_not_depend_on_order(
        (requests, shuffled) in any_requests().prop_flat_map(|requests| {
            (Just(requests.clone()), Just(requests).prop_shuffle())
        }),
    ) {
        let names = by_identity(&requests, assign(&requests));
        prop_assert_eq!(names, by_identity(&shuffled, assign(&shuffled)));
    }

    /// R11: what a run has named keeps its name, whatever the next run brings.
    #[test]
    fn committed_names_stay(first in any_requests(), second in any_requests()) {
        let names = by_identity(&first, assign(&first));
        let old = first.iter().map(|request| {
            request.clone().committed(names[&request.identity].clone())
        });
        let new = second.into_iter().filter(|request| !names.contains_key(&request.identity));
        let all: Vec<_> = new.chain(old).collect();
        let later = by_identity(&all, assign(&all));
        for (identity, name) in &names {
            prop_assert_eq!(&later[identity], name);
        }
        prop_assert!(later.values().all(|name| is_sql_name(name)));
        prop_assert_eq!(later.values().collect::<BTreeSet<_>>().len(), later.len());

        let again: Vec<_> = all.iter().map(|request| {
            request.clone().committed(later[&request.identity].clone())
        }).collect();
        prop_assert_eq!(by_identity(&again, assign(&again)), later);
    }

    /// Exact bases come from one path alone: the rule that it keeps its name decides.
    #[test]
    fn one_exact_column_at_most(requests in any_requests()) {
        let exact: Vec<_> = requests.iter().filter(|r| r.exact && !r.reserved).collect();
        let bases: BTreeSet<_> = exact
            .iter()
            .map(|request| (path(&request.identity).row().to_string(), &request.base))
            .collect();
        prop_assert_eq!(bases.len(), exact.len());
    }
}
