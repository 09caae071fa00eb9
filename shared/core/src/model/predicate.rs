//! A user's condition on the rows of a table: `where` in its settings.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

/// The most characters of a predicate.
const MAX_CHARACTERS: usize = 4_000;

/// A T-SQL search condition that stays one condition when it is put in parentheses.
///
/// It holds no end of a statement, comment, variable or parameter; its parentheses, quotes and brackets are closed, so
/// it cannot end the parentheses that Tidemark puts around it. Whether it is a valid condition for the table is for the
/// server to say.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Predicate(String);

impl Predicate {
    /// Takes `text` as a predicate, without blanks around it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that names what is not allowed.
    pub fn new(text: &str) -> Result<Self, Error> {
        check(text).map_err(|what| {
            Error::new(
                ErrorCode::InvalidInput,
                format!("where is not a single condition without parameters: {what}"),
            )
        })?;
        Ok(Self(text.trim().to_owned()))
    }

    /// Returns the condition in parentheses.
    #[must_use]
    pub fn in_parentheses(&self) -> String {
        format!("({})", self.0)
    }
}

impl fmt::Display for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Predicate {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::new(&text)
    }
}

impl From<Predicate> for String {
    fn from(predicate: Predicate) -> Self {
        predicate.0
    }
}

/// Skips what the quote or bracket `opening` began, with its end. A doubled end stands for the character itself.
fn skip_quoted(opening: char, rest: &mut Peekable<Chars<'_>>) -> Result<(), String> {
    let end = if opening == '[' { ']' } else { opening };
    while let Some(found) = rest.next() {
        match found {
            '\0' => return Err("it holds a control character".into()),
            found if found == end && rest.next_if_eq(&end).is_none() => return Ok(()),
            _ => {}
        }
    }
    Err(format!("a {opening} is not closed"))
}

/// Checks that `text` is a single condition, and says what is wrong with it when it is not.
fn check(text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err("it is empty".into());
    }
    if text.chars().count() > MAX_CHARACTERS {
        return Err(format!("it has more than {MAX_CHARACTERS} characters"));
    }
    let mut open = 0_u32;
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        let next = rest.peek().copied();
        match (character, next) {
            ('\'' | '"' | '[', _) => skip_quoted(character, &mut rest)?,
            ('(', _) => open += 1,
            (')', _) => open = open.checked_sub(1).ok_or("a ) closes nothing")?,
            (']', _) => return Err("a ] closes nothing".into()),
            (';', _) => return Err("a ; ends a statement".into()),
            ('-', Some('-')) | ('/', Some('*')) | ('*', Some('/')) => return Err("it holds a comment".into()),
            ('@', _) => return Err("it names a variable or a parameter".into()),
            (character, _) if character.is_control() && !matches!(character, '\n' | '\r' | '\t') => {
                return Err("it holds a control character".into());
            }
            _ => {}
        }
    }
    if open > 0 {
        return Err("a ( is not closed".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_condition_is_taken_as_it_is() {
        for text in [
            "region = 'EU'",
            "[o]]dd] IS NOT NULL OR (amount > 1.5 AND NOT deleted = 1)",
            "name LIKE N'%;--%' AND note <> 'it''s @home (not'",
            "\"order\" IN (SELECT id FROM dbo.open_orders)",
            "a - -1 > 0\nAND b / c * d < 5",
        ] {
            assert_eq!(Predicate::new(text).unwrap().to_string(), text);
        }
        assert_eq!(Predicate::new(" a = 1 ").unwrap().in_parentheses(), "(a = 1)");
    }

    #[test]
    fn what_is_more_or_less_than_a_condition_is_refused() {
        for (text, what) in [
            (" ", "empty"),
            ("1 = 1; DROP TABLE t", ";"),
            ("1 = 1) OR (1 = 1", "closes nothing"),
            ("(1 = 1", "not closed"),
            ("a = 'x", "not closed"),
            ("a = 'x''", "not closed"),
            ("[a = 1", "not closed"),
            ("[a]] = 1", "not closed"),
            ("a] = 1", "closes nothing"),
            ("\"a = 1", "not closed"),
            ("1 = 1 -- AND", "comment"),
            ("1 = 1 /* AND", "comment"),
            ("m > @P1", "parameter"),
            ("@@SPID > 0", "parameter"),
            ("a = 1\0", "control"),
            ("a = '\0'", "control"),
        ] {
            let error = Predicate::new(text).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(error.to_string().contains(what), "{text:?}: {error}");
        }
        assert!(Predicate::new(&"x".repeat(MAX_CHARACTERS + 1)).is_err());
    }

    /// Returns `text` without what is in quotes and brackets, found in another way than by `check`; `None` when a quote
    /// is not closed.
    fn bare(text: &str) -> Option<String> {
        let mut bare = String::new();
        let mut rest = text;
        while let Some(start) = rest.find(['\'', '"', '[']) {
            bare.push_str(&rest[..start]);
            bare.push(' ');
            let end = match &rest[start..=start] {
                "[" => "]",
                quote => quote,
            };
            rest = &rest[start + 1..];
            loop {
                let at = rest.find(end)?;
                rest = &rest[at + 1..];
                match rest.strip_prefix(end) {
                    Some(after) => rest = after,
                    None => break,
                }
            }
        }
        Some(bare + rest)
    }

    proptest! {
        #[test]
        fn what_is_taken_cannot_leave_its_parentheses(text in "[a'\"\\[\\]();@*/ -]{0,20}") {
            if Predicate::new(&text).is_ok() {
                let bare = bare(&text).expect("every quote is closed");
                let mut open = 0_i32;
                for character in bare.chars() {
                    open += i32::from(character == '(') - i32::from(character == ')');
                    prop_assert!(open >= 0);
                }
                prop_assert_eq!(open, 0);
                prop_assert!(!bare.contains([';', '@', ']']));
                prop_assert!(!bare.contains("--") && !bare.contains("/*"));
            }
        }
    }
}
