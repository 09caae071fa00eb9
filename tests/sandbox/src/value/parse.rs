//! The parser of date and time literals under `us_english` (month, day, year).

use crate::value::calendar;

/// The reason why a text is no date or time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// It does not have the form of a date or time.
    Syntax,
    /// It has the form of one, with a part out of range.
    Range,
}

/// The content of a date and time literal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// The days since 0001-01-01.
    pub date: Option<i64>,
    /// The 100 ns ticks since midnight. A fraction of more than seven digits is refused.
    pub time: i64,
    /// The number of digits of the fraction.
    pub digits: usize,
    /// The offset in minutes, which is 0 for `Z`.
    pub offset: Option<i16>,
}

struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    fn blanks(&mut self) -> bool {
        let trimmed = self.rest.trim_start();
        let any = trimmed.len() < self.rest.len();
        self.rest = trimmed;
        any
    }

    fn run(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (head, tail) = self.rest.split_at(end);
        self.rest = tail;
        head
    }

    fn digits(&mut self) -> &'a str {
        self.run(|c| c.is_ascii_digit())
    }

    fn word(&mut self) -> &'a str {
        self.run(|c| c.is_ascii_alphabetic())
    }

    fn take(&mut self, wanted: &[char]) -> Option<char> {
        let c = self.rest.chars().next().filter(|c| wanted.contains(c))?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }
}

fn number(text: &str) -> Result<i64, Bad> {
    text.parse().map_err(|_| Bad::Syntax)
}

/// Reads a year of one, two or four digits. Two digits mean a year up to 2049.
fn year(text: &str) -> Result<i64, Bad> {
    let value = number(text)?;
    match text.len() {
        1 | 2 => Ok(if value < 50 { 2000 + value } else { 1900 + value }),
        4 => Ok(value),
        _ => Err(Bad::Syntax),
    }
}

fn date(y: i64, m: i64, d: i64) -> Result<i64, Bad> {
    calendar::days(y, m, d).ok_or(Bad::Range)
}

/// Reads a literal: ISO 8601, `yyyymmdd`, numbers separated by `/`, `-` or `.`, month names, and times with AM and PM.
pub fn moment(text: &str) -> Result<Moment, Bad> {
    let mut s = Scanner { rest: text.trim() };
    let mut moment = Moment::default();
    if s.rest.is_empty() {
        moment.date = Some(calendar::EPOCH_1900);
        return Ok(moment);
    }
    if !looks_like_time(s.rest) {
        moment.date = Some(read_date(&mut s)?);
        let blank = s.blanks();
        if s.rest.is_empty() {
            return Ok(moment);
        }
        let t = !blank && s.take(&['T', 't']).is_some();
        if !(blank || t) {
            return Err(Bad::Syntax);
        }
    }
    if !matches!(s.peek(), Some('+' | '-' | 'Z' | 'z')) {
        read_time(&mut s, &mut moment)?;
    }
    s.blanks();
    read_offset(&mut s, &mut moment)?;
    s.blanks();
    if s.rest.is_empty() {
        Ok(moment)
    } else {
        Err(Bad::Syntax)
    }
}

fn looks_like_time(text: &str) -> bool {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let after = text[digits..].trim_start();
    (1..=2).contains(&digits) && after.starts_with(':')
}

/// Reads `9/1/2017` (month first), `2017-09-01` and similar forms, `20170901` and `170901`.
fn read_date(s: &mut Scanner<'_>) -> Result<i64, Bad> {
    let first = s.digits();
    match first.len() {
        8 => return date(number(&first[..4])?, number(&first[4..6])?, number(&first[6..])?),
        6 => return date(year(&first[..2])?, number(&first[2..4])?, number(&first[4..])?),
        1 | 2 | 4 => {}
        _ => return Err(Bad::Syntax),
    }
    let separator = s.take(&['/', '-', '.']).ok_or(Bad::Syntax)?;
    let second = s.digits();
    s.take(&[separator]).ok_or(Bad::Syntax)?;
    let third = s.digits();
    match (first.len(), third.len()) {
        (4, 1 | 2) => date(number(first)?, number(second)?, number(third)?),
        (1 | 2, _) => date(year(third)?, number(first)?, number(second)?),
        _ => Err(Bad::Syntax),
    }
}

/// Reads `hour:minute`, with seconds, their fraction, and AM or PM.
fn read_time(s: &mut Scanner<'_>, moment: &mut Moment) -> Result<(), Bad> {
    let mut hour = number(s.digits())?;
    s.take(&[':']).ok_or(Bad::Syntax)?;
    let minute = number(s.digits())?;
    let (mut second, mut fraction) = (0, "");
    if s.take(&[':']).is_some() {
        second = number(s.digits())?;
        if s.take(&['.']).is_some() {
            fraction = s.digits();
            if fraction.is_empty() || fraction.len() > 7 {
                return Err(Bad::Syntax);
            }
        }
    }
    let before = s.rest;
    s.blanks();
    match (s.word().to_ascii_lowercase().as_str(), hour) {
        ("am", 13..) => return Err(Bad::Range),
        ("am", 12) => hour = 0,
        ("pm", 1..=11) => hour += 12,
        ("am" | "pm", _) => {}
        _ => s.rest = before,
    }
    if hour > 23 || minute > 59 || second > 59 {
        return Err(Bad::Range);
    }
    let ticks = number(&format!("{fraction:0<7}"))?;
    moment.digits = fraction.len();
    moment.time = ((hour * 60 + minute) * 60 + second) * calendar::SECOND + ticks;
    Ok(())
}

fn read_offset(s: &mut Scanner<'_>, moment: &mut Moment) -> Result<(), Bad> {
    if s.take(&['Z', 'z']).is_some() {
        moment.offset = Some(0);
        return Ok(());
    }
    let Some(sign) = s.take(&['+', '-']) else { return Ok(()) };
    let hours = number(s.digits())?;
    s.take(&[':']).ok_or(Bad::Syntax)?;
    let minutes = number(s.digits())?;
    if hours > 14 || minutes > 59 || hours == 14 && minutes > 0 {
        return Err(Bad::Range);
    }
    let total = i16::try_from(hours * 60 + minutes).map_err(|_| Bad::Range)?;
    moment.offset = Some(if sign == '-' { -total } else { total });
    Ok(())
}
