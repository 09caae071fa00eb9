//! The grammar of expressions and conditions, by precedence.

use super::{Parser, is_reserved};
use crate::error::SqlResult;
use crate::sql::ast::{AT_TIME_ZONE, Call, Expr, Order, Over};
use crate::sql::lexer::Tok;
use crate::value::Ty;

const COMPARISONS: [&str; 9] = ["=", "<>", "!=", "<", "<=", ">", ">=", "!<", "!>"];

/// The functions that are written without parentheses.
const BARE: &str = "CURRENT_TIMESTAMP";

/// The reserved words that are functions when a parenthesis follows.
const RESERVED_FUNCTIONS: [&str; 4] = ["coalesce", "nullif", "left", "right"];

fn boxed(e: Expr) -> Box<Expr> {
    Box::new(e)
}

impl Parser<'_> {
    /// Parses a condition or an expression, in which `OR` binds least.
    pub(super) fn condition(&mut self) -> SqlResult<Expr> {
        let mut left = self.and()?;
        while self.eat("or") {
            left = Expr::Or(boxed(left), boxed(self.and()?));
        }
        Ok(left)
    }

    fn and(&mut self) -> SqlResult<Expr> {
        let mut left = self.not()?;
        while self.eat("and") {
            left = Expr::And(boxed(left), boxed(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> SqlResult<Expr> {
        if self.eat("not") {
            Ok(Expr::Not(boxed(self.not()?)))
        } else {
            self.predicate()
        }
    }

    fn predicate(&mut self) -> SqlResult<Expr> {
        if self.is("exists") && matches!(self.peek(1), Tok::Sym("(")) {
            self.bump();
            return Ok(Expr::Exists(Box::new(self.enclosed(Self::query)?)));
        }
        let left = self.expr()?;
        if let Tok::Sym(op) = *self.tok()
            && COMPARISONS.contains(&op)
        {
            self.bump();
            let right = self.expr()?;
            let op = match op {
                "!=" => "<>",
                "!<" => ">=",
                "!>" => "<=",
                other => other,
            };
            return Ok(Expr::Compare(op, boxed(left), boxed(right)));
        }
        if self.eat("is") {
            let not = self.eat("not");
            self.expect("null")?;
            return Ok(Expr::IsNull(boxed(left), not));
        }
        let not = self.is("not") && ["in", "between", "like"].iter().any(|w| self.is_at(1, w));
        if not {
            self.bump();
        }
        if self.eat("in") {
            return self.in_list(left, not);
        }
        if self.eat("between") {
            let low = self.expr()?;
            self.expect("and")?;
            let high = self.expr()?;
            return Ok(Expr::Between(boxed(left), boxed(low), boxed(high), not));
        }
        if self.eat("like") {
            let pattern = self.expr()?;
            let escape = self.after("escape", |p| p.expr().map(boxed))?;
            return Ok(Expr::Like(boxed(left), boxed(pattern), escape, not));
        }
        Ok(left)
    }

    fn in_list(&mut self, left: Expr, not: bool) -> SqlResult<Expr> {
        self.enclosed(|p| {
            if p.is("select") || p.is("with") {
                return Ok(Expr::InQuery(boxed(left), Box::new(p.query()?), not));
            }
            Ok(Expr::In(boxed(left), p.expr_list()?, not))
        })
    }

    pub(super) fn expr_list(&mut self) -> SqlResult<Vec<Expr>> {
        self.list(Self::expr)
    }

    /// Parses an expression, in which `+` and `-` bind least.
    pub(super) fn expr(&mut self) -> SqlResult<Expr> {
        let mut left = self.product()?;
        while let Tok::Sym(op @ ("+" | "-")) = *self.tok() {
            self.bump();
            left = Expr::Binary(op, boxed(left), boxed(self.product()?));
        }
        Ok(left)
    }

    fn product(&mut self) -> SqlResult<Expr> {
        let mut left = self.unary()?;
        while let Tok::Sym(op @ ("*" | "/" | "%")) = *self.tok() {
            self.bump();
            left = Expr::Binary(op, boxed(left), boxed(self.unary()?));
        }
        Ok(left)
    }

    fn unary(&mut self) -> SqlResult<Expr> {
        if let Tok::Sym(op @ ("-" | "+")) = *self.tok() {
            self.bump();
            return Ok(Expr::Unary(op, boxed(self.unary()?)));
        }
        let mut expr = self.primary()?;
        while self.eat("collate") {
            expr = Expr::Collate(boxed(expr), self.ident()?);
        }
        while self.is("at") && self.is_at(1, "time") && self.is_at(2, "zone") {
            self.at += 3;
            let parts = vec![expr, self.primary()?];
            expr = Expr::Call(Call::plain(vec![AT_TIME_ZONE.to_owned()], parts));
        }
        Ok(expr)
    }

    fn primary(&mut self) -> SqlResult<Expr> {
        match self.tok() {
            Tok::Sym("(") => self.parenthesis(),
            Tok::Word(_) | Tok::Quoted(_) => self.word(),
            _ => self.constant(),
        }
    }

    fn parenthesis(&mut self) -> SqlResult<Expr> {
        self.enclosed(|p| {
            if p.is("select") || p.is("with") {
                return Ok(Expr::Subquery(Box::new(p.query()?)));
            }
            p.condition()
        })
    }

    fn word(&mut self) -> SqlResult<Expr> {
        let followed = matches!(self.peek(1), Tok::Sym("("));
        if let Tok::Word(w) = self.tok() {
            let word = w.to_ascii_lowercase();
            match word.as_str() {
                "null" | "default" => return self.constant(),
                "case" => return self.case(),
                "cast" if followed => return self.cast(),
                "convert" if followed => return self.convert(),
                _ => {}
            }
            let upper = w.to_ascii_uppercase();
            if upper == BARE {
                self.bump();
                return Ok(Expr::Call(Call::plain(vec![upper], Vec::new())));
            }
            if is_reserved(&word) {
                if !(followed && RESERVED_FUNCTIONS.contains(&word.as_str())) {
                    return self.unexpected();
                }
                self.bump();
                return self.call(vec![upper]);
            }
        }
        let name = self.name()?;
        if self.is_sym("(") {
            return self.call(name);
        }
        Ok(Expr::Col(name))
    }

    fn case(&mut self) -> SqlResult<Expr> {
        self.bump();
        let operand = if self.is("when") {
            None
        } else {
            Some(boxed(self.expr()?))
        };
        let mut arms = Vec::new();
        while self.eat("when") {
            let when = if operand.is_some() {
                self.expr()?
            } else {
                self.condition()?
            };
            self.expect("then")?;
            arms.push((when, self.expr()?));
        }
        if arms.is_empty() {
            return self.unexpected();
        }
        let otherwise = self.after("else", |p| p.expr().map(boxed))?;
        self.expect("end")?;
        Ok(Expr::Case(operand, arms, otherwise))
    }

    fn cast(&mut self) -> SqlResult<Expr> {
        self.bump();
        self.expect("(")?;
        let value = self.expr()?;
        self.expect("as")?;
        let ty = self.cast_type()?;
        self.expect(")")?;
        Ok(Expr::Cast(boxed(value), ty, None))
    }

    fn convert(&mut self) -> SqlResult<Expr> {
        self.bump();
        self.expect("(")?;
        let ty = self.cast_type()?;
        self.expect(",")?;
        let value = self.expr()?;
        let style = if self.eat_sym(",") {
            Some(boxed(self.expr()?))
        } else {
            None
        };
        self.expect(")")?;
        Ok(Expr::Cast(boxed(value), ty, style))
    }

    /// Parses the type of a cast, where one without a length has 30 characters or bytes.
    fn cast_type(&mut self) -> SqlResult<Ty> {
        let (ty, _) = self.data_type()?;
        let sized = self.at > 0 && matches!(self.tokens[self.at - 1].tok, Tok::Sym(")"));
        Ok(match ty {
            _ if sized => ty,
            Ty::VarChar(1) => Ty::VarChar(30),
            Ty::NVarChar(1) => Ty::NVarChar(30),
            Ty::Char(1) => Ty::Char(30),
            Ty::NChar(1) => Ty::NChar(30),
            Ty::VarBinary(1) => Ty::VarBinary(30),
            Ty::Binary(1) => Ty::Binary(30),
            other => other,
        })
    }

    fn call(&mut self, name: Vec<String>) -> SqlResult<Expr> {
        self.expect("(")?;
        let mut call = Call::plain(name, Vec::new());
        if let [one] = call.name.as_mut_slice() {
            one.make_ascii_uppercase();
        }
        if self.eat_sym("*") {
            call.star = true;
        } else if !self.is_sym(")") {
            call.distinct = self.eat("distinct");
            if !call.distinct {
                self.eat("all");
            }
            if call.name == ["IIF"] {
                call.args.push(self.condition()?);
                self.expect(",")?;
            }
            call.args.extend(self.expr_list()?);
        }
        self.expect(")")?;
        if self.eat("over") {
            self.expect("(")?;
            let mut over = Over {
                partition: Vec::new(),
                order: Vec::new(),
            };
            if self.eat("partition") {
                self.expect("by")?;
                over.partition = self.expr_list()?;
            }
            if self.is("order") {
                over.order = self.order_by()?;
            }
            self.expect(")")?;
            call.over = Some(over);
        }
        Ok(Expr::Call(call))
    }

    pub(super) fn order_by(&mut self) -> SqlResult<Vec<Order>> {
        self.expect("order by")?;
        self.list(|p| {
            let expr = p.expr()?;
            let desc = p.eat_any(&["asc", "desc"]) == Some("desc");
            Ok(Order { expr, desc })
        })
    }
}

impl Call {
    /// Makes a call without `DISTINCT`, `OVER` or `*`.
    pub fn plain(name: Vec<String>, args: Vec<Expr>) -> Self {
        Call {
            name,
            args,
            star: false,
            distinct: false,
            over: None,
        }
    }
}
