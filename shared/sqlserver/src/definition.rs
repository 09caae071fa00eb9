//! What the text of a view or a function says and the catalog does not: that it asks another server.

/// The functions that send a query to another server, or read a file there
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/openquery-transact-sql>). What they read has no name of four parts,
/// by which alone the catalog knows of other servers
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-sql-referenced-entities-transact-sql>).
const ELSEWHERE: [&str; 3] = ["openquery", "openrowset", "opendatasource"];

/// Returns whether the text of a view or a function calls one of the functions that ask another server.
pub(crate) fn asks_elsewhere(definition: &str) -> bool {
    let code = code_of(definition).to_lowercase();
    let is_call = |at: usize, name: &str| {
        let before = code[..at].chars().next_back();
        let is_whole = !before.is_some_and(|letter| letter.is_alphanumeric() || "_@#$.".contains(letter));
        is_whole && code[at + name.len()..].trim_start().starts_with('(')
    };
    ELSEWHERE
        .iter()
        .any(|name| code.match_indices(name).any(|(at, _)| is_call(at, name)))
}

/// Returns a text with a blank in place of each comment, each text in quotes, and each name in quotes or brackets.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = match first {
            // A quote that is doubled ends one text and begins the next.
            '\'' | '"' => after(rest, 1, first),
            '[' => after(rest, 1, ']'),
            '-' if rest.starts_with("--") => after(rest, 2, '\n'),
            '/' if rest.starts_with("/*") => after_comment(rest),
            _ => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
                continue;
            }
        };
        code.push(' ');
        rest = &rest[end..];
    }
    code
}

/// Returns the place after the next `sign` from `at` on, or the end.
fn after(text: &str, at: usize, sign: char) -> usize {
    text[at..]
        .find(sign)
        .map_or(text.len(), |found| at + found + sign.len_utf8())
}

/// Returns the place after a comment with which a text begins. Comments may be within one another
/// (<https://learn.microsoft.com/en-us/sql/t-sql/language-elements/slash-star-comment-transact-sql>).
fn after_comment(text: &str) -> usize {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(found) = text[at..].find(['/', '*']) {
        at += found;
        let step = match &text.as_bytes()[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                2
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                2
            }
            _ => 1,
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_to_another_server_is_told_from_what_is_only_called_so() {
        for (definition, asks) in [
            ("CREATE VIEW v AS SELECT * FROM OPENQUERY(far, 'SELECT 1')", true),
            (
                "create view v as select * from OpenRowset /* by name */ (bulk 'x')",
                true,
            ),
            ("SELECT * FROM OPENDATASOURCE\n('MSOLEDBSQL', 's').d.dbo.t", true),
            ("SELECT '--' AS a, [/*] AS b FROM openquery(far, 'q')", true),
            ("/* /* */ */ SELECT \"x\"\"y\" FROM openquery(far, 'q')", true),
            ("SELECT 1 AS openquery", false),
            ("SELECT [openquery] (1), \"openrowset\" FROM t", false),
            ("SELECT 'it''s openquery(far)' FROM t", false),
            ("SELECT 1 -- OPENQUERY(far, 'q')\nFROM t", false),
            ("/* a /* b */ OPENQUERY(far) */ SELECT 1", false),
            ("SELECT dbo.openquery(1), my_openquery(1), @openrowset FROM t", false),
            ("/* never closed OPENQUERY(", false),
            ("'", false),
        ] {
            assert_eq!(asks_elsewhere(definition), asks, "{definition}");
        }
    }
}
