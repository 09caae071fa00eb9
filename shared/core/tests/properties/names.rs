//! Names of tables, and the keys that are made from them.

use proptest::prelude::*;
use tidemark::error::ErrorCode;
use tidemark::ledger::keys::{Keys, table_segment};
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::plan::Plan;
use tidemark::model::record::Attempt;
use tidemark::model::slice_id::SliceId;
use tidemark::model::watermark::Watermark;
use tidemark::model::window::WindowName;

use crate::documents::{plan, slice_id};
use crate::windows::watermark;

/// Anything that can be an identifier; a character may count twice towards SQL Server's 128.
pub const NAME: &str = "[^\\p{Cc}]{1,60}";
/// Texts of characters that matter to the parser.
const NEAR_NAME: &str = "(?s:[a-c\\[\\]\".'% \\n]{0,12}|.{0,20})";

/// Makes any identifier.
pub fn name() -> impl Strategy<Value = Identifier> {
    NAME.prop_map(|name| Identifier::new(name).unwrap())
}

/// Makes any name of a table.
pub fn object_name() -> impl Strategy<Value = ObjectName> {
    let bracketed = |name: Identifier| format!("[{}]", name.as_str().replace(']', "]]"));
    (name(), name())
        .prop_map(move |(schema, name)| format!("{}.{}", bracketed(schema), bracketed(name)).parse().unwrap())
}

/// Returns whether a text can stand in any key and in any folder's name.
fn is_safe(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c))
}

/// Returns every key of a window.
fn keys_of(keys: &Keys, template: &Plan, from: &Watermark, slice: &SliceId, number: u32) -> Vec<String> {
    let window = WindowName::after(from);
    let attempt = |slice: &SliceId, number| Attempt {
        window: window.clone(),
        slice: slice.clone(),
        number,
        plan: template.id(),
    };
    let next = SliceId::planned(slice.number().wrapping_add(1));
    let plan = Plan {
        window: window.clone(),
        ..template.clone()
    };
    vec![
        keys.plan(&window),
        keys.manifest(&window),
        keys.previous(&window),
        keys.part(&plan, slice),
        keys.record(&attempt(slice, number)),
        keys.record(&attempt(slice, number.wrapping_add(1))),
        keys.record(&attempt(&next, number)),
        keys.void(&attempt(slice, number)),
    ]
}

proptest! {
    #[test]
    fn any_text_is_a_table_or_none(text in NEAR_NAME) {
        match text.parse::<ObjectName>() {
            Ok(name) => prop_assert_eq!(&name.to_string().parse::<ObjectName>().unwrap(), &name),
            Err(error) => prop_assert_eq!(error.code(), ErrorCode::InvalidInput),
        }
    }

    #[test]
    fn a_tables_folders_are_safe_and_its_own(
        one in object_name(), other in object_name(), prefix in "(?s:[a-z/]{0,10}|.{0,10})",
    ) {
        let segment = table_segment(&one);
        prop_assert!(is_safe(&segment), "{}", segment);
        // No table's folder has the name of the ledger's, because each has a dot.
        prop_assert!(segment.contains('.'), "{}", segment);
        let ledger = |table: &ObjectName| Keys::new(&prefix, table).windows();
        let (a, b) = (ledger(&one), ledger(&other));
        prop_assert_eq!(one == other, a.starts_with(&b) || b.starts_with(&a));
    }

    #[test]
    fn a_window_has_keys_of_its_own(
        template in plan(), one in watermark(), other in watermark(), slice in slice_id(), attempt: u32,
    ) {
        let keys = Keys::new("p", &template.table);
        let of_one = keys_of(&keys, &template, &one, &slice, attempt);
        let of_other = keys_of(&keys, &template, &other, &slice, attempt);
        let mut distinct = of_one.clone();
        distinct.sort();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), of_one.len());
        let is_same = WindowName::after(&one) == WindowName::after(&other);
        prop_assert_eq!(is_same, of_one.iter().any(|key| of_other.contains(key)));
        prop_assert!(of_one.iter().all(|key| key.is_ascii() && !key.contains("..") && !key.contains("//")));
    }
}
