//! Making JSON with comments, as editors write it, plain. Every comment becomes blanks, so that all else stays at its
//! line and column.

/// Returns the text without comments, and without commas before a closing bracket.
pub(crate) fn blanked(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    // The place of the last comma, while only blanks have followed it.
    let mut comma = None;
    while let Some(character) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if character == '"' {
            let (text, after) = rest.split_at(text_length(rest));
            plain.push_str(text);
            (rest, comma) = (after, None);
            continue;
        } else {
            if matches!(character, '}' | ']')
                && let Some(comma) = comma.take()
            {
                plain.replace_range(comma..=comma, " ");
            }
            if character == ',' {
                comma = Some(plain.len());
            } else if !character.is_whitespace() {
                comma = None;
            }
            plain.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        };
        let (comment, after) = rest.split_at(length);
        plain.extend(comment.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        rest = after;
    }
    plain
}

/// Returns the bytes of the text in quotes with which `rest` begins.
fn text_length(rest: &str) -> usize {
    let mut is_escaped = false;
    for (index, character) in rest.char_indices().skip(1) {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_blanks_and_texts_stay() {
        for (text, plain) in [
            ("{} // end", "{}       "),
            ("{/* a\nb */}", "{    \n    }"),
            (r#"{"a": "//", "b\"/*": 1}"#, r#"{"a": "//", "b\"/*": 1}"#),
            ("[1, 2, /* x */ ]", "[1, 2          ]"),
            ("[1,,]", "[1, ]"),
            ("[\"a\",]", "[\"a\" ]"),
            ("/* open", "       "),
            ("\"open", "\"open"),
        ] {
            assert_eq!(blanked(text), plain);
        }
    }
}
