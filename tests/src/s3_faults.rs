//! This module says what an S3 server does wrong, at chosen requests.

use std::sync::{Mutex, PoisonError};

/// This says what goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// `503 SlowDown`, without effect.
    SlowDown,
    /// `500 InternalError`, without effect.
    InternalError,
    /// The connection is cut before the request is through: it has no effect.
    CutBefore,
    /// The request takes effect, and the connection is cut before its answer.
    CutAfter,
    /// There is no effect and no answer.
    Silence,
}

impl S3Fault {
    /// All that are over at once.
    pub const SHORT: [Self; 4] = [Self::SlowDown, Self::InternalError, Self::CutBefore, Self::CutAfter];
}

/// The requests a server had and those that go wrong.
#[derive(Debug, Default)]
pub struct S3Faults(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    requests: Vec<String>,
    order: Option<Order>,
}

#[derive(Debug, Clone, Copy)]
struct Order {
    first: usize,
    times: usize,
    fault: S3Fault,
}

impl S3Faults {
    /// `fault` happens to `times` requests, the first of them the one of that number, from 0 for the next.
    pub fn order(&self, first: usize, times: usize, fault: S3Fault) {
        self.with(|state| {
            let first = state.requests.len() + first;
            state.order = Some(Order { first, times, fault });
        });
    }

    /// Nothing goes wrong any more.
    pub fn clear(&self) {
        self.with(|state| state.order = None);
    }

    /// Returns the requests so far, method and path.
    pub fn requests(&self) -> Vec<String> {
        self.with(|state| state.requests.clone())
    }

    /// Notes a request; what goes wrong with it.
    pub(crate) fn meet(&self, request: String) -> Option<S3Fault> {
        self.with(|state| {
            let number = state.requests.len();
            state.requests.push(request);
            let order = state.order?;
            (order.first..order.first.saturating_add(order.times))
                .contains(&number)
                .then_some(order.fault)
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
