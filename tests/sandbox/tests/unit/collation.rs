//! The unit tests of `src/value/collation.rs`.

use super::*;

fn equal(collation: &str, ty: Ty, a: &str, b: &str) -> bool {
    let wanted = Collation::named(collation).map(|c| c.in_sqlite(ty));
    let found = IN_SQLITE.iter().find(|(name, _)| Some(*name) == wanted);
    found.is_some_and(|(_, compare)| compare(a, b) == Ordering::Equal)
}

#[test]
fn collations_differ_in_case_and_in_what_is_one_character() {
    let (wide, narrow) = (Ty::NVarChar(10), Ty::VarChar(10));
    assert!(equal("sql_latin1_general_cp1_ci_as", wide, "Straße", "STRASSE "));
    assert!(!equal("SQL_Latin1_General_CP1_CI_AS", narrow, "Straße", "strasse"));
    assert!(equal("Latin1_General_CI_AS", narrow, "Straße", "strasse"));
    assert!(equal("Latin1_General_CS_AS", narrow, "Straße", "Strasse"));
    assert!(!equal("Latin1_General_CS_AS", wide, "a", "A"));
    assert!(equal("Latin1_General_BIN2", wide, "a ", "a"));
    assert!(!equal("Latin1_General_BIN2", wide, "ß", "ss"));
    assert_eq!(Collation::named("nonsense"), None);
}
