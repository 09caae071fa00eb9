//! Properties of statements, whatever the names and types in a plan are: no name gets out of its brackets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Changes, Interval, Load, Rows};
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::{Column, Form, TypeName};
use tidemark::model::values::Values;
use tidemark::model::watermark::Watermark;
use tidemark::ports::rows::ExplainRows;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::session::Server;

/// Any text that may be a name, more often than not with brackets and quotes.
const NAME: &str = "([^\\p{Cc}]|[\\]\\['\";]){1,40}";

/// Makes a server that is never asked.
fn server() -> Server {
    Server::new(Login::new("nowhere", 1, "", "", ""))
}

fn name() -> impl Strategy<Value = Identifier> {
    NAME.prop_map(|name| Identifier::new(name).unwrap())
}

fn object_name() -> impl Strategy<Value = ObjectName> {
    (NAME, NAME).prop_map(|(schema, name)| {
        let part = |text: String| text.replace(']', "]]");
        format!("[{}].[{}]", part(schema), part(name)).parse().unwrap()
    })
}

fn column(name: &Identifier, sql_type: &str) -> Column {
    Column {
        name: name.as_str().to_owned(),
        sql_type: TypeName::new(sql_type).unwrap(),
        form: Form::Text,
        nullable: true,
        values: Values::OfSource,
    }
}

fn tracked_column(name: &str, sql_type: &str) -> Column {
    column(&Identifier::new(name).unwrap(), sql_type)
}

fn bound(sql_type: &str, value: &str) -> Watermark {
    Watermark::new(TypeName::new(sql_type).unwrap(), value).unwrap()
}

/// Returns the statement by which rows are read, without what is in brackets, as SQL Server reads them: `]]` is a
/// bracket in the name.
fn without_names(rows: &Rows<'_>, columns: &[Column]) -> String {
    let sql = server().explain(rows, columns).unwrap().sql;
    let mut outside = String::new();
    let mut rest = sql.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        outside.push_str(before);
        outside.push_str("[]");
        rest = after;
        loop {
            let (_, after) = rest
                .split_once(']')
                .unwrap_or_else(|| panic!("{sql} leaves a bracket open"));
            rest = after;
            match rest.strip_prefix(']') {
                Some(after) => rest = after,
                None => break,
            }
        }
    }
    outside + rest
}

proptest! {
    #[test]
    fn no_name_gets_out_of_its_brackets(table in object_name(), tracked in name(), key in name(), one in name(), other in name()) {
        let columns = [column(&one, "money"), column(&other, "int")];
        let (old, new) = (bound("int", "1"), bound("int", "2"));
        let range = KeyBounds { column: key.clone(), above: Some(bound("bigint", "3")), up_to: None };
        let interval = Interval {
            table: &table, column: &tracked, old: Some(&old), new: &new, closed: tidemark::model::rows::Closed::default(), with_nulls: true, key: Some(&range), filter: None,
        };
        prop_assert_eq!(
            without_names(&Rows::Interval(interval), &columns),
            "DECLARE @B1 int = CAST(@P1 AS int), @B2 int = CAST(@P2 AS int), @B3 bigint = CAST(@P3 AS bigint); \
             SELECT CAST([] AS decimal(19,4)) AS [], [] FROM [].[] \
             WHERE ([] > @B1 AND [] <= @B2 OR [] IS NULL) AND [] > @B3 OPTION (RECOMPILE)"
        );
        let version = bound("bigint", "7");
        let columns = [column(&one, "money"), column(&other, "int"), tracked_column("SYS_CHANGE_VERSION", "bigint"), tracked_column("SYS_CHANGE_OPERATION", "nchar(1)")];
        let load = Load { table: &table, version: &version, key: Some(&range) };
        prop_assert_eq!(
            without_names(&Rows::Load(load), &columns),
            "DECLARE @B1 bigint = CAST(@P1 AS bigint), @B2 bigint = CAST(@P2 AS bigint); \
             SELECT CAST([].[] AS decimal(19,4)) AS [], [].[], @B1 AS [], CAST(N'I' AS nchar(1)) AS [] \
             FROM [].[] AS [] WHERE [] > @B2 OPTION (RECOMPILE)"
        );
        let key_columns = [key.as_str().to_owned()];
        let changes = Changes { table: &table, key_columns: &key_columns, old: &version, new: &version, key: None };
        prop_assert_eq!(
            without_names(&Rows::Changes(changes), &columns),
            "DECLARE @B1 bigint = CAST(@P1 AS bigint), @B2 bigint = CAST(@P2 AS bigint); SELECT CAST([].[] AS decimal(19,4)) AS [], [].[], [].[], [].[] \
             FROM CHANGETABLE(CHANGES [].[], @B1) AS [] LEFT OUTER JOIN [].[] AS [] ON [].[] = [].[] AND [].[] <> N'D' \
             WHERE [].[] <= @B2 AND ([].[] = N'D' OR [].[] IS NOT NULL) OPTION (RECOMPILE)"
        );
    }

    #[test]
    fn what_is_no_type_is_in_no_statement(text in "(?s:(int|decimal|varchar|time|datetime2)[^\\p{Cc}]{0,12}|[^\\p{Cc}]{1,20})") {
        let (table, tracked) = ("t".parse().unwrap(), Identifier::new("m").unwrap());
        let hostile = Watermark::new(TypeName::new(text.clone()).unwrap(), "1").unwrap();
        for (new, columns) in [
            (&hostile, vec![]),
            (&bound("int", "1"), vec![column(&tracked, &text)]),
        ] {
            let interval = Interval {
                table: &table, column: &tracked, old: None, new, closed: tidemark::model::rows::Closed::default(), with_nulls: false, key: None, filter: None,
            };
            let Ok(explained) = server().explain(&Rows::Interval(interval), &columns) else { continue };
            // A type's name, perhaps with its length, has nothing that could end the place where it stands.
            let is_type = text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_(),".contains(c));
            prop_assert!(is_type && text.matches(')').count() <= 1, "{}", explained.sql);
        }
    }
}
