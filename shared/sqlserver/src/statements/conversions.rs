//! Conversions of values, as statements write them. The types say what has to be converted.

use crate::types::{Conversion, SqlType};

/// Writes a value in another type.
pub(super) fn cast(value: &str, wanted: SqlType) -> String {
    format!("CAST({value} AS {wanted})")
}

/// Writes what selects a value so that it arrives exactly, if the value itself does not.
pub(super) fn selected(value: &str, sql_type: SqlType) -> Option<String> {
    sql_type.selected().map(|wanted| cast(value, wanted))
}

/// Writes the value that a text holds: a parameter, or a staged text.
pub(super) fn of_text(text: &str, sql_type: SqlType) -> String {
    let wanted = sql_type.of_variable();
    match sql_type.of_text() {
        Conversion::Cast => cast(text, wanted),
        Conversion::Style1 => format!("CONVERT({wanted}, {text}, 1)"),
    }
}

/// Writes the value in a variant, which must be cast before it is compared.
pub(super) fn of_variant(variant: &str, sql_type: SqlType) -> String {
    cast(variant, sql_type.of_variable())
}

#[cfg(test)]
mod tests {
    use tidemark::model::types::TypeName;

    use super::*;

    fn parse(name: &str) -> SqlType {
        SqlType::of(&TypeName::new(name).unwrap()).unwrap()
    }

    #[test]
    fn a_value_that_would_not_arrive_as_it_is_is_cast() {
        for (name, expected) in [
            ("money", Some("CAST([c] AS decimal(19,4))")),
            ("smallmoney", Some("CAST([c] AS decimal(10,4))")),
            ("hierarchyid", Some("CAST([c] AS varbinary(max))")),
            ("decimal(19,4)", None),
            ("int", None),
        ] {
            assert_eq!(selected("[c]", parse(name)).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn a_text_becomes_a_value_of_the_type() {
        for (name, expected) in [
            ("datetime2(3)", "CAST(@P1 AS datetime2(3))"),
            ("uniqueidentifier", "CAST(@P1 AS uniqueidentifier)"),
            ("rowversion", "CONVERT(binary(8), @P1, 1)"),
            ("xml", "CONVERT(xml, @P1, 1)"),
        ] {
            assert_eq!(of_text("@P1", parse(name)), expected);
        }
    }

    #[test]
    fn a_variant_becomes_a_value_that_is_compared() {
        assert_eq!(of_variant("[v]", SqlType::ROWVERSION), "CAST([v] AS binary(8))");
        assert_eq!(of_variant("[v]", SqlType::BIGINT), "CAST([v] AS bigint)");
    }
}
