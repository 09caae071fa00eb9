//! The grammar of logins, users and their rights.

use super::Parser;
use crate::error::SqlResult;
use crate::sql::ast::{Kind, Name, Permission};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// Parses `CREATE LOGIN name WITH PASSWORD = 'text'`, from the name.
    pub(super) fn create_login(&mut self) -> SqlResult<Kind> {
        let name = self.ident()?;
        self.expect("with password =")?;
        Ok(Kind::CreateLogin(name, self.string()?))
    }

    /// Parses `CREATE USER name FOR LOGIN login`, from the name.
    pub(super) fn create_user(&mut self) -> SqlResult<Kind> {
        let name = self.ident()?;
        let mut login = name.clone();
        if self.eat_any(&["for", "from"]).is_some() {
            self.expect("login")?;
            login = self.ident()?;
        }
        Ok(Kind::CreateUser(name, login))
    }

    /// Parses `GRANT`, `DENY` and `REVOKE`, from the rights.
    pub(super) fn permission(&mut self, verb: &str) -> SqlResult<Kind> {
        let mut rights = self.list(Self::right)?;
        let on = self.after("on", Self::securable)?;
        let columns = self.optional_idents()?;
        if !columns.is_empty() {
            rights.iter_mut().for_each(|right| right.1.clone_from(&columns));
        }
        self.expect_any(&["to", "from"])?;
        Ok(Kind::Permission(Permission {
            granted: (verb != "revoke").then_some(verb == "grant"),
            rights,
            on,
            users: self.list(Self::ident)?,
        }))
    }

    /// Parses the words of a right, and the columns for which it is meant.
    fn right(&mut self) -> SqlResult<(String, Vec<String>)> {
        let mut words = Vec::new();
        while matches!(self.tok(), Tok::Word(_)) && !["on", "to", "from"].iter().any(|end| self.is(end)) {
            words.push(self.bump().text().to_ascii_uppercase());
        }
        if words.is_empty() {
            return self.unexpected();
        }
        Ok((words.join(" "), self.optional_idents()?))
    }

    /// Parses `class::name`. The class of a bare name is `OBJECT`.
    fn securable(&mut self) -> SqlResult<(String, Name)> {
        let mut class = "OBJECT".to_owned();
        if matches!(self.peek(1), Tok::Sym("::")) {
            class = self.bump().text().to_ascii_uppercase();
            self.bump();
        }
        Ok((class, self.name()?))
    }

    pub(super) fn string(&mut self) -> SqlResult<String> {
        match self.tok().clone() {
            Tok::Str(text, _) => {
                self.bump();
                Ok(text)
            }
            _ => self.unexpected(),
        }
    }
}
