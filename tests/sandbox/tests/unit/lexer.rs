//! The unit tests of `src/sql/lexer.rs`.

use super::*;

fn kinds(text: &str) -> Vec<Tok> {
    tokens(text).unwrap().into_iter().map(|t| t.tok).collect()
}

#[test]
fn literals_names_and_comments_are_told_apart() {
    assert_eq!(
        kinds("select [a]]b], N'it''s' /* x /* y */ */ -- z\n, 1.5e3, .5, 0xfF, @@ROWCOUNT"),
        vec![
            Tok::Word("select".into()),
            Tok::Quoted("a]b".into()),
            Tok::Sym(","),
            Tok::Str("it's".into(), true),
            Tok::Sym(","),
            Tok::Float("1.5e3".into()),
            Tok::Sym(","),
            Tok::Dec(".5".into()),
            Tok::Sym(","),
            Tok::Bin(vec![255]),
            Tok::Sym(","),
            Tok::Global("ROWCOUNT".into()),
            Tok::End,
        ]
    );
    assert_eq!(tokens("'open").unwrap_err().number, 105);
    assert_eq!(tokens("a ` b").unwrap_err().number, 102);
}

#[test]
fn scripts_split_at_go() {
    assert_eq!(batches("a\nGO\nb\ngo;\n\n"), ["a\n", "b\n"]);
}
