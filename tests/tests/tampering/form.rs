//! The form of a statement: what is left of it without the names of its columns, its types and how many of them there
//! are.

/// The words before the name of a table or procedure, which belongs to the form.
const BEFORE_OBJECTS: [&str; 8] = [
    "FROM",
    "JOIN",
    "INTO",
    "CHANGES",
    "EXEC",
    "TABLE",
    "BULK",
    "IDENTITY_INSERT",
];

/// SQL Server's names of the types that occur in statements.
const TYPES: [&str; 31] = [
    "bit",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "decimal",
    "numeric",
    "money",
    "smallmoney",
    "real",
    "float",
    "char",
    "varchar",
    "nchar",
    "nvarchar",
    "text",
    "ntext",
    "binary",
    "varbinary",
    "image",
    "date",
    "time",
    "smalldatetime",
    "datetime",
    "datetime2",
    "datetimeoffset",
    "uniqueidentifier",
    "xml",
    "hierarchyid",
    "geometry",
    "geography",
];

/// What stands for a column, whatever its name is.
const COLUMN: &str = "[]";

/// Returns the form of a request as the stand-in notes it.
pub fn form(request: &str) -> String {
    let (procedure, statement) = match request.split_once('\n') {
        Some((procedure, rest)) if procedure.starts_with("sp_") => {
            // The declarations of the parameters and their values follow, and are not part of the statement.
            let end = rest.find("\n@P").unwrap_or(rest.len());
            (procedure, &rest[..end])
        }
        _ => ("", request),
    };
    let mut tokens = tokens(statement);
    while shorten(&mut tokens) {}
    format!("{procedure}: {}", tokens.join(" "))
}

/// Splits a statement into words, literals and signs. A name in brackets becomes a [`COLUMN`], except that of a table;
/// a type with its length becomes `T`.
fn tokens(statement: &str) -> Vec<String> {
    let characters: Vec<char> = statement.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < characters.len() {
        let character = characters[at];
        let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '@' | '#' | '$');
        if character.is_whitespace() {
            at += 1;
        } else if character == '[' || character == '\'' || character == '"' {
            let end = end_of_quoted(&characters, at);
            let text: String = characters[at..end].iter().collect();
            let is_object = is_after_object_word(&tokens);
            tokens.push(if character == '[' && !is_object {
                COLUMN.to_owned()
            } else {
                text
            });
            at = end;
        } else if is_word(&character) {
            let length = characters[at..].iter().take_while(|c| is_word(c)).count();
            let word: String = characters[at..at + length].iter().collect();
            at += length;
            if TYPES.contains(&word.as_str()) {
                at += length_of_arguments(&characters[at..]);
                tokens.push("T".to_owned());
            } else {
                tokens.push(word);
            }
        } else {
            tokens.push(character.to_string());
            at += 1;
        }
    }
    tokens
}

/// Returns whether the next name is that of a table: it comes after such a word, or after its schema and a dot.
fn is_after_object_word(tokens: &[String]) -> bool {
    let word = match tokens {
        [.., word, schema, dot] if dot == "." && schema.starts_with('[') => word,
        [.., word] => word,
        [] => return false,
    };
    BEFORE_OBJECTS.contains(&word.as_str())
}

/// Returns where a text in quotes or brackets ends, which may hold its end doubled. A text that does not end is all
/// that is left.
fn end_of_quoted(characters: &[char], start: usize) -> usize {
    let end = match characters[start] {
        '[' => ']',
        quote => quote,
    };
    let mut at = start + 1;
    while at < characters.len() {
        if characters[at] != end {
            at += 1;
        } else if characters.get(at + 1) == Some(&end) {
            at += 2;
        } else {
            return at + 1;
        }
    }
    characters.len()
}

/// Returns the length of `(10)`, `(10,2)` or `(max)`, or 0 when there is none.
fn length_of_arguments(rest: &[char]) -> usize {
    let Some(end) = rest.iter().position(|&c| c == ')') else {
        return 0;
    };
    let arguments: String = rest[..=end].iter().collect();
    let inner = arguments.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let is_one = inner.is_some_and(|text| {
        text == "max" || (!text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == ',' || c == ' '))
    });
    if is_one { end + 1 } else { 0 }
}

