//! The unit tests of `src/value/text.rs`.

use super::*;

#[test]
fn the_code_page_round_trips_every_byte() {
    for b in 0..=255 {
        assert_eq!(byte_of(char_of(b)), b);
    }
    assert_eq!(to_bytes("€ü漢"), [0x80, 0xFC, b'?']);
}

#[test]
fn comparison_ignores_case_and_trailing_blanks() {
    assert!(same("Orders ", "ORDERS"));
    assert!(same("ÄÖ", "äö"));
    assert!(!same("a b", "ab"));
}

#[test]
fn like_knows_sets_and_escapes() {
    assert!(like("Hello", "h%O", None));
    assert!(like("a5", "a[0-9]", None));
    assert!(!like("a5", "a[^0-9]", None));
    assert!(like("50%", "50!%", Some('!')));
    assert!(!like("505", "50!%", Some('!')));
}