/// Replaces one thing that depends on types and numbers of columns by a shorter one. Returns `false` when there is
/// none.
fn shorten(tokens: &mut Vec<String>) -> bool {
    let is_value = |token: &str| token == COLUMN || token.starts_with("@P");
    for at in 0..tokens.len() {
        let rest: Vec<&str> = tokens[at..].iter().take(8).map(String::as_str).collect();
        let (length, short) = match rest[..] {
            ["CAST", "(", value, "AS", "T", ")", ..] if is_value(value) => (6, Some(value)),
            ["CONVERT", "(", "T", ",", value, ",", _style, ")"] if is_value(value) => (8, Some(value)),
            [value, "COLLATE", _collation, ..] if is_value(value) || value == "T" => (3, Some(value)),
            [COLUMN, "." | "AS", COLUMN, ..] => (3, Some(COLUMN)),
            // Row versions have the lower bound in their windows, and not the upper one.
            ["<" | ">", "=", ..] => (2, Some("<")),
            [">", ..] => (1, Some("<")),
            // The number is how many rows of a slice are passed over to find where the slice is cut.
            ["OFFSET", number, "ROWS", ..] if number.parse::<u64>().is_ok() => (2, Some("OFFSET")),
            // Lists keep their last item.
            [COLUMN, ",", COLUMN, ..] => (2, None),
            [COLUMN, "T", ",", COLUMN, "T", ..] => (3, None),
            [COLUMN, "T", "NULL", ",", COLUMN, "T", ..] => (4, None),
            [COLUMN, "T", "NOT", "NULL", ",", COLUMN, "T", ..] => (5, None),
            [COLUMN, "=", COLUMN, ",", COLUMN, "=", COLUMN, ..] => (4, None),
            _ => continue,
        };
        let short = short.map(str::to_owned);
        tokens.splice(at..at + length, short);
        return true;
    }
    false
}

#[test]
fn a_form_forgets_columns_and_types_and_nothing_else() {
    let forms = |requests: &[&str]| requests.iter().map(|request| form(request)).collect::<Vec<_>>();
    let same = forms(&[
        "sp_executesql\nSELECT [a], [b] FROM [dbo].[t] WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)\n@P1 x\n1",
        "sp_executesql\nSELECT [x]]; DROP TABLE t --] FROM [dbo].[t] WHERE [m] >= CAST(@P1 AS decimal(10,2)) AND [m] < CONVERT(binary(8), @P2, 1)\n@P1",
        "sp_executesql\nSELECT CAST([a] AS decimal(19,4)) AS [a], [x\ny] FROM [dbo].[t] WHERE [m] > CAST(@P1 AS date) AND [m] < CAST(@P2 AS date)",
    ]);
    assert_eq!(same[0], same[1]);
    assert_eq!(same[0], same[2]);
    assert_eq!(
        same[0],
        "sp_executesql: SELECT [] FROM [dbo] . [t] WHERE [] < @P1 AND [] < @P2"
    );
    for other in forms(&[
        "sp_executesql\nSELECT [a] FROM [dbo].[victim] WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)",
        "sp_executesql\nSELECT [a] FROM [dbo].[t] WHERE [m] > CAST(@P1 AS int); DROP TABLE victim; --) AND [m] <= CAST(@P2 AS int)",
        "sp_executesql\nSELECT [a]; DROP TABLE victim; --] FROM [dbo].[t] WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)",
        "sp_executesql\nSELECT [a], (SELECT [b] FROM [dbo].[victim]) FROM [dbo].[t] WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)",
        "sp_executesql\nSELECT [a] FROM [dbo].[t] WHERE [m] > 'x' AND [m] <= CAST(@P2 AS int)",
        "SELECT [a], [b] FROM [dbo].[t] WHERE [m] > CAST(@P1 AS int) AND [m] <= CAST(@P2 AS int)",
    ]) {
        assert_ne!(same[0], other);
    }
}
